//! Where the tasks of a host store what they give at barriers, and find what they start from.
//!
//! One thread with an executor of its own does it all: it waits for a store, which must not hold up tasks, and is not
//! held up by them.
//!
//! # Until when a store is waited for
//! What is written for a checkpoint is of use as long as the JobMaster gathers what comes of it. When it gives a checkpoint up, it
//! says so ([`JobToHost::AbortCheckpoints`](flott_core::message::JobToHost::AbortCheckpoints)), once, and that may come before the barrier, which travels by the streams, or when
//! all is stored: then nothing is written, or nothing is to be done. Should it never come, because the JobMaster has died, a cut is
//! given up when the job's timeout for checkpoints has passed since its barrier came. The JobMaster counts from the moment at which
//! it sent the barrier, and so gives up before. A later barrier is no reason to give one up that only is slow, but one that waits for
//! a store which takes nothing at all for a minute is (`runtime/src/task/turn.rs`): that may be a savepoint's store, or checkpoints
//! may be taken at the same time. A cut that is given up
//!
//! - leaves the upload, which is given up in its turn, and takes no more of the task's state: there is room at once;
//! - is reported as failed all the same, for what sinks have prepared at its barrier;
//! - is built on by no later one: the next is whole.
//!
//! # Layout
//! - `store`: writes what is given
//! - `chain`: the files that snapshots of a task consist of
//! - `preparations`: what sinks have prepared, until it is reported
//! - `restore`: reads them

mod chain;
mod preparations;
mod restore;
mod store;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use flott_core::{
    checkpoint::{Barrier, TaskRestore},
    config::{Configuration, keys::checkpointing},
    failure::Failure,
    id::{AttemptId, CheckpointId, JobId, OperatorId, SubtaskIndex},
    key_group::KeyGroupRange,
    message::{HostToJob, JobSetup},
};
use flott_snapshot::{Directory, S3Options};
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
use preparations::Preparations;
pub(super) use restore::Belongs;
use store::{Store, Writing};

/// Savepoints whose directories are remembered.
const SAVEPOINTS_MAX: usize = 64;

/// Messages that checkpoints were given up which are remembered, for barriers that come later.
const ABORTED_MAX: usize = 256;

/// What is under way for an attempt, with what ends it.
type UnderWay = HashMap<AttemptId, BTreeMap<CheckpointId, CancellationToken>>;

/// Stores and restores the state of tasks.
pub(super) struct Snapshots {
    store: Arc<Store>,
    writing: Mutex<HashMap<AttemptId, Writing>>,
    /// Cuts that are not reported yet.
    unreported: Arc<watch::Sender<UnderWay>>,
    /// Checkpoints that were given up.
    aborted: Mutex<VecDeque<RangeInclusive<CheckpointId>>>,
    report: Report,
    runtime: Handle,
    /// Ends the thread.
    _ended: DropGuard,
}

impl Snapshots {
    /// Starts the thread. It ends when this is dropped.
    pub fn start(setup: &JobSetup, report: Report) -> std::io::Result<Self> {
        // A configuration is checked where it is taken in: what cannot be read is not there.
        let configuration = Configuration::try_from(setup.configuration.clone()).unwrap_or_default();
        let s3 = S3Options::of(&configuration);
        let root = configuration.get(&checkpointing::DIR).map(|root| Directory::open(&root, &s3).map_err(refused));
        Self::start_in(root, s3, setup.job, configuration.get(&checkpointing::TIMEOUT), report)
    }

