//! Patterns as plain data, to be drawn at random, built, and interpreted by the model.

use std::{fmt, time::Duration};

use proptest::prelude::*;

use crate::{AfterMatchSkip, Matched, Pattern, pattern::Contiguity};

/// A letter, and the event's place.
pub type Event = (u8, usize);

/// What an event must be: a letter of a set; and perhaps no smaller than the letter before it in the match.
#[derive(Clone, Copy, PartialEq)]
pub struct Test {
    pub letters: u8,
    pub rising: bool,
}

impl Test {
    /// With the letter that was matched last.
    pub fn holds(self, letter: u8, last: Option<u8>) -> bool {
        self.letters & 1 << letter != 0 && !(self.rising && last.is_some_and(|last| last > letter))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    Next(Contiguity),
    NotNext,
    NotFollowedBy,
}

#[derive(Debug, Clone)]
pub enum Kind {
    One(Test),
    Group(Vec<Step>),
}

#[derive(Clone)]
pub struct Step {
    pub link: Link,
    pub kind: Kind,
    pub times: Option<(u32, Option<u32>)>,
    pub optional: bool,
    pub greedy: bool,
    pub inner: Option<Contiguity>,
    pub until: Option<Test>,
    pub within: Option<i64>,
}

#[derive(Clone)]
pub struct Spec {
    pub steps: Vec<Step>,
    pub within: Option<i64>,
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String =
            ('a'..='c').zip(0..).filter(|(_, bit)| self.letters & 1 << bit != 0).map(|(c, _)| c).collect();
        write!(f, "[{letters}{}]", if self.rising { " rising" } else { "" })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.link)?;
        match &self.kind {
            Kind::One(test) => write!(f, "{test:?}")?,
            Kind::Group(steps) => write!(f, "{steps:?}")?,
        }
        let Self { times, inner, until, within, .. } = self;
        if let Some((from, to)) = times {
            write!(f, " x{from}..{}", to.map_or(String::new(), |to| to.to_string()))?;
        }
        write!(f, "{}{}", if self.optional { "?" } else { "" }, if self.greedy { " greedy" } else { "" })?;
        inner.map_or(Ok(()), |inner| write!(f, " inner {inner:?}"))?;
        until.map_or(Ok(()), |until| write!(f, " until {until:?}"))?;
        within.map_or(Ok(()), |within| write!(f, " within {within}"))
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} within {:?}", self.steps, self.within)
    }
}

impl Step {
    /// The least and the most times that it comes if it is not left out.
    pub fn range(&self) -> (u32, Option<u32>) {
        let (from, to) = self.times.unwrap_or((1, Some(1)));
        (from.max(1), to)
    }

    /// What it may be left out, be it said or by a range from 0.
    pub fn may_be_left_out(&self) -> bool {
        self.optional || self.times.is_some_and(|(from, _)| from == 0)
    }
}

impl Spec {
    /// As it is, but without any time between two events.
    pub fn without_gaps(mut self) -> Self {
        each_step(&mut self.steps, &mut |step| step.within = None);
        self
    }

    /// With `within` between the events of some steps and those before them: of those whose bits are set, in order.
    pub fn with_gaps(mut self, within: i64, mut which: u32) -> Self {
        let within = self.within.map_or(within, |whole| whole.min(within));
        each_step(&mut self.steps, &mut |step| {
            if which & 1 == 1 {
                step.within = Some(within);
            }
            which >>= 1;
        });
        self
    }

    /// The pattern; its parts are named by their numbers.
    pub fn pattern(&self, skip: AfterMatchSkip) -> Pattern<Event> {
        let mut names = 0;
        let mut pattern = build(&self.steps, &mut names).after_match(skip);
        if let Some(within) = self.within {
            pattern = pattern.within(Duration::from_millis(within as u64));
        }
        pattern
    }
}

fn each_step(steps: &mut [Step], visit: &mut impl FnMut(&mut Step)) {
    for step in steps {
        visit(step);
        if let Kind::Group(group) = &mut step.kind {
            each_step(group, visit);
        }
    }
}

fn build(steps: &[Step], names: &mut u32) -> Pattern<Event> {
    let mut pattern: Option<Pattern<Event>> = None;
    for step in steps {
        let name = names.to_string();
        let begun = match (&step.kind, pattern) {
            (Kind::One(_), None) => Pattern::begin(name),
            (Kind::One(_), Some(pattern)) => match step.link {
                Link::Next(Contiguity::Strict) => pattern.next(name),
                Link::Next(Contiguity::Relaxed) => pattern.followed_by(name),
                Link::Next(Contiguity::Any) => pattern.followed_by_any(name),
                Link::NotNext => pattern.not_next(name),
                Link::NotFollowedBy => pattern.not_followed_by(name),
            },
            (Kind::Group(group), None) => Pattern::begin(build(group, names)),
            (Kind::Group(group), Some(pattern)) => match step.link {
                Link::Next(Contiguity::Strict) => pattern.next(build(group, names)),
                Link::Next(Contiguity::Relaxed) => pattern.followed_by(build(group, names)),
                _ => pattern.followed_by_any(build(group, names)),
            },
        };
        let begun = match step.kind {
            Kind::One(test) => {
                *names += 1;
                condition(begun, test)
            }
            Kind::Group(_) => begun,
        };
        pattern = Some(settings(begun, step));
    }
    pattern.unwrap()
}

