//! What nobody needs any more of a job, and is removed: checkpoints of one that has ended, and savepoints that have failed, or were not
//! complete when their JobManager died.
//!
//! That they are to be removed is written with what makes it so, the end of the job or of what was asked for, and forgotten when they are
//! gone: who cannot reach them tries again, after pauses that grow, and the next JobManager goes on. Until then the archive keeps the
//! job's graph, though the job is not shown any more: it may say how its store is reached.
//!
//! Where nobody has seen the tasks end that write there, it is done once more when they have for certain, and forgotten only then.
//!
//! - `removal`: the steps, and how often each is tried

mod removal;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use flott_core::{
    config::keys::taskmanager,
    failure::Failure,
    id::{JobId, JobMasterEpoch},
    status::JobStatus,
};
use flott_jobmaster::{CheckpointKeeper, Discarded, Recovery};
use tokio::time::{Instant, sleep};

use self::removal::{Removal, Removed, Step, patiently};
use super::{Dispatcher, Leading, jobs::Job, on_store, run::AGAIN};
use crate::stores::{Left, Leftover, Obsolete, StoreError};

/// Leftovers that are removed at a time.
pub(super) const CLEARED_AT_A_TIME: usize = 4;

/// How long files may come from a process that its TaskManager is killing, or that were on their way when it died.
const LATE: Duration = Duration::from_secs(300);

/// How long checkpoints are looked for of which there is nothing. Their volume may come back; or somebody has removed them by hand.
const MISSING: Duration = Duration::from_secs(24 * 3600);

/// Checkpoints that nobody goes back to when their job has ended.
pub(super) enum Doomed {
    /// Of a JobMaster that has seen the job end.
    Held(Arc<CheckpointKeeper>),
    /// In this directory. Nobody has looked at them: they may hold results that are not visible. Nor has anybody seen tasks end.
    Unseen(String),
}

impl Doomed {
    /// As it is written down, of a job that ends under `epoch`.
    pub fn leftover(&self, job: JobId, epoch: JobMasterEpoch) -> Leftover {
        Leftover::checkpoints(job, epoch, self.obsolete())
    }

    /// The same without the job.
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

/// One of these on its way.
struct Clearing {
    dispatcher: Dispatcher,
    leading: Leading,
    leftover: Leftover,
    /// When nothing was found for the first time.
    missing_since: OnceLock<Instant>,
}

impl Dispatcher {
    /// Notes that this is to be removed: the job's graph stays until it is.
    pub(super) fn note_doomed(&self, leftover: &Leftover) {
        self.inner.doomed.lock().insert(leftover.clone());
    }

    /// Jobs among these of which the store may forget all.
    pub(super) fn without_doomed(&self, jobs: Vec<JobId>) -> Vec<JobId> {
        let doomed: BTreeSet<JobId> = self.inner.doomed.lock().iter().map(|leftover| leftover.job).collect();
        jobs.into_iter().filter(|job| !doomed.contains(job)).collect()
    }

    /// Removes it, which nobody has tried yet; tries until it is gone or this JobManager ends.
    pub(super) fn clear(&self, leading: &Leading, leftover: Leftover) {
        let step = self.first_step(&leftover);
        self.clear_on(leading, leftover, step, None);
    }

    /// The same after `discarded` has come of a first try.
    pub(super) async fn clear_behind(&self, leading: &Leading, leftover: Leftover, discarded: Result<(), Failure>) {
        let (step, failure) = match discarded {
            Ok(()) => match self.note_cleared(leading, &leftover).await {
                Ok(()) => return,
                Err(failure) => (Step::Note, failure),
            },
            Err(failure) => (self.first_step(&leftover), failure),
        };
        self.clear_on(leading, leftover, step, Some(failure));
    }

    fn clear_on(&self, leading: &Leading, leftover: Leftover, step: Step, failure: Option<Failure>) {
        let (this, leading) = (self.clone(), leading.clone());
        self.inner.tasks.spawn(async move {
            let clearing = Clearing { dispatcher: this.clone(), leading, leftover, missing_since: OnceLock::new() };
            tokio::select! {
                () = patiently(&clearing, step, failure) => {}
                // It is left to the next one.
                () = this.is_ending() => {}
            }
        });
    }

