//! The JobManager: the slot manager, a JobMaster per job, and what goes between them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    id::{CheckpointId, JobId, JobMasterEpoch, JobSecret, ProcessId, WorkerKey},
    job_graph::scale::ParallelismBounds,
    message::{JobToWorker, ToWorker, WorkerToJob},
    status::JobStatus,
};
use flott_jobmaster::{
    Action, Event, JobMasterCore, JobSpec, Millis, RescaleRequest, Taken, ToStore,
    checkpoints::{Purpose, RequestId},
};
use flott_resource_manager::{
    Declaration, Time,
    slot_manager::{Action as ManagerAction, Event as ManagerEvent},
};
use object_store::memory::InMemory;
use tokio::sync::Mutex;

use super::{
    check::{self, Broken, Invariant},
    jobmanager::JobManager,
    jobs::{self, Profile},
    logs::{Keeping, Told},
    outside::Outside,
    stale::{Hoard, Known},
    stores::{End, Kept, Pending},
    world::{Happening, World},
};

/// A job, whoever leads it.
pub struct Job {
    pub profile: Profile,
    pub outside: Outside,
    /// What is stored of it.
    pub kept: Kept,
    /// What its JobMasters were told of its checkpoints.
    pub told: Told,
    /// A JobManager has said that it is accepted.
    pub is_accepted: bool,
    /// Somebody wanted it to be cancelled.
    pub may_be_cancelled: bool,
    /// So it is, as a JobManager has said or the one that leads knows.
    pub is_cancelled: bool,
    /// What was said of it.
    pub hoard: Hoard,
    /// What its processes were started with.
    pub secrets: BTreeMap<ProcessId, JobSecret>,
    /// Tasks of it were deployed.
    pub was_deployed: bool,
    /// Its checkpoints as they were once.
    pub copies: VecDeque<Arc<InMemory>>,
}

/// A JobMaster.
pub struct Master {
    pub core: JobMasterCore,
    /// Of a job that takes checkpoints.
    pub keeping: Option<Keeping>,
    pub has_ended: bool,
    pub waits_since: Option<u64>,
    /// Where the savepoints are to be that were asked for.
    pub savepoints: BTreeMap<RequestId, String>,
    /// The request for a savepoint that the job is to stop with.
    pub stops: Option<RequestId>,
    /// Where that is.
    pub stopped_with: Option<String>,
    pub declared: Declaration,
    /// Whose turn it is to write to the log of jobs, and whether that has refused something.
    pub writes: Arc<Mutex<bool>>,
    pub known: Known,
    /// What the processes have in common that it deploys to.
    pub secret: Option<JobSecret>,
    /// Its log is an older copy.
    pub is_away: bool,
    /// The newest checkpoint that it was told of then.
    pub heard: CheckpointId,
}

impl World {
    pub(super) fn submit(&mut self, spec: JobSpec, profile: Profile) -> Result<JobId, Broken> {
        let id = spec.graph.job_id;
        self.enter(spec, profile, Outside::default())?;
        Ok(id)
    }

    fn enter(&mut self, spec: JobSpec, profile: Profile, outside: Outside) -> Result<(), Broken> {
        let id = spec.graph.job_id;
        let (told, hoard, secrets, copies) = Default::default();
        let job = Job {
            profile,
            outside,
            kept: Kept::new(spec),
            told,
            is_accepted: !self.plan.durable,
            may_be_cancelled: false,
            is_cancelled: false,
            hoard,
            secrets,
            was_deployed: false,
            copies,
        };
        self.jobs.insert(id, job);
        if self.plan.durable { self.submit_again(id) } else { self.open(id) }
    }

