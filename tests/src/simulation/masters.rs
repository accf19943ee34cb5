//! The JobManager: the slot manager, a JobMaster per job, and what goes between them.

use std::collections::BTreeMap;

use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    id::{JobId, JobMasterEpoch, WorkerKey},
    job_graph::scale::ParallelismBounds,
    message::{JobToWorker, ToWorker, WorkerToJob},
    status::JobStatus,
};
use flott_jobmaster::{
    Action, Event, JobMasterCore, JobSpec, Millis, RescaleRequest,
    checkpoints::{Purpose, RequestId},
};
use flott_resource_manager::{
    Declaration, Time,
    slot_manager::{Action as ManagerAction, Event as ManagerEvent},
};

use super::{
    check::{Broken, Invariant},
    jobs::Profile,
    outside::Outside,
    stores::{Kept, Pending},
    world::{Happening, World},
};

/// A job with its JobMaster.
pub struct Job {
    pub core: JobMasterCore,
    pub profile: Profile,
    pub outside: Outside,
    /// What is stored of it.
    pub kept: Kept,
    pub is_cancelled: bool,
    pub ended: Option<(JobStatus, Option<Failure>)>,
    pub waits_since: Option<u64>,
    pub(super) declared: Declaration,
}

impl Job {
    pub fn declared(&self) -> &Declaration {
        &self.declared
    }
}

impl World {
    pub(super) fn submit(&mut self, spec: JobSpec, profile: Profile) -> Result<JobId, Broken> {
        let id = spec.graph.job_id;
        let declared = Declaration::withdrawn(id, spec.epoch);
        let (outside, kept) = (Outside { epoch: spec.epoch, ..Outside::default() }, Kept::new(spec.clone()));
        let core = Invariant::I8.held(JobMasterCore::new(spec))?;
        let (is_cancelled, ended, waits_since) = Default::default();
        let job = Job { core, profile, outside, kept, is_cancelled, ended, waits_since, declared };
        self.jobs.insert(id, job);
        self.master(id, Event::Start);
        Ok(id)
    }

    /// Tells the slot manager something, and carries out what it wants.
    pub(super) fn manage(&mut self, event: ManagerEvent) {
        if self.is_down {
            return;
        }
        let actions = self.manager.handle(Time(self.now), event);
        for action in actions {
            match action {
                ManagerAction::Send { to, message } => self.send_to_worker(&to, message),
                ManagerAction::Disconnect { worker, .. } => self.disconnect(&worker),
                ManagerAction::StartWorker(spec) => self.backend_starts(spec),
                ManagerAction::StopWorker { worker, .. } => self.backend_stops(&worker),
                ManagerAction::Pending { job, reasons } => self.later.push_back((job, Event::Pending(reasons))),
                ManagerAction::WorkerLost { worker, failure } => {
                    self.summary.workers_lost += 1;
                    for job in self.jobs.keys() {
                        let (worker, failure) = (worker.clone(), failure.clone());
                        self.later.push_back((*job, Event::WorkerLost { worker, failure }));
                    }
                }
            }
        }
        if let Some(at) = self.manager.next_tick().map(|at| at.0)
            && self.manager_tick.is_none_or(|tick| at < tick)
        {
            self.manager_tick = Some(at);
            self.at(at.max(self.now), Happening::ManagerTick);
        }
        // One component is told after the other: none is called while it decides.
        if !self.is_telling {
            self.is_telling = true;
            while let Some((job, event)) = self.later.pop_front() {
                self.master(job, event);
            }
            self.is_telling = false;
        }
    }

    pub(super) fn tick_manager(&mut self) {
        self.manager_tick = None;
        self.manage(ManagerEvent::Tick);
    }

