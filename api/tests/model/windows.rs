//! What windows come to, worked out from the whole input and in the plainest way: each window by itself, looked through from
//! the first step to the last.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What happens to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Record(Record),
    Watermark(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub key: u8,
    pub at: i64,
    pub value: i64,
}

/// Windows in event time with the default trigger, and those that count.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Tumbling windows have a slide of their size.
    Sliding {
        size: i64,
        slide: i64,
        offset: i64,
    },
    Cumulating {
        size: i64,
        step: i64,
        offset: i64,
    },
    Session {
        gap: i64,
    },
    /// Sessions where each record says how long there must be nothing after it.
    OwnGaps {
        gap: fn(Record) -> i64,
    },
    Count {
        size: usize,
    },
    CountSliding {
        size: usize,
        slide: usize,
    },
}

/// A window that gives a result; its values are sorted. Windows that count have no bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Firing {
    pub key: u8,
    pub start: i64,
    pub end: i64,
    pub values: Vec<i64>,
}

/// What comes out at each step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub firings: Vec<(usize, Firing)>,
    /// Records that are too late.
    pub late: Vec<(usize, Record)>,
}

impl Outcome {
    /// Without when things came out.
    pub fn timeless(&self) -> (Vec<Firing>, Vec<Record>) {
        let mut firings: Vec<_> = self.firings.iter().map(|(_, firing)| firing.clone()).collect();
        let mut late: Vec<_> = self.late.iter().map(|(_, record)| *record).collect();
        firings.sort();
        late.sort();
        (firings, late)
    }

    fn sort(mut self) -> Self {
        self.firings.sort();
        self.late.sort();
        self
    }
}

/// What `steps` come to; those of one step in order.
pub fn outcome(shape: Shape, lateness: i64, steps: &[Step]) -> Outcome {
    match shape {
        Shape::Sliding { .. } | Shape::Cumulating { .. } => aligned(shape, lateness, steps),
        Shape::Session { gap } => sessions(|_| gap, lateness, steps),
        Shape::OwnGaps { gap } => sessions(gap, lateness, steps),
        Shape::Count { size } => counted(size, size, true, steps),
        Shape::CountSliding { size, slide } => counted(size, slide, false, steps),
    }
    .sort()
}

fn clamp(at: i128) -> i64 {
    at.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The last timestamp of a window that ends before `end`.
fn last_of(end: i64) -> i64 {
    if end == i64::MAX { end } else { end - 1 }
}

/// All windows that `at` is in.
pub fn windows_of(shape: Shape, at: i64) -> BTreeSet<(i64, i64)> {
    let (period, offset, lengths) = match shape {
        Shape::Sliding { size, slide, offset } => (slide, offset, vec![size]),
        Shape::Cumulating { size, step, offset } => (size, offset, (1..=size / step).map(|n| n * step).collect()),
        Shape::Session { .. } | Shape::OwnGaps { .. } | Shape::Count { .. } | Shape::CountSliding { .. } => {
            unreachable!("not aligned")
        }
    };
    let (at, period, offset) = (i128::from(at), i128::from(period), i128::from(offset));
    let mut windows = BTreeSet::new();
    for length in lengths {
        let length = i128::from(length);
        let last = (at - offset).div_euclid(period);
        for n in last - length / period - 1..=last + 1 {
            let start = offset + n * period;
            if start <= at && at < start + length {
                windows.insert((clamp(start), clamp(start + length)));
            }
        }
    }
    windows
}

fn aligned(shape: Shape, lateness: i64, steps: &[Step]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut all = BTreeSet::new();
    for step in steps {
        if let Step::Record(Record { key, at, .. }) = step {
            all.extend(windows_of(shape, *at).into_iter().map(|window| (*key, window)));
        }
    }
    for (key, (start, end)) in all {
        let (last, over) = (last_of(end), last_of(end).saturating_add(lateness));
        let (mut watermark, mut values) = (i64::MIN, Vec::new());
        for (number, step) in steps.iter().enumerate() {
            let fires = match *step {
                Step::Record(record) => {
                    let own = record.key == key && windows_of(shape, record.at).contains(&(start, end));
                    if own && watermark < over {
                        values.push(record.value);
                    }
                    own && watermark < over && last <= watermark
                }
                Step::Watermark(next) => {
                    let fires = watermark < last && last <= next;
                    watermark = next;
                    fires
                }
            };
            if fires && !values.is_empty() {
                let mut values = values.clone();
                values.sort_unstable();
                outcome.firings.push((number, Firing { key, start, end, values }));
            }
        }
    }
    let mut watermark = i64::MIN;
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Watermark(next) => watermark = next,
            Step::Record(record) => {
                let windows = windows_of(shape, record.at);
                let all_over = windows.iter().all(|(_, end)| last_of(*end).saturating_add(lateness) <= watermark);
                if all_over && record.at.saturating_add(lateness) <= watermark {
                    outcome.late.push((number, record));
                }
            }
        }
    }
    outcome
}

/// A session: its bounds and its values.
type Session = (i64, i64, Vec<i64>);

fn sessions(gap: impl Fn(Record) -> i64, lateness: i64, steps: &[Step]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut open: BTreeMap<u8, Vec<Session>> = BTreeMap::new();
    let mut watermark = i64::MIN;
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Record(record) => {
                let sessions = open.entry(record.key).or_default();
                let mut whole = (record.at, record.at.saturating_add(gap(record)), vec![record.value]);
                let touches = |a: &Session, b: &Session| a.0 <= b.1 && b.0 <= a.1;
                let (own, others): (Vec<_>, Vec<_>) = sessions.drain(..).partition(|known| touches(known, &whole));
                *sessions = others;
                for (start, end, values) in own {
                    whole = (whole.0.min(start), whole.1.max(end), [whole.2, values].concat());
                }
                let last = last_of(whole.1);
                if last.saturating_add(lateness) <= watermark {
                    if record.at.saturating_add(lateness) <= watermark {
                        outcome.late.push((number, record));
                    }
                    continue;
                }
                if last <= watermark {
                    outcome.firings.push((number, firing(record.key, &whole)));
                }
                sessions.push(whole);
            }
            Step::Watermark(next) => {
                for (key, sessions) in &mut open {
                    for session in sessions.iter() {
                        if watermark < last_of(session.1) && last_of(session.1) <= next {
                            outcome.firings.push((number, firing(*key, session)));
                        }
                    }
                    sessions.retain(|session| last_of(session.1).saturating_add(lateness) > next);
                }
                watermark = next;
            }
        }
    }
    outcome
}

fn firing(key: u8, (start, end, values): &Session) -> Firing {
    let mut values = values.clone();
    values.sort_unstable();
    Firing { key, start: *start, end: *end, values }
}

/// Every `slide` records of a key a window of its last `size`.
fn counted(size: usize, slide: usize, whole: bool, steps: &[Step]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut values: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        let Step::Record(Record { key, value, .. }) = *step else { continue };
        let values = values.entry(key).or_default();
        values.push(value);
        if values.len().is_multiple_of(slide) {
            let mut values = values[values.len().saturating_sub(size)..].to_vec();
            assert!(!whole || values.len() == size);
            values.sort_unstable();
            outcome.firings.push((number, Firing { key, start: 0, end: 0, values }));
        }
    }
    outcome
}