    /// A job that has stopped with a savepoint is started from it, as a new one.
    pub(super) fn start_from(&mut self, stopped: JobId, savepoint: &str) -> Result<(), Broken> {
        let restore = self.logs.load_savepoint(savepoint);
        let restore = restore.map_err(|error| Invariant::I8.broken(format!("a savepoint cannot be read: {error}")))?;
        let Some(job) = self.jobs.get(&stopped) else { return Ok(()) };
        // Else it could not be seen: the new job makes it visible once more.
        let mut promised = restore.manifest.committables.iter().map(|committable| &committable.data);
        if let Some(data) = promised.find(|data| !job.outside.shows(data)) {
            let what = format!("job {stopped} has stopped with {savepoint}, and {data:?} in it is not visible");
            return Err(Invariant::I4.broken(what));
        }
        let (profile, outside) = (job.profile.clone(), job.outside.follow());
        let spec = jobs::again(job.kept.spec(), restore, &mut self.random, self.now);
        self.summary.continued += 1;
        self.enter(spec, profile, outside)
    }

    /// Tells the slot manager something, and carries out what it wants.
    pub(super) fn manage(&mut self, event: ManagerEvent) {
        if self.jobmanager.is_down {
            return;
        }
        let actions = self.jobmanager.manager.handle(Time(self.now), event);
        for action in actions {
            match action {
                ManagerAction::Send { to, message } => self.send_to_worker(&to, message),
                ManagerAction::Disconnect { worker, .. } => self.disconnect(&worker),
                ManagerAction::StartWorker(_) | ManagerAction::StopWorker { .. } if self.is_past => {}
                ManagerAction::StartWorker(spec) => self.backend_starts(spec),
                ManagerAction::StopWorker { worker, .. } => self.backend_stops(&worker),
                ManagerAction::Pending { job, reasons } => {
                    self.jobmanager.later.push_back((job, Event::Pending(reasons)))
                }
                ManagerAction::WorkerLost { worker, failure } => {
                    self.summary.workers_lost += 1;
                    let JobManager { awaiting, masters, later, .. } = &mut self.jobmanager;
                    awaiting.values_mut().for_each(|found| found.retain(|(on, ..)| *on != worker));
                    for job in masters.keys() {
                        let (worker, failure) = (worker.clone(), failure.clone());
                        later.push_back((*job, Event::WorkerLost { worker, failure }));
                    }
                    self.lost_again(&worker, &failure);
                }
            }
        }
        if let Some(at) = self.jobmanager.manager.next_tick().map(|at| at.0)
            && self.jobmanager.tick.is_none_or(|tick| at < tick)
        {
            self.jobmanager.tick = Some(at);
            self.at(at.max(self.now), Happening::ManagerTick(self.jobmanager.leader));
        }
        // One component is told after the other: none is called while it decides.
        if !self.jobmanager.is_telling {
            self.jobmanager.is_telling = true;
            while let Some((job, event)) = self.jobmanager.later.pop_front() {
                self.master(job, event);
            }
            self.jobmanager.is_telling = false;
        }
    }

    pub(super) fn tick_manager(&mut self) {
        self.jobmanager.tick = None;
        self.manage(ManagerEvent::Tick);
    }

