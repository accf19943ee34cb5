//! What others hold of a running JobMaster.

use std::{collections::BTreeMap, fmt, sync::Arc};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, JobMasterEpoch, WorkerKey},
    message::WorkerToJob,
    status::JobStatus,
    view::{JobView, PendingReason},
};
use tokio::sync::{
    mpsc::{self, error::SendError},
    oneshot,
};

use super::{Mail, RescaleOutcome, Shared, SnapshotRequest};
use crate::{
    core::{Event, RestorePoint, Taken},
    error::Stopped,
    scaling::RescaleRequest,
};

/// A running JobMaster. Clones are cheap and speak to the same one.
///
/// What is told to a JobMaster whose job has ended is dropped. Calls are handled in the order in which they are made.
#[derive(Clone)]
pub struct JobMasterHandle {
    mailbox: mpsc::UnboundedSender<Mail>,
    shared: Arc<Shared>,
}

impl fmt::Debug for JobMasterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobMasterHandle")
            .field("job", &self.shared.job)
            .field("epoch", &self.shared.epoch)
            .field("status", &self.status())
            .finish()
    }
}

impl JobMasterHandle {
    pub(super) fn new(mailbox: mpsc::UnboundedSender<Mail>, shared: Arc<Shared>) -> Self {
        Self { mailbox, shared }
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.shared.job
    }

    /// Which JobMaster of the job this is.
    pub fn epoch(&self) -> JobMasterEpoch {
        self.shared.epoch
    }

    /// The state of the job.
    pub fn status(&self) -> JobStatus {
        *self.shared.status.borrow()
    }

    /// Says whether it hears that.
    fn tell(&self, event: Event) -> bool {
        // A closed mailbox means that the job has ended.
        self.mailbox.send(Mail::Event { event: Box::new(event), _permit: None }).is_ok()
    }

