//! One subtask of a chain: what it knows about itself, how it is wired, and the loop that drives it.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use flott_core::{
    config::{Configuration, keys::checkpointing::INTERVAL},
    id::{AttemptId, JobId, JobMasterEpoch, OperatorId, VertexId, WorkerId},
    view::Accumulator,
};

use crate::{
    error::TaskResult,
    snapshot::TaskSnapshots,
    state::Backend,
    time::{Alarm, Clock},
};

pub mod counters;
pub mod figures;
pub mod head;
pub mod source_head;
pub mod splits;
mod tail;
mod turn;
pub mod two_input;
pub mod wiring;
mod woken;

pub use figures::TaskFigures;
pub use head::OneInputHead;
pub use source_head::SourceHead;
pub use two_input::{TwoInputHead, TwoInputOperator};
pub use wiring::TaskWiring;

/// What a task knows about itself; user functions see it too.
#[derive(Debug)]
pub struct TaskInfo {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub job_name: String,
    /// The vertex.
    pub vertex: VertexId,
    /// Name of the chain.
    pub task_name: String,
    /// Which attempt.
    pub attempt: AttemptId,
    /// The JobMaster that has deployed it. Of two attempts of a subtask the newer one is of a later JobMaster, or has the
    /// greater number.
    pub epoch: JobMasterEpoch,
    /// Subtasks of the vertex.
    pub parallelism: u32,
    /// Key groups of the vertex.
    pub max_parallelism: u32,
    /// The TaskManager, by name.
    pub worker: WorkerId,
    /// The job's effective configuration.
    pub configuration: BTreeMap<String, String>,
    /// Results by name, given when the input has ended; [`figures`](Self::figures) hold what is counted.
    pub accumulators: parking_lot::Mutex<BTreeMap<String, Accumulator>>,
    /// Cumulative figures.
    pub figures: TaskFigures,
    /// Processing time.
    pub clock: Clock,
    /// The processing time that an operator of the task waits for.
    pub alarm: Alarm,
    /// What it gives at barriers, and what it starts from.
    pub snapshots: TaskSnapshots,
    /// Where its keyed state is kept.
    pub backend: Backend,
}

impl TaskInfo {
    /// Which subtask this is, from 0.
    pub fn subtask(&self) -> u32 {
        self.attempt.subtask.0
    }

    /// From the beginning of one checkpoint to that of the next, as the job is set up; `None` where none are to be taken by
    /// themselves, or the configuration cannot be read.
    pub fn checkpoint_interval(&self) -> Option<Duration> {
        let configuration = Configuration::try_from(self.configuration.clone()).ok()?;
        Some(configuration.get(&INTERVAL)).filter(|interval| !interval.is_zero())
    }
}

/// A task that is ready to run.
pub trait TaskHead: Send {
    /// Runs to the end of the input; what sinks have prepared comes back. Dropping the future cancels the task.
    fn run(self: Box<Self>) -> Run;

    /// The subtask had finished in the snapshot that it starts from: all that it does is to end its outputs. It takes no
    /// input; that has ended too.
    fn pass(self: Box<Self>) -> Run;
}

/// A task at work.
pub type Run = Pin<Box<dyn Future<Output = TaskResult<Prepared>> + Send>>;

/// What the sinks of a task have prepared, by sink.
pub type Prepared = Vec<(OperatorId, bytes::Bytes)>;
