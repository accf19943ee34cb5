//! What the Dispatcher refuses, and why.

use flott_core::{failure::Failure, id::JobId, status::JobStatus};

use crate::{blobs::BlobError, stores::StoreError, submission::SubmissionError};

/// An answer of the Dispatcher that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such job runs here or is remembered.
    #[error("Job {0} not found")]
    UnknownJob(JobId),
    /// What was submitted cannot run.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// The id belongs to another job.
    #[error("Job has already been submitted. Job {0} is known here with another job graph; plan again for a new id")]
    Duplicate(JobId),
    /// The job was submitted before, and is over.
    #[error(
        "Job has already been submitted. Job {0} has run to its end here, and does not run again under the same id; plan again \
         for a new one"
    )]
    Over(JobId),
    /// It is too late for that.
    #[error("job {job} has ended already, as {status}")]
    Ended {
        /// The job.
        job: JobId,
        /// How it ended.
        status: JobStatus,
    },
    /// It takes no snapshots.
    #[error(
        "Checkpointing has not been enabled: job {0} runs in batch mode, which takes no checkpoints and no savepoints"
    )]
    NoCheckpoints(JobId),
    /// It has no JobMaster yet.
    #[error("job {0} has not begun yet; ask again in a moment")]
    NotBegun(JobId),
    /// Neither the request nor the configuration names one.
    #[error(
        "Config key [execution.checkpointing.savepoint-dir] is not set. The directory for the savepoint must be given with \
         the request (target-directory, or targetDirectory to stop)"
    )]
    NoSavepointDirectory,
    /// A snapshot or its directory cannot be used.
    #[error(transparent)]
    Snapshot(#[from] flott_snapshot::Error),
    /// The job cannot have the parallelism that was asked for, or not at this moment.
    #[error("{}", .0.report().lines().collect::<Vec<_>>().join(" "))]
    Rescale(Box<Failure>),
    /// Too much is under way.
    #[error(
        "too many savepoints, checkpoints, disposals and changes of parallelism that were asked for are under way; ask again later"
    )]
    Busy,
    /// The JobManager is still recovering.
    #[error("the JobManager is starting; ask again in a moment")]
    Starting,
    /// The JobManager is shutting down.
    #[error("the JobManager is shutting down and takes no more jobs")]
    Ending,
    /// The job's JobMaster is gone without a word.
    #[error("the JobMaster of job {0} does not answer")]
    Lost(JobId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob is missing, or the disk failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The ResourceManager refused.
    #[error(transparent)]
    Resources(#[from] flott_resource_manager::Error),
}
