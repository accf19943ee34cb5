//! Subtasks under test, and the chain of snapshots that they have given.

use flott_core::{
    codec,
    id::SubtaskIndex,
    key_group::{KeyGroupAssignment, MaxParallelism},
};

use super::*;

pub(super) struct Subtasks {
    subtasks: Vec<Subtask>,
    assignment: KeyGroupAssignment,
    ttl: Option<StateTtl>,
    /// Where states are kept: first, after they were restored once, and so on by turns.
    backends: Vec<Backend>,
    turn: usize,
    /// What the snapshots since the last whole one have, one after the other.
    chain: Vec<Vec<(StateMeta, Run)>>,
    giving: Option<Giving>,
    /// The chain has come to an end: the next snapshot must be whole.
    torn: bool,
}

struct Giving {
    extent: Extent,
    /// What was there at the cut.
    model: naive::Model,
    runs: Vec<(StateMeta, Run)>,
}

impl Subtasks {
    pub fn new(ttl: Option<StateTtl>, backends: Vec<Backend>) -> Self {
        let assignment = KeyGroupAssignment::new(MaxParallelism::new(16).unwrap(), 1).unwrap();
        let subtasks = vec![Subtask::new(ttl, &backends[0])];
        Self { subtasks, assignment, ttl, backends, turn: 0, chain: Vec::new(), giving: None, torn: false }
    }

    /// The one with this key.
    pub fn of(&mut self, key: u8) -> &mut Subtask {
        let group = KeyHash::of(&key).group(self.assignment.max());
        &mut self.subtasks[self.assignment.subtask_of(group).0 as usize]
    }

    pub fn set_now(&mut self, now: Timestamp) {
        self.subtasks.iter_mut().try_for_each(|subtask| subtask.states.set_now(now)).unwrap();
    }

    /// Cuts a snapshot of all subtasks. One that was being given is given up.
    pub fn begin(&mut self, extent: Extent, model: &naive::Model) {
        if self.giving.take().is_some() {
            self.subtasks.iter_mut().for_each(|subtask| subtask.states.abandon_snapshot());
            self.torn = true;
        }
        let extent = if self.torn { Extent::Whole } else { extent };
        self.torn = false;
        for (index, subtask) in self.subtasks.iter_mut().enumerate() {
            let held = self.assignment.range_of(SubtaskIndex(index as u32)).unwrap();
            subtask.states.begin_snapshot(extent, GroupSpace { max: self.assignment.max(), held }).unwrap();
        }
        self.giving = Some(Giving { extent, model: model.clone(), runs: Vec::new() });
    }

    /// Has each subtask give some of the snapshot. What is complete is held to the model.
    pub fn advance(&mut self, bytes: usize) -> Progress {
        let Some(giving) = &mut self.giving else { return Progress::Done };
        let mut all = Progress::Done;
        for subtask in &mut self.subtasks {
            let mut sink = |meta: &StateMeta, entries: GroupEntries<'_>| {
                let meta = codec::decode(&codec::to_vec(meta).unwrap()).unwrap();
                giving.runs.push((meta, Run::of(entries)));
                Ok(())
            };
            if subtask.states.advance_snapshot(bytes, &mut sink).unwrap() != Progress::Done {
                all = Progress::More;
            }
        }
        if all == Progress::Done {
            let Giving { extent, model, runs } = self.giving.take().unwrap();
            if extent == Extent::Whole {
                self.chain.clear();
            }
            self.chain.push(runs);
            self.check(model);
        }
        all
    }

    /// What the chain has is what was there.
    fn check(&mut self, mut model: naive::Model) {
        let one = KeyGroupAssignment::new(self.assignment.max(), 1).unwrap();
        let mut restored = self.restored(one).pop().unwrap();
        restored.states.set_now(model.now).unwrap();
        for key in 0..KEYS {
            for access in [Access::VGet, Access::LGet, Access::MEntries, Access::RGet, Access::AGet] {
                let given = restored.access(key, access.clone()).unwrap();
                assert_eq!(given, model.access(key, access.clone()), "{access:?} of key {key}, restored");
            }
        }
        let timers = restored.states.timers();
        let mut event: Vec<_> = timers.event.iter().map(|(at, _, key, ())| (at, *key)).collect();
        event.sort_unstable();
        assert_eq!((event, timers.processing.len()), (Vec::from_iter(model.timers), 0));
    }

    fn restored(&mut self, to: KeyGroupAssignment) -> Vec<Subtask> {
        self.turn += 1;
        let backend = &self.backends[self.turn % self.backends.len()];
        let mut restored: Vec<_> = (0..to.parallelism()).map(|_| Subtask::new(self.ttl, backend)).collect();
        for (number, runs) in self.chain.iter().enumerate() {
            let is_last = number + 1 == self.chain.len();
            for (meta, run) in runs.iter().filter(|(meta, _)| is_last || meta.kind.is_incremental()) {
                let states = &mut restored[to.subtask_of(run.group).0 as usize].states;
                states.restore(meta, run.content, run.count, &run.bytes).unwrap();
            }
        }
        restored
    }

    /// Takes another snapshot, and goes on from the chain with another number of subtasks.
    pub fn rescale(&mut self, parallelism: u32, model: &naive::Model) {
        while self.advance(100) != Progress::Done {}
        self.begin(Extent::Changed, model);
        while self.advance(100) != Progress::Done {}
        self.assignment = KeyGroupAssignment::new(self.assignment.max(), parallelism).unwrap();
        self.subtasks = self.restored(self.assignment);
    }
}
