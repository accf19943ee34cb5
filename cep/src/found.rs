//! What was found.

use std::{fmt, sync::Arc};

use flott::Timestamp;

use crate::runs::{NodeId, Runs};

/// A match, or as much of it as there was when its time was up: the events of each pattern.
#[derive(Clone)]
pub struct Match<T> {
    names: Arc<[Arc<str>]>,
    /// By pattern.
    events: Vec<Vec<T>>,
    start: Timestamp,
    end: Timestamp,
}

impl<T: Clone> Match<T> {
    pub(crate) fn new(names: &Arc<[Arc<str>]>, runs: &Runs<T>, last: NodeId) -> Self {
        let mut events: Vec<Vec<T>> = names.iter().map(|_| Vec::new()).collect();
        let (mut start, mut end) = (Timestamp::MAX, Timestamp::MIN);
        for (node, event) in runs.path(Some(last)) {
            if let Some(events) = events.get_mut(usize::from(node.name)) {
                events.push(event.value.clone());
            }
            start = event.timestamp;
            end = end.max(event.timestamp);
        }
        events.iter_mut().for_each(|events| events.reverse());
        Self { names: names.clone(), events, start, end }
    }
}

impl<T> Match<T> {
    /// The events of the pattern `name`, oldest first. None if it is optional and was left out, or if there is no such
    /// pattern.
    pub fn get(&self, name: &str) -> &[T] {
        self.place(name).and_then(|place| self.events.get(place)).map_or(&[], Vec::as_slice)
    }

    /// The first event of the pattern `name`.
    pub fn first(&self, name: &str) -> Option<&T> {
        self.get(name).first()
    }

    /// The last event of the pattern `name`.
    pub fn last(&self, name: &str) -> Option<&T> {
        self.get(name).last()
    }

    /// Takes the events of the pattern `name` out.
    pub fn take(&mut self, name: &str) -> Vec<T> {
        let events = self.place(name).and_then(|place| self.events.get_mut(place));
        events.map(std::mem::take).unwrap_or_default()
    }

    /// All patterns in their order with their events, those without events included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[T])> {
        self.names.iter().map(|name| &**name).zip(self.events.iter().map(Vec::as_slice))
    }

    /// When it began: the time of its first event.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The time of its last event.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }
}

impl<T: fmt::Debug> fmt::Debug for Match<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, events)| !events.is_empty())).finish()
    }
}
