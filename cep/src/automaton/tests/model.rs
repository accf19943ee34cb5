//! What matches are, by definition: a pattern is written out in all ways in which its parts may come, as lines of places
//! for events; a match is a line and an event for each place, such that what is between any two of them is allowed.

use std::collections::BTreeMap;

use super::spec::{Kind, Link, Spec, Step, Test};
use crate::pattern::Contiguity;

/// A place for an event.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    name: usize,
    test: Test,
    gap: Gap,
    /// Loops around it stop at such an event.
    unless: Vec<Test>,
}

/// What is said of the events since the place before, that at the place included.
#[derive(Debug, Clone, PartialEq)]
struct Gap {
    contiguity: Contiguity,
    not_next: Vec<Test>,
    forbidden: Vec<Test>,
    greedy: Option<(Test, Option<Test>)>,
    within: Option<i64>,
    /// At the end of a line: what must not follow for a while.
    not_within: Option<i64>,
}

/// Places, and what is said of what comes after the last.
#[derive(Debug, Clone)]
struct Line {
    places: Vec<Place>,
    end: Gap,
}

/// A match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Events with their patterns.
    pub path: Vec<(usize, usize)>,
    /// The event with which it is complete; or before which, when its time was up.
    pub at: (usize, Phase),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Before,
    With,
}

/// The gap that a partial match is in, and the place behind it; none at the end.
type Awaited<'a> = (&'a Gap, Option<&'a Place>);

pub struct Model {
    lines: Vec<Line>,
    within: Option<i64>,
    events: Vec<(u8, i64)>,
}

fn open() -> Gap {
    let (not_next, forbidden) = (Vec::new(), Vec::new());
    Gap { contiguity: Contiguity::Any, not_next, forbidden, greedy: None, within: None, not_within: None }
}

/// What is being written out: what surrounds the part at hand, and how long lines may become.
#[derive(Clone)]
struct Around {
    longest: usize,
    /// Forbidden behind the place with this number.
    forbidden: Vec<(usize, Test)>,
    unless: Vec<Test>,
}

type Then<'a> = &'a mut dyn FnMut(Line);

fn sequence(steps: &[(usize, &Step)], head: Option<Contiguity>, line: Line, around: &Around, then: Then<'_>) {
    let Some(((name, step), rest)) = steps.split_first() else { return then(line) };
    let Link::Next(own) = step.link else {
        let mut line = line;
        let Kind::One(test) = step.kind else { unreachable!("a group must come") };
        match step.link {
            Link::NotNext => line.end.not_next.push(test),
            _ => {
                line.end.forbidden.push(test);
                line.end.not_within = least(line.end.not_within, step.within, Some(i64::MAX));
            }
        }
        return sequence(rest, None, line, around, then);
    };
    let (from, to) = step.range();
    let greedy = match step.kind {
        Kind::One(test) if step.greedy && to != Some(from) => Some((test, step.until)),
        _ => None,
    };
    if step.may_be_left_out() {
        let mut without = line.clone();
        without.end.greedy = greedy.or(without.end.greedy);
        sequence(rest, None, without, around, then);
    }
    let mut inside = around.clone();
    inside.unless.extend(step.until);
    inside.forbidden.extend(step.until.map(|until| (line.places.len(), until)));
    if step.times.is_some() && matches!(step.kind, Kind::One(_)) {
        for (_, step) in rest.iter().take_while(|(_, step)| !matches!(step.link, Link::Next(_))) {
            if let (Link::NotFollowedBy, Kind::One(test)) = (step.link, &step.kind) {
                inside.forbidden.push((line.places.len(), *test));
            }
        }
    }
    let repeat = Repeat { name: *name, step, from, to, greedy, inside, around, rest };
    repeat.again(0, head.unwrap_or(own), line, then);
}

struct Repeat<'a> {
    name: usize,
    step: &'a Step,
    from: u32,
    to: Option<u32>,
    greedy: Option<(Test, Option<Test>)>,
    inside: Around,
    around: &'a Around,
    rest: &'a [(usize, &'a Step)],
}

