//! Every decision about slots and workers, without I/O, clock or randomness.
//!
//! Jobs declare needs; what is missing is granted from free slots, in the order in which jobs first declared, and each
//! job's missing slots whole or not at all: two jobs never sit on halves that neither can use. A later job may take
//! what an earlier one cannot use yet, but not for ever: once a job has waited for
//! [`SlotManagerOptions::overtaking_max`] free slots are kept for it, for as long as the workers there are could serve
//! it; and slots on which a job runs nothing, because it misses others, are taken back when they would let another job
//! run. What free slots do not cover is asked of the backend as workers, within bounds and with pauses after failures.
//!
//! Both sides of a grant may forget, and any message may be late or repeated, so nothing is ever concluded from silence
//! alone: unanswered requests are sent again, and each heartbeat's whole list of slots is compared with what is known
//! here ([`reconciling`](self)). An allocation id is used once, so an old answer never speaks of a new grant.
//!
//! # Layout
//! - `event`: [`Event`]s in, [`Action`]s out
//! - `serving`: free slots to jobs; `starting`: workers for the rest; `idle`: workers back; `reasons`: why a job waits
//! - `granting`: the life of one grant; `reconciling`: lists of slots against what is known
//! - `registering`: workers come, break off, come back, are lost; `departing`: they take leave
//! - `worker`, `job`, `free_slots`, `classes`, `deadlines`, `backoff`, `failure_detector`: the nouns

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flott_core::{
    id::{AllocationId, IdSequence, InstanceId, JobId, JobMasterEpoch, SlotIndex, WorkerId, WorkerKey},
    message::{FromWorker, ToWorker},
    view::{PendingReason, WorkerView},
};

use self::{
    backoff::Backoff,
    classes::Classes,
    deadlines::{Deadlines, Due},
    departing::Departed,
    free_slots::FreeSlots,
    gone::Gone,
    job::{Arrival, Job},
    starting::{Requested, Stopping},
    worker::{Worker, WorkerNumber},
};
pub use self::{
    event::{Action, Event},
    failure_detector::FailureDetector,
};
use crate::{
    backend::Abilities,
    declaration::Declaration,
    handle::Census,
    options::{Options, SlotManagerOptions},
    time::Time,
};

mod audit;
mod backoff;
mod classes;
mod deadlines;
mod departing;
mod event;
mod failure_detector;
mod free_slots;
mod gone;
mod granting;
mod idle;
mod job;
mod reasons;
mod reconciling;
mod registering;
mod serving;
mod starting;
mod worker;

#[cfg(test)]
mod tests;

/// Jobs whose last JobMaster is remembered after they withdrew, so that an older one is still refused.
const WITHDRAWN_MAX: usize = 1024;

/// The slot manager. See the [module](self).
#[derive(Debug)]
pub struct SlotManager {
    options: SlotManagerOptions,
    leader: flott_core::id::LeaderEpoch,
    address: String,
    abilities: Abilities,
    ids: IdSequence,

    workers: BTreeMap<WorkerNumber, Worker>,
    by_name: BTreeMap<WorkerId, WorkerNumber>,
    registered_ever: u64,
    detector: FailureDetector<WorkerNumber>,
    allocations: BTreeMap<AllocationId, (WorkerNumber, SlotIndex)>,
    free: FreeSlots,
    /// Registered slots by size.
    registered: Classes,
    /// Registered slots by size that count for no job.
    ungranted: Classes,

    jobs: BTreeMap<JobId, Job>,
    order: BTreeMap<Arrival, JobId>,
    /// Jobs that miss something.
    short: BTreeSet<Arrival>,
    /// Jobs that could use more than they need.
    wishing: BTreeSet<Arrival>,
    /// Jobs that were told why they wait.
    told: BTreeSet<Arrival>,
    arrivals_ever: u64,
    withdrawn: BTreeMap<JobId, JobMasterEpoch>,
    withdrawn_order: VecDeque<JobId>,
    /// The job that free slots are kept for.
    kept_for: Option<JobId>,

    requested: BTreeMap<WorkerId, Requested>,
    /// Slots of requested workers by size.
    coming: Classes,
    stopping: BTreeMap<WorkerId, Stopping>,
    /// Those that have taken leave, of which jobs have not been told.
    departed: BTreeMap<WorkerId, Departed>,
    started_ever: u64,
    backoff: Backoff,
    stop_reason: Option<String>,
    /// Lives that were given up, so that they are not taken for new ones.
    gone: Gone,

    deadlines: Deadlines,
    /// Something changed that may let a job be served or a worker be started.
    changed: bool,
    actions: Vec<Action>,
}

