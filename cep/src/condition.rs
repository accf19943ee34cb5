//! What an event must be to be part of a match.

use std::{fmt, sync::Arc};

use flott::Timestamp;

use crate::runs::{NodeId, Runs};

/// The events that a match has so far, and the time of the event at hand; conditions may look at them.
///
/// Each call walks over all events of the match, so a condition does well to look at the event first.
pub struct Matched<'a, T> {
    pub(crate) names: &'a [Arc<str>],
    pub(crate) runs: &'a Runs<T>,
    pub(crate) last: Option<NodeId>,
    pub(crate) timestamp: Timestamp,
}

impl<'a, T> Matched<'a, T> {
    /// The events that the pattern `name` has, oldest first; none if there is no such pattern.
    pub fn events(&self, name: &str) -> Vec<&'a T> {
        let Some(name) = self.names.iter().position(|known| **known == *name) else { return Vec::new() };
        let named = self.runs.path(self.last).filter(|(node, _)| usize::from(node.name) == name);
        let mut events: Vec<_> = named.map(|(_, event)| &event.value).collect();
        events.reverse();
        events
    }

    /// The event that was matched last.
    pub fn last(&self) -> Option<&'a T> {
        self.runs.path(self.last).next().map(|(_, event)| &event.value)
    }

    /// The time of the event at hand.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl<T> fmt::Debug for Matched<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matched")
            .field("events", &self.runs.path(self.last).count())
            .field("timestamp", &self.timestamp)
            .finish()
    }
}

type Test<T> = dyn Fn(&T, &Matched<'_, T>) -> bool + Send + Sync;

/// A condition on events.
pub(crate) struct Condition<T> {
    /// It looks at nothing but the event, so that it holds for all partial matches or for none.
    pub simple: bool,
    test: Arc<Test<T>>,
}

impl<T> Clone for Condition<T> {
    fn clone(&self) -> Self {
        Self { simple: self.simple, test: self.test.clone() }
    }
}

impl<T: 'static> Condition<T> {
    pub fn simple(test: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        Self { simple: true, test: Arc::new(move |event, _| test(event)) }
    }

    pub fn iterative(test: impl Fn(&T, &Matched<'_, T>) -> bool + Send + Sync + 'static) -> Self {
        Self { simple: false, test: Arc::new(test) }
    }

    /// Every event.
    pub fn always() -> Self {
        Self::simple(|_| true)
    }

    pub fn and(self, other: Self) -> Self {
        let simple = self.simple && other.simple;
        let test = move |event: &T, matched: &Matched<'_, T>| self.holds(event, matched) && other.holds(event, matched);
        Self { simple, test: Arc::new(test) }
    }

    pub fn or(self, other: Self) -> Self {
        let simple = self.simple && other.simple;
        let test = move |event: &T, matched: &Matched<'_, T>| self.holds(event, matched) || other.holds(event, matched);
        Self { simple, test: Arc::new(test) }
    }

    pub fn holds(&self, event: &T, matched: &Matched<'_, T>) -> bool {
        (self.test)(event, matched)
    }
}
