//! The logs of checkpoints, in the hands of JobMasters: what [`CheckpointKeeper`](flott_jobmaster::CheckpointKeeper) does with the log of
//! a job, done in simulated time over a [faulty store](FaultyStore).
//!
//! Claims, commits and collections are the real ones. They are tasks of a runtime whose clock stands still but for being told to
//! go on, which the world does as its own time goes on; what comes of them is news to the JobManager that began them. With it they
//! end, at whatever await they have come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc},
    time::Duration,
};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, JobMasterEpoch, LeaderEpoch},
};
use flott_jobmaster::{Event, RestorePoint, SnapshotSpec, checkpoints::found};
use flott_snapshot::{Checkpoints, Claimed, Directory, Error, Log, Manifest, Snapshot};
use futures::FutureExt;
use tokio::{
    runtime::Runtime,
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    check::{Broken, Invariant},
    store::FaultyStore,
    world::{Happening, World},
};
use crate::random::Random;

/// Pause before something is tried again of which nobody knows whether it was done.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries to complete a savepoint.
const SAVEPOINT_TRIES: u32 = 10;
/// Longest time for which nobody looks whether a task goes on by itself, in milliseconds.
const LOOK_MS: u64 = 50;
/// Rounds in which what is due gets done: a request, its answer, and what that leads to.
const ROUNDS: u32 = 6;

/// The log of a job, in the hands of a JobMaster.
pub type Keeper = Arc<Mutex<Log>>;

/// What has come of a task.
#[derive(Debug)]
pub enum News {
    /// A JobMaster can begin.
    Opened(JobMasterEpoch, Box<Claimed>),
    /// A checkpoint or savepoint is complete, or cannot be.
    Stored { checkpoint: CheckpointId, epoch: JobMasterEpoch, is_savepoint: bool, result: Result<(), Failure> },
    /// Another JobMaster leads.
    Deposed(String),
    /// What a job goes back to whose latest checkpoint is damaged.
    Found(Option<RestorePoint>),
}

/// Who hears of a task.
#[derive(Debug, Clone)]
struct Reporter {
    leader: LeaderEpoch,
    job: JobId,
    news: mpsc::Sender<(LeaderEpoch, JobId, News)>,
}

impl Reporter {
    fn tell(&self, news: News) {
        // The world that hears of it ends the tasks when it ends.
        drop(self.news.send((self.leader, self.job, news)));
    }
}

/// The store of checkpoints, and who works with it.
#[derive(Debug)]
pub struct Logs {
    runtime: Runtime,
    store: FaultyStore,
    root: Directory,
    savepoints: BTreeMap<String, Directory>,
    sender: mpsc::Sender<(LeaderEpoch, JobId, News)>,
    news: mpsc::Receiver<(LeaderEpoch, JobId, News)>,
    tasks: Vec<(LeaderEpoch, JoinHandle<()>)>,
    /// Up to when the runtime has come, in milliseconds of the world.
    came_to: u64,
    /// When it is to go on.
    wake: Option<u64>,
}

impl Logs {
    /// None yet, at `now`.
    pub fn new(random: Random, now: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without any I/O can be made");
        let store = FaultyStore::new(random);
        let root = Directory::of_store(Arc::new(store.clone()), "checkpoints");
        let (sender, news) = mpsc::channel();
        let (savepoints, tasks, wake) = Default::default();
        Self { runtime, store, root, savepoints, sender, news, tasks, came_to: now, wake }
    }

    /// A new directory for a savepoint.
    pub fn new_savepoint(&mut self, job: JobId) -> Option<String> {
        // There is nothing to make, so there is nothing to wait for.
        let directory = self.root.new_savepoint(job).now_or_never()?.ok()?;
        let location = directory.location().to_owned();
        self.savepoints.insert(location.clone(), directory);
        Some(location)
    }

    /// What a savepoint holds, read without faults.
    pub fn load_savepoint(&self, location: &str) -> Result<RestorePoint, Error> {
        let healthy = Directory::of_store(self.store.healthy(), "checkpoints");
        let name = location.rsplit('/').next().unwrap_or(location);
        let loaded = self.runtime.block_on(Snapshot::load_from(healthy.child(name)))?;
        Ok(RestorePoint { manifest: Arc::new(loaded.manifest), directory: location.to_owned() })
    }

    /// A JobManager is gone.
    pub fn end(&mut self, leader: LeaderEpoch) {
        for (_, task) in self.tasks.extract_if(.., |(of, _)| *of == leader) {
            task.abort();
        }
    }

