//! Where the tasks of a host store what they give at barriers, and find what they start from.
//!
//! One thread with an executor of its own does it all: it waits for a store, which must not hold up tasks, and is not
//! held up by them.
//!
//! # Layout
//! - `store`: writes what is given
//! - `chain`: the files that snapshots of a task consist of
//! - `restore`: reads them

mod chain;
mod restore;
mod store;

use std::{collections::HashMap, sync::Arc};

use flott_core::{
    checkpoint::{Barrier, TaskRestore},
    config::keys::checkpointing,
    failure::Failure,
    id::{AttemptId, CheckpointId, SubtaskIndex},
    key_group::KeyGroupRange,
    message::{HostToJob, JobSetup},
};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::TaskResult,
    snapshot::{Cut, Piece, RestoredTask, SnapshotPort},
    state::Extent,
    task::wiring::Report,
};
use chain::Chains;
use store::{Store, Writing};

/// Savepoints whose directories are remembered.
const SAVEPOINTS_MAX: usize = 64;

/// Stores and restores the state of tasks.
pub(super) struct Snapshots {
    store: Arc<Store>,
    writing: Mutex<HashMap<AttemptId, Writing>>,
    /// Cuts of each attempt that are not reported yet.
    unreported: Arc<watch::Sender<HashMap<AttemptId, usize>>>,
    report: Report,
    runtime: Handle,
    /// Ends the thread.
    _ended: DropGuard,
}

impl Snapshots {
    /// Starts the thread. It ends when this is dropped.
    pub fn start(setup: &JobSetup, report: Report) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let store = Arc::new(Store {
            root: setup.configuration.get(checkpointing::DIR.key()).cloned(),
            job: setup.job,
            savepoints: watch::Sender::default(),
            chains: Chains::default(),
        });
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        std::thread::Builder::new().name("flott-snapshots".into()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // A write that hangs must not hold up the end.
            runtime.shutdown_background();
        })?;
        let (writing, unreported) = (Mutex::default(), Arc::default());
        Ok(Self { store, writing, unreported, report, runtime: handle, _ended: guard })
    }

    /// The state of savepoint `checkpoint` goes to `directory`.
    pub fn savepoint(&self, checkpoint: CheckpointId, directory: String) {
        self.store.savepoints.send_modify(|known| {
            // One that is asked for again, or was given up, may be among them; few are under way.
            while known.len() >= SAVEPOINTS_MAX && known.pop_first().is_some() {}
            known.insert(checkpoint, directory);
        });
    }

    /// Waits until all that `attempt` has given at barriers is stored and reported. What its sinks have prepared there must be
    /// known before it says that it has finished.
    pub async fn reported(&self, attempt: AttemptId) {
        let mut unreported = self.unreported.subscribe();
        // The sender is here as well.
        let _ = unreported.wait_for(|unreported| !unreported.contains_key(&attempt)).await;
    }

    /// The attempt has ended.
    pub fn forget(&self, attempt: AttemptId) {
        self.writing.lock().remove(&attempt);
        self.store.chains.forget(attempt);
    }

    /// Reads what a task starts from. Blocks.
    pub fn restore(
        &self,
        restore: &TaskRestore,
        groups: KeyGroupRange,
        subtask: SubtaskIndex,
        parallelism: u32,
    ) -> TaskResult<RestoredTask> {
        let (sender, answer) = std::sync::mpsc::channel();
        let restore = restore.clone();
        self.runtime.spawn(async move {
            // Who asks may have gone.
            let _ = sender.send(restore::read(&restore, groups, subtask, parallelism).await);
        });
        answer.recv().map_err(|_| Failure::internal("the thread that reads snapshots is gone"))?
    }
}

impl SnapshotPort for Snapshots {
    fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent {
        let extent = self.store.chains.begin(attempt, barrier);
        let (writing, stored) = self.store.open(attempt, barrier, extent);
        let (report, unreported) = (Arc::clone(&self.report), Arc::clone(&self.unreported));
        unreported.send_modify(|unreported| *unreported.entry(attempt).or_default() += 1);
        self.runtime.spawn(async move {
            if let Some(stored) = stored.await {
                report(HostToJob::Snapshot(Box::new(stored)));
            }
            unreported.send_modify(|unreported| {
                if let Some(count) = unreported.get_mut(&attempt) {
                    *count -= 1;
                    if *count == 0 {
                        unreported.remove(&attempt);
                    }
                }
            });
        });
        self.writing.lock().insert(attempt, writing);
        extent
    }

    fn give(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(writing) = self.writing.lock().get(&attempt).filter(|_| !pieces.is_empty()) {
            writing.give(pieces);
        }
    }

    fn has_room(&self, attempt: AttemptId) -> bool {
        self.writing.lock().get(&attempt).is_none_or(Writing::has_room)
    }

    fn store(&self, attempt: AttemptId, cut: Cut) {
        if let Some(writing) = self.writing.lock().remove(&attempt) {
            writing.finish(cut);
        }
    }
}

fn refused(error: flott_snapshot::Error) -> Box<Failure> {
    Box::new(Failure::from(error))
}
