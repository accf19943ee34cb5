//! What the runtime asks of a planned program. The planning API implements it; the host calls it.

use std::collections::BTreeMap;

use bytes::Bytes;
use flott_core::{failure::Failure, id::OperatorId, message::Committable};

use crate::{
    error::TaskResult,
    task::{TaskHead, TaskWiring},
};

/// A program after planning: it can build any of its tasks, any number of times.
pub trait JobProgram: Send + Sync + 'static {
    /// Builds the task that `wiring` describes, and opens its operators.
    fn build_task(&self, wiring: TaskWiring) -> TaskResult<Box<dyn TaskHead>>;

    /// Lists the splits of a source, encoded. May block.
    fn enumerate_splits(&self, source: OperatorId, parallelism: u32) -> TaskResult<Vec<Bytes>>;

    /// Makes prepared results visible: all of them or, on an error, as many as could be. Called for each checkpoint that is
    /// complete, and at the end with what the ends of all subtasks have prepared; a repeat is harmless, also after later ones.
    /// Gives what people should know though nothing has failed. May block.
    fn commit(&self, committables: Vec<Committable>) -> TaskResult<Vec<Failure>>;

    /// The job ends before its end, or with a savepoint: removes what its sinks have prepared or left half-written, and neither what
    /// belongs to checkpoints that were complete nor what is `kept`, by sink, for a job that starts from a snapshot of this one.
    /// A repeat is harmless. May block.
    fn abort(&self, kept: BTreeMap<OperatorId, Vec<Bytes>>) -> TaskResult;
}
