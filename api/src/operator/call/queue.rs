//! Results of calls and the events between them, in the order in which they may be given.

use std::collections::VecDeque;

use flott_runtime::{batch::Timestamp, event::Event};

/// Where the results of a call belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    entry: u64,
    call: CallNo,
}

impl Place {
    /// Which call it is.
    pub fn call(self) -> CallNo {
        self.call
    }
}

/// Number of a call: later ones have greater numbers.
pub(super) type CallNo = u64;

/// What may be given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given<R> {
    Results(CallNo, R, Option<Timestamp>),
    Event(Event),
}

enum Entry<R> {
    /// Calls whose results may be given in any order.
    Calls { running: usize, done: VecDeque<(CallNo, R, Option<Timestamp>)> },
    /// What stands behind all calls before this one.
    Event(Event, CallNo),
}

/// Entries are given one after the other. In order of records each call has an entry of its own; else those between two
/// events share one.
pub(super) struct Queue<R> {
    ordered: bool,
    entries: VecDeque<Entry<R>>,
    /// The place of the first entry.
    first: u64,
    records: usize,
    /// The next call.
    next: CallNo,
}

impl<R> Queue<R> {
    pub fn new(ordered: bool) -> Self {
        Self { ordered, entries: VecDeque::new(), first: 0, records: 0, next: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls whose results have not been given.
    pub fn records(&self) -> usize {
        self.records
    }

    /// A call begins: the place for its results.
    pub fn begin(&mut self) -> Place {
        self.records += 1;
        match self.entries.back_mut() {
            Some(Entry::Calls { running, .. }) if !self.ordered => *running += 1,
            _ => self.entries.push_back(Entry::Calls { running: 1, done: VecDeque::new() }),
        }
        let call = self.next;
        self.next += 1;
        Place { entry: self.first.wrapping_add(self.entries.len() as u64 - 1), call }
    }

    /// A call has come back.
    pub fn answer(&mut self, place: Place, results: R, timestamp: Option<Timestamp>) {
        let index = place.entry.wrapping_sub(self.first);
        let entry = usize::try_from(index).ok().and_then(|index| self.entries.get_mut(index));
        debug_assert!(matches!(entry, Some(Entry::Calls { running: 1.., .. })), "an entry waits for its calls");
        if let Some(Entry::Calls { running, done }) = entry {
            *running = running.saturating_sub(1);
            done.push_back((place.call, results, timestamp));
        }
    }

    /// Takes an event. As they do not count for the room there is, of a run of them only what still matters is kept: the
    /// last watermark, and the last word on idleness.
    pub fn event(&mut self, event: Event) {
        let run = self.entries.iter().rev().take_while(|entry| matches!(entry, Entry::Event(..))).count();
        let outdates = |known: &Entry<R>| matches!(known, Entry::Event(known, _) if outdates(event, *known));
        let outdated = (self.entries.len() - run..self.entries.len()).find(|index| outdates(&self.entries[*index]));
        // No call has a place behind it.
        if let Some(index) = outdated {
            self.entries.remove(index);
        }
        self.entries.push_back(Entry::Event(event, self.next));
    }

    /// Events that wait, each with the first call that it does not wait for.
    pub fn events(&self) -> impl Iterator<Item = (Event, CallNo)> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(event, before) => Some((*event, *before)),
            Entry::Calls { .. } => None,
        })
    }

    /// Whether there is something to give.
    pub fn may_give(&self) -> bool {
        match self.entries.front() {
            Some(Entry::Calls { done, .. }) => !done.is_empty(),
            Some(Entry::Event(..)) => true,
            None => false,
        }
    }

    /// Takes out what may be given next.
    pub fn give(&mut self) -> Option<Given<R>> {
        let given = match self.entries.front_mut()? {
            Entry::Event(event, _) => Given::Event(*event),
            Entry::Calls { running, done } => {
                let (call, results, timestamp) = done.pop_front()?;
                self.records -= 1;
                let given = Given::Results(call, results, timestamp);
                if *running > 0 || !done.is_empty() {
                    return Some(given);
                }
                given
            }
        };
        self.entries.pop_front();
        self.first = self.first.wrapping_add(1);
        Some(given)
    }
}

/// Whether an earlier event says nothing any more when `event` has come.
fn outdates(event: Event, earlier: Event) -> bool {
    match event {
        Event::Watermark(_) => matches!(earlier, Event::Watermark(_)),
        Event::Idle | Event::Active => matches!(earlier, Event::Idle | Event::Active),
        Event::Barrier(_) | Event::End => false,
    }
}