    fn first_step(&self, leftover: &Leftover) -> Step {
        let are_tasks_unseen = match &leftover.what {
            Left::Checkpoints { obsolete, .. } => obsolete.spares_results,
            Left::Savepoint { .. } => true,
        };
        // A TaskManager that is cut off has its processes run until it gives itself up.
        let alone = self.inner.setup.configuration.get(&taskmanager::REGISTRATION_TIMEOUT);
        Step::Remove { again_after: are_tasks_unseen.then(|| alone.saturating_add(LATE)) }
    }

    /// Notes that this is not to be removed any more.
    ///
    /// # Errors
    /// When that is not durable.
    async fn note_cleared(&self, leading: &Leading, leftover: &Leftover) -> Result<(), Failure> {
        let unwritten =
            |error: StoreError| Failure::environment("that they are gone is not written down").caused_by(&error);
        let (job, cleared) = (leftover.job, leftover.clone());
        on_store(&leading.store, move |store| store.cleared(&cleared)).await.map_err(unwritten)?;
        self.inner.doomed.lock().remove(leftover);
        if !self.knows(job)
            && !self.without_doomed(vec![job]).is_empty()
            && let Err(error) = on_store(&leading.store, move |store| store.forget(&[job])).await
        {
            tracing::warn!(%job, %error, "an old job cannot be dropped from the archive; the next JobManager does it");
        }
        Ok(())
    }

    /// Whether tasks of an earlier JobManager may run that nobody has told what is given up.
    fn may_be_taken_over(&self, job: JobId) -> bool {
        let jobs = self.inner.jobs.lock();
        let early = [JobStatus::Initializing, JobStatus::Created];
        matches!(jobs.get(job), Ok(Job::Active(active)) if early.contains(&active.status))
    }
}

impl Removal for Clearing {
    fn leftover(&self) -> &Leftover {
        &self.leftover
    }

    async fn remove(&self) -> Result<Removed, Failure> {
        let (this, Leftover { job, what }) = (&self.dispatcher, &self.leftover);
        if matches!(what, Left::Savepoint { .. }) {
            while this.may_be_taken_over(*job) {
                sleep(AGAIN).await;
            }
        }
        let closed = |_| Failure::internal("nobody removes anything any more");
        let _turn = this.inner.clearing.acquire().await.map_err(closed)?;
        let recovery = Recovery::of(&this.configuration_of(&self.leading, *job).await?);
        match what {
            Left::Checkpoints { epoch, obsolete: Obsolete { root, spares_results } } => {
                // Above its last JobMaster: what that one may yet store counts for nothing.
                match CheckpointKeeper::discard_left(root, *job, epoch.next(), &recovery, *spares_results).await? {
                    Discarded::Gone => tracing::info!(%job, "the checkpoints that were left of a job are removed"),
                    Discarded::Spared => {
                        tracing::warn!(%job, root, "the checkpoints of a job stay, since they may hold results that are not visible");
                        return Ok(Removed::Spared);
                    }
                    Discarded::Missing if self.missing_since.get_or_init(Instant::now).elapsed() < MISSING => {
                        let missing = format!("there is nothing of the job in {root}; is the volume not mounted?");
                        return Err(Failure::environment(missing));
                    }
                    Discarded::Missing => {
                        tracing::warn!(%job, root, "nothing was found of the checkpoints of a job, and they are not looked for any more");
                        return Ok(Removed::Spared);
                    }
                }
            }
            Left::Savepoint { directory } => {
                CheckpointKeeper::abandon_left(directory, &*recovery.stores).await?;
                tracing::info!(%job, directory, "what was left of a savepoint that is not complete is removed");
            }
        }
        Ok(Removed::Gone)
    }

    async fn note(&self) -> Result<(), Failure> {
        self.dispatcher.note_cleared(&self.leading, &self.leftover).await
    }
}
