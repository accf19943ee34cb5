//! Files that appear whole or not at all.
//!
//! # Layout
//! - `format`: how records become bytes; lines of text and JSON
//! - `csv`: comma-separated values
//! - `partition`: the directory that a record goes to
//! - `rolling`: when a file is complete before the next checkpoint
//! - `part_file`: a file that is being written
//! - `writer`: the writer of a subtask

mod csv;
mod format;
mod part_file;
pub(super) mod partition;
mod rolling;
mod writer;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use flott_core::{
    failure::{Domain, Failure, Retry},
    id::{JobId, OperatorId},
};
use flott_runtime::{batch::Data, error::TaskResult};

pub use self::{
    csv::Csv,
    format::{FileEncoder, FileFormat},
    part_file::PartFile,
    partition::PartitionPath,
};
use self::{
    format::Lines,
    rolling::Rolling,
    writer::{Shape, Writer},
};
use super::{
    Sink, SinkTask, SinkWriter,
    staging::{self, Others, Reach, Room},
};

/// Files that a subtask has open at most, where nothing else is set.
const OPEN_MAX: usize = 64;

/// Writes records to files `part-…` in a directory, each of one subtask.
///
/// In streaming jobs files with what has been written since the last checkpoint appear with each checkpoint, when it is
/// complete, and the last ones when the job has succeeded: `part-<subtask>-<job>-<writer>-<number>`, and `.csv`, say. What is
/// behind the last checkpoint when a job fails or is cancelled leaves nothing. In jobs that take no checkpoints, as those in
/// batch mode, all files become visible together when the job has succeeded, as `part-<subtask>` where that is enough; a
/// failed or cancelled job leaves nothing behind. No file is without a record. A job that starts from a snapshot of another
/// first shows what belongs to it and that job has not shown, in that job's directory.
///
/// A directory that holds visible files before the job begins is refused, unless [`overwrite`](Self::overwrite) or
/// [`append`](Self::append) is allowed. If another job has put its parts there by the time that this one shows its first, this
/// one fails and replaces none of them. The job's processes must all see the directory under the same path, in a file system
/// with atomic renames; a relative one starts from the directory in which the program was planned.
///
/// # Partitions and size
/// [`partitioned_by`](Self::partitioned_by) has a function of the record say in which directory below the output directory
/// it is to be. A file is complete at each checkpoint, and before if it is to be
/// [large](Self::roll_at_bytes) or [old](Self::roll_after) enough; it appears with the checkpoint all the same.
///
/// ```
/// use std::time::Duration;
///
/// use flott::{FileSink, PartitionPath};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Order {
///     country: String,
///     placed_ms: i64,
///     cents: u64,
/// }
///
/// let sink = FileSink::csv("orders")
///     .partitioned_by(|order: &Order, path: &mut PartitionPath| {
///         // dt=2026-11-25/hour=03/country=de
///         path.hour(order.placed_ms).key("country", &order.country);
///     })
///     .roll_at_bytes(128 << 20)
///     .roll_after(Duration::from_secs(900));
/// ```
pub struct FileSink<T> {
    directory: PathBuf,
    others: Others,
    shape: Shape<T>,
}

impl<T: Data> FileSink<T> {
    /// Files of this format.
    pub fn new(directory: impl Into<PathBuf>, format: impl FileFormat<T>) -> Self {
        let (format, rolling) = (Arc::new(format), Rolling::default());
        let shape = Shape { format, partition: None, rolling, open_max: OPEN_MAX };
        Self { directory: directory.into(), others: Others::Refuse, shape }
    }

    /// Lines as the records' `Display` writes them.
    pub fn text(directory: impl Into<PathBuf>) -> Self
    where
        T: Display,
    {
        Self::new(directory, Lines::TEXT)
    }

    /// A JSON document per line.
    pub fn json_lines(directory: impl Into<PathBuf>) -> Self {
        Self::new(directory, Lines::JSON)
    }

