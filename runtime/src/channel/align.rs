//! Where the events of several inputs meet: watermarks (`merge`), and barriers.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    checkpoint::{Barrier, SnapshotKind},
    id::CheckpointId,
};
use tokio::time::Instant;

use super::merge::EventMerge;
use crate::{batch::Timestamp, event::Event, task::TaskInfo};

/// What several inputs say together: their watermarks, and the barriers that all have come to.
pub(crate) struct Meeting {
    merge: EventMerge,
    alignment: Alignment,
}

impl Meeting {
    /// For so many inputs of the task of `info`.
    pub fn new(inputs: usize, info: &TaskInfo) -> Self {
        let alignment = Alignment::new(inputs, info.snapshots.is_exactly_once());
        Self { merge: EventMerge::new(inputs), alignment }
    }

    /// Whether this input has ended.
    pub fn has_ended(&self, input: usize) -> bool {
        self.alignment.ended[input]
    }

    /// Whether nothing is to be taken of `input` for now.
    pub fn is_blocked(&self, input: usize) -> bool {
        self.alignment.is_blocked(input)
    }

    /// Takes an event of one input, and says what all now say: at most a barrier and two events behind it, in order. `true` if
    /// inputs may be blocked that were not, or the other way round.
    pub fn take(&mut self, input: usize, event: Event, info: &TaskInfo, mut say: impl FnMut(Event)) -> bool {
        let step = match event {
            Event::Barrier(barrier) => self.alignment.arrive(input, barrier),
            Event::End => self.alignment.end(input),
            Event::Watermark(_) | Event::Idle | Event::Active => Step::GoOn,
        };
        if let Step::Cut { barrier, since } = step {
            info.snapshots.aligned(since);
            say(Event::Barrier(barrier));
        }
        self.merge.take(input, event, say);
        matches!(event, Event::Barrier(_) | Event::End)
    }

    /// Whether `barrier` may be taken now, ahead of what inputs that can be overtaken have not given yet: all others have come to
    /// it, and it overtakes no savepoint. (A checkpoint before it has been given up.)
    pub fn may_overtake(&self, barrier: Barrier, can_be_overtaken: impl Fn(usize) -> bool) -> bool {
        self.alignment.may_overtake(barrier, can_be_overtaken)
    }

    /// Takes `barrier` ahead of what inputs have not given yet. Gives those that have yet to come to it.
    pub fn overtake(&mut self, barrier: Barrier) -> Vec<usize> {
        self.alignment.overtake(barrier)
    }

    /// Goes on from where `watermark` had been said.
    pub fn begin_at(&mut self, watermark: Timestamp) {
        self.merge.begin_at(watermark);
    }

    /// What an input has said of time; nothing if it has ended.
    pub fn heard(&self, input: usize) -> Option<(Timestamp, bool)> {
        self.merge.heard(input)
    }
}

/// What is to be done about an input that has come to a barrier, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing.
    GoOn,
    /// No more is to be taken of it until all have come to the barrier.
    Block,
    /// All have come to the barrier, and all may go on behind it.
    Cut {
        /// The barrier.
        barrier: Barrier,
        /// When the first of them came to it.
        since: Instant,
    },
}

struct Pending {
    barrier: Barrier,
    since: Instant,
    arrived: BTreeSet<usize>,
}

/// The barriers that some inputs have come to, and others not.
///
/// Inputs that have come to one are blocked, so that nothing behind it takes effect before the snapshot is cut: its state is
/// that of all records before the barrier and of none behind it. Where records may take effect twice, they are not blocked.
struct Alignment {
    blocking: bool,
    ended: Vec<bool>,
    open: usize,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Barriers up to this one count no more: they were cut, or given up.
    done: CheckpointId,
}

impl Alignment {
    /// For so many inputs.
    fn new(inputs: usize, blocking: bool) -> Self {
        Self { blocking, ended: vec![false; inputs], open: inputs, pending: BTreeMap::new(), done: CheckpointId(0) }
    }

    /// Whether nothing is to be taken of `input`.
    fn is_blocked(&self, input: usize) -> bool {
        self.blocking && self.pending.values().any(|pending| pending.arrived.contains(&input))
    }

    /// `input` has come to `barrier`. One that is newer than what others wait for ends that wait: this input has not come by the
    /// older one and never will, so that one cannot be cut.
    fn arrive(&mut self, input: usize, barrier: Barrier) -> Step {
        let checkpoint = barrier.checkpoint;
        if checkpoint <= self.done || self.ended[input] {
            return Step::GoOn;
        }
        if self.blocking {
            self.pending = self.pending.split_off(&checkpoint);
            self.done = self.done.max(CheckpointId(checkpoint.0 - 1));
            if self.pending.range(..).next_back().is_some_and(|(newest, _)| *newest > checkpoint) {
                return Step::GoOn;
            }
        }
        let fresh = || Pending { barrier, since: Instant::now(), arrived: BTreeSet::new() };
        self.pending.entry(checkpoint).or_insert_with(fresh).arrived.insert(input);
        match self.settle() {
            Step::GoOn if self.blocking => Step::Block,
            step => step,
        }
    }