    /// The same, with the directory of all checkpoints; a cut is given up after `timeout`.
    fn start_in(
        root: Option<TaskResult<Directory>>,
        s3: S3Options,
        job: JobId,
        timeout: Duration,
        report: Report,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let store = Arc::new(Store {
            root,
            s3,
            job,
            timeout,
            savepoints: watch::Sender::default(),
            chains: Chains::default(),
            preparations: Preparations::default(),
        });
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        std::thread::Builder::new().name("flott-snapshots".into()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // A write that hangs must not hold up the end.
            runtime.shutdown_background();
        })?;
        let (writing, unreported, aborted) = (Mutex::default(), Arc::default(), Mutex::default());
        Ok(Self { store, writing, unreported, aborted, report, runtime: handle, _ended: guard })
    }

    /// Whether state could be stored at all: a task that never will be part of a checkpoint must not begin.
    pub fn check(&self) -> TaskResult {
        self.store.root.as_ref().map_or(Ok(()), |root| root.as_ref().map(drop).map_err(|failure| failure.clone()))
    }

    /// The state of savepoint `checkpoint` goes to `directory`.
    pub fn savepoint(&self, checkpoint: CheckpointId, directory: String) {
        self.store.savepoints.send_modify(|known| {
            // One that is asked for again, or was given up, may be among them; few are under way.
            while known.len() >= SAVEPOINTS_MAX && known.pop_first().is_some() {}
            known.insert(checkpoint, directory);
        });
    }

    /// Nothing becomes of these checkpoints: what is written for them is dropped, and nothing is written for those that come later.
    pub fn abort(&self, first: CheckpointId, last: CheckpointId) {
        {
            // Before what is under way: what begins meanwhile looks here.
            let mut aborted = self.aborted.lock();
            aborted.push_back(first..=last);
            if aborted.len() > ABORTED_MAX {
                aborted.pop_front();
            }
        }
        if first <= last {
            let unreported = self.unreported.borrow();
            let under_way = unreported.values().flat_map(|cuts| cuts.range(first..=last));
            under_way.for_each(|(_, abort)| abort.cancel());
        }
    }

    fn is_aborted(&self, checkpoint: CheckpointId) -> bool {
        self.aborted.lock().iter().any(|range| range.contains(&checkpoint))
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
        self.unreported
            .borrow()
            .get(&attempt)
            .into_iter()
            .flat_map(BTreeMap::values)
            .for_each(CancellationToken::cancel);
        self.store.chains.forget(attempt);
        self.store.preparations.forget(attempt);
    }

    /// Reads what a task of `vertex` starts from, unless it is cancelled. Blocks, and so does what is read later; a store that
    /// does not answer is an error.
    pub fn restore(
        &self,
        restore: &TaskRestore,
        groups: KeyGroupRange,
        belong: impl Fn(OperatorId) -> Belongs + Send + 'static,
        (subtask, parallelism): (SubtaskIndex, u32),
        cancel: &CancellationToken,
    ) -> TaskResult<RestoredTask> {
        let (sender, answer) = std::sync::mpsc::channel();
        let (restore, s3, cancel) = (restore.clone(), self.store.s3.clone(), cancel.clone());
        self.runtime.spawn(async move {
            let read = restore::read(&restore, groups, belong, (subtask, parallelism), &s3, &cancel);
            let read = cancel.run_until_cancelled(read).await.unwrap_or_else(|| Err(restore::cancelled()));
            // Who asks may have gone.
            let _ = sender.send(read);
        });
        answer.recv().map_err(|_| Failure::internal("the thread that reads snapshots is gone"))?
    }
}

impl SnapshotPort for Snapshots {
    fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent {
        let (checkpoint, abort) = (barrier.checkpoint, CancellationToken::new());
        self.unreported.send_modify(|unreported| {
            unreported.entry(attempt).or_default().insert(checkpoint, abort.clone());
        });
        let extent = if self.is_aborted(checkpoint) {
            // The task gives nothing, and its tables are not cut: what changes is counted from the cut before.
            abort.cancel();
            Extent::Changed
        } else {
            self.store.chains.begin(attempt, barrier)
        };
        let (writing, stored) = self.store.open(attempt, barrier, extent, abort);
        let (report, unreported) = (Arc::clone(&self.report), Arc::clone(&self.unreported));
        self.runtime.spawn(async move {
            if let Some(stored) = stored.await {
                report(HostToJob::Snapshot(Box::new(stored)));
            }
            unreported.send_modify(|unreported| {
                if let Some(cuts) = unreported.get_mut(&attempt) {
                    cuts.remove(&checkpoint);
                    if cuts.is_empty() {
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

    fn give_in_flight(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(writing) = self.writing.lock().get(&attempt) {
            writing.give_in_flight(pieces);
        }
    }

    fn has_room(&self, attempt: AttemptId) -> bool {
        self.writing.lock().get(&attempt).is_none_or(Writing::has_room)
    }

    fn give_up(&self, attempt: AttemptId) {
        if let Some(writing) = self.writing.lock().get(&attempt) {
            writing.give_up();
        }
    }

    fn is_given_up(&self, attempt: AttemptId) -> bool {
        self.writing.lock().get(&attempt).is_some_and(Writing::is_given_up)
    }

    fn store(&self, attempt: AttemptId, mut cut: Cut) {
        if let Some(writing) = self.writing.lock().remove(&attempt) {
            // At once, as later snapshots may be stored before this one is.
            self.store.preparations.note(attempt, cut.barrier.checkpoint, std::mem::take(&mut cut.prepared));
            writing.finish(cut);
        }
    }
}

fn refused(error: flott_snapshot::Error) -> Box<Failure> {
    Box::new(Failure::from(error))
}

#[cfg(test)]
mod tests;
