//! The checkpoints of jobs: [keepers](CheckpointKeeper) over a [faulty store](FaultyStore), in simulated time.
//!
//! Keepers are the real ones, and so are the logs below them. What they do are tasks of a runtime whose clock stands still but for
//! being told to go on, which the world does as its own time goes on; what they tell a JobMaster is [overheard](Overheard), and told
//! to its machine. With the JobManager that began them they end, at whatever await they have come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc},
    time::Duration,
};

use flott_core::{
    failure::{Failure, Retry},
    id::{CheckpointId, JobId, JobMasterEpoch, LeaderEpoch},
    past::Past,
    status::JobStatus,
};
use flott_dispatcher::stores::{Inserted, Obsolete};
use flott_jobmaster::{
    CheckpointKeeper, Event, JobMasterHandle, Recovery, RestorePoint, SnapshotSpec, ToStore, testing::Overheard,
};
use flott_snapshot::{Directory, Error, Snapshot};
use futures::FutureExt;
use tokio::{
    runtime::{EnterGuard, Runtime},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    check::{Broken, Invariant},
    host::STATE,
    records::{Asked, Beginning},
    store::FaultyStore,
    stores::Pending,
    world::{Happening, World},
};
use crate::random::Random;

/// Where all checkpoints and savepoints are.
pub const ROOT: &str = "checkpoints";
/// How long it may take to open a log, as with the Dispatcher; then it is begun anew after a pause.
const OPENING: Duration = Duration::from_secs(30);
/// How long what a savepoint holds may take to be written down, as with the Dispatcher.
const NOTING: Duration = Duration::from_secs(60);
pub const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for which nobody looks whether a task goes on by itself, in milliseconds.
const LOOK_MS: u64 = 50;
/// The same while there is nothing but elections.
const LOOK_AT_ELECTIONS_MS: u64 = 250;
/// Rounds in which what is due gets done: a request, its answer, and what that leads to.
const ROUNDS: u32 = 6;

/// The keeper of a JobMaster's checkpoints, and what that one is told.
pub struct Keeping {
    pub keeper: Arc<CheckpointKeeper>,
    pub master: JobMasterHandle,
    overheard: Overheard,
    /// Those that are being completed and are savepoints.
    savepoints: BTreeSet<CheckpointId>,
}

impl Keeping {
    /// That of the JobMaster `epoch`.
    pub fn new(job: JobId, epoch: JobMasterEpoch, keeper: CheckpointKeeper) -> Self {
        let (master, overheard) = Overheard::of(job, epoch);
        Self { keeper: Arc::new(keeper), master, overheard, savepoints: BTreeSet::new() }
    }

    /// The JobMaster's job has another state.
    pub fn turn(&self, status: JobStatus) {
        self.overheard.turn(status);
    }

    /// The job's checkpoints, for whoever removes them.
    pub fn obsolete(&self) -> Obsolete {
        Obsolete { root: self.keeper.root().to_owned(), spares_results: false }
    }

    /// A new directory for a savepoint.
    pub fn new_savepoint(&self) -> Option<String> {
        // There is nothing to make, so there is nothing to wait for.
        self.keeper.new_savepoint(ROOT).now_or_never()?.ok()
    }
}

/// What has come of a task that no JobMaster has begun.
pub enum News {
    /// The log of a JobMaster is open, or never will be; it may be another than it should.
    Opened(JobMasterEpoch, Result<Box<(CheckpointKeeper, SnapshotSpec)>, Failure>, Seen),
    /// That it was claimed is written down, or is not.
    Noted(JobMasterEpoch, Box<(CheckpointKeeper, SnapshotSpec)>, Box<Past>, Asked<()>),
    /// The checkpoints of a job that has ended are removed, those that were there then.
    Cleared(Instant),
    /// The same of a savepoint that was given up.
    Abandoned(String, Instant),
    /// What a client has asked is done, or is not.
    Inserted(Asked<Inserted>),
    Cancelled(Asked<()>),
    /// What a JobMaster has written is there, or is not.
    Written(Box<Pending>, Asked<()>),
}

/// What of a job's checkpoints was seen when its log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    AsTheyAre,
    Copy,
    Nothing,
}

/// Whose task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A JobManager's.
    Leading(LeaderEpoch),
    /// That of one in its life which is about to lead.
    Beginning(usize, u32),
}

/// Who hears of a task.
#[derive(Debug, Clone)]
pub struct Reporter {
    leader: LeaderEpoch,
    pub job: JobId,
    news: mpsc::Sender<(LeaderEpoch, JobId, News)>,
}

impl Reporter {
    pub fn tell(&self, news: News) {
        // The world that hears of it ends the tasks when it ends.
        drop(self.news.send((self.leader, self.job, news)));
    }
}