    /// Lets time come to `now`.
    fn advance(&mut self, now: u64) {
        let by = Duration::from_millis(now - self.came_to);
        self.came_to = now;
        self.runtime.block_on(async {
            tokio::time::advance(by).await;
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
        self.tasks.retain(|(_, task)| !task.is_finished());
    }

    /// When something may be due next.
    fn next_due(&self) -> Option<u64> {
        if self.tasks.is_empty() {
            return None;
        }
        let next = self.runtime.block_on(async { self.store.next_wake().map(|at| at - Instant::now()) });
        let wait = next.map_or(LOOK_MS, |wait| u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(LOOK_MS));
        Some(self.came_to + wait.clamp(1, LOOK_MS))
    }
}

/// What JobMasters of a job were told of its log.
#[derive(Debug, Default)]
pub struct Told {
    /// Checkpoints that are complete, and to whom.
    complete: BTreeMap<CheckpointId, JobMasterEpoch>,
    /// What those began with that have claimed the log.
    restored: BTreeMap<JobMasterEpoch, Option<CheckpointId>>,
}

impl Told {
    fn completed(&mut self, checkpoint: CheckpointId, epoch: JobMasterEpoch) -> Result<(), Broken> {
        if let Some(other) = self.complete.insert(checkpoint, epoch) {
            let what = format!("checkpoint {checkpoint} is complete to JobMasters {other} and {epoch}");
            return Err(Invariant::I12.broken(what));
        }
        self.compare()
    }

    fn began(&mut self, epoch: JobMasterEpoch, restored: Option<CheckpointId>) -> Result<(), Broken> {
        self.restored.insert(epoch, restored);
        self.compare()
    }

    fn compare(&self) -> Result<(), Broken> {
        for (checkpoint, by) in &self.complete {
            let unknown = self.restored.range(by.next()..).find(|(_, restored)| **restored < Some(*checkpoint));
            if let Some((epoch, restored)) = unknown {
                let what = format!(
                    "JobMaster {epoch} began from {restored:?}, but {checkpoint} is complete to JobMaster {by}"
                );
                return Err(Invariant::I12.broken(what));
            }
        }
        Ok(())
    }
}

impl World {
    /// Begins a task of the JobManager at hand.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&mut self, job: JobId, task: impl FnOnce(Reporter) -> F) {
        let leader = self.jobmanager.leader;
        self.logs.advance(self.now);
        let task = task(Reporter { leader, job, news: self.logs.sender.clone() });
        let handle = self.logs.runtime.spawn(task);
        self.logs.tasks.push((leader, handle));
        self.expect_logs(self.now + 1);
    }

    fn expect_logs(&mut self, at: u64) {
        if self.logs.wake.is_none_or(|wake| at < wake) {
            self.logs.wake = Some(at);
            self.at(at, Happening::Logs);
        }
    }

    /// Tasks go on, and JobManagers hear what has come of them.
    pub(super) fn logs_go_on(&mut self) -> Result<(), Broken> {
        self.logs.wake = None;
        self.logs.store.set_faults(if self.has_faults() { self.plan.faults.stores } else { 0 });
        self.logs.advance(self.now);
        while let Ok((leader, job, news)) = self.logs.news.try_recv() {
            self.tell(leader, |world| world.hear(job, news))?;
        }
        if let Some(at) = self.logs.next_due() {
            self.expect_logs(at);
        }
        Ok(())
    }

    fn hear(&mut self, id: JobId, news: News) -> Result<(), Broken> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        match news {
            News::Opened(epoch, claimed) => {
                let Claimed { log, restorable, older, damaged } = *claimed;
                let restored = restorable.as_ref().map(|manifest| manifest.checkpoint);
                job.told.began(epoch, restored)?;
                if let Some(damage) = damaged.first() {
                    return Err(Invariant::I12.broken(format!("the log has {damage:?}")));
                }
                let directory = log.checkpoints().directory().location().to_owned();
                let location = |manifest: &Manifest| log.checkpoints().location(manifest.checkpoint);
                let all = older.iter().rev().chain(&restorable);
                let all = all.map(|manifest| found(manifest, location(manifest))).collect();
                let own = restorable
                    .map(|manifest| RestorePoint { manifest: Arc::new(manifest), directory: directory.clone() });
                let snapshots = SnapshotSpec {
                    directory: Some(directory),
                    next: log.next(),
                    restore: own.map(Arc::new).or_else(|| job.kept.starts_from()),
                    found: all,
                    ..SnapshotSpec::default()
                };
                self.begin(id, epoch, snapshots, Some(Arc::new(Mutex::new(log))))
            }
            News::Stored { checkpoint, epoch, is_savepoint, result } => {
                if result.is_ok() && !is_savepoint {
                    job.told.completed(checkpoint, epoch)?;
                    self.summary.checkpoints += 1;
                }
                self.master(id, Event::CheckpointStored { checkpoint, result });
                Ok(())
            }
            News::Deposed(by) => {
                if !self.is_past {
                    return Err(Invariant::I12.broken(format!("the JobMaster that leads job {id} is deposed: {by}")));
                }
                self.summary.deposed += 1;
                self.master(id, Event::Suspend);
                Ok(())
            }
            News::Found(point) => {
                self.master(id, Event::CheckpointFound { point: point.map(Arc::new), damaged: BTreeMap::new() });
                Ok(())
            }
        }
    }

