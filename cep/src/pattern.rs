//! Patterns, as they are written.
//!
//! # Layout
//! - `parts`: what a pattern consists of
//! - `check`: whether it makes sense

use std::time::Duration;

use flott::Data;

use crate::{
    condition::{Condition, Matched},
    error::PatternError,
    skip::AfterMatchSkip,
};

mod check;
mod parts;

pub use parts::Part;
pub(crate) use parts::{Contiguity, Kind, Link, Step, Times};

/// A pattern of events: parts that follow one another.
///
/// `begin` and the methods that say how the next part follows add a part; the others are about the part that was added
/// last. A part is an event with a name, or a group, which is a pattern itself. The [crate's documentation](crate) says
/// what matches are.
///
/// ```
/// use std::time::Duration;
///
/// use flott_cep::Pattern;
///
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Login {
///     user: u64,
///     succeeded: bool,
/// }
///
/// // Three failures, nothing else in between, and then a success, all within a minute.
/// let pattern = Pattern::begin("failures")
///     .filter(|login: &Login| !login.succeeded)
///     .times_or_more(3)
///     .consecutive()
///     .greedy()
///     .next("success")
///     .filter(|login| login.succeeded)
///     .within(Duration::from_secs(60));
/// ```
///
/// What is wrong with a pattern is told when it is looked for.
#[must_use = "a pattern does nothing before it is looked for in a stream"]
pub struct Pattern<T> {
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) within: Option<Duration>,
    pub(crate) skip: AfterMatchSkip,
    pub(crate) problem: Option<PatternError>,
}

impl<T: Data> Pattern<T> {
    /// A pattern that begins with this part.
    pub fn begin(part: impl Into<Part<T>>) -> Self {
        let pattern = Self { steps: Vec::new(), within: None, skip: AfterMatchSkip::NoSkip, problem: None };
        pattern.then(Link::Next(Contiguity::Any), part.into())
    }

    /// Then comes `part`, with nothing in between.
    pub fn next(self, part: impl Into<Part<T>>) -> Self {
        self.then(Link::Next(Contiguity::Strict), part.into())
    }

    /// Then comes `part`: the first event that fits is the one.
    pub fn followed_by(self, part: impl Into<Part<T>>) -> Self {
        self.then(Link::Next(Contiguity::Relaxed), part.into())
    }

    /// Then comes `part`: each event that fits makes a match of its own.
    pub fn followed_by_any(self, part: impl Into<Part<T>>) -> Self {
        self.then(Link::Next(Contiguity::Any), part.into())
    }

    /// The very next event is not `name`.
    pub fn not_next(self, name: impl Into<String>) -> Self {
        self.then(Link::NotNext, name.into().into())
    }

    /// `name` does not come before what the pattern goes on with; at the end of a pattern, not within the time that it
    /// has. After a part that may come several times it must not come in the midst of it either.
    pub fn not_followed_by(self, name: impl Into<String>) -> Self {
        self.then(Link::NotFollowedBy, name.into().into())
    }

    fn then(mut self, link: Link, part: Part<T>) -> Self {
        let kind = part.into_kind();
        if let Kind::Group(group) = &kind {
            // Time and skipping are matters of the whole; a group's count for it.
            self.within = shorter(self.within, group.within);
        }
        self.steps.push(Step::new(link, kind));
        self
    }

    /// What an event must be; if there are several of these, all must hold. Without any, every event fits.
    pub fn filter(self, test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.condition(Condition::simple(test), Condition::and)
    }

