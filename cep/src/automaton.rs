//! A pattern as it is looked for.
//!
//! Each place for an event in the pattern, written out with its repetitions, is a *slot*; between a slot and each one that
//! may come after it there is a *gap*, which says what may lie in between. A partial match has filled a slot and waits in
//! one gap: where a pattern can go on in several ways, there is a partial match for each.
//!
//! # Layout
//! - `compile`: from a pattern to slots and gaps
//! - `search`: partial matches and events
//! - `complete`: matches, those that they rule out, and what never became one

use std::sync::Arc;

use crate::{condition::Condition, pattern::Contiguity, skip::Skip};

mod compile;
mod complete;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use search::{Found, Scratch};

/// Number of a condition.
type ConditionId = u32;
/// Number of a slot.
type SlotId = u32;

/// A pattern as it is looked for.
pub(crate) struct Automaton<T> {
    /// The patterns whose events are matched, in order.
    names: Arc<[Arc<str>]>,
    conditions: Vec<Condition<T>>,
    slots: Vec<Slot>,
    gaps: Vec<Gap>,
    /// Ways to begin.
    starts: Vec<Start>,
    /// Milliseconds within which a match is complete.
    within: Option<i64>,
    /// Partial matches may run out of time.
    timed: bool,
    skip: Skip,
    /// Parts of it are groups: several ways may lead to the same events.
    grouped: bool,
    /// Equal for equal patterns but for their conditions.
    shape: u64,
}

/// A place for one event.
#[derive(Debug)]
struct Slot {
    /// The pattern.
    name: u16,
    condition: ConditionId,
    /// Events that loops stop at.
    unless: Vec<ConditionId>,
    /// Gaps to what may come next.
    next: Vec<u32>,
    /// The match may end here.
    ends: bool,
}

#[derive(Debug)]
struct Start {
    slot: SlotId,
    greedy: Option<Greedy>,
}

/// What may lie between two events of a match, and what comes then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gap {
    to: Target,
    contiguity: Contiguity,
    /// What the very next event must not be.
    not_next: Vec<ConditionId>,
    /// What no event must be, the one at the end included.
    forbidden: Vec<ConditionId>,
    greedy: Option<Greedy>,
    /// Milliseconds within which the next event comes.
    within: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Slot(SlotId),
    /// The match is complete with the next event, which is not part of it.
    NextEvent,
    /// The match is complete when time is up.
    Deadline,
}

/// A greedy pattern is behind: an event that it could have taken must not be in the gap, nor at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Greedy {
    condition: ConditionId,
    /// From such an event on it takes nothing, whatever comes.
    until: Option<ConditionId>,
}
