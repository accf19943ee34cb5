//! What one JobMaster reports: things to be made durable, and its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    config::{
        Configuration,
        keys::checkpointing::{self, CheckpointRetention},
    },
    failure::Failure,
    id::{CheckpointId, JobId, JobMasterEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    status::JobStatus,
    view::JobView,
};
use flott_jobmaster::{CheckpointKeeper, FoundOn, JobListener, JobMasterHandle, ToStore};

use super::{
    Dispatcher, Leading,
    jobs::Job,
    leftovers::Doomed,
    on_store,
    pasts::Pasts,
    run::{AGAIN, Begin},
};
use crate::stores::{JobStore, StoreError};

/// Writes something until it is known whether it is there.
///
/// # Errors
/// When it is refused for good: another JobMaster leads, or the job has ended.
async fn persisted<T: Clone + Send + 'static>(
    store: &Arc<dyn JobStore>,
    job: JobId,
    what: &'static str,
    value: T,
    write: impl Fn(&dyn JobStore, &T) -> Result<(), StoreError> + Clone + Send + 'static,
) -> Result<(), Failure> {
    loop {
        let (value, write) = (value.clone(), write.clone());
        match on_store(store, move |store| write(store, &value)).await {
            Ok(()) => return Ok(()),
            Err(error @ (StoreError::Stale { .. } | StoreError::Unknown(_))) => {
                return Err(Failure::internal(format!("{what} is refused")).caused_by(&error).fatal());
            }
            // Whether it was written is for the one that leads to say. This one is about to end, and must not do anything about it.
            Err(StoreError::Deposed(_)) => std::future::pending().await,
            // It may have been written: the answer must be true, so the write is repeated until it is known.
            Err(error) => {
                tracing::error!(%job, %error, what, "it cannot be stored; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Hears from one JobMaster. Its calls come from the JobMaster's loop, so what waits is spawned.
pub(super) struct Reports {
    dispatcher: Dispatcher,
    leading: Leading,
    job: JobId,
    epoch: JobMasterEpoch,
    /// Of a job that takes checkpoints.
    keeper: Option<Arc<CheckpointKeeper>>,
    /// What becomes of the checkpoints when the job ends without finishing.
    retention: CheckpointRetention,
    /// What the next JobMaster is to know.
    pasts: Pasts,
    /// What it was started from, if an earlier one has had the job.
    recovered: Option<Begin>,
}

impl Reports {
    /// Of the JobMaster `epoch`, which was started with this configuration.
    pub(super) fn new(
        dispatcher: &Dispatcher,
        leading: &Leading,
        (job, epoch): (JobId, JobMasterEpoch),
        keeper: Option<Arc<CheckpointKeeper>>,
        recovered: Option<Begin>,
        configuration: &BTreeMap<String, String>,
    ) -> Self {
        let (pasts, writing) = Pasts::new(leading.store.clone(), job, epoch);
        dispatcher.inner.tasks.spawn(writing);
        let (dispatcher, leading, retention) = (dispatcher.clone(), leading.clone(), retention(configuration));
        Self { dispatcher, leading, job, epoch, keeper, retention, pasts, recovered }
    }

    fn master(dispatcher: &Dispatcher, job: JobId) -> Option<JobMasterHandle> {
        match dispatcher.inner.jobs.lock().get(job) {
            Ok(Job::Active(active)) => active.master,
            Ok(_) | Err(_) => None,
        }
    }
}

impl JobListener for Reports {
    fn status_changed(&self, job: JobId, status: JobStatus) {
        if !status.is_terminal() {
            self.dispatcher.inner.jobs.lock().update(job, self.epoch, |active| active.status = status);
        }
    }

    fn persist_commit(&self, job: JobId, epoch: JobMasterEpoch, committables: Vec<Committable>) {
        let (dispatcher, store) = (self.dispatcher.clone(), self.leading.store.clone());
        self.dispatcher.inner.tasks.spawn(async move {
            let write = move |store: &dyn JobStore, what: &Vec<Committable>| store.save_manifest(job, epoch, what);
            let persisted = persisted(&store, job, "the commit manifest", committables, write).await;
            if let Some(master) = Self::master(&dispatcher, job) {
                master.commit_persisted(persisted);
            }
        });
    }

    fn persist_scale(&self, job: JobId, epoch: JobMasterEpoch, scale: Scale) {
        let (dispatcher, store) = (self.dispatcher.clone(), self.leading.store.clone());
        self.dispatcher.inner.tasks.spawn(async move {
            let write = move |store: &dyn JobStore, what: &Scale| store.save_scale(job, epoch, what);
            let persisted = persisted(&store, job, "the new parallelism", scale, write).await;
            if let Some(master) = Self::master(&dispatcher, job) {
                master.scale_persisted(persisted);
            }
        });
    }

    fn persist_past(&self, _: JobId, _: JobMasterEpoch, past: Past) {
        self.pasts.hand(past);
    }

    fn store_checkpoint(&self, job: JobId, _: JobMasterEpoch, what: ToStore) {
        let (dispatcher, keeper) = (self.dispatcher.clone(), self.keeper.clone());
        let (leading, epoch) = (self.leading.clone(), self.epoch);
        let noted = what.savepoint.is_some().then(|| self.pasts.noted());
        self.dispatcher.inner.tasks.spawn(async move {
            let (Some(keeper), Some(master)) = (keeper, Self::master(&dispatcher, job)) else { return };
            let noted = match noted {
                Some(noted) => noted.await,
                None => Ok(()),
            };
            match noted {
                Ok(()) => {
                    keeper.store(&master, what).await;
                    if let Some(failure) = keeper.deposed() {
                        dispatcher.end_deposed(leading, (job, epoch), &keeper, failure.clone());
                    }
                }
                // Nor is it begun later.
                Err(failure) => master.checkpoint_stored(what.manifest.checkpoint, Err(failure)),
            }
        });
    }

    fn find_checkpoint(&self, job: JobId, _: JobMasterEpoch, damaged: BTreeSet<CheckpointId>) {
        let (dispatcher, keeper) = (self.dispatcher.clone(), self.keeper.clone());
        self.dispatcher.inner.tasks.spawn(async move {
            let Some(master) = Self::master(&dispatcher, job) else { return };
            match keeper {
                Some(keeper) => keeper.find(&master, &damaged).await,
                None => master.checkpoint_found(None, BTreeMap::new()),
            }
        });
    }

    fn stepped_aside(&self, job: JobId, _: JobMasterEpoch, checkpoint: CheckpointId, found: Vec<FoundOn>) {
        match self.recovered.clone() {
            Some(begin) => {
                self.dispatcher.take_up_again(&self.leading, Begin { complete: Some(checkpoint), ..begin }, found);
            }
            None => tracing::error!(%job, %checkpoint, "a JobMaster of a new job has found tasks of an earlier one"),
        }
    }

    fn ended(&self, view: Arc<JobView>) {
        debug_assert_eq!(view.job, self.job);
        let mut view = view;
        let discards = discards(self.retention, view.status) && !view.checkpoints.holds_results;
        let doomed = self.keeper.clone().filter(|_| discards).map(Doomed::Held);
        if doomed.is_some() {
            Arc::make_mut(&mut view).checkpoints.note_discarded();
        }
        self.dispatcher.archive(self.leading.clone(), self.epoch, view, doomed);
    }
}

/// Whether nobody goes back to the checkpoints of a job that has ended so.
pub(super) fn discards(retention: CheckpointRetention, status: JobStatus) -> bool {
    match retention {
        _ if status == JobStatus::Finished => true,
        CheckpointRetention::RetainOnCancellation => false,
        CheckpointRetention::DeleteOnCancellation => status == JobStatus::Canceled,
        CheckpointRetention::NoExternalizedCheckpoints => true,
    }
}

/// What becomes of the checkpoints of a job with this configuration.
pub(super) fn retention(configuration: &BTreeMap<String, String>) -> CheckpointRetention {
    Configuration::try_from(configuration.clone()).unwrap_or_default().get(&checkpointing::RETENTION)
}
