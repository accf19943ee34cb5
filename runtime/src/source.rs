//! Where records come from: a source lists its splits, and each is read by a reader.
//!
//! Splits are handed out by the JobMaster, which sees them as opaque bytes: whichever subtask asks first gets the next.
//! A subtask asks for one at a time, and holds no more of them open than the source says, nor more than its share: as
//! many as each has if all have as many.
//!
//! A checkpoint holds what is left of each split that is being read, as a split that begins there. When the job starts from
//! it, these are handed out again as any other, to whoever asks.
//!
//! Splits that come to be while the job runs are found by readers, and read where they are found: the JobMaster hears of them
//! with the next snapshot.

use std::task::{Context, Poll};

use bytes::Bytes;

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

    /// How many splits a subtask reads at a time. With 1, the default, it reads one to its end and then asks for the next,
    /// so that fast subtasks read more of them; right for pieces of files. A source whose splits never end says
    /// [`usize::MAX`]: then all are read, each subtask its share.
    fn concurrent_splits(&self) -> usize {
        1
    }

    /// At each barrier: what [`commit`](Self::commit) is to hear of `remaining`, what is left of the splits that this subtask
    /// reads, once the checkpoint is complete.
    fn prepare_commit(&self, _remaining: &[Self::Split]) -> Option<Bytes> {
        None
    }

    /// Checkpoints are complete that hold what has been prepared: for who is to know how far the source has come for certain. Called
    /// as often, and by as many, as the commit of a sink; a failure fails the job. May block.
    fn commit(&self, _prepared: &[Bytes]) -> TaskResult {
        Ok(())
    }

    /// Opens a split from its beginning.
    fn open(&self, split: Self::Split, task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Self::Item, Self::Split>>>;
}

/// Reads one split: records `T` of a split `S`.
pub trait SplitReader<T, S>: Send {
    /// Appends at least one record to the empty `batch`, at most about [`BATCH_RECORDS`](crate::batch::BATCH_RECORDS), and says whether more follow.
    /// Pending when there is nothing yet and the waker has been taken. Does not block for longer than a read from a
    /// local disk takes.
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>>;

    /// Whether it gives records. One that does not looks for splits that there were not when they were listed; it appends
    /// nothing when it says that there is more, and nobody's time waits for it.
    fn gives_records(&self) -> bool {
        true
    }

    /// Splits that it has found. They are read by the subtask of this reader, and are part of snapshots from then on: this
    /// split's [`remaining`](Self::remaining) must not find them again. Asked after each read.
    fn take_found(&mut self) -> Vec<S> {
        Vec::new()
    }

    /// What is left of the split: one that gives just the records that [`poll_read`](Self::poll_read) has not given yet. Asked
    /// between reads, for a checkpoint; does not block. A source that cannot go back, such as a socket, gives one that
    /// begins with what comes next, and loses what is between.
    fn remaining(&self) -> S;

    /// The split is ahead of others, and is not read until [`resume`](Self::resume) is called: a reader that fetches ahead
    /// can stop. Called once before each `resume`; does not block.
    fn pause(&mut self) {}

    /// The split is read again.
    fn resume(&mut self) {}
}

/// Whether a split has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStatus {
    /// It may have.
    More,
    /// It has ended; the batch may hold its last records.
    Ended,
}
