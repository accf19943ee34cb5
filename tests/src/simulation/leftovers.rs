//! What is removed from the store when nobody needs it any more, and what is left of it.

use std::sync::Arc;

use flott_core::id::{JobId, JobMasterEpoch};
use flott_dispatcher::stores::{Ask, Leftover};
use flott_jobmaster::{CheckpointKeeper, Recovery};
use tokio::time::{Duration, Instant, sleep};

use super::{
    logs::{AGAIN, Logs, News, ROOT, Reporter},
    records::{Asked, Records},
    store::FaultyStore,
    world::World,
};

/// Longest pause between two tries to remove what a job has left, as with the Dispatcher.
const AGAIN_MAX: Duration = Duration::from_secs(600);
/// Where state files are in the directory of a job.
const SHARED: &str = "shared";

impl Logs {
    /// What is left of the checkpoints of a job that was there when they were removed: all but claims, which keep out JobMasters that are
    /// deposed.
    pub fn left_of(&self, id: JobId, removed: Instant) -> Vec<String> {
        let directory = format!("{ROOT}/{id}");
        let mut left = self.store.older(&directory, removed);
        left.retain(|path| {
            path.rsplit_once('/').is_none_or(|(place, _)| {
                place == SHARED || self.load_savepoint(&format!("{directory}/{place}")).is_ok()
            })
        });
        left
    }

    /// Whether tasks have stored state in checkpoints of a job.
    pub fn had_state(&self, id: JobId) -> bool {
        self.store.was_written(&format!("{ROOT}/{id}/{SHARED}"))
    }

    /// What is left of savepoints that were given up, of what was there when they were removed; and how many were removed that had
    /// anything. Those that somebody has begun to complete may be there all the same.
    pub fn left_of_savepoints(&self) -> (Vec<String>, u32) {
        let given_up = || self.abandoned.iter().filter(|(location, _)| !self.completing.contains(*location));
        let left = given_up().flat_map(|(location, removed)| {
            self.store.older(location, *removed).into_iter().map(move |path| format!("{location}/{path}"))
        });
        let is_removed = |(location, removed): &(&String, &Instant)| {
            self.store.was_written(location) && self.store.older(location, **removed).is_empty()
        };
        let removed = given_up().filter(is_removed).count();
        (left.collect(), u32::try_from(removed).unwrap_or(u32::MAX))
    }
}

impl World {
    /// Nobody wants the savepoint any more that was to be at `location`: removes what there is, with pauses that grow, as the Dispatcher does.
    pub(super) fn abandon_savepoint(&mut self, id: JobId, location: String) {
        let store = self.jobmanager.store.clone();
        let Some(keeping) = self.keeping(id) else { return };
        let keeper = Arc::clone(&keeping.keeper);
        self.spawn(id, |reporter| async move {
            let (mut began, mut pause) = (Instant::now(), AGAIN);
            if keeper.abandon_savepoint(&location).await {
                began = Instant::now();
                while CheckpointKeeper::abandon_left(&location, &store).await.is_err() {
                    sleep(pause).await;
                    (began, pause) = (Instant::now(), (2 * pause).min(AGAIN_MAX));
                }
            }
            reporter.tell(News::Abandoned(location, began));
        });
    }

    /// Removes all checkpoints of a job whose end is durable, and tries until they are gone.
    pub(super) fn discard_checkpoints(&mut self, id: JobId) {
        let store = self.jobmanager.store.clone();
        let Some(keeping) = self.keeping(id) else { return };
        let (keeper, epoch) = (Arc::clone(&keeping.keeper), keeping.master.epoch());
        let leftover = Leftover::checkpoints(id, epoch, keeping.obsolete());
        let Some(records) = self.jobmanager.records.clone() else { return };
        self.spawn(id, |reporter| async move {
            let began = Instant::now();
            if keeper.discard().await.is_ok() && cleared(&reporter, began, &records, &leftover).await.is_ok() {
                return;
            }
            sleep(AGAIN).await;
            discard_patiently(reporter, epoch.next(), store, records, leftover).await;
        });
    }

    /// Removes what an earlier JobManager has left of a job that has ended under a JobMaster before `epoch`.
    pub(super) fn discard_left(&mut self, leftover: Leftover, epoch: JobMasterEpoch) {
        let id = leftover.job;
        let store = self.jobmanager.store.clone();
        let Some(records) = self.jobmanager.records.clone() else { return };
        self.spawn(id, |reporter| discard_patiently(reporter, epoch, store, records, leftover));
    }
}

/// Removes what is left of a job that has ended under a JobMaster before `epoch`, with pauses that grow, as the Dispatcher does.
async fn discard_patiently(
    reporter: Reporter,
    epoch: JobMasterEpoch,
    store: FaultyStore,
    records: Records,
    leftover: Leftover,
) {
    let mut pause = AGAIN;
    let recovery = Recovery { stores: Arc::new(store), ..Recovery::default() };
    loop {
        let began = Instant::now();
        let discarded = CheckpointKeeper::discard_left(ROOT, reporter.job, epoch, &recovery, false).await;
        if discarded.is_ok() && cleared(&reporter, began, &records, &leftover).await.is_ok() {
            return;
        }
        pause = (2 * pause).min(AGAIN_MAX);
        sleep(pause).await;
    }
}

/// What was there when that `began` is removed, and nothing is to be any more.
async fn cleared(reporter: &Reporter, began: Instant, records: &Records, leftover: &Leftover) -> Asked<()> {
    reporter.tell(News::Cleared(began));
    records.lock().await.ask(Ask::cleared(leftover)).await
}