    /// Tells a JobMaster something, and carries out what it wants.
    pub(super) fn master(&mut self, id: JobId, event: Event) {
        if self.jobmanager.is_down {
            return;
        }
        self.note_heard(id, &event);
        self.note_found(id, &event);
        let JobManager { masters, leader, .. } = &mut self.jobmanager;
        let Some(master) = masters.get_mut(&id) else { return };
        let (epoch, leader) = (master.core.spec().epoch, *leader);
        let traced = self.trace.as_ref().is_some_and(|wanted| *wanted == id.to_string());
        let (now, told) = (self.now - self.began_at, traced.then(|| format!("{event:?}")));
        let actions = master.core.handle(Millis(self.now), event);
        if let Some(told) = told {
            eprintln!("{now} {leader} {} is told {told}\n  and wants {actions:?}", master.core.status());
        }
        if self.goes_astray(id, &actions) {
            return;
        }
        let Some(master) = self.jobmanager.masters.get(&id) else { return };
        let mut declaration = master.declared.clone();
        for action in actions {
            match action {
                Action::Declare(needs) => {
                    declaration = Declaration::new(id, epoch, needs.slots)
                        .wishing(needs.wishes.wished, needs.wishes.welcome)
                        .useful_from(needs.useful_min)
                        .idle(needs.idle)
                        .reconciling(needs.reconciling);
                }
                Action::Send { worker, message } => {
                    self.note_said(id, &worker, epoch, &message);
                    self.check_said(id, &worker, &message);
                    self.send_to_worker(&worker, ToWorker::Job { job: id, epoch, message });
                }
                Action::WakeAt(Some(at)) => self.at(at.0.max(self.now), Happening::MasterWake(leader, id, at.0)),
                Action::PersistScale(scale) => self.store(id, Pending::Scale(scale)),
                Action::PersistPast(past) => self.store(id, Pending::Past(past)),
                Action::WakeAt(None) => {}
                // The end is known when it is told.
                Action::StatusChanged(status) if status.is_terminal() => {}
                Action::StatusChanged(status) => self.turn(id, status),
                Action::FindCheckpoint { damaged } => self.find_checkpoint(id, damaged),
                Action::SnapshotAnswered { request, result } => self.answered(id, request, result),
                Action::RescaleAnswered { result, .. } => self.summary.rescales += u32::from(result.is_ok()),
                Action::PersistCommit(committables) => {
                    let stopped_with = self.jobmanager.masters.get(&id).and_then(|master| master.stopped_with.clone());
                    self.store(id, Pending::Commit(committables, stopped_with));
                }
                Action::StoreCheckpoint { manifest, retained, directory } => {
                    self.store_checkpoint(id, ToStore { manifest, retained, savepoint: directory });
                }
                Action::StepAside { checkpoint, found } => return self.stepped_aside(id, epoch, checkpoint, found),
                Action::Ended(view) => {
                    self.turn(id, view.status);
                    self.faults_seen.extend(check::check_view(&view).err());
                    let Some(master) = self.jobmanager.masters.get_mut(&id) else { continue };
                    if std::mem::replace(&mut master.has_ended, true) {
                        self.faults_seen.push(Invariant::I9.broken(format!("job {id} has ended twice")));
                    }
                    let is_finished = view.status == JobStatus::Finished;
                    let is_obsolete = is_finished && !view.checkpoints.holds_results;
                    let keeping = master.keeping.as_ref().filter(|_| is_obsolete);
                    let end = End {
                        status: view.status,
                        obsolete: keeping.map(Keeping::obsolete),
                        failure: view.failure.clone(),
                        stopped_with: master.stopped_with.clone().filter(|_| is_finished),
                    };
                    self.store(id, Pending::End(Box::new(end), view));
                }
            }
        }
        let Some(master) = self.jobmanager.masters.get_mut(&id) else { return };
        if declaration != master.declared {
            master.declared = declaration.clone();
            self.manage(ManagerEvent::Declared(declaration));
        }
    }

    fn turn(&self, id: JobId, status: JobStatus) {
        if let Some(keeping) = self.jobmanager.masters.get(&id).and_then(|master| master.keeping.as_ref()) {
            keeping.turn(status);
        }
    }

    /// A savepoint that was asked for is there, or will not be.
    fn answered(&mut self, id: JobId, request: RequestId, result: Result<Taken, Failure>) {
        let Some(master) = self.jobmanager.masters.get_mut(&id) else { return };
        let Some(directory) = master.savepoints.remove(&request) else { return };
        let stops = master.stops.take_if(|stops| *stops == request).is_some();
        match result {
            Ok(Taken { location, .. }) => {
                master.stopped_with = stops.then(|| location.clone()).or(master.stopped_with.take());
                self.summary.savepoints += 1;
                let loaded = self.logs.load_savepoint(&location);
                if let Err(error) = loaded {
                    self.faults_seen.push(Invariant::I8.broken(format!("a savepoint cannot be read: {error}")));
                }
            }
            Err(_) => self.abandon_savepoint(id, directory),
        }
    }

