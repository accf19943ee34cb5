//! What the owner of a JobMaster implements.

use std::{collections::BTreeSet, sync::Arc};

use flott_core::{
    id::{CheckpointId, JobId, JobMasterEpoch, WorkerKey},
    job_graph::scale::Scale,
    message::{Committable, JobToWorker},
    past::Past,
    status::JobStatus,
    view::JobView,
};
use flott_snapshot::Manifest;

use crate::core::{FoundOn, Needs};

/// Everything that a job needs, whole and idempotent: it takes the place of what was declared before. Slots that the job
/// already has are counted. Without needs, the job is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The job.
    pub job: JobId,
    /// The JobMaster that declares; an older one's declarations are stale.
    pub epoch: JobMasterEpoch,
    /// What it needs.
    pub needs: Needs,
}

/// The JobMaster's way to the cluster.
///
/// # Contract
/// - Calls come from the JobMaster's loop, one at a time and in order; they must return at once and never block, wait or
///   call back into the JobMaster's handle in a way that waits.
/// - Both may be repeated with equal content.
/// - What is sent to a TaskManager arrives once and in order, if later where its connection is broken; or the TaskManager
///   is lost, which is told by [`JobMasterHandle::worker_lost`](crate::JobMasterHandle::worker_lost).
pub trait ClusterPort: Send + Sync + 'static {
    /// Tells the ResourceManager what the job needs from now on.
    fn declare(&self, declaration: Declaration);

    /// Sends a message to a TaskManager.
    fn send(&self, worker: &WorkerKey, epoch: JobMasterEpoch, message: JobToWorker);
}

/// A checkpoint or savepoint to be committed.
#[derive(Debug, Clone)]
pub struct ToStore {
    /// What it consists of.
    pub manifest: Arc<Manifest>,
    /// With a checkpoint: those that are kept once it is committed; older ones may be removed.
    pub retained: BTreeSet<CheckpointId>,
    /// The directory of a savepoint, as a location.
    pub savepoint: Option<String>,
}

/// Who is told about the job.
///
/// # Contract
/// - Calls come from the JobMaster's loop, one at a time and in order; they must return at once.
/// - `persist_commit` is answered by [`JobMasterHandle::commit_persisted`](crate::JobMasterHandle::commit_persisted):
///   with `Ok` when the manifest will survive a crash, with an error only when it is sure that it does not exist. It is
///   called at most once, and never by a JobMaster that was given a restored manifest. A job that stops with a savepoint calls it when
///   that is complete, before its tasks have ended.
/// - `store_checkpoint` is answered by [`JobMasterHandle::checkpoint_stored`](crate::JobMasterHandle::checkpoint_stored):
///   with `Ok` when the manifest is durable, with an error only when it is sure that it never will be. It is not called again
///   before that, but for a savepoint beside a checkpoint, and unless the job has nothing left to do: the answer may not come before
///   the end of the job. The manifest of a savepoint must not be there before what the last `persist_past` had is durable. As long as the store
///   does not say, [`JobMasterHandle::checkpoint_undecided`](crate::JobMasterHandle::checkpoint_undecided) tells of each try.
///   Removing older checkpoints need not be waited for.
/// - `find_checkpoint` is answered by [`JobMasterHandle::checkpoint_found`](crate::JobMasterHandle::checkpoint_found), with the newest
///   checkpoint of the job that is whole, content included, or what the job was started from; with nothing only when it is sure
///   that there is neither. It says what else it has found to be damaged.
/// - `persist_scale` is answered by [`JobMasterHandle::scale_persisted`](crate::JobMasterHandle::scale_persisted), as
///   `persist_commit` is. The next JobMaster of the job is started with that scale.
/// - `persist_past` is not answered, but manifests of savepoints wait for it. It may come often while tasks fail; of those that wait to be
///   written only the last is needed.
/// - `stepped_aside` is called at most once, by a JobMaster of a recovered job that has taken nothing over, since tasks know a checkpoint
///   to be complete that the log which it was started with lacks. The JobMaster is stopped, and no other call follows: no state is told. What was found is
///   told once, so it is for the next JobMaster, which may have the same epoch; so is what comes from now on, which
///   [`JobMasterHandle::worker_message`](crate::JobMasterHandle::worker_message) gives back.
/// - `ended` is called at most once, after the last `status_changed`; no other call of the job follows it. It is not called
///   when the JobMaster is stopped before the job has ended.
pub trait JobListener: Send + Sync + 'static {
    /// The job has another state.
    fn status_changed(&self, job: JobId, status: JobStatus);

    /// Write this down durably.
    fn persist_commit(&self, job: JobId, epoch: JobMasterEpoch, committables: Vec<Committable>);

    /// Write down durably with how many subtasks the job goes on, in place of what was written before.
    fn persist_scale(&self, job: JobId, epoch: JobMasterEpoch, scale: Scale);

    /// Write down durably what the next JobMaster is to know, in place of what was written before.
    fn persist_past(&self, job: JobId, epoch: JobMasterEpoch, past: Past);

    /// Commit this manifest.
    fn store_checkpoint(&self, job: JobId, epoch: JobMasterEpoch, what: ToStore);

    /// Find another checkpoint than these, which are damaged.
    fn find_checkpoint(&self, job: JobId, epoch: JobMasterEpoch, damaged: BTreeSet<CheckpointId>);

    /// Start another JobMaster when the log of the job has this checkpoint.
    fn stepped_aside(&self, job: JobId, epoch: JobMasterEpoch, checkpoint: CheckpointId, found: Vec<FoundOn>);

    /// The job has ended for good.
    fn ended(&self, view: Arc<JobView>);
}