fn condition(pattern: Pattern<Event>, test: Test) -> Pattern<Event> {
    if test.rising {
        pattern.filter_with(move |event, matched| test.holds(event.0, last(matched)))
    } else {
        pattern.filter(move |event| test.holds(event.0, None))
    }
}

fn last(matched: &Matched<'_, Event>) -> Option<u8> {
    matched.last().map(|last| last.0)
}

fn settings(mut pattern: Pattern<Event>, step: &Step) -> Pattern<Event> {
    pattern = match step.times {
        None => pattern,
        Some((1, None)) => pattern.one_or_more(),
        Some((from, None)) => pattern.times_or_more(from),
        Some((from, Some(to))) if from == to => pattern.times(from),
        Some((from, Some(to))) => pattern.times_range(from, to),
    };
    pattern = match step.inner {
        Some(Contiguity::Strict) => pattern.consecutive(),
        Some(Contiguity::Any) => pattern.allow_combinations(),
        _ => pattern,
    };
    if step.optional {
        pattern = pattern.optional();
    }
    if step.greedy {
        pattern = pattern.greedy();
    }
    if let Some(test) = step.until {
        pattern = pattern.until_with(move |event, matched| test.holds(event.0, last(matched)));
    }
    match step.within {
        Some(within) => pattern.within_since_previous(Duration::from_millis(within as u64)),
        None => pattern,
    }
}

fn test() -> impl Strategy<Value = Test> {
    let letters = prop_oneof![4 => prop::sample::select(vec![1u8, 2, 4]), 2 => prop::sample::select(vec![3u8, 6, 5]), 1 => Just(7)];
    (letters, prop::bool::weighted(0.15)).prop_map(|(letters, rising)| Test { letters, rising })
}

fn contiguity() -> impl Strategy<Value = Contiguity> {
    prop::sample::select(vec![Contiguity::Strict, Contiguity::Relaxed, Contiguity::Relaxed, Contiguity::Any])
}

fn step(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Step> {
    let link =
        prop_oneof![8 => contiguity().prop_map(Link::Next), 1 => Just(Link::NotNext), 1 => Just(Link::NotFollowedBy)];
    let times = prop_oneof![
        6 => Just(None),
        3 => Just(Some((1, None))),
        1 => Just(Some((2, None))),
        1 => Just(Some((2, Some(2)))),
        1 => Just(Some((1, Some(2)))),
        1 => Just(Some((0, Some(2)))),
        1 => Just(Some((2, Some(3)))),
    ];
    let inner = prop_oneof![3 => Just(None), 1 => Just(Some(Contiguity::Strict)), 1 => Just(Some(Contiguity::Any))];
    let until = prop::option::weighted(0.3, test());
    let within = prop::option::weighted(0.1, 1i64..4);
    let flags = (prop::bool::weighted(0.25), prop::bool::weighted(0.3));
    (link, kind, times, inner, until, within, flags).prop_map(
        |(link, kind, times, inner, until, within, (optional, greedy))| {
            let not = !matches!(link, Link::Next(_));
            // What does not apply is not said.
            let kind = match kind {
                Kind::Group(group) if not => first(&group),
                kind => kind,
            };
            let times = if not { None } else { times };
            let group = matches!(kind, Kind::Group(_));
            Step {
                link,
                kind,
                times,
                optional: optional && !not,
                greedy: greedy && times.is_some() && !group,
                inner: inner.filter(|_| times.is_some()),
                until: until.filter(|_| times.is_some_and(|(_, to)| to.is_none())),
                within,
            }
        },
    )
}

fn first(group: &[Step]) -> Kind {
    match &group[0].kind {
        Kind::One(test) => Kind::One(*test),
        Kind::Group(group) => first(group),
    }
}

fn steps(kind: impl Strategy<Value = Kind>, most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(kind), 1..=most).prop_map(|mut steps| {
        if !matches!(steps[0].link, Link::Next(_)) {
            steps[0].link = Link::Next(Contiguity::Any);
        }
        steps
    })
}

fn spec(steps: impl Strategy<Value = Vec<Step>>) -> impl Strategy<Value = Spec> {
    (steps, prop::option::weighted(0.5, 1i64..8)).prop_map(|(steps, within)| Spec { steps, within })
}

/// Patterns without groups.
pub fn flat() -> impl Strategy<Value = Spec> {
    spec(steps(test().prop_map(Kind::One), 4))
}

/// Patterns with groups.
pub fn grouped() -> impl Strategy<Value = Spec> {
    let one = || test().prop_map(Kind::One);
    let group = || prop_oneof![2 => one(), 1 => steps(one(), 2).prop_map(Kind::Group)];
    let nested = prop_oneof![3 => one(), 2 => steps(group(), 2).prop_map(Kind::Group)];
    spec(steps(nested, 3))
}

/// Letters with their times.
pub fn events(most: usize) -> impl Strategy<Value = Vec<(u8, i64)>> {
    prop::collection::vec((0u8..3, prop_oneof![2 => Just(1i64), 1 => Just(0), 1 => Just(2)]), 0..=most).prop_map(
        |events| {
            let mut time = 0;
            let mut at = |gap| {
                time += gap;
                time
            };
            events.into_iter().map(|(letter, gap)| (letter, at(gap))).collect()
        },
    )
}