    /// JobMasters hear once more that a worker is lost, or some do.
    fn lost_again(&mut self, worker: &WorkerKey, failure: &Failure) {
        for job in self.jobmanager.masters.keys().copied().collect::<Vec<_>>() {
            self.maybe_again(job, &Event::WorkerLost { worker: worker.clone(), failure: failure.clone() });
        }
    }

    /// A JobMaster that is told this is told it once more, or not.
    pub(super) fn maybe_again(&mut self, id: JobId, event: &Event) {
        if let Some(at) = self.again() {
            self.at(at, Happening::Again(self.jobmanager.leader, id, Box::new(event.clone())));
        }
    }

    pub(super) fn wake_master(&mut self, id: JobId, at: u64) {
        if self.jobmanager.masters.get(&id).is_some_and(|master| master.core.next_wake() == Some(Millis(at))) {
            self.master(id, Event::Wake);
        }
    }

    pub(super) fn master_hears(&mut self, worker: &WorkerKey, id: JobId, epoch: JobMasterEpoch, message: WorkerToJob) {
        let masters = &self.jobmanager.masters;
        let known = masters.get(&id).filter(|it| !it.core.is_over()).map(|it| it.core.spec().epoch);
        if known.is_none() && self.jobmanager.keeps(worker, id, epoch, &message) {
            return;
        }
        // What an older JobMaster has left is for the one that leads now.
        let is_left = matches!(message, WorkerToJob::Found(_)) && known.is_some_and(|known| known > epoch);
        self.summary.taken_over += u32::from(matches!(message, WorkerToJob::Adopted(_)));
        if known != Some(epoch) && !is_left {
            // The switchboard sees to it, and a JobMaster must not need that.
            if known.is_some() && self.has_faults() && self.random.per_mille(self.plan.faults.astray) {
                self.master(id, Event::Worker { worker: worker.clone(), epoch, message });
            }
            self.send_to_worker(worker, ToWorker::Job { job: id, epoch, message: JobToWorker::Forget });
            return;
        }
        self.master(id, Event::Worker { worker: worker.clone(), epoch, message });
    }

    /// Somebody wants a savepoint of a job, or another parallelism.
    pub(super) fn ask(&mut self, id: JobId) {
        self.asked_ever += 1;
        let request = RequestId(self.asked_ever);
        let Some(master) = self.jobmanager.masters.get_mut(&id).filter(|master| !master.core.is_over()) else { return };
        if self.random.per_mille(500) {
            let Some(directory) = master.keeping.as_ref().and_then(Keeping::new_savepoint) else { return };
            master.savepoints.insert(request, directory.clone());
            let stops = self.random.per_mille(600) && master.stops.is_none();
            let behind = if stops { Behind::Stop } else { Behind::GoOn };
            master.stops = if stops { Some(request) } else { master.stops };
            return self.master(id, Event::Snapshot(Purpose::Savepoint { request, directory, behind }));
        }
        let bounds = |parallelism| ParallelismBounds { lower: parallelism, upper: parallelism };
        let vertices = master.core.spec().graph.vertices.iter().map(|vertex| vertex.id);
        let widest = u64::from(self.plan.parallelism_max.min(self.plan.slots_max()));
        let asked = RescaleRequest {
            parallelism: None,
            vertices: vertices.map(|id| (id, bounds(self.random.within(1..=widest) as u32))).collect(),
        };
        if master.core.rescale_target(&asked).is_ok() {
            self.master(id, Event::Rescale { request, asked });
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) -> Result<(), Broken> {
        if self.plan.durable {
            return self.ask_to_cancel(id);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            (job.may_be_cancelled, job.is_cancelled) = (true, true);
            self.master(id, Event::Cancel);
        }
        Ok(())
    }
}
