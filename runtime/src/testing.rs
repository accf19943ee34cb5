//! What unit tests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

use flott_core::{
    checkpoint::{Barrier, Behind, Overtaking, SnapshotKind},
    id::{AttemptId, AttemptNumber, CheckpointId, JobId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId, WorkerId},
    job_graph::ShipStrategy,
};
use parking_lot::Mutex;

use crate::{
    batch::Batch,
    net::Frame,
    output::OperatorName,
    snapshot::{
        Cut, Piece, SnapshotPort, TaskSnapshots,
        in_flight::{Edge, Item, Segment},
    },
    state::Extent,
    task::TaskInfo,
    time::Clock,
};

/// A name for an operator.
pub(crate) fn named_operator(name: &str) -> OperatorName {
    OperatorName { id: OperatorId::from_bytes([1; 16]), name: name.into() }
}

/// A task that does not exist.
pub(crate) fn task() -> Arc<TaskInfo> {
    task_with(Clock::System, &[])
}

/// As [`task`], with a clock and a configuration.
pub(crate) fn task_with(clock: Clock, configuration: &[(&str, &str)]) -> Arc<TaskInfo> {
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
        configuration: configuration.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock,
        alarm: Default::default(),
        snapshots: Default::default(),
        backend: Default::default(),
    })
}

/// Keeps the records under way that a task gives.
#[derive(Default)]
pub(crate) struct Streams {
    given: Mutex<Vec<Piece>>,
    /// Cuts that are whole.
    stored: AtomicUsize,
}

impl SnapshotPort for Streams {
    fn begin(&self, _: AttemptId, _: Barrier) -> Extent {
        Extent::Whole
    }

    fn give(&self, _: AttemptId, _: Vec<Piece>) {}

    fn give_in_flight(&self, _: AttemptId, pieces: Vec<Piece>) {
        self.given.lock().extend(pieces);
    }

    fn has_room(&self, _: AttemptId) -> bool {
        true
    }

    fn store(&self, _: AttemptId, _: Cut) {
        self.stored.fetch_add(1, SeqCst);
    }
}

/// Batches of records, as numbers, and what came between them.
type Shown = Vec<Result<Vec<u64>, Item>>;

impl Streams {
    /// What was given since the last question: from whom to whom, and what. Records are 64-bit numbers.
    pub fn take(&self) -> Vec<(u32, u32, Shown)> {
        let given = std::mem::take(&mut *self.given.lock());
        let segments =
            given.iter().flat_map(|(_, _, chunk)| Segment::of_chunk(chunk).expect("what was given is a part"));
        let shown = |item| match item {
            Item::Records { count, timestamps, body } => {
                let mut batch = Batch::default();
                let frame = Frame { count, timestamps, body };
                crate::channel::decode(&frame, &mut batch).expect("records can be read");
                Ok(batch.records)
            }
            item => Err(item),
        };
        let mut all: Vec<_> = segments
            .map(|segment| (segment.from.0, segment.to.0, segment.items.into_iter().map(shown).collect::<Vec<_>>()))
            .filter(|(_, _, items)| !items.is_empty())
            .collect();
        all.sort_by_key(|(from, to, _)| (*from, *to));
        all
    }
}

/// As [`task`], with somebody who takes what it gives at barriers.
pub(crate) fn task_that_gives(streams: &Arc<Streams>, clock: Clock) -> Arc<TaskInfo> {
    gives(task_with(clock, &[]), streams)
}

/// As [`task_that_gives`], with a value of `execution.checkpointing.mode`.
pub(crate) fn task_in_mode(streams: &Arc<Streams>, mode: &str) -> Arc<TaskInfo> {
    gives(task_with(Clock::System, &[("execution.checkpointing.mode", mode)]), streams)
}

fn gives(task: Arc<TaskInfo>, streams: &Arc<Streams>) -> Arc<TaskInfo> {
    let task = Arc::into_inner(task).expect("nobody else has it");
    let snapshots = TaskSnapshots::new(SubtaskIndex(0), 1, 128, &task.configuration, streams.clone());
    Arc::new(TaskInfo { snapshots, ..task })
}

/// The barrier of a checkpoint.
pub(crate) fn barrier(checkpoint: u64, overtaking: Overtaking) -> Barrier {
    let kind = SnapshotKind::Checkpoint;
    Barrier { checkpoint: CheckpointId(checkpoint), kind, behind: Behind::GoOn, overtaking, full: false }
}

/// An edge that ships by `ship`.
pub(crate) fn edge(ship: ShipStrategy) -> Arc<Edge> {
    let id = |byte| OperatorId::from_bytes([byte; 16]);
    Arc::new(Edge { producer: id(1), side_output: None, consumer: id(2), input: 0, ship })
}

/// A task that counts how often it is woken.
#[derive(Default)]
pub(crate) struct Sleeper(AtomicUsize);

impl Sleeper {
    pub fn new() -> (Arc<Self>, Waker) {
        let sleeper = Arc::<Self>::default();
        (sleeper.clone(), sleeper.into())
    }

    /// Wake-ups since the last question.
    pub fn woken(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