impl Repeat<'_> {
    fn again(&self, count: u32, contiguity: Contiguity, line: Line, then: Then<'_>) {
        if count >= self.from {
            let mut line = line.clone();
            line.end.greedy = self.greedy.or(line.end.greedy);
            sequence(self.rest, None, line, self.around, then);
        }
        if self.to == Some(count) || count >= self.from && line.places.len() >= self.inside.longest {
            return;
        }
        let inner = self.step.inner.unwrap_or(Contiguity::Relaxed);
        let next: Then<'_> = &mut |line| self.again(count + 1, inner, line, &mut *then);
        match &self.step.kind {
            Kind::Group(steps) => {
                let mut line = line;
                line.end.within = least(line.end.within, self.step.within, None);
                sequence(&named(steps, self.name), Some(contiguity), line, &self.inside, next);
            }
            Kind::One(test) => {
                let Line { mut places, end: mut gap } = line;
                gap.contiguity = contiguity;
                gap.within = least(gap.within, self.step.within, None);
                let forbidden = self.inside.forbidden.iter().filter(|(since, _)| places.len() > *since);
                gap.forbidden.extend(forbidden.map(|(_, test)| *test));
                places.push(Place { name: self.name, test: *test, gap, unless: self.inside.unless.clone() });
                next(Line { places, end: open() });
            }
        }
    }
}

fn least(one: Option<i64>, other: Option<i64>, default: Option<i64>) -> Option<i64> {
    [one, other, default].into_iter().flatten().min()
}

/// The number of the first name of each step, from `first`; as patterns are built, names of what must not come count.
fn named(steps: &[Step], first: usize) -> Vec<(usize, &Step)> {
    let mut next = first;
    let step = |step| {
        let name = next;
        next += names(step);
        (name, step)
    };
    steps.iter().map(step).collect()
}

fn names(step: &Step) -> usize {
    match &step.kind {
        Kind::One(_) => 1,
        Kind::Group(steps) => steps.iter().map(names).sum(),
    }
}

impl Model {
    pub fn new(spec: &Spec, events: &[(u8, i64)]) -> Self {
        let mut lines = Vec::new();
        // One place more than there are events: a partial match waits for it.
        let around = Around { longest: events.len() + 1, forbidden: Vec::new(), unless: Vec::new() };
        let line = Line { places: Vec::new(), end: open() };
        sequence(&named(&spec.steps, 0), None, line, &around, &mut |line| lines.push(line));
        Self { lines, within: spec.within, events: events.to_vec() }
    }

    fn holds(&self, test: Test, event: usize, picked: &[usize]) -> bool {
        test.holds(self.events[event].0, picked.last().map(|last| self.events[*last].0))
    }

    /// When the time for what comes after `picked` is up.
    fn deadline(&self, gap: &Gap, picked: &[usize]) -> i64 {
        let (Some(first), Some(last)) = (picked.first(), picked.last()) else { return i64::MAX };
        let whole = self.within.map_or(i64::MAX, |within| self.events[*first].1 + within);
        whole.min(gap.within.map_or(i64::MAX, |within| self.events[*last].1 + within))
    }

    /// Whether the events behind `picked` up to `to`, excluded, are allowed in the gap. A place waits for its event.
    fn may_lie_in(&self, gap: &Gap, place: Option<&Place>, picked: &[usize], to: usize) -> bool {
        let Some(last) = picked.last() else { return true };
        let between = || last + 1..to;
        let strict = gap.contiguity == Contiguity::Strict && !between().is_empty();
        let skipped = gap.contiguity == Contiguity::Relaxed
            && between().any(|event| place.is_some_and(|place| self.holds(place.test, event, picked)));
        !strict && !skipped && self.is_allowed(gap, picked, to)
    }