    /// As [`filter`](Self::filter), by a test that also sees the events that the match has so far.
    pub fn filter_with(self, test: impl Fn(&T, &Matched<'_, T>) -> bool + Send + Sync + 'static) -> Self {
        self.condition(Condition::iterative(test), Condition::and)
    }

    /// What an event may be instead of all that was said before.
    pub fn or(self, test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.condition(Condition::simple(test), Condition::or)
    }

    /// As [`or`](Self::or), by a test that also sees the events that the match has so far.
    pub fn or_with(self, test: impl Fn(&T, &Matched<'_, T>) -> bool + Send + Sync + 'static) -> Self {
        self.condition(Condition::iterative(test), Condition::or)
    }

    fn condition(mut self, new: Condition<T>, join: fn(Condition<T>, Condition<T>) -> Condition<T>) -> Self {
        match self.steps.last_mut().map(|step| &mut step.kind) {
            Some(Kind::One { condition, .. }) => {
                *condition = Some(match condition.take() {
                    Some(known) => join(known, new),
                    None => new,
                });
            }
            Some(Kind::Group(_)) => self.wrong(PatternError::OfGroup("filter")),
            None => {}
        }
        self
    }

    /// It comes so many times.
    pub fn times(self, times: u32) -> Self {
        self.counted("times", Times { from: times, to: Some(times) })
    }

    /// It comes so many times: at least `from`, at most `to`. From 0 it is optional.
    pub fn times_range(self, from: u32, to: u32) -> Self {
        self.counted("times_range", Times { from, to: Some(to) })
    }

    /// It comes at least so many times. Each number of them makes a match of its own; see [`greedy`](Self::greedy).
    pub fn times_or_more(self, from: u32) -> Self {
        self.counted("times_or_more", Times { from, to: None })
    }

    /// It comes once or more. Each number of times makes a match of its own; see [`greedy`](Self::greedy).
    pub fn one_or_more(self) -> Self {
        self.counted("one_or_more", Times { from: 1, to: None })
    }

    fn counted(self, setting: &'static str, times: Times) -> Self {
        self.set(setting, |step| {
            let (from, to) = (times.from, times.to.unwrap_or(u32::MAX));
            if step.times.is_some() {
                return Err(PatternError::Twice { part: step.shown(), setting });
            }
            if to == 0 || from > to {
                return Err(PatternError::Times { part: step.shown(), from, to });
            }
            step.times = Some(times);
            step.optional |= from == 0;
            Ok(())
        })
    }

    /// It may be left out.
    pub fn optional(self) -> Self {
        self.set("optional", |step| {
            step.optional = true;
            Ok(())
        })
    }

    /// It comes as often as it can: what comes next is not looked for beyond an event that fits here. This is about
    /// where the part ends, not where it begins, and does nothing at the end of a pattern, where a match is given as soon
    /// as it is complete.
    pub fn greedy(self) -> Self {
        self.set("greedy", |step| {
            if matches!(step.kind, Kind::Group(_)) {
                return Err(PatternError::OfGroup("greedy"));
            }
            step.repeated("greedy")?;
            step.greedy = true;
            Ok(())
        })
    }

    /// If it comes several times, nothing else is in between.
    pub fn consecutive(self) -> Self {
        self.inner("consecutive", Contiguity::Strict)
    }

    /// If it comes several times, anything may be in between, also what would fit.
    pub fn allow_combinations(self) -> Self {
        self.inner("allow_combinations", Contiguity::Any)
    }

    fn inner(self, setting: &'static str, contiguity: Contiguity) -> Self {
        self.set(setting, |step| {
            step.repeated(setting)?;
            if step.inner.is_some() {
                return Err(PatternError::Twice { part: step.shown(), setting });
            }
            step.inner = Some(contiguity);
            Ok(())
        })
    }

    /// It comes any number of times up to an event that this holds for, which is not part of it.
    pub fn until(self, test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.stopped(Condition::simple(test))
    }

    /// As [`until`](Self::until), by a test that also sees the events that the match has so far.
    pub fn until_with(self, test: impl Fn(&T, &Matched<'_, T>) -> bool + Send + Sync + 'static) -> Self {
        self.stopped(Condition::iterative(test))
    }

    fn stopped(self, condition: Condition<T>) -> Self {
        self.set("until", |step| {
            if step.times.is_none_or(|times| times.to.is_some()) {
                return Err(PatternError::UntilOfBounded(step.shown()));
            }
            if step.until.is_some() {
                return Err(PatternError::Twice { part: step.shown(), setting: "until" });
            }
            step.until = Some(condition);
            Ok(())
        })
    }

    /// How long a match may take: its last event comes less than this after its first. Of several times the shortest
    /// counts.
    pub fn within(mut self, time: Duration) -> Self {
        if time.as_millis() == 0 {
            self.wrong(PatternError::NoTime("within"));
        }
        self.within = shorter(self.within, Some(time));
        self
    }

    /// How long it may take until this part's event comes: less than this after the event before it in the match. If it
    /// comes several times, this holds for each. After what must not follow, at the end of a pattern, it says for how
    /// long.
    pub fn within_since_previous(mut self, time: Duration) -> Self {
        if time.as_millis() == 0 {
            self.wrong(PatternError::NoTime("within_since_previous"));
        }
        if let Some(step) = self.steps.last_mut() {
            step.within = shorter(step.within, Some(time));
        }
        self
    }

    /// What a match means for others that share events with it.
    pub fn after_match(mut self, skip: AfterMatchSkip) -> Self {
        self.skip = skip;
        self
    }

    fn set(mut self, setting: &'static str, change: impl FnOnce(&mut Step<T>) -> Result<(), PatternError>) -> Self {
        let Some(step) = self.steps.last_mut() else { return self };
        let outcome =
            if step.link.is_not() { Err(PatternError::OfNot { part: step.shown(), setting }) } else { change(step) };
        if let Err(problem) = outcome {
            self.wrong(problem);
        }
        self
    }

    fn wrong(&mut self, problem: PatternError) {
        self.problem.get_or_insert(problem);
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
