use bytes::Bytes;
use flott_core::{
    id::{Digest, JobId, JobMasterEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use serde::{Deserialize, Serialize};

/// A job that is about to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Identity.
    pub job: JobId,
    /// The `job.graph` document, byte for byte as submitted.
    pub graph: Bytes,
    /// The executable, a blob.
    pub program: Digest,
    /// Milliseconds since the epoch.
    pub accepted_at: u64,
}

/// What became of an attempt to accept a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Accepted; this JobMaster may start.
    New(JobMasterEpoch),
    /// The id is taken. Nothing has changed.
    Known {
        /// Digest of the graph document that was accepted under this id.
        graph: Digest,
        /// Whether that job has ended.
        ended: bool,
    },
}

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Identity.
    pub job: JobId,
    /// The `job.graph` document.
    pub graph: Bytes,
    /// The executable, a blob.
    pub program: Digest,
    /// Milliseconds since the epoch.
    pub accepted_at: u64,
    /// The newest JobMaster.
    pub epoch: JobMasterEpoch,
    /// Whether its cancellation was asked for.
    pub cancelled: bool,
    /// What is to be committed, once the job's tasks are done.
    pub manifest: Option<Vec<Committable>>,
    /// With how many subtasks it goes on; empty if it was never rescaled.
    pub scale: Scale,
    /// What its JobMasters have written down.
    pub past: Past,
}

/// Checkpoints that nobody needs when their job has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Obsolete {
    /// The directory of the checkpoints of all jobs, as a location.
    pub root: String,
    /// Whether they stay if the newest holds results: nobody knows whether these are visible.
    pub spares_results: bool,
}

/// What is to be removed of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leftover {
    /// The job.
    pub job: JobId,
    /// What.
    pub what: Left,
}

/// What nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Left {
    /// Checkpoints of a job that has ended.
    Checkpoints {
        /// The job's last JobMaster.
        epoch: JobMasterEpoch,
        /// Which.
        obsolete: Obsolete,
    },
    /// A savepoint that has failed, or was not complete when its JobManager died.
    Savepoint {
        /// As a location.
        directory: String,
    },
}

impl Leftover {
    /// Checkpoints of `job`, which has ended under `epoch`.
    pub fn checkpoints(job: JobId, epoch: JobMasterEpoch, obsolete: Obsolete) -> Self {
        Self { job, what: Left::Checkpoints { epoch, obsolete } }
    }
}

/// A job that has ended, with all that is still shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedJob {
    /// Its last view; the status is terminal.
    pub view: JobView,
    /// The `job.graph` document, for its plan.
    pub graph: Bytes,
}

/// The small fixed part of a [`JobRecord`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub graph: Digest,
    pub program: Digest,
    pub accepted_at: u64,
    pub epoch: JobMasterEpoch,
    pub cancelled: bool,
}

/// What stays of a job for good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub graph: Digest,
    pub ended_at: u64,
}

impl Header {
    pub(super) fn of(job: &NewJob) -> Self {
        Self {
            graph: Digest::of(&job.graph),
            program: job.program,
            accepted_at: job.accepted_at,
            epoch: JobMasterEpoch(1),
            cancelled: false,
        }
    }
}