    /// A TaskManager says something to the JobMaster of `epoch`. Waits while too many messages are unhandled. Gives back what a JobMaster
    /// that has ended, or steps aside, does not hear any more.
    ///
    /// Cancel-safe: if dropped, the message was not taken.
    #[must_use]
    pub async fn worker_message(
        &self,
        worker: WorkerKey,
        epoch: JobMasterEpoch,
        message: WorkerToJob,
    ) -> Option<WorkerToJob> {
        let Ok(permit) = Arc::clone(&self.shared.permits).acquire_owned().await else { return Some(message) };
        let event = Box::new(Event::Worker { worker, epoch, message });
        let Err(SendError(Mail::Event { event, .. })) = self.mailbox.send(Mail::Event { event, _permit: Some(permit) })
        else {
            return None;
        };
        match *event {
            Event::Worker { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Whether it hears anything any more: not when its job has ended, nor when it has stepped aside or was stopped.
    pub fn hears(&self) -> bool {
        !self.mailbox.is_closed()
    }

    /// As [`Self::worker_message`] without the wait, for owners that bound what is on its way by other means.
    pub fn tell_worker_message(&self, worker: WorkerKey, epoch: JobMasterEpoch, message: WorkerToJob) {
        self.tell(Event::Worker { worker, epoch, message });
    }

    /// A TaskManager is gone for good, in this life of it. `false` if that is not heard any more: what was found there may have been
    /// handed on already.
    pub fn worker_lost(&self, worker: WorkerKey, failure: Failure) -> bool {
        self.tell(Event::WorkerLost { worker, failure })
    }

    /// Why declared slots are missing: all reasons, in place of earlier ones.
    pub fn pending(&self, reasons: Vec<PendingReason>) {
        self.tell(Event::Pending(reasons));
    }

    /// Cancels the job, unless its commit has begun. That it is over is told by [`Self::ended`].
    pub fn cancel(&self) {
        self.tell(Event::Cancel);
    }

    /// The commit manifest is durable, or surely does not exist.
    pub fn commit_persisted(&self, result: Result<(), Failure>) {
        self.tell(Event::CommitPersisted(result));
    }

    /// The manifest of a checkpoint is durable, or surely never will be.
    pub fn checkpoint_stored(&self, checkpoint: CheckpointId, result: Result<(), Failure>) {
        self.tell(Event::CheckpointStored { checkpoint, result });
    }

    /// A try to commit the manifest of a checkpoint has ended so, and nobody knows whether it is there; it is tried again.
    pub fn checkpoint_undecided(&self, checkpoint: CheckpointId, failure: Failure) {
        self.tell(Event::CheckpointUndecided { checkpoint, failure });
    }

    /// The checkpoint that takes the place of damaged ones, nothing if there is none; and which others are `damaged` as well.
    pub fn checkpoint_found(&self, point: Option<Arc<RestorePoint>>, damaged: BTreeMap<CheckpointId, String>) {
        self.tell(Event::CheckpointFound { point, damaged });
    }

    /// Has a snapshot taken, and waits until it is complete.
    ///
    /// # Errors
    /// When it cannot be taken now, or has failed; also when the JobMaster is stopped before.
    pub async fn snapshot(&self, asked: SnapshotRequest) -> Result<Taken, Failure> {
        let (answer, taken) = oneshot::channel();
        let gone = || {
            Failure::environment("the job has ended, or its JobMaster was stopped, before the snapshot was complete")
        };
        self.mailbox.send(Mail::Snapshot(asked, answer)).map_err(|_| gone())?;
        taken.await.map_err(|_| gone())?
    }

    /// The new scale of the job is durable, or surely never will be.
    pub fn scale_persisted(&self, result: Result<(), Failure>) {
        self.tell(Event::ScalePersisted(result));
    }

    /// Has the parallelism of the running job changed. What it returns tells how that has ended; it does so too when nobody
    /// waits.
    ///
    /// # Errors
    /// When it cannot be, or not at this moment.
    pub async fn rescale(&self, asked: RescaleRequest) -> Result<RescaleOutcome, Failure> {
        let (answer, begun) = oneshot::channel();
        let gone = || Failure::environment("the job has ended, or its JobMaster was stopped");
        self.mailbox.send(Mail::Rescale(asked, answer)).map_err(|_| gone())?;
        begun.await.map_err(|_| gone())?
    }

    /// Stops the JobMaster without ending the job: it is SUSPENDED, and its processes are left to a later JobMaster.
    pub fn stop(&self) {
        self.shared.shutdown.cancel();
    }

    /// The job as it is now, or as it ended.
    ///
    /// # Errors
    /// When the JobMaster was stopped before the job had ended.
    pub async fn view(&self) -> Result<Arc<JobView>, Stopped> {
        let (answer, view) = oneshot::channel();
        if self.mailbox.send(Mail::View(answer)).is_ok()
            && let Ok(view) = view.await
        {
            return Ok(view);
        }
        self.last_view()
    }

    fn last_view(&self) -> Result<Arc<JobView>, Stopped> {
        self.shared.last_view.get().cloned().ok_or(Stopped { job: self.shared.job })
    }

    /// Waits for a state that `wanted` accepts, and returns it; states that last but a moment may be missed. Cancel-safe.
    ///
    /// # Errors
    /// When the job is over, or its JobMaster was stopped, and `wanted` does not accept how.
    pub async fn wait_for_status(&self, mut wanted: impl FnMut(JobStatus) -> bool) -> Result<JobStatus, Stopped> {
        let mut changes = self.shared.status.subscribe();
        loop {
            let status = *changes.borrow_and_update();
            if wanted(status) {
                return Ok(status);
            }
            let is_over = status.is_terminal() || status == JobStatus::Suspended;
            // The sender lives in what this handle shares, so it is not closed.
            if is_over || changes.changed().await.is_err() {
                return Err(Stopped { job: self.shared.job });
            }
        }
    }

    /// Waits until the job has ended, and returns how. Cancel-safe.
    ///
    /// # Errors
    /// When the JobMaster is stopped before.
    pub async fn ended(&self) -> Result<Arc<JobView>, Stopped> {
        self.wait_for_status(JobStatus::is_terminal).await?;
        self.last_view()
    }
}