    fn may_overtake(&self, barrier: Barrier, can_be_overtaken: impl Fn(usize) -> bool) -> bool {
        let older = self.pending.range(..barrier.checkpoint);
        if older.into_iter().any(|(_, pending)| pending.barrier.kind == SnapshotKind::Savepoint) {
            return false;
        }
        if barrier.checkpoint <= self.done {
            return true;
        }
        let arrived = self.pending.get(&barrier.checkpoint);
        let has_come = |input: usize| arrived.is_some_and(|pending| pending.arrived.contains(&input));
        (0..self.ended.len()).all(|input| self.ended[input] || can_be_overtaken(input) || has_come(input))
    }

    fn overtake(&mut self, barrier: Barrier) -> Vec<usize> {
        let checkpoint = barrier.checkpoint;
        if checkpoint <= self.done {
            return Vec::new();
        }
        self.done = checkpoint;
        let later = self.pending.split_off(&checkpoint.next());
        let arrived = self.pending.remove(&checkpoint).map(|pending| pending.arrived).unwrap_or_default();
        self.pending = later;
        (0..self.ended.len()).filter(|input| !self.ended[*input] && !arrived.contains(input)).collect()
    }

    /// `input` has ended, and comes to no barrier any more: nobody waits for it.
    fn end(&mut self, input: usize) -> Step {
        if !std::mem::replace(&mut self.ended[input], true) {
            self.open -= 1;
            self.pending.values_mut().for_each(|pending| {
                pending.arrived.remove(&input);
            });
        }
        if self.open == 0 {
            // The end says it all.
            self.pending.clear();
            return Step::GoOn;
        }
        self.settle()
    }

    /// The newest barrier that all have come to.
    fn settle(&mut self) -> Step {
        let whole = |pending: &&Pending| pending.arrived.len() == self.open;
        let Some(found) = self.pending.values().rev().find(whole) else { return Step::GoOn };
        let step = Step::Cut { barrier: found.barrier, since: found.since };
        self.done = found.barrier.checkpoint;
        self.pending = self.pending.split_off(&self.done.next());
        step
    }
}

#[cfg(test)]
mod tests {
    use flott_core::checkpoint::{Behind, Overtaking, SnapshotKind};

    use super::*;

    fn barrier(checkpoint: u64) -> Barrier {
        Barrier {
            checkpoint: CheckpointId(checkpoint),
            kind: SnapshotKind::Checkpoint,
            behind: Behind::GoOn,
            overtaking: Overtaking::Now,
            full: false,
        }
    }

    #[track_caller]
    fn cut(step: Step) -> u64 {
        match step {
            Step::Cut { barrier, .. } => barrier.checkpoint.0,
            Step::GoOn | Step::Block => panic!("nothing was cut, but {step:?}"),
        }
    }

    #[test]
    fn inputs_wait_for_each_other() {
        let mut alignment = Alignment::new(3, true);
        assert_eq!(alignment.arrive(0, barrier(1)), Step::Block);
        assert_eq!(alignment.arrive(2, barrier(1)), Step::Block);
        assert!(alignment.is_blocked(0) && !alignment.is_blocked(1) && alignment.is_blocked(2));
        assert_eq!(cut(alignment.arrive(1, barrier(1))), 1);
        assert!((0..3).all(|input| !alignment.is_blocked(input)));
        assert_eq!(alignment.arrive(1, barrier(2)), Step::Block);
    }

    #[test]
    fn nobody_waits_for_what_has_ended() {
        let mut alignment = Alignment::new(3, true);
        assert_eq!(alignment.end(0), Step::GoOn);
        assert_eq!(alignment.arrive(1, barrier(1)), Step::Block);
        assert_eq!(cut(alignment.end(2)), 1);
        assert_eq!(cut(alignment.arrive(1, barrier(2))), 2);
        assert_eq!(alignment.end(1), Step::GoOn);
    }

    #[test]
    fn a_newer_barrier_ends_the_wait_for_an_older_one() {
        let mut alignment = Alignment::new(3, true);
        assert_eq!(alignment.arrive(0, barrier(1)), Step::Block);
        assert_eq!(alignment.arrive(1, barrier(2)), Step::Block);
        assert!(!alignment.is_blocked(0) && alignment.is_blocked(1));
        // What comes late of the older one is nothing to wait for.
        assert_eq!(alignment.arrive(2, barrier(1)), Step::GoOn);
        assert_eq!(alignment.arrive(0, barrier(2)), Step::Block);
        assert_eq!(cut(alignment.arrive(2, barrier(2))), 2);
    }

    #[test]
    fn without_blocking_several_are_under_way() {
        let mut alignment = Alignment::new(2, false);
        assert_eq!(alignment.arrive(0, barrier(1)), Step::GoOn);
        assert_eq!(alignment.arrive(0, barrier(2)), Step::GoOn);
        assert!(!alignment.is_blocked(0));
        assert_eq!(cut(alignment.arrive(1, barrier(1))), 1);
        assert_eq!(cut(alignment.arrive(1, barrier(2))), 2);
        assert_eq!(alignment.arrive(1, barrier(2)), Step::GoOn);
    }

    #[test]
    fn the_end_of_all_cuts_nothing() {
        let mut alignment = Alignment::new(2, true);
        assert_eq!(alignment.arrive(0, barrier(1)), Step::Block);
        assert_eq!(cut(alignment.end(1)), 1);
        assert_eq!(alignment.end(0), Step::GoOn);
    }
}