    /// Whether the events behind `picked` up to `to`, excluded, are none that must not come.
    fn is_allowed(&self, gap: &Gap, picked: &[usize], to: usize) -> bool {
        let between = || picked.last().map_or(to - 1, |last| last + 1)..to;
        let next = between().next().filter(|_| !picked.is_empty());
        let not_next = next.is_some_and(|event| gap.not_next.iter().any(|test| self.holds(*test, event, picked)));
        let forbidden = between().any(|event| gap.forbidden.iter().any(|test| self.holds(*test, event, picked)));
        let greedy = gap.greedy.is_some_and(|(test, until)| {
            let stops = |event: &usize| until.is_some_and(|until| self.holds(until, *event, picked));
            between().take_while(|event| !stops(event)).any(|event| self.holds(test, event, picked))
        });
        !not_next && !forbidden && !greedy
    }

    /// Whether `event` may be what `place` waits for.
    fn may_be(&self, place: &Place, event: usize, picked: &[usize]) -> bool {
        picked.last().is_none_or(|last| *last < event)
            && self.may_lie_in(&place.gap, Some(place), picked, event)
            && self.is_allowed(&place.gap, picked, event + 1)
            && self.holds(place.test, event, picked)
            && !place.unless.iter().any(|until| self.holds(*until, event, picked))
            && self.events[event].1 < self.deadline(&place.gap, picked)
    }