    /// Has a JobMaster of a job claim its log, however often the store fails.
    pub(super) fn open_log(&mut self, id: JobId, epoch: JobMasterEpoch) {
        let checkpoints = Checkpoints::new(&self.logs.root, id);
        self.spawn(id, |reporter| async move {
            loop {
                match checkpoints.claim(epoch).await {
                    Ok(claimed) => return reporter.tell(News::Opened(epoch, Box::new(claimed))),
                    Err(error @ Error::Deposed { .. }) => return reporter.tell(News::Deposed(error.to_string())),
                    Err(_) => sleep(AGAIN).await,
                }
            }
        });
    }

    /// Has a checkpoint completed, and then removes what is not retained.
    pub(super) fn store_checkpoint(
        &mut self,
        id: JobId,
        keeper: Keeper,
        manifest: Arc<Manifest>,
        retained: BTreeSet<CheckpointId>,
    ) {
        // Other than most stores, a local directory says for sure that there is no room.
        let is_full = self.has_faults() && self.random.per_mille(self.plan.faults.stores);
        self.spawn(id, |reporter| async move {
            let mut log = keeper.lock().await;
            let result = loop {
                if is_full {
                    break Err(Failure::environment("the disk is full"));
                }
                match log.commit(&manifest).await {
                    Ok(()) => break Ok(()),
                    Err(Error::Unknown { .. }) => sleep(AGAIN).await,
                    Err(error @ Error::Deposed { .. }) => return reporter.tell(News::Deposed(error.to_string())),
                    Err(error) => break Err(Failure::from(error)),
                }
            };
            let (checkpoint, epoch, is_complete) = (manifest.checkpoint, manifest.epoch, result.is_ok());
            reporter.tell(News::Stored { checkpoint, epoch, is_savepoint: false, result });
            if is_complete {
                // What could not be removed is left for the next time.
                drop(log.collect(&retained).await);
            }
        });
    }

    /// Has a savepoint completed.
    pub(super) fn store_savepoint(&mut self, id: JobId, manifest: Arc<Manifest>, location: &str) {
        let Some(directory) = self.logs.savepoints.get(location).cloned() else { return };
        self.spawn(id, |reporter| async move {
            let mut result = Err(Failure::environment("nobody knows whether the savepoint is complete"));
            for _ in 0..SAVEPOINT_TRIES {
                match directory.commit_savepoint(&manifest).await {
                    Err(Error::Unknown { .. }) => sleep(AGAIN).await,
                    done => {
                        result = done.map(drop).map_err(Failure::from);
                        break;
                    }
                }
            }
            let (checkpoint, epoch) = (manifest.checkpoint, manifest.epoch);
            reporter.tell(News::Stored { checkpoint, epoch, is_savepoint: true, result });
        });
    }

    /// Looks for the newest checkpoint that is whole.
    pub(super) fn find_checkpoint(&mut self, id: JobId, keeper: Keeper, damaged: BTreeSet<CheckpointId>) {
        let starts_from = self.jobs.get(&id).and_then(|job| job.kept.starts_from());
        self.spawn(id, |reporter| async move {
            let checkpoints = keeper.lock().await.checkpoints().clone();
            let found = loop {
                match checkpoints.newest_whole(&damaged).await {
                    Ok((found, _)) => break found,
                    Err(_) => sleep(AGAIN).await,
                }
            };
            let directory = checkpoints.directory().location().to_owned();
            let own = found.map(|manifest| RestorePoint { manifest: Arc::new(manifest), directory });
            reporter.tell(News::Found(own.or_else(|| starts_from.map(Arc::unwrap_or_clone))));
        });
    }

    /// Removes all checkpoints of a job whose end is durable.
    pub(super) fn discard_checkpoints(&mut self, id: JobId, keeper: Keeper) {
        self.spawn(id, |_| async move {
            // They stay if they cannot be removed.
            drop(keeper.lock().await.discard().await);
        });
    }
}
