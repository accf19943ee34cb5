//! What unit tests share: a task that does not exist, and operators that are driven step by step.
//!
//! # Layout
//! - `two_inputs`: operators with two inputs

pub(crate) mod two_inputs;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::id::{AttemptId, AttemptNumber, JobId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId, WorkerId};
use flott_runtime::{
    batch::{Batch, Data, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, OperatorName, Output},
    state::Backend,
    task::TaskInfo,
    time::Clock,
};
use parking_lot::Mutex;

use crate::{
    function::OutputTag,
    plan::{SharedSides, SideKind, Site},
};

/// Records with their timestamps, and events, in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen<T> {
    Record(T, Option<Timestamp>),
    Event(Event),
}

/// An output that keeps what it is given. Clones are the same output.
pub(crate) struct Kept<T>(Arc<Mutex<Vec<Seen<T>>>>);

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Kept<T> {
    /// Takes out what has come since the last question.
    pub fn take(&self) -> Vec<Seen<T>> {
        std::mem::take(&mut self.0.lock())
    }

    /// As [`take`](Self::take), records alone.
    pub fn records(&self) -> Vec<(T, Option<Timestamp>)> {
        let record = |seen| match seen {
            Seen::Record(record, timestamp) => Some((record, timestamp)),
            Seen::Event(_) => None,
        };
        self.take().into_iter().filter_map(record).collect()
    }

    /// Records that have come since the last question.
    fn waiting(&self) -> usize {
        self.0.lock().iter().filter(|seen| matches!(seen, Seen::Record(..))).count()
    }

    /// Events that have come and were not taken out.
    fn events(&self) -> usize {
        self.0.lock().iter().filter(|seen| matches!(seen, Seen::Event(_))).count()
    }

    /// Takes out the last that has come, if it is an event.
    fn last_event(&self) -> Option<Event> {
        match self.0.lock().pop_if(|seen| matches!(seen, Seen::Event(_)))? {
            Seen::Event(event) => Some(event),
            Seen::Record(..) => None,
        }
    }
}

impl<T: Send> Output<T> for Kept<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let mut timestamps = batch.timestamps.drain(..);
        let mut kept = self.0.lock();
        kept.extend(batch.records.drain(..).map(|record| Seen::Record(record, timestamps.next())));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.lock().push(Seen::Event(event));
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// A task that does not exist.
pub(crate) fn task(clock: Clock) -> Arc<TaskInfo> {
    task_with(clock, backend())
}

/// As [`task`], with state in this backend.
pub(crate) fn task_with(clock: Clock, backend: Backend) -> Arc<TaskInfo> {
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
        configuration: Default::default(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock,
        alarm: Default::default(),
        snapshots: Default::default(),
        backend,
    })
}

/// Where operators under test keep their state.
#[cfg(not(feature = "disk"))]
fn backend() -> Backend {
    Backend::Heap
}

/// Where operators under test keep their state: on disk, in turn without any memory, and with the least there can be.
#[cfg(feature = "disk")]
fn backend() -> Backend {
    thread_local! {
        static BACKENDS: std::cell::RefCell<[Backend; 2]> = [on_disk(0), on_disk(1)].into();
    }
    BACKENDS.with_borrow_mut(|backends| {
        backends.reverse();
        backends[0].clone()
    })
}

/// State on disk, with so many bytes of memory. What is tested is not whether the disk keeps it.
#[cfg(feature = "disk")]
pub(crate) fn on_disk(bytes: usize) -> Backend {
    let memory = std::path::PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    Backend::Disk(flott_runtime::state::Disk::start(&directory, bytes).unwrap())
}

/// The site of an operator in `task` whose side output `tag` is `side`.
pub(crate) fn site<S: Data>(task: Arc<TaskInfo>, tag: &OutputTag<S>, side: Kept<S>) -> Site {
    let sides = SharedSides::default();
    add_side(&sides, tag, side);
    site_with(task, sides)
}

/// The site of an operator in `task` with these side outputs.
fn site_with(task: Arc<TaskInfo>, sides: SharedSides) -> Site {
    let name = OperatorName { id: OperatorId::from_bytes([2; 16]), name: "test".into() };
    Site { name, task, sides: Some(sides) }
}

/// Makes `side` the side output `tag`.
fn add_side<S: Data>(sides: &SharedSides, tag: &OutputTag<S>, side: Kept<S>) {
    let output: Box<dyn Output<S>> = Box::new(side);
    let port = SideKind::<S>::body().port(vec![Box::new(output)]).unwrap();
    sides.lock().0.push((tag.name().into(), port));
}

/// Drives an operator as a task does.
pub(crate) struct Driver<Op, Out> {
    pub operator: Op,
    pub out: Kept<Out>,
    task: Arc<TaskInfo>,
}

impl<Op, Out: Send> Driver<Op, Out> {
    /// Opens `operator`.
    pub fn open<In>(mut operator: Op, task: &Arc<TaskInfo>) -> Self
    where
        Op: Operator<In, Out>,
    {
        operator.open(task).unwrap();
        Self { operator, out: Kept::default(), task: task.clone() }
    }

    /// Its task.
    pub fn task(&self) -> &TaskInfo {
        &self.task
    }

    /// Gives it a batch, and does all that is due.
    pub fn batch<In>(&mut self, records: impl IntoIterator<Item = (In, Option<Timestamp>)>) -> TaskResult
    where
        Op: Operator<In, Out>,
    {
        let mut batch = Batch::default();
        records.into_iter().for_each(|(record, timestamp)| batch.push_with(record, timestamp));
        if !batch.is_empty() {
            self.operator.process(&mut batch, &mut self.out)?;
            assert!(batch.is_empty());
        }
        self.settle()
    }

    /// Gives it an event, and does all that is due.
    pub fn event<In>(&mut self, event: Event) -> TaskResult
    where
        Op: Operator<In, Out>,
    {
        self.operator.event(event, &mut self.out)?;
        self.settle()
    }

    /// Does all that is due.
    pub fn settle<In>(&mut self) -> TaskResult
    where
        Op: Operator<In, Out>,
    {
        self.resume()?;
        if let Some(now) = self.task.alarm.ring(&self.task.clock) {
            self.operator.time(now, &mut self.out)?;
            self.resume()?;
        }
        Ok(())
    }

    fn resume<In>(&mut self) -> TaskResult
    where
        Op: Operator<In, Out>,
    {
        while self.operator.resume(&mut self.out)? == Drained::Some {}
        Ok(())
    }

    /// Ends its input.
    pub fn end<In>(&mut self) -> TaskResult
    where
        Op: Operator<In, Out>,
    {
        self.event(Event::Watermark(Timestamp::MAX))?;
        while self.operator.drain(&mut self.out)? == Drained::Some {
            self.resume()?;
        }
        self.operator.finish(&mut self.out)
    }
}