impl SlotManager {
    /// A slot manager without workers and jobs, for a backend of these `abilities`.
    pub fn new(options: Options, abilities: Abilities) -> Self {
        let Options { leader, id_seed, jobmanager_address, slot_manager: options, .. } = options;
        Self {
            leader,
            address: jobmanager_address,
            abilities,
            ids: IdSequence::new(id_seed),
            workers: BTreeMap::new(),
            by_name: BTreeMap::new(),
            registered_ever: 0,
            detector: FailureDetector::new(options.heartbeat_timeout),
            allocations: BTreeMap::new(),
            free: FreeSlots::default(),
            registered: Classes::default(),
            ungranted: Classes::default(),
            jobs: BTreeMap::new(),
            order: BTreeMap::new(),
            short: BTreeSet::new(),
            wishing: BTreeSet::new(),
            told: BTreeSet::new(),
            arrivals_ever: 0,
            withdrawn: BTreeMap::new(),
            withdrawn_order: VecDeque::new(),
            kept_for: None,
            requested: BTreeMap::new(),
            coming: Classes::default(),
            stopping: BTreeMap::new(),
            departed: BTreeMap::new(),
            started_ever: 0,
            backoff: Backoff::new(options.backoff_initial, options.backoff_max),
            stop_reason: None,
            gone: Gone::default(),
            deadlines: Deadlines::default(),
            // So that the first event starts the fewest workers there shall be.
            changed: true,
            actions: Vec::new(),
            options,
        }
    }

