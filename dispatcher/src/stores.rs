//! What a JobManager must remember over its own death, and nothing else: accepted jobs until they end, what they ended
//! with, what was asked for of them, and the epochs that fence older leaders and JobMasters.
//!
//! [`JobStore`] is the contract; [`SledStore`] keeps it on disk, [`SharedStore`] where several JobManagers reach it, [`MemoryStore`] for
//! the length of a process. The same suite of tests runs against all. [`SharedLog`] is what is behind the second of them, for those who do
//! not block; it is [asked](Ask) the same.
//!
//! # Fault contract
//! - A method that returns `Ok` has made its change durable (for as long as the store itself lives): a process killed
//!   right after it finds the change again. One that returns `Err` may have made it or not; asking again is harmless.
//! - Each method is atomic: after a crash its change is there whole or not at all.
//! - Epochs only grow. [`JobStore::save_manifest`], [`JobStore::save_scale`], [`JobStore::save_past`] and [`JobStore::end`] by an epoch that is not the
//!   newest are refused with [`StoreError::Stale`] and change nothing.
//! - A job id that was ever inserted stays known; [`JobStore::insert`] never accepts it twice, also after its archive
//!   entry was dropped (the last [`KNOWN_MAX`] ended ids are kept).
//! - A store that a build with another format has written is refused by whoever is to lead with it, and is as it was.
//! - Methods block on the disk: call them where blocking is allowed.

mod ask;
mod format;
mod memory;
mod record;
mod room;
mod shared;
mod sled;
mod state;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod samples;

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};

use crate::operations::{Forgotten, OperationRecord};

pub use self::{
    ask::Ask,
    memory::{Log, MemoryStore},
    record::{ArchivedJob, Inserted, JobRecord, Left, Leftover, NewJob, Obsolete},
    shared::{SharedLog, SharedStore},
    sled::SledStore,
};

/// Ended job ids that are remembered so that they are not run again.
pub const KNOWN_MAX: usize = 100_000;

/// Why a store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The job is not among the unfinished ones.
    #[error("job {0} is not an unfinished job of this store")]
    Unknown(JobId),
    /// A newer JobMaster exists.
    #[error("job {job}: JobMaster epoch {given} is not the newest, which is {newest}")]
    Stale {
        /// The job.
        job: JobId,
        /// Who asked.
        given: JobMasterEpoch,
        /// Who leads.
        newest: JobMasterEpoch,
    },
    /// Another JobManager leads, and has written to the store.
    #[error("this JobManager is deposed: {0}")]
    Deposed(String),
    /// Another process holds the store.
    #[error("the job store in {0} is in use by another JobManager; stop that one, or choose another state directory")]
    InUse(String),
    /// A build with another format has written it.
    #[error(
        "the job store holds {what} in format version {found}, and this build reads version {}: let the build that has written it end its jobs, \
         or choose another directory",
        format::FORMAT
    )]
    OtherFormat {
        /// Which record.
        what: String,
        /// Its version.
        found: u8,
    },
    /// What is stored cannot be understood.
    #[error("the job store holds a damaged record of {what}: {cause}")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The disk or the database under the store failed.
    #[error("the job store failed: {0}")]
    Io(String),
}

/// Durable memory of the Dispatcher. See the module's fault contract.
pub trait JobStore: Send + Sync + 'static {
    /// Begins a leadership, with an epoch greater than every one before it on this store.
    fn begin_leadership(&self) -> Result<LeaderEpoch, StoreError>;

    /// Looks whether another JobManager has begun to lead, which else is found when something is to be written.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] if so, [`StoreError::Io`] when that cannot be seen.
    fn look(&self) -> Result<(), StoreError>;

    /// Accepts a job with its first JobMaster epoch, unless its id is known.
    fn insert(&self, job: &NewJob) -> Result<Inserted, StoreError>;

    /// Begins the next JobMaster of an unfinished job.
    fn begin_mastership(&self, job: JobId) -> Result<JobMasterEpoch, StoreError>;

    /// Keeps what a finished job will make visible, before any of it is; replaces what was there.
    fn save_manifest(&self, job: JobId, by: JobMasterEpoch, manifest: &[Committable]) -> Result<(), StoreError>;

    /// Keeps with how many subtasks a job goes on; replaces what was there.
    fn save_scale(&self, job: JobId, by: JobMasterEpoch, scale: &Scale) -> Result<(), StoreError>;

    /// Keeps what the next JobMaster is to know of the job's past; replaces what was there.
    fn save_past(&self, job: JobId, by: JobMasterEpoch, past: &Past) -> Result<(), StoreError>;

    /// Remembers that a person asked for the job's cancellation, so that a recovery does not run it again.
    fn mark_cancelled(&self, job: JobId) -> Result<(), StoreError>;

    /// Ends a job: its record and manifest go, its archive entry comes, at once. If its checkpoints are `obsolete`, they are among the
    /// [leftovers](JobStore::leftovers) until they are [removed](JobStore::cleared).
    fn end(&self, by: JobMasterEpoch, view: &JobView, obsolete: Option<&Obsolete>) -> Result<(), StoreError>;

    /// What is to be removed.
    fn leftovers(&self) -> Result<Vec<Leftover>, StoreError>;

    /// This was removed. No error if it was not to be.
    fn cleared(&self, leftover: &Leftover) -> Result<(), StoreError>;

    /// Keeps an operation that was asked for, in place of what was kept of it, drops others, and with what is left of it
    /// [to be removed](JobStore::leftovers). What was written [later](OperationRecord::at) of any of these stays as it is, and is no
    /// error; nor are unknown ones.
    fn save_operation(
        &self,
        operation: &OperationRecord,
        forgotten: &[Forgotten],
        leftover: Option<&Leftover>,
    ) -> Result<(), StoreError>;

    /// Operations that are kept, oldest first.
    fn operations(&self) -> Result<Vec<OperationRecord>, StoreError>;

    /// Jobs that have not ended, in the order in which they were accepted.
    fn unfinished(&self) -> Result<Vec<JobRecord>, StoreError>;

    /// Archived jobs, the longest ended first.
    fn archived(&self) -> Result<Vec<ArchivedJob>, StoreError>;

    /// One archived job; `None` if it is not there (any more).
    fn archived_job(&self, job: JobId) -> Result<Option<ArchivedJob>, StoreError>;

    /// Drops archive entries; the ids stay known. Unknown ones are no error.
    fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError>;
}