    /// Calls `visit` with each line, and events for its first places that may be such.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Line, &[usize])) {
        for line in &self.lines {
            self.pick(line, &mut Vec::new(), visit);
        }
    }

    fn pick<'a>(&'a self, line: &'a Line, picked: &mut Vec<usize>, visit: &mut dyn FnMut(&'a Line, &[usize])) {
        visit(line, picked);
        let Some(place) = line.places.get(picked.len()) else { return };
        for event in 0..self.events.len() {
            if self.may_be(place, event, picked) {
                picked.push(event);
                self.pick(line, picked, visit);
                picked.pop();
            }
        }
    }

    fn path(line: &Line, picked: &[usize]) -> Vec<(usize, usize)> {
        picked.iter().zip(&line.places).map(|(event, place)| (*event, place.name)).collect()
    }

    /// The first event whose time is `time` or later.
    fn first_at(&self, time: i64) -> usize {
        self.events.iter().position(|event| event.1 >= time).unwrap_or(self.events.len())
    }

    /// When a line whose places are all taken is complete.
    fn complete(&self, line: &Line, picked: &[usize]) -> Option<(usize, Phase)> {
        let (last, end) = (*picked.last()?, &line.end);
        if end.not_within.is_some() {
            // Time must pass, and nothing come that must not.
            let whole = self.deadline(end, picked);
            let up = whole.min(end.not_within.map_or(i64::MAX, |within| self.events[last].1.saturating_add(within)));
            let first = self.first_at(up);
            return self.is_allowed(end, picked, first.max(last + 1)).then_some((first, Phase::Before));
        }
        if end.not_next.is_empty() {
            return Some((last, Phase::With));
        }
        let next = last + 1;
        let comes = self.events.get(next).is_some_and(|event| event.1 < self.deadline(end, picked));
        (comes && self.is_allowed(end, picked, next + 1)).then_some((next, Phase::With))
    }

    /// All matches; those that are found once, but in two ways, once.
    pub fn matches(&self) -> Vec<Found> {
        let mut matches = Vec::new();
        self.each(&mut |line, picked| {
            if picked.len() == line.places.len()
                && let Some(at) = self.complete(line, picked)
            {
                matches.push(Found { path: Self::path(line, picked), at });
            }
        });
        matches.sort_by(|a, b| (a.at, &a.path).cmp(&(b.at, &b.path)));
        matches.dedup();
        matches
    }

    /// What a partial match waits for: a place, or the end.
    fn waits(line: &Line, picked: usize) -> Option<Awaited<'_>> {
        match line.places.get(picked) {
            Some(place) => Some((&place.gap, Some(place))),
            None if line.end.not_next.is_empty() && line.end.not_within.is_none() => None,
            None => Some((&line.end, None)),
        }
    }

    /// Whether a partial match still waits for that when all events before `to` have come and time is `now`.
    fn is_open(&self, (gap, place): Awaited<'_>, picked: &[usize], to: usize, now: i64) -> bool {
        let Some(last) = picked.last().filter(|last| **last < to) else { return false };
        let mut up = self.deadline(gap, picked);
        if place.is_none() {
            up = up.min(gap.not_within.map_or(i64::MAX, |within| self.events[*last].1.saturating_add(within)));
            // What is complete with the next event is open before that.
            if gap.not_within.is_none() && to > last + 1 {
                return false;
            }
        }
        now < up && self.may_lie_in(gap, place, picked, to)
    }

    /// The events that partial matches begin with which are open when all events before `to` have come.
    fn open(&self, to: usize, now: i64) -> Vec<usize> {
        let mut open = Vec::new();
        self.each(&mut |line, picked| {
            if Self::waits(line, picked.len()).is_some_and(|awaited| self.is_open(awaited, picked, to, now)) {
                open.push(picked[0]);
            }
        });
        open
    }

    /// Matches as they are given when each gives up others: those that begin before the event that `below` says.
    pub fn skipping(&self, below: &dyn Fn(&Found) -> usize) -> Vec<Found> {
        let mut to_come = self.matches();
        let mut waiting: Vec<Found> = Vec::new();
        let mut given = Vec::new();
        let mut bound = 0;
        let steps = (0..self.events.len()).flat_map(|event| [(event, Phase::Before), (event, Phase::With)]);
        for step in steps.chain([(self.events.len(), Phase::Before)]) {
            let (mut new, later): (Vec<_>, Vec<_>) = to_come.into_iter().partition(|found| found.at == step);
            to_come = later;
            new.sort_by_key(|found| std::cmp::Reverse(found.path.len()));
            waiting.extend(new.into_iter().filter(|found| found.path[0].0 >= bound));
            waiting.sort_by_key(|found| found.path[0].0);
            let (to, now) = match step {
                (event, Phase::With) => (event + 1, self.events[event].1),
                (event, Phase::Before) => (event, self.events.get(event).map_or(i64::MAX - 1, |event| event.1)),
            };
            let open = self.open(to, now);
            while let Some(first) = waiting.first() {
                let begins = first.path[0].0;
                if open.iter().any(|open| (bound..begins).contains(open)) {
                    break;
                }
                let found = waiting.remove(0);
                bound = bound.max(below(&found));
                waiting.retain(|found| found.path[0].0 >= bound);
                given.push(found);
            }
        }
        given
    }

    /// Events of partial matches whose time is up before they are matches, in all ways in which they might have gone on: it is
    /// the last of these that counts.
    pub fn timed_out(&self) -> Vec<Vec<(usize, usize)>> {
        let mut ways = BTreeMap::<_, (Vec<usize>, Vec<Awaited<'_>>)>::new();
        self.each(&mut |line, picked| {
            let Some(awaited) = Self::waits(line, picked.len()).filter(|_| !picked.is_empty()) else { return };
            let (_, ways) = ways.entry(Self::path(line, picked)).or_insert_with(|| (picked.to_vec(), Vec::new()));
            if !ways.contains(&awaited) {
                ways.push(awaited);
            }
        });
        for found in self.matches() {
            ways.remove(&found.path);
        }
        let is_told = |picked: &[usize], ways: &[Awaited<'_>]| {
            ways.iter().any(|way| {
                let up = self.deadline(way.0, picked);
                let to = self.first_at(up).max(picked[picked.len() - 1] + 1);
                up < i64::MAX
                    && self.is_open(*way, picked, to, up - 1)
                    && !ways.iter().any(|other| self.is_open(*other, picked, to, up))
            })
        };
        ways.into_iter().filter(|(_, (picked, ways))| is_told(picked, ways)).map(|(path, _)| path).collect()
    }
}