/// The store of checkpoints, and who works with it.
pub struct Logs {
    runtime: Runtime,
    pub store: FaultyStore,
    sender: mpsc::Sender<(LeaderEpoch, JobId, News)>,
    news: mpsc::Receiver<(LeaderEpoch, JobId, News)>,
    tasks: Vec<(Owner, JoinHandle<()>)>,
    /// Those that have begun to lead, or have not.
    pub beginning: mpsc::Sender<Beginning>,
    beginnings: mpsc::Receiver<Beginning>,
    /// Savepoints whose files were removed that were there then.
    pub abandoned: BTreeMap<String, Instant>,
    /// Savepoints that somebody began to complete.
    pub completing: BTreeSet<String>,
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
        let (sender, news) = mpsc::channel();
        let (beginning, beginnings) = mpsc::channel();
        let (tasks, abandoned, completing, wake) = Default::default();
        let store = FaultyStore::new(random);
        let came_to = now;
        Self { runtime, store, sender, news, tasks, beginning, beginnings, abandoned, completing, came_to, wake }
    }

    /// What a savepoint holds, read without faults.
    pub fn load_savepoint(&self, location: &str) -> Result<RestorePoint, Error> {
        let loaded = self.runtime.block_on(Snapshot::load_from(self.store.healthy_directory(location)))?;
        Ok(RestorePoint { manifest: Arc::new(loaded.manifest), directory: location.to_owned() })
    }

    /// A task writes a state file.
    pub fn write_state(&self, location: &str) {
        let _entered = self.enter();
        self.store.write(location, STATE);
    }

    /// Whether a state file is there.
    pub fn has_state(&self, location: &str) -> bool {
        self.store.has(location)
    }

    /// Where the lease is.
    pub fn lease_directory(&self) -> Directory {
        self.store.directory("cluster/leader")
    }

    /// What begins while this lives are tasks that go on with all others.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Where the log of jobs is. Whoever keeps it should have a store that is better than most: less goes wrong there.
    pub fn records_directory(&self) -> Directory {
        self.store.better().directory("cluster/jobs")
    }

    /// Begins a task.
    pub fn spawn(&mut self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.runtime.spawn(task);
        self.tasks.push((owner, handle));
    }

    /// A JobManager is gone.
    pub fn end(&mut self, owner: Owner) {
        for (_, task) in self.tasks.extract_if(.., |(of, _)| *of == owner) {
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
    fn next_due(&self, are_elections: bool) -> Option<u64> {
        if self.tasks.is_empty() {
            return are_elections.then(|| self.came_to + LOOK_AT_ELECTIONS_MS);
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
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        job: JobId,
        task: impl FnOnce(Reporter) -> F,
    ) {
        let leader = self.jobmanager.leader;
        self.logs.advance(self.now);
        let task = task(Reporter { leader, job, news: self.logs.sender.clone() });
        self.logs.spawn(Owner::Leading(leader), task);
        self.expect_logs(self.now + 1);
    }

    pub(super) fn expect_logs(&mut self, at: u64) {
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
        self.elections_go_on();
        while let Ok(beginning) = self.logs.beginnings.try_recv() {
            match beginning {
                Beginning::Done(begun) => self.leads(*begun)?,
                Beginning::Deposed(seat, life) => self.is_deposed(seat, life),
            }
        }
        while let Ok((leader, job, news)) = self.logs.news.try_recv() {
            self.tell(leader, |world| world.hear(job, news))?;
        }
        let leaders = self.deposed.iter().map(|deposed| deposed.leader).chain([self.jobmanager.leader]);
        for leader in leaders.collect::<Vec<_>>() {
            self.tell(leader, |world| {
                let masters: Vec<_> = world.jobmanager.masters.keys().copied().collect();
                masters.into_iter().try_for_each(|job| world.hear_keeper(job))
            })?;
        }
        if let Some(at) = self.logs.next_due(self.elections.are_held()) {
            self.expect_logs(at);
        }
        Ok(())
    }

    fn hear(&mut self, id: JobId, news: News) -> Result<(), Broken> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        match news {
            News::Opened(epoch, opened, seen) => {
                let what = |failure| format!("the checkpoints of job {id} are lost to JobMaster {epoch}: {failure}");
                let opened = Invariant::I12.held(opened.map_err(what))?;
                let snapshots = &opened.1;
                if snapshots.is_damaged {
                    return Err(Invariant::I12.broken(format!("the newest checkpoint of job {id} is damaged")));
                }
                if seen == Seen::Nothing {
                    let what =
                        format!("job {id} begins from nothing, where the volume of its checkpoints is not mounted");
                    return Err(Invariant::I18.broken(what));
                }
                if seen == Seen::AsTheyAre {
                    let own = snapshots.restore.as_ref().map(|point| &point.manifest).filter(|it| it.job_id == id);
                    job.told.began(epoch, own.map(|manifest| manifest.checkpoint))?;
                }
                match job.kept.claims(epoch) {
                    Some(past) => {
                        self.note_claim(id, epoch, opened, past);
                        Ok(())
                    }
                    None => {
                        let (keeper, snapshots) = *opened;
                        self.begin(id, epoch, (snapshots, Some(keeper)), seen == Seen::Copy)
                    }
                }
            }
            News::Noted(epoch, opened, past, asked) => self.noted(id, epoch, *opened, *past, asked),
            News::Cleared(began) => {
                job.kept.cleared(began);
                Ok(())
            }
            News::Abandoned(location, began) => {
                self.logs.abandoned.insert(location, began);
                Ok(())
            }
            News::Inserted(asked) => self.inserted(id, asked),
            News::Cancelled(asked) => {
                self.cancelled(id, asked);
                Ok(())
            }
            News::Written(what, asked) => self.written(id, *what, asked),
        }
    }

    /// A JobMaster hears what its keeper has told it.
    fn hear_keeper(&mut self, id: JobId) -> Result<(), Broken> {
        while let Some(event) = self.keeping(id).and_then(|keeping| keeping.overheard.try_event()) {
            if let Event::CheckpointStored { checkpoint, result } = &event {
                self.note_stored(id, *checkpoint, result.is_ok())?;
            }
            self.maybe_again(id, &event);
            self.master(id, event);
        }
        let Some(master) = self.jobmanager.masters.get(&id).filter(|master| !master.core.is_over()) else {
            return Ok(());
        };
        if master.keeping.as_ref().is_none_or(|keeping| !keeping.overheard.is_stopped()) {
            return Ok(());
        }
        if !self.is_past {
            return Err(Invariant::I12.broken(format!("the JobMaster that leads job {id} is deposed")));
        }
        self.summary.deposed += 1;
        self.master(id, Event::Suspend);
        // It writes that the job has ended, and is refused.
        self.learns_deposed();
        Ok(())
    }

    pub(super) fn keeping(&mut self, id: JobId) -> Option<&mut Keeping> {
        self.jobmanager.masters.get_mut(&id)?.keeping.as_mut()
    }

    fn note_stored(&mut self, id: JobId, checkpoint: CheckpointId, is_complete: bool) -> Result<(), Broken> {
        let Some(keeping) = self.keeping(id) else { return Ok(()) };
        let epoch = keeping.master.epoch();
        if keeping.savepoints.remove(&checkpoint) || !is_complete {
            return Ok(());
        }
        self.summary.checkpoints += 1;
        self.jobs.get_mut(&id).map_or(Ok(()), |job| job.told.completed(checkpoint, epoch))
    }

    /// Has a JobMaster of a job claim its log, however often the store fails.
    pub(super) fn open_log(&mut self, id: JobId, epoch: JobMasterEpoch, complete: Option<CheckpointId>) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (path, known) = (job.kept.starts_from(), job.kept.known().with_complete(complete));
        let (store, location) = (self.jobmanager.store.clone(), format!("{ROOT}/{id}"));
        let is_unmounted = self.jobmanager.unmounted.contains(&id);
        self.spawn(id, |reporter| async move {
            loop {
                let store = store.as_seen();
                let seen = match store.is_away(&location) {
                    false => Seen::AsTheyAre,
                    true if is_unmounted => Seen::Nothing,
                    true => Seen::Copy,
                };
                let recovery = Recovery { path: path.clone(), stores: Arc::new(store), ..Recovery::default() };
                match timeout(OPENING, CheckpointKeeper::open(ROOT, id, epoch, &recovery, &known)).await {
                    Ok(Ok(opened)) => return reporter.tell(News::Opened(epoch, Ok(Box::new(opened)), seen)),
                    Ok(Err(failure)) if failure.retry == Retry::Never => {
                        return reporter.tell(News::Opened(epoch, Err(failure), seen));
                    }
                    Ok(Err(_)) | Err(_) => sleep(AGAIN).await,
                }
            }
        });
    }

    /// Has a checkpoint or savepoint completed.
    pub(super) fn store_checkpoint(&mut self, id: JobId, what: ToStore) {
        let is_full = self.has_faults() && self.random.per_mille(self.plan.faults.stores);
        let Some(keeping) = self.keeping(id) else { return };
        let (keeper, master, checkpoint) =
            (Arc::clone(&keeping.keeper), keeping.master.clone(), what.manifest.checkpoint);
        keeping.savepoints.extend(what.savepoint.is_some().then_some(checkpoint));
        self.logs.completing.extend(what.savepoint.clone());
        let noted = what.savepoint.as_ref().and_then(|_| Some(Arc::clone(&self.jobmanager.masters.get(&id)?.writes)));
        self.spawn(id, |_| async move {
            // What it holds is written down before: it is this one's turn behind that.
            if let Some(noted) = noted
                && timeout(NOTING, noted.lock()).await.map_or(true, |is_refused| *is_refused)
            {
                let failure = Failure::environment("what the savepoint holds is not written down");
                return master.checkpoint_stored(checkpoint, Err(failure));
            }
            if is_full {
                // Other than most stores, a local directory says for sure that there is no room.
                return master.checkpoint_stored(checkpoint, Err(Failure::environment("the disk is full")));
            }
            keeper.store(&master, what).await;
        });
    }

    /// Looks for the newest checkpoint that is whole.
    pub(super) fn find_checkpoint(&mut self, id: JobId, damaged: BTreeSet<CheckpointId>) {
        let Some(keeping) = self.keeping(id) else { return };
        let (keeper, master) = (Arc::clone(&keeping.keeper), keeping.master.clone());
        self.spawn(id, |_| async move { keeper.find(&master, &damaged).await });
    }
}
