//! What unit tests of operators share: a task that does not exist, outputs that remember, and operators driven as a task
//! drives them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{
    codec,
    id::{AttemptId, AttemptNumber, JobId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId, WorkerId},
    key_group::{KeyGroupRange, MaxParallelism},
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, OperatorName, Output},
    state::{Extent, GroupEntries, GroupSpace, KeyedStates, Progress, StateKind, StateMeta},
    task::{TaskInfo, TwoInputOperator},
};
use parking_lot::Mutex;

use crate::{
    function::OutputTag,
    plan::{SharedSides, SideKind, SidePorts, Site},
};

pub(super) fn task() -> Arc<TaskInfo> {
    let vertex = VertexId::from_bytes([1; 16]);
    Arc::new(TaskInfo {
        job: JobId::from_bytes([1; 16]),
        job_name: "test".into(),
        vertex,
        task_name: "test".into(),
        attempt: AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) },
        epoch: JobMasterEpoch(1),
        parallelism: 1,
        max_parallelism: 128,
        worker: WorkerId("worker".into()),
        configuration: BTreeMap::new(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock: Default::default(),
        alarm: Default::default(),
        snapshots: Default::default(),
        backend: Default::default(),
    })
}

/// An output that remembers what it was given, and how much of it since it was last asked. Clones are the same.
pub(super) struct Seen<T>(Arc<Mutex<Remembered<T>>>);

struct Remembered<T> {
    records: Vec<(T, Option<Timestamp>)>,
    events: Vec<Event>,
    fresh: usize,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Remembered { records: Vec::new(), events: Vec::new(), fresh: 0 })))
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Seen<T> {
    /// Records since the last question, with their timestamps.
    pub fn take(&self) -> Vec<(T, Option<Timestamp>)> {
        std::mem::take(&mut self.0.lock().records)
    }

    /// Events since the last question.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().events)
    }

    fn fresh(&self) -> usize {
        std::mem::take(&mut self.0.lock().fresh)
    }
}

impl<T: Send> Output<T> for Seen<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let mut seen = self.0.lock();
        seen.fresh += batch.len();
        let mut timestamps = batch.timestamps.drain(..);
        seen.records.extend(batch.records.drain(..).map(|record| (record, timestamps.next())));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.lock().events.push(event);
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// Where an operator stands in a test: its task and its side outputs.
pub(super) struct Bench {
    task: Arc<TaskInfo>,
    sides: SharedSides,
}

impl Bench {
    pub fn new() -> Self {
        Self { task: task(), sides: Arc::new(Mutex::new(SidePorts::default())) }
    }

    /// A reader of the side output `tag`.
    pub fn side<T: Data>(&self, tag: &OutputTag<T>) -> Seen<T> {
        let seen = Seen::default();
        let output: Box<dyn Output<T>> = Box::new(seen.clone());
        let port = SideKind::<T>::body().port(vec![Box::new(output)]).unwrap();
        self.sides.lock().0.push((tag.name().into(), port));
        seen
    }

    pub fn site(&self) -> Site {
        let name = OperatorName { id: OperatorId::from_bytes([1; 16]), name: "test".into() };
        Site { name, task: self.task.clone(), sides: Some(self.sides.clone()) }
    }

    /// An operator with two inputs, open.
    pub fn open<A, B, Out, Op>(&self, mut operator: Op) -> Driven<Out, Op>
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        operator.open(&self.task).unwrap();
        Driven { operator, out: Seen::default() }
    }
}

/// An operator with two inputs and what it gives out.
pub(super) struct Driven<Out, Op> {
    pub operator: Op,
    pub out: Seen<Out>,
}

impl<Out: Send, Op> Driven<Out, Op> {
    /// Has the operator do something, and then all that is left of it; no step gives more than a batch and what one
    /// further call of a function may.
    fn work<A, B>(&mut self, work: impl FnOnce(&mut Op, &mut dyn Output<Out>) -> TaskResult) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        work(&mut self.operator, &mut self.out)?;
        loop {
            assert!(self.out.fresh() <= BATCH_RECORDS, "more than a batch in a step");
            if self.operator.resume(&mut self.out)? == Drained::All {
                assert_eq!(self.out.fresh(), 0, "something was given by a step that said it did nothing");
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

    /// A watermark, which must be passed on when all is done.
    pub fn watermark<A, B>(&mut self, at: Timestamp) -> TaskResult
    where
        Op: TwoInputOperator<A, B, Out>,
    {
        self.work(|operator, out| operator.event(Event::Watermark(at), out))?;
        assert_eq!(self.out.events(), [Event::Watermark(at)]);
        Ok(())
    }
}

/// Keys and values of an operator's only state, by way of a snapshot, and the number of its timers.
pub(super) fn kept<K: Key, V: Data>(states: &mut KeyedStates<K>) -> (Vec<(K, V)>, usize) {
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
    while states.advance_snapshot(usize::MAX, &mut sink).unwrap() == Progress::More {}
    let timers = states.timers();
    (entries, timers.event.len() + timers.processing.len())
}
