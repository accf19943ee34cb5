//! What is kept for a key: partial matches, and the events in them.
//!
//! The events of a partial match are a list of nodes from the last event back to the first. Partial matches that have
//! gone the same way share its nodes: those of a key are a tree whose leaves are the partial matches, and each event is
//! kept once. Nodes and events count who refers to them, and go with the last.

use std::collections::BTreeSet;

use flott::Timestamp;
use serde::{Deserialize, Serialize};

use self::slab::Slab;

mod slab;

/// Number of an event.
pub(crate) type EventId = u32;
/// Number of a node.
pub(crate) type NodeId = u32;

/// The partial matches of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Runs<T> {
    /// The shape of the pattern, without which numbers of gaps say nothing.
    pub shape: u64,
    events: Slab<Event<T>>,
    nodes: Slab<Node>,
    /// In the order in which they came about.
    pub partials: Vec<Partial>,
    /// Matches that wait for partial ones that began earlier; by their beginnings.
    pub completed: Vec<Complete>,
    /// Events so far.
    sequence: u64,
    /// The latest time that was heard of.
    pub time: Timestamp,
    /// When a timer is set to look for what has run out of time.
    pub alarm: Option<Timestamp>,
}

/// An event in partial matches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event<T> {
    pub value: T,
    pub timestamp: Timestamp,
    /// Its place among the events of the key.
    pub sequence: u64,
    references: u32,
}

/// An event as part of a match.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Node {
    pub event: EventId,
    /// The pattern that it is for.
    pub name: u16,
    pub previous: Option<NodeId>,
    references: u32,
}

/// A match that lacks something.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Partial {
    /// What it waits for.
    pub gap: u32,
    /// Its last event.
    pub node: NodeId,
    pub first: First,
    /// Time of its last event.
    pub last_time: Timestamp,
    /// No event has come since its last one.
    pub fresh: bool,
    /// A greedy part was told to stop.
    pub released: bool,
    /// Its events are a match already.
    pub matched: bool,
}

/// The event that a match begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct First {
    pub sequence: u64,
    pub time: Timestamp,
}

/// A match.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Complete {
    pub node: NodeId,
    pub first: First,
}

/// Kept partial matches do not hang together, or not with the pattern.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the partial matches that were kept do not fit the pattern: was it changed?")]
pub(crate) struct Broken;

impl<T> Runs<T> {
    /// Nothing, of a pattern of this shape.
    pub fn new(shape: u64) -> Self {
        Self {
            shape,
            events: Slab::default(),
            nodes: Slab::default(),
            partials: Vec::new(),
            completed: Vec::new(),
            sequence: 0,
            time: Timestamp::MIN,
            alarm: None,
        }
    }

    /// Whether nothing of it matters any more.
    pub fn is_empty(&self) -> bool {
        self.partials.is_empty() && self.completed.is_empty()
    }

    /// Keeps an event until [`release_event`](Self::release_event), and as long as there are nodes with it.
    pub fn add_event(&mut self, value: T, timestamp: Timestamp) -> Result<EventId, Broken> {
        let sequence = self.sequence;
        self.sequence += 1;
        self.events.insert(Event { value, timestamp, sequence, references: 1 }).ok_or(Broken)
    }

    pub fn event(&self, event: EventId) -> Result<&Event<T>, Broken> {
        self.events.get(event).ok_or(Broken)
    }

    pub fn release_event(&mut self, id: EventId) -> Result<(), Broken> {
        let event = self.events.get_mut(id).ok_or(Broken)?;
        event.references -= 1;
        if event.references == 0 {
            self.events.remove(id);
        }
        Ok(())
    }

    /// A node that nobody refers to yet.
    pub fn add_node(&mut self, event: EventId, name: u16, previous: Option<NodeId>) -> Result<NodeId, Broken> {
        self.events.get_mut(event).ok_or(Broken)?.references += 1;
        if let Some(previous) = previous {
            self.hold(previous)?;
        }
        self.nodes.insert(Node { event, name, previous, references: 0 }).ok_or(Broken)
    }

    /// Somebody refers to `node`.
    pub fn hold(&mut self, node: NodeId) -> Result<(), Broken> {
        self.nodes.get_mut(node).ok_or(Broken)?.references += 1;
        Ok(())
    }

    /// Somebody no longer refers to `node`.
    pub fn release(&mut self, node: NodeId) -> Result<(), Broken> {
        let mut next = Some(node);
        while let Some(id) = next.take() {
            let node = self.nodes.get_mut(id).ok_or(Broken)?;
            node.references = node.references.checked_sub(1).ok_or(Broken)?;
            if node.references == 0 {
                let (event, previous) = (node.event, node.previous);
                self.nodes.remove(id);
                self.release_event(event)?;
                next = previous;
            }
        }
        Ok(())
    }

    /// The events up to each of `nodes` are a match, whatever else they may become. One pass, however many there are.
    pub fn are_matches(&mut self, nodes: &BTreeSet<NodeId>) {
        if !nodes.is_empty() {
            let known = self.partials.iter_mut().filter(|partial| nodes.contains(&partial.node));
            known.for_each(|partial| partial.matched = true);
        }
    }

    /// The events up to `last`, from the last to the first.
    pub fn path(&self, last: Option<NodeId>) -> impl Iterator<Item = (&Node, &Event<T>)> {
        let mut next = last;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next?)?;
            next = node.previous;
            Some((node, self.events.get(node.event)?))
        })
    }

    /// Events and nodes that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize) {
        (self.events.len(), self.nodes.len())
    }
}
