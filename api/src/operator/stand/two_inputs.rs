//! Operators with two inputs, driven as a task drives them.

use std::sync::Arc;

use flott_core::{
    codec,
    key_group::{KeyGroupRange, MaxParallelism},
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    state::{Extent, GroupEntries, GroupSpace, KeyedStates, Progress, StateKind, StateMeta},
    task::{TaskInfo, TwoInputOperator},
    time::Clock,
};

use super::{Kept, add_side, site_with, task};
use crate::{
    function::OutputTag,
    plan::{SharedSides, Site},
};

/// Where an operator stands in a test: its task and its side outputs.
pub(crate) struct Bench {
    task: Arc<TaskInfo>,
    sides: SharedSides,
}

impl Bench {
    pub fn new() -> Self {
        Self { task: task(Clock::System), sides: SharedSides::default() }
    }

    /// A reader of the side output `tag`.
    pub fn side<T: Data>(&self, tag: &OutputTag<T>) -> Kept<T> {
        let kept = Kept::default();
        add_side(&self.sides, tag, kept.clone());
        kept
    }

    pub fn site(&self) -> Site {
        site_with(self.task.clone(), self.sides.clone())
    }

    /// An operator with two inputs, open.
    pub fn open<A, B, Out, Op>(&self, mut operator: Op) -> Driven<Out, Op>
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        operator.open(&self.task).unwrap();
        Driven { operator, out: Kept::default() }
    }
}

/// An operator with two inputs and what it gives out.
pub(crate) struct Driven<Out, Op> {
    pub operator: Op,
    pub out: Kept<Out>,
}

impl<Out: Send, Op> Driven<Out, Op> {
    /// Has the operator do something, and then all that is left of it; no step gives more than a batch and what one
    /// further call of a function may.
    fn work<A, B>(&mut self, work: impl FnOnce(&mut Op, &mut dyn Output<Out>) -> TaskResult) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        let mut before = self.out.waiting();
        work(&mut self.operator, &mut self.out)?;
        loop {
            let after = self.out.waiting();
            assert!(after - before <= BATCH_RECORDS, "more than a batch in a step");
            before = after;
            if self.operator.resume(&mut self.out)? == Drained::All {
                assert_eq!(self.out.waiting(), before, "something was given by a step that said it did nothing");
                return Ok(());
            }
        }
    }

    pub fn left<A, B>(&mut self, records: impl IntoIterator<Item = (A, Timestamp)>) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        let (records, timestamps) = records.into_iter().unzip();
        let mut batch = Batch::stamped(records, timestamps);
        self.work(|operator, out| operator.process_left(&mut batch, out))?;
        assert!(batch.is_empty());
        Ok(())
    }

    pub fn right<A, B>(&mut self, records: impl IntoIterator<Item = (B, Timestamp)>) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        let (records, timestamps) = records.into_iter().unzip();
        let mut batch = Batch::stamped(records, timestamps);
        self.work(|operator, out| operator.process_right(&mut batch, out))?;
        assert!(batch.is_empty());
        Ok(())
    }

    /// A watermark, which must be passed on once, behind all that it sets off.
    pub fn watermark<A, B>(&mut self, at: Timestamp) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        let before = self.out.events();
        self.work(|operator, out| operator.event(Event::Watermark(at), out))?;
        assert_eq!(self.out.events(), before + 1);
        assert_eq!(self.out.last_event(), Some(Event::Watermark(at)));
        Ok(())
    }
}

/// Keys and values of an operator's only state, by way of a snapshot, and the number of its timers.
pub(crate) fn kept<K: Key, V: Data>(states: &mut KeyedStates<K>) -> (Vec<(K, V)>, usize) {
    let max = MaxParallelism::try_from(128).unwrap();
    let groups = GroupSpace { max, held: KeyGroupRange::all(max) };
    let mut entries = Vec::new();
    let mut sink = |meta: &StateMeta, group: GroupEntries<'_>| {
        if meta.kind != StateKind::Timers {
            let mut bytes = group.bytes;
            entries.extend((0..group.count).map(|_| codec::decode_prefix::<(K, V)>(&mut bytes).unwrap()));
            assert!(bytes.is_empty());
        }
        Ok(())
    };
    states.begin_snapshot(Extent::Whole, groups).unwrap();
    while states.advance_snapshot(usize::MAX, &mut sink).unwrap() != Progress::Done {}
    let timers = states.timers();
    (entries, timers.event.len() + timers.processing.len())
}
