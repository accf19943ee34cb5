//! What a JobMaster is told, and what it wants done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobMasterEpoch, WorkerKey},
    job_graph::scale::Scale,
    message::{Committable, Found, JobToWorker, WorkerToJob},
    past::Past,
    resource::ResourceProfile,
    status::JobStatus,
    view::{JobView, PendingReason},
};
use flott_snapshot::Manifest;

use super::RestorePoint;
use crate::{
    checkpoints::{Purpose, RequestId},
    scaling::{RescaleRequest, Rescaled},
    slot_pool::Wishes,
    time::Millis,
};

/// What was found on a TaskManager, under the epoch of which earlier JobMaster.
pub type FoundOn = (WorkerKey, JobMasterEpoch, Box<Found>);

/// Something that happened. Events may be late, repeated and out of order; what is stale changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Begin. Comes first, and counts once.
    Start,
    /// A TaskManager says something.
    Worker {
        /// Which.
        worker: WorkerKey,
        /// The JobMaster that it means.
        epoch: JobMasterEpoch,
        /// What.
        message: WorkerToJob,
    },
    /// A TaskManager is gone for good, in this life.
    WorkerLost {
        /// Which.
        worker: WorkerKey,
        /// Why.
        failure: Failure,
    },
    /// The ResourceManager's reasons why declared slots are missing, all of them.
    Pending(Vec<PendingReason>),
    /// Someone asks to cancel the job.
    Cancel,
    /// The commit manifest is durable; or it is not, and never will be.
    CommitPersisted(Result<(), Failure>),
    /// The manifest of a checkpoint was committed; or it was not, and never will be.
    CheckpointStored {
        /// Which.
        checkpoint: CheckpointId,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// A try to commit the manifest of a checkpoint has ended without saying whether it is there. It is tried again.
    CheckpointUndecided {
        /// Which.
        checkpoint: CheckpointId,
        /// How the try ended.
        failure: Failure,
    },
    /// The answer to [`Action::FindCheckpoint`].
    CheckpointFound {
        /// Nothing if there is none.
        point: Option<Arc<RestorePoint>>,
        /// Others that were found to be damaged, and how.
        damaged: BTreeMap<CheckpointId, String>,
    },
    /// Someone asks for a snapshot; answered by [`Action::SnapshotAnswered`].
    Snapshot(Purpose),
    /// Someone asks for another parallelism; answered by [`Action::RescaleAnswered`].
    Rescale {
        /// By whom; the answer goes there.
        request: RequestId,
        /// What.
        asked: RescaleRequest,
    },
    /// The new scale of the job is durable; or it is not, and never will be.
    ScalePersisted(Result<(), Failure>),
    /// The JobManager gives the job up, and leaves its processes to a later JobMaster.
    Suspend,
    /// The time of [`Action::WakeAt`] has come.
    Wake,
}

/// A snapshot that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// Where it can be restored from.
    pub location: String,
}

/// What a job needs of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many slots of each profile, those that it has included.
    pub slots: BTreeMap<ResourceProfile, u32>,
    /// What it would use beyond that.
    pub wishes: Wishes,
    /// Fewest of the missing slots that are of use; 0: all of them.
    pub useful_min: u32,
    /// Whether it runs nothing on those that it has, since others are missing. Finished tasks may have left results there.
    pub idle: bool,
    /// Whether the job waits for slots that it had under an earlier JobMaster.
    pub reconciling: bool,
}

/// Something to be done, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Declare this to the ResourceManager, in place of what was declared before.
    Declare(Needs),
    /// Send a message to a TaskManager.
    Send {
        /// Which.
        worker: WorkerKey,
        /// What.
        message: JobToWorker,
    },
    /// Send [`Event::Wake`] at this time, and not at one asked for earlier; `None`: not at all.
    WakeAt(Option<Millis>),
    /// Write the commit manifest durably, and answer with [`Event::CommitPersisted`].
    PersistCommit(Vec<Committable>),
    /// Commit the manifest of a checkpoint, and answer with [`Event::CheckpointStored`]. Not called again before that, but for a
    /// savepoint beside a checkpoint. That of a savepoint may be there only when the last [`Action::PersistPast`] before this is durable.
    StoreCheckpoint {
        /// What it consists of.
        manifest: Arc<Manifest>,
        /// The checkpoints that are kept from then on; others may be removed.
        retained: BTreeSet<CheckpointId>,
        /// Where a savepoint is committed, as a location.
        directory: Option<String>,
    },
    /// Find the newest checkpoint of the job that is whole, but for those that are known to be damaged, else what it was started from;
    /// answer with [`Event::CheckpointFound`] once that is known. Not called again before that, nor while one is being stored.
    FindCheckpoint {
        /// Checkpoints that cannot be restored.
        damaged: BTreeSet<CheckpointId>,
    },
    /// A snapshot that was asked for is complete, or has failed.
    SnapshotAnswered {
        /// Who asked.
        request: RequestId,
        /// What there is now, or why not.
        result: Result<Taken, Failure>,
    },
    /// Write durably with how many subtasks the job goes on, and answer with [`Event::ScalePersisted`]. Not called again before
    /// that.
    PersistScale(Scale),
    /// Write durably what the next JobMaster is to know, in place of what was written before. Nothing is answered; manifests of savepoints
    /// wait for it.
    PersistPast(Box<Past>),
    /// The log of the job is not the one that it has had: tasks that run know a checkpoint to be complete that it lacks. Nothing was
    /// taken over, and this JobMaster is over: another is to be started when the log has it, and to be told of what was found.
    StepAside {
        /// Which.
        checkpoint: CheckpointId,
        /// What was found of earlier JobMasters.
        found: Vec<FoundOn>,
    },
    /// A change of the parallelism that was asked for is through, or was given up.
    RescaleAnswered {
        /// Who asked.
        request: RequestId,
        /// What has become of it.
        result: Result<Rescaled, Failure>,
    },
    /// The job has another state.
    StatusChanged(JobStatus),
    /// The job has ended for good. Comes once, and nothing after it.
    Ended(Box<JobView>),
}

/// Something that a job which has not ended waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Slots that were declared.
    Slots {
        /// How many.
        missing: u32,
    },
    /// Tasks that an earlier JobMaster has left.
    Found {
        /// Subtasks of which nothing was found.
        missing: usize,
    },
    /// Job processes that were asked for.
    Processes {
        /// How many.
        starting: usize,
    },
    /// Tasks that are deployed, to finish or to end.
    Tasks {
        /// How many.
        deployed: u32,
    },
    /// The delay before a restart.
    Restart {
        /// When it is over.
        until: Millis,
    },
    /// The cause of the lost connection that ends the job, to be told.
    Cause {
        /// When the job ends without knowing it.
        until: Millis,
    },
    /// The commit manifest, to be durable.
    Manifest,
    /// A process that commits, or the time of its next try.
    Commit {
        /// When it is tried again at the latest.
        until: Millis,
    },
    /// The answer whether a checkpoint is complete, or which other one is whole.
    Checkpoint,
    /// Slots and processes for another parallelism, while the job runs.
    Gathering {
        /// When that is given up.
        until: Millis,
    },
    /// That its new scale is durable.
    Scale,
    /// A process that removes prepared results.
    Abort {
        /// When the job ends anyway.
        until: Millis,
    },
    /// The first event.
    Start,
}