    /// Takes in what happened at `now`; returns what shall be done, in order. `now` never goes back.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        match event {
            Event::Declared(declaration) => self.declared(now, declaration),
            Event::Registered { registration, connection } => self.register(now, *registration, connection),
            Event::Resumed { worker, connection } => self.resume(now, worker, connection),
            Event::FromWorker { worker, message } => self.worker_says(now, &worker, *message),
            Event::ConnectionLost { worker, connection, reason } => {
                self.connection_lost(now, &worker, connection, reason);
            }
            Event::Backend(event) => self.backend_event(now, event),
            Event::Found(workers) => self.found(now, workers),
            Event::StopWorkers { reason } => self.stop_workers(now, reason),
            Event::Tick => {}
        }
        self.look_at_time(now);
        if std::mem::take(&mut self.changed) {
            // Starting a worker moves it from what may be had to what is coming: one count serves all three.
            let obtainable = self.obtainable();
            self.serve_jobs(now, &obtainable);
            self.stop_unneeded(now, &obtainable);
            self.start_missing(now, &obtainable);
            self.tell_reasons(now, &obtainable);
        }
        std::mem::take(&mut self.actions)
    }

    /// When [`Event::Tick`] is due if nothing else happens; `None` while time changes nothing.
    pub fn next_tick(&self) -> Option<Time> {
        self.deadlines.next().into_iter().chain(self.detector.next_look()).min()
    }

    /// Registered workers, in order of registration.
    pub fn overview(&self) -> Vec<WorkerView> {
        self.workers.iter().map(|(number, worker)| self.view(*number, worker)).collect()
    }

    /// Workers that there are, that come and that go.
    pub fn census(&self) -> Census {
        Census { registered: self.overview(), pending: self.requested.len(), stopping: self.stopping.len() }
    }

    /// Why a job waits; empty when it does not.
    pub fn pending(&self, job: &JobId) -> Vec<PendingReason> {
        self.jobs.get(job).map(|job| job.said.clone()).unwrap_or_default()
    }

    /// The life of a registered worker that is in force.
    pub fn worker(&self, worker: &WorkerId) -> Option<&WorkerKey> {
        let number = self.by_name.get(worker)?;
        self.workers.get(number).map(|worker| &worker.key)
    }

    /// Workers that the backend was asked for and that are not known to be gone: on their way, registered, stopping.
    pub fn started_workers(&self) -> usize {
        let registered = self.workers.values().filter(|worker| worker.started.is_some()).count();
        self.requested.len() + self.stopping.len() + registered
    }

    fn view(&self, number: WorkerNumber, worker: &Worker) -> WorkerView {
        let registration = &worker.registration;
        let grants = worker.slots.iter().filter_map(|slot| slot.state.grant().map(|grant| (grant.job, slot.profile)));
        WorkerView {
            worker: worker.key.worker.clone(),
            instance: worker.key.instance,
            host: registration.host.clone(),
            pid: registration.pid,
            registered_at: worker.registered_at.0,
            heard_at: self.detector.last_heard(&number).unwrap_or(worker.registered_at).0,
            cpu_cores: registration.cpu_cores,
            physical_memory: registration.physical_memory,
            memory: registration.memory,
            slots: worker.slots.iter().map(|slot| slot.profile).collect(),
            allocated: grants.collect(),
            metrics: worker.metrics,
        }
    }

    /// The registered worker of this very life.
    fn number_of(&self, worker: &WorkerId, instance: &InstanceId) -> Option<WorkerNumber> {
        let number = *self.by_name.get(worker)?;
        self.workers.get(&number).is_some_and(|known| known.key.instance == *instance).then_some(number)
    }

    fn declared(&mut self, now: Time, declaration: Declaration) {
        let Declaration { job: id, epoch, mut needs, mut wished, mut welcome, useful_min, idle, reconciling } =
            declaration;
        for counts in [&mut needs, &mut wished, &mut welcome] {
            counts.retain(|_, count| *count > 0);
        }
        let known = self.jobs.get(&id).map(|job| job.epoch).or_else(|| self.withdrawn.get(&id).copied());
        if known.is_some_and(|known| known > epoch) {
            return;
        }
        if needs.is_empty() {
            self.withdraw(now, id, epoch);
            return;
        }
        if !self.jobs.contains_key(&id) {
            self.arrivals_ever += 1;
            let arrival = Arrival(self.arrivals_ever);
            self.jobs.insert(id, Job::new(epoch, arrival));
            self.order.insert(arrival, id);
            if self.withdrawn.remove(&id).is_some() {
                self.withdrawn_order.retain(|other| *other != id);
            }
        }
        if known.is_some_and(|known| known < epoch) {
            self.free_all_of(now, id, "a newer JobMaster leads the job");
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.epoch = epoch;
            (job.needs, job.wished, job.welcome) = (needs, wished, welcome);
            if job.has_wishes() {
                self.wishing.insert(job.arrival);
            } else {
                self.wishing.remove(&job.arrival);
            }
            job.useful_min = useful_min;
            job.idle = idle;
            job.reconciling = reconciling;
        }
        self.give_back_unanswered(now, id);
        self.job_changed(now, id);
    }

    fn withdraw(&mut self, now: Time, id: JobId, epoch: JobMasterEpoch) {
        self.free_all_of(now, id, "the job needs no slots any more");
        if let Some(job) = self.jobs.remove(&id) {
            self.order.remove(&job.arrival);
            self.short.remove(&job.arrival);
            self.wishing.remove(&job.arrival);
            self.told.remove(&job.arrival);
            if !job.said.is_empty() {
                self.actions.push(Action::Pending { job: id, reasons: Vec::new() });
            }
            self.changed = true;
        }
        if self.withdrawn.insert(id, epoch).is_none() {
            self.withdrawn_order.push_back(id);
            if self.withdrawn_order.len() > WITHDRAWN_MAX
                && let Some(oldest) = self.withdrawn_order.pop_front()
            {
                self.withdrawn.remove(&oldest);
            }
        }
    }

    /// A job's needs or grants changed: notes whether it is short, and since when.
    fn job_changed(&mut self, now: Time, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.missing().is_empty() {
            job.short_since = None;
            self.short.remove(&job.arrival);
        } else {
            if job.short_since.is_none() {
                job.short_since = Some(now);
                self.deadlines.set(now + self.options.overtaking_max, Due::Overtaken(id));
            }
            self.short.insert(job.arrival);
        }
        self.changed = true;
    }

    fn worker_says(&mut self, now: Time, key: &WorkerKey, message: FromWorker) {
        let Some(number) = self.number_of(&key.worker, &key.instance) else {
            return;
        };
        self.detector.heard(&number, now);
        match message {
            FromWorker::Heartbeat(heartbeat) => self.heartbeat(now, number, heartbeat),
            FromWorker::SlotAllocated(allocation) => self.slot_allocated(now, number, allocation),
            FromWorker::SlotRefused { allocation, .. } => self.slot_refused(now, number, allocation),
            FromWorker::SlotFreed(allocation) => self.slot_freed(now, number, allocation),
            FromWorker::Goodbye { reason } => self.goodbye(now, number, &reason),
            // A registration comes with its connection; jobs' messages and logs go elsewhere.
            FromWorker::Register(_) | FromWorker::Job { .. } | FromWorker::Log(_) => {}
        }
    }

    fn look_at_time(&mut self, now: Time) {
        for (number, silence) in self.detector.silent(now) {
            self.lose_silent(now, number, silence);
        }
        while let Some(due) = self.deadlines.pop(now) {
            match due {
                Due::Slot(number, slot) => self.slot_due(now, number, slot),
                Due::Grace(number) => self.grace_over(now, number),
                Due::Idle(number) => self.idle_due(now, number),
                Due::Stable(number) => self.stable(now, number),
                Due::Start(worker) => self.start_due(now, &worker),
                Due::Stop(worker) => self.stop_due(now, &worker),
                Due::Departed(worker) => self.departed_due(now, &worker),
                Due::Backoff | Due::Overtaken(_) => self.changed = true,
            }
        }
    }

    fn send(&mut self, number: WorkerNumber, message: ToWorker) {
        if let Some(worker) = self.workers.get(&number).filter(|worker| worker.is_up()) {
            self.actions.push(Action::Send { to: worker.key.clone(), message });
        }
    }
}
