//! Where results go.
//!
//! # Layout
//! - `print`: standard output
//! - `file`: files of lines, as text or JSON, that appear whole or not at all
//! - `staging`: the hidden directory that such files are written to first
//! - `collect`: back to the caller
//! - `each`: nowhere, or to a function

mod collect;
mod each;
mod file;
mod print;
mod staging;

use std::sync::Arc;

use bytes::Bytes;
use flott_core::id::JobId;
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
    output::OperatorName,
    task::TaskInfo,
};

pub use collect::Collected;
pub(crate) use collect::{CollectSink, accumulator_name, is_collected};
pub(crate) use each::{Discard, ForEach};
pub use file::FileSink;
pub(crate) use print::Print;

/// A place for results. One instance lives in the plan, and is shared by all subtasks of a process.
///
/// Results may be visible as they come, or be prepared by the writers and made visible by [`commit`](Self::commit) when
/// the whole job has succeeded: then they appear once, however often tasks are restarted.
pub trait Sink: Send + Sync + 'static {
    /// Records.
    type Item: Data;

    /// Opens the writer of a subtask. Called for every attempt; several attempts of one subtask may overlap for a
    /// moment, on different machines.
    ///
    /// # Errors
    /// When there can be no writer; the task fails.
    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<Self::Item>>>;

    /// Makes visible what the writers of the last attempts have prepared. Called in one process when all tasks have
    /// finished, and again there or elsewhere if it failed or its success was not heard of; a repeat must be harmless.
    /// May block.
    ///
    /// # Errors
    /// When not all could be made visible.
    fn commit(&self, _job: JobId, _prepared: &[Bytes]) -> TaskResult {
        Ok(())
    }

    /// Every sink of the job has committed: removes what [`abort`](Self::abort) would need to take results back. May be
    /// called again, and not at all where a process was killed. May block.
    ///
    /// # Errors
    /// When something could not be removed. It is logged; the job has succeeded all the same.
    fn settle(&self, _job: JobId) -> TaskResult {
        Ok(())
    }

    /// The job ends without its results: removes what writers have left, and what of it a [`commit`](Self::commit) has
    /// made visible, when that of this sink or of another one has failed. May block.
    ///
    /// # Errors
    /// When something could not be removed.
    fn abort(&self, _job: JobId) -> TaskResult {
        Ok(())
    }
}

/// The subtask that a writer writes for.
#[derive(Debug, Clone)]
pub struct SinkTask {
    /// The task.
    pub task: Arc<TaskInfo>,
    /// The sink in the graph.
    pub name: OperatorName,
}

/// Writes the records of one subtask.
pub trait SinkWriter<T>: Send {
    /// Takes the records of `batch`; what it leaves there is dropped. May block as long as a write to a local disk takes.
    ///
    /// # Errors
    /// When records cannot be written; the task fails.
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult;

    /// The input has ended: writes what is left.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(&mut self) -> TaskResult {
        Ok(())
    }

    /// After [`finish`](Self::finish): what [`Sink::commit`] needs to make the results visible.
    ///
    /// # Errors
    /// When the results cannot be prepared.
    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        Ok(None)
    }
}
