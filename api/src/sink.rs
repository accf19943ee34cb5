//! Where results go.
//!
//! # Layout
//! - `print`: standard output
//! - `file`: files that appear whole or not at all
//! - `staging`: the hidden directory that such files are written to first
//! - `collect`: back to the caller
//! - `each`: nowhere, or to a function

mod collect;
mod each;
mod file;
mod print;
mod staging;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{JobId, OperatorId},
};
use flott_runtime::{
    batch::{Batch, Data, Timestamp},
    error::TaskResult,
    output::OperatorName,
    task::TaskInfo,
};

pub use collect::Collected;
pub(crate) use collect::{CollectSink, accumulator_name, is_collected};
pub(crate) use each::{Discard, ForEach};
pub use file::{Csv, FileEncoder, FileFormat, FileSink, PartFile, PartitionPath};
pub(crate) use print::Print;

/// A place for results. One instance lives in the plan, and is shared by all subtasks of a process.
///
/// Results may be visible as they come, or be prepared by the writers and made visible by [`commit`](Self::commit): what was
/// written up to the barrier of a checkpoint, when that is complete, and the rest when the whole job has succeeded. Then they
/// appear once, however often tasks are restarted. What attempts have prepared that failed before a checkpoint was complete
/// is never committed.
pub trait Sink: Send + Sync + 'static {
    /// Records.
    type Item: Data;

    /// Opens the writer of a subtask. Called for every attempt; several attempts of one subtask may overlap for a
    /// moment, on different machines.
    ///
    /// # Errors
    /// When there can be no writer; the task fails.
    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<Self::Item>>>;

    /// Which writer is told what of that which writers have given in [`snapshot`](SinkWriter::snapshot).
    fn share(&self) -> Share {
        Share::Each
    }

    /// Makes visible what writers have prepared. Called in one process, many times in the life of a job: for each checkpoint
    /// that is complete, and at the end, each time with what has been prepared since; and again there or elsewhere if it failed
    /// or its success was not heard of, also when later ones have come since. A repeat must be harmless. Writers of other parts
    /// are at work meanwhile. May block.
    ///
    /// # Errors
    /// When not all could be made visible. It is tried again, for as long as it takes where the failure is one of the
    /// [environment](flott_core::failure::Domain::Environment) and does not say that it would fail the same way.
    fn commit(&self, _job: JobId, _prepared: &[Bytes]) -> TaskResult {
        Ok(())
    }

    /// The same, for a sink that has something to tell though nothing has failed, such as that results are not where a snapshot has
    /// them: it is shown among the job's exceptions. This is what is called.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn commit_telling(&self, job: JobId, prepared: &[Bytes]) -> TaskResult<Vec<Failure>> {
        self.commit(job, prepared).map(|()| Vec::new())
    }

    /// Every sink of the job has committed what was `prepared` with it: notes that [`abort`](Self::abort) must not take it back,
    /// and removes what that would need, and nothing that writers have prepared since. Called after each commit; it may be called
    /// again, and not at all where a process was killed. May block.
    ///
    /// # Errors
    /// When it cannot be noted; the commit is repeated.
    fn settle(&self, _job: JobId, _prepared: &[Bytes]) -> TaskResult {
        Ok(())
    }

    /// The job ends before its end, or with a savepoint, and no task of it is left, but on TaskManagers that were given up, where they
    /// may write on until they hear of it: removes what writers of `sink`, as it is called in the graph, have left that no commit has
    /// made visible. What belongs to checkpoints that were complete stays visible: a job that is started from one goes on behind it.
    /// What the commit at the end had begun to make visible, of this sink or of another one, when it failed, is taken back. What is
    /// `kept` stays as it is, visible or not: a snapshot of the job holds it, and a job that starts from that has it committed, soon
    /// or never. A repeat must be harmless. May block.
    ///
    /// # Errors
    /// When something could not be removed.
    fn abort(&self, _job: JobId, _sink: OperatorId, _kept: &[Bytes]) -> TaskResult {
        Ok(())
    }
}

/// How what writers remember is shared out to those that go on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Each element goes to one writer.
    Each,
    /// Every writer is told all elements.
    All,
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

    /// Whether it takes more. Asked before each batch after the first, and before each barrier and the end after
    /// [`flush`](Self::flush); until it is ready, the task waits and takes nothing. Asked besides whenever the task waits for
    /// whatever reason, so that a writer whose receiver is gone can say so. If it is pending, the waker has been taken.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    /// A barrier has come, or the end: what was written is to be sent to whoever receives it.
    /// [`poll_ready`](Self::poll_ready) is pending until it is there; then come [`snapshot`](Self::snapshot) and
    /// [`prepare_commit`](Self::prepare_commit), or [`finish`](Self::finish). Does not block.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn flush(&mut self) -> TaskResult {
        Ok(())
    }

    /// The alarm of the task ([`TaskInfo::alarm`]) has rung: processing time is `now`. Any operator of the task may have set it, and
    /// who waits for a later time sets it again.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn time(&mut self, _now: Timestamp) -> TaskResult {
        Ok(())
    }

    /// The subtask had ended in the snapshot that it starts from, and its results belong to that: no record comes, neither
    /// [`snapshot`](Self::snapshot) nor [`finish`](Self::finish) is called, and only [`prepare_commit`](Self::prepare_commit) is,
    /// once.
    fn skip(&mut self) {}

    /// The input has ended: writes what is left.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(&mut self) -> TaskResult {
        Ok(())
    }

    /// At each barrier, and after [`finish`](Self::finish): what [`Sink::commit`] needs to make the results visible that were
    /// written since the last time; nothing if there are none. It is committed when the checkpoint of the barrier is complete,
    /// or a later one that is complete first; and never if the task fails before. May block as [`write`](Self::write) may.
    ///
    /// # Errors
    /// When the results cannot be prepared; the task fails.
    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        Ok(None)
    }

    /// At each barrier, before [`prepare_commit`](Self::prepare_commit): what the writer remembers of the records that it has
    /// taken and that no commit shows, in elements which other subtasks may take over one by one, or all of them: see
    /// [`Sink::share`]. Most writers remember nothing.
    ///
    /// # Errors
    /// When it cannot be encoded; the snapshot fails.
    fn snapshot(&mut self) -> TaskResult<Vec<Bytes>> {
        Ok(Vec::new())
    }

    /// Called before the first record where there are elements that writers have given in
    /// [`snapshot`](Self::snapshot), with this one's share of them.
    ///
    /// # Errors
    /// When they are not such elements.
    fn restore(&mut self, _elements: Vec<Bytes>) -> TaskResult {
        Err(Box::new(Failure::user("the snapshot has elements of another kind of sink").fatal()))
    }
}