    /// Comma-separated values; see [`Csv`].
    pub fn csv(directory: impl Into<PathBuf>) -> Self {
        Self::new(directory, Csv::new())
    }

    /// Has `partition` say in which directory below the output directory each record is to be. It must depend on the record
    /// alone, and a record for which it gives no plain path fails the job: see [`PartitionPath`].
    ///
    /// A subtask has a file open for each partition that it has records of, up to [`partitions_open`](Self::partitions_open). Where
    /// all subtasks have records of many partitions, there are many small files: send the records of a partition to one
    /// subtask first, with [`partition_custom`](crate::Stream::partition_custom).
    #[must_use]
    pub fn partitioned_by<F>(mut self, partition: F) -> Self
    where
        F: Fn(&T, &mut PartitionPath) + Send + Sync + 'static,
    {
        self.shape.partition = Some(Arc::new(partition));
        self
    }

    /// How many files a subtask has open at most; 64 if nothing is said, and never less than one. When a record comes for a
    /// further partition, the file that was written to the longest ago is complete.
    #[must_use]
    pub fn partitions_open(mut self, most: usize) -> Self {
        self.shape.open_max = most.max(1);
        self
    }

    /// A file is complete when it has at least so many bytes. It is looked at every few records.
    #[must_use]
    pub fn roll_at_bytes(mut self, bytes: u64) -> Self {
        self.shape.rolling.bytes = Some(bytes);
        self
    }

    /// A file is complete so long after its first record, in processing time.
    #[must_use]
    pub fn roll_after(mut self, age: Duration) -> Self {
        self.shape.rolling.age = Some(age);
        self
    }

    /// A file is complete when no record has come to it for so long, in processing time.
    #[must_use]
    pub fn roll_when_idle(mut self, idle: Duration) -> Self {
        self.shape.rolling.idle = Some(idle);
        self
    }

    /// Replaces the `part-…` files of an earlier job when this one first shows its own; where there are partitions, in all
    /// directories below the output directory as well.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.others = Others::Replace;
        self
    }

    /// Leaves what is in the directory, and adds files to it: for a job that goes on from the savepoint of another.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.others = Others::Keep;
        self
    }

    pub(crate) fn at(mut self, directory: PathBuf) -> Self {
        self.directory = directory;
        self
    }

    /// Where files appear.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn reach(&self) -> Reach {
        if self.shape.partition.is_some() { Reach::Below } else { Reach::Top }
    }
}

impl<T: Data> Sink for FileSink<T> {
    type Item = T;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        let extension = self.shape.format.extension();
        partition::check_extension(extension).map_err(|problem| Box::new(Failure::user(problem).fatal()))?;
        let room = Room::claim(&self.directory, &task.task, self.others, extension)?;
        Ok(Box::new(Writer::new(self.shape.clone(), room, task.task.clone())))
    }

    fn commit(&self, job: JobId, prepared: &[Bytes]) -> TaskResult {
        self.commit_telling(job, prepared).map(drop)
    }

    fn commit_telling(&self, job: JobId, prepared: &[Bytes]) -> TaskResult<Vec<Failure>> {
        staging::commit(&self.directory, job, prepared, self.others, self.reach()).map_err(to_be_mended)
    }

    fn settle(&self, job: JobId, prepared: &[Bytes]) -> TaskResult {
        staging::settle(&self.directory, job, prepared).map_err(to_be_mended)
    }

    fn abort(&self, job: JobId, _: OperatorId, kept: &[Bytes]) -> TaskResult {
        staging::abort(&self.directory, job, kept)
    }
}

/// Commits are tried again until they succeed: permissions and mounts are mended meanwhile, which a writer does not wait for.
fn to_be_mended(mut failure: Box<Failure>) -> Box<Failure> {
    if failure.domain == Domain::Environment {
        failure.retry = Retry::Restart;
    }
    failure
}

#[cfg(test)]
mod tests;
