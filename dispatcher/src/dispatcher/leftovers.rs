//! Checkpoints of jobs that have ended, which are removed once the end is durable: if not by the JobManager that has seen it, then by
//! the next. One that cannot reach them leaves them to the one after it.

use flott_core::{failure::Failure, id::JobId};
use flott_jobmaster::CheckpointKeeper;
use flott_snapshot::S3Options;

use super::{Dispatcher, Leading, on_store};
use crate::stores::Leftover;

/// Whether checkpoints were removed.
pub(super) async fn discarded(job: JobId, discarding: impl Future<Output = Result<(), Failure>>) -> bool {
    let Err(failure) = discarding.await else { return true };
    tracing::warn!(%job, %failure, "the checkpoints of a job that has ended are not removed; the next JobManager tries again");
    false
}

impl Dispatcher {
    /// Removes what earlier JobManagers have left.
    pub(super) fn clear(&self, leading: &Leading, leftovers: Vec<Leftover>) {
        if leftovers.is_empty() {
            return;
        }
        let (this, leading) = (self.clone(), leading.clone());
        self.inner.tasks.spawn(async move {
            for Leftover { job, epoch, root } in leftovers {
                let s3 = S3Options::of(&this.configuration_of(&leading, job).await);
                // Above its last JobMaster: what that one may yet store counts for nothing.
                let discarding = CheckpointKeeper::discard_left(&root, job, epoch.next(), &s3);
                let removed = tokio::select! {
                    removed = discarded(job, discarding) => removed,
                    () = this.is_ending() => return,
                };
                if removed {
                    tracing::info!(%job, "the checkpoints that an earlier JobManager has left of a job are removed");
                    this.note_cleared(&leading, job).await;
                }
            }
        });
    }

    pub(super) async fn note_cleared(&self, leading: &Leading, job: JobId) {
        if let Err(error) = on_store(&leading.store, move |store| store.cleared(job)).await {
            tracing::warn!(%job, %error, "the next JobManager looks once more for checkpoints of a job that has none");
        }
    }
}
