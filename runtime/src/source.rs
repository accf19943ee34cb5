//! Where records come from: a source lists its splits, and readers read them one after the other.
//!
//! Splits are handed out by the JobMaster, which sees them as opaque bytes: whichever subtask asks first gets the next.

use std::task::{Context, Poll};

use crate::{
    batch::{Batch, Data},
    error::TaskResult,
    task::TaskInfo,
};

/// A kind of input. One instance lives in the plan, and is shared by all subtasks of a process.
pub trait Source: Send + Sync + 'static {
    /// Records.
    type Item: Data;
    /// A piece of the input that one reader reads.
    type Split: Data;

    /// Lists the splits. Called on one process per job, on a thread that may block; `parallelism` readers will read.
    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Self::Split>>;

    /// Opens a split from its beginning.
    fn open(&self, split: Self::Split, task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Self::Item>>>;
}

/// Reads one split.
pub trait SplitReader<T>: Send {
    /// Appends at least one record to the empty `batch`, at most about [`BATCH_RECORDS`](crate::batch::BATCH_RECORDS), and says whether more follow.
    /// Pending when there is nothing yet and the waker has been taken. Does not block for longer than a read from a
    /// local disk takes.
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>>;
}

/// Whether a split has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStatus {
    /// It may have.
    More,
    /// It has ended; the batch may hold its last records.
    Ended,
}