    /// Tells a JobMaster something, and carries out what it wants.
    pub(super) fn master(&mut self, id: JobId, event: Event) {
        let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_down) else { return };
        let epoch = job.core.spec().epoch;
        let traced = self.trace.as_ref().is_some_and(|wanted| *wanted == id.to_string());
        let (now, told) = (self.now - self.began_at, traced.then(|| format!("{event:?}")));
        let actions = job.core.handle(Millis(self.now), event);
        if let Some(told) = told {
            eprintln!("{now} {} is told {told}\n  and wants {actions:?}", job.core.status());
        }
        let mut declaration = job.declared.clone();
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
                    self.send_to_worker(&worker, ToWorker::Job { job: id, epoch, message });
                }
                Action::WakeAt(Some(at)) => self.at(at.0.max(self.now), Happening::MasterWake(id, at.0)),
                Action::PersistScale(scale) => self.store(id, Pending::Scale(scale)),
                Action::PersistPast(past) => self.store(id, Pending::Past(past)),
                Action::WakeAt(None) | Action::StatusChanged(_) => {}
                Action::FindCheckpoint { damaged } => {
                    let point =
                        self.jobs.get(&id).and_then(|job| job.kept.newest_but(&damaged)).map(std::sync::Arc::new);
                    self.later.push_back((id, Event::CheckpointFound { point, damaged: BTreeMap::new() }));
                }
                Action::SnapshotAnswered { result, .. } => self.summary.savepoints += u32::from(result.is_ok()),
                Action::RescaleAnswered { result, .. } => self.summary.rescales += u32::from(result.is_ok()),
                Action::PersistCommit(committables) => self.store(id, Pending::Commit(committables)),
                Action::StoreCheckpoint { manifest, retained, directory } => self.store(
                    id,
                    match directory {
                        None => Pending::Checkpoint { manifest, retained },
                        Some(_) => Pending::Savepoint(manifest.checkpoint),
                    },
                ),
                Action::Ended(view) => {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        let again = job.ended.replace((view.status, view.failure));
                        self.faults_seen
                            .extend(again.map(|_| Invariant::I9.broken(format!("job {id} has ended twice"))));
                    }
                    self.store(id, Pending::End);
                }
            }
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if declaration != job.declared {
            job.declared = declaration.clone();
            self.manage(ManagerEvent::Declared(declaration));
        }
    }

    pub(super) fn wake_master(&mut self, id: JobId, at: u64) {
        if self.jobs.get(&id).is_some_and(|job| job.core.next_wake() == Some(Millis(at))) {
            self.master(id, Event::Wake);
        }
    }

    pub(super) fn master_hears(&mut self, worker: &WorkerKey, id: JobId, epoch: JobMasterEpoch, message: WorkerToJob) {
        let known = self.jobs.get(&id).filter(|job| !job.core.is_over()).map(|job| job.core.spec().epoch);
        // What an older JobMaster has left is for the one that leads now.
        let is_left = matches!(message, WorkerToJob::Found(_)) && known.is_some_and(|known| known > epoch);
        self.summary.taken_over += u32::from(matches!(message, WorkerToJob::Adopted(_)));
        if known != Some(epoch) && !is_left {
            self.send_to_worker(worker, ToWorker::Job { job: id, epoch, message: JobToWorker::Forget });
            return;
        }
        self.master(id, Event::Worker { worker: worker.clone(), epoch, message });
    }

    /// Somebody wants a savepoint of a job, or another parallelism.
    pub(super) fn ask(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        self.asked_ever += 1;
        let request = RequestId(self.asked_ever);
        if self.random.per_mille(500) {
            let directory = format!("/savepoints/{}", self.asked_ever);
            return self.master(id, Event::Snapshot(Purpose::Savepoint { request, directory, behind: Behind::GoOn }));
        }
        let bounds = |parallelism| ParallelismBounds { lower: parallelism, upper: parallelism };
        let vertices = job.core.spec().graph.vertices.iter().map(|vertex| vertex.id);
        let widest = u64::from(self.plan.parallelism_max.min(self.plan.slots_max()));
        let asked = RescaleRequest {
            parallelism: None,
            vertices: vertices.map(|id| (id, bounds(self.random.within(1..=widest) as u32))).collect(),
        };
        if job.core.rescale_target(&asked).is_ok() {
            self.master(id, Event::Rescale { request, asked });
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_down) {
            job.is_cancelled = true;
            self.master(id, Event::Cancel);
        }
    }
}
