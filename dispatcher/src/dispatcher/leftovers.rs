//! Checkpoints of jobs that have ended, which are removed once the end is durable.
//!
//! That they are to be removed is written with the end itself, and forgotten when they are gone: who cannot reach them tries again, after
//! pauses that grow, and the next JobManager goes on. Until then the archive keeps the job's graph, though the job is not shown any more:
//! it may say how its store is reached.

use std::{sync::Arc, time::Duration};

use flott_core::{failure::Failure, id::JobId};
use flott_jobmaster::CheckpointKeeper;
use flott_snapshot::S3Options;
use tokio::time::sleep;

use super::{Dispatcher, Leading, on_store};
use crate::stores::{Leftover, Obsolete, StoreError};

/// Pauses between two tries for one job: the first, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Jobs whose checkpoints are removed at a time.
pub(super) const CLEARED_AT_A_TIME: usize = 4;

/// Checkpoints that nobody goes back to when their job has ended.
pub(super) enum Doomed {
    /// Of a JobMaster that has seen the job end.
    Held(Arc<CheckpointKeeper>),
    /// In this directory. Nobody has looked at them: they may hold results that are not visible.
    Unseen(String),
}

impl Doomed {
    /// As it is written down.
    pub fn obsolete(&self) -> Obsolete {
        match self {
            Self::Held(keeper) => Obsolete { root: keeper.root().to_owned(), spares_results: false },
            Self::Unseen(root) => Obsolete { root: root.clone(), spares_results: true },
        }
    }

    /// Removes them, where it can be tried at once.
    ///
    /// # Errors
    /// When they are not removed.
    pub async fn discard(&self) -> Result<(), Failure> {
        match self {
            Self::Held(keeper) => keeper.discard().await,
            Self::Unseen(_) => Err(Failure::environment("their store could not be reached")),
        }
    }
}

impl Dispatcher {
    /// Notes that checkpoints of this job are to be removed: its graph stays until they are.
    pub(super) fn note_doomed(&self, job: JobId) {
        self.inner.doomed.lock().insert(job);
    }

    /// Jobs among these of which the store may forget all.
    pub(super) fn without_doomed(&self, jobs: Vec<JobId>) -> Vec<JobId> {
        let doomed = self.inner.doomed.lock();
        jobs.into_iter().filter(|job| !doomed.contains(job)).collect()
    }

    /// Removes what is left of a job, which `failure` has kept the last try from; tries until it is gone or this JobManager ends.
    pub(super) fn clear(&self, leading: &Leading, leftover: Leftover, failure: Option<Failure>) {
        let (this, leading) = (self.clone(), leading.clone());
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = this.clear_patiently(&leading, &leftover, failure) => {}
                // It is left to the next one.
                () = this.is_ending() => {}
            }
        });
    }

    async fn clear_patiently(&self, leading: &Leading, leftover: &Leftover, mut failure: Option<Failure>) {
        let (job, mut pause) = (leftover.job, PAUSE);
        let mut told = None;
        loop {
            if let Some(failure) = failure {
                if told.as_ref() != Some(&failure) {
                    tracing::warn!(%job, %failure, "the checkpoints of a job that has ended are not removed; trying again until they are");
                }
                told = Some(failure);
                sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
            }
            match self.try_to_clear(leading, leftover).await {
                Ok(()) => return,
                Err(next) => failure = Some(next),
            }
        }
    }

    async fn try_to_clear(&self, leading: &Leading, leftover: &Leftover) -> Result<(), Failure> {
        let Leftover { job, epoch, obsolete: Obsolete { root, spares_results } } = leftover;
        let removed = {
            let closed = |_| Failure::internal("nobody removes checkpoints any more");
            let _turn = self.inner.clearing.acquire().await.map_err(closed)?;
            let s3 = S3Options::of(&self.configuration_of(leading, *job).await);
            // Above its last JobMaster: what that one may yet store counts for nothing.
            CheckpointKeeper::discard_left(root, *job, epoch.next(), &s3, *spares_results).await?
        };
        if removed {
            tracing::info!(%job, "the checkpoints that were left of a job are removed");
        } else {
            tracing::warn!(%job, root, "the checkpoints of a job stay, since they may hold results that are not visible");
        }
        self.note_cleared(leading, *job).await
    }

    /// Notes that nothing is to be removed of a job any more.
    ///
    /// # Errors
    /// When that is not durable.
    pub(super) async fn note_cleared(&self, leading: &Leading, job: JobId) -> Result<(), Failure> {
        let unwritten =
            |error: StoreError| Failure::environment("that they are gone is not written down").caused_by(&error);
        on_store(&leading.store, move |store| store.cleared(job)).await.map_err(unwritten)?;
        self.inner.doomed.lock().remove(&job);
        if !self.knows(job)
            && let Err(error) = on_store(&leading.store, move |store| store.forget(&[job])).await
        {
            tracing::warn!(%job, %error, "an old job cannot be dropped from the archive; the next JobManager does it");
        }
        Ok(())
    }
}
