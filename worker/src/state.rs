//! What a TaskManager decides: slots, job processes, offers, watches and fences, without any input or output.
//!
//! One [`State::handle`] per event gives the actions to carry out. Two rules make it hang together, and are restored
//! after every event, whatever it was: a job without a slot here has no process here, and a deadline that has passed
//! has been acted on. So no event has to think of the consequences of another.
//!
//! Time is handed in. [`State::deadline`] says when the next [`Event::Tick`] is due.

mod event;
mod fences;
mod process;
#[cfg(test)]
mod property_tests;
mod slots;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flott_core::{
    failure::{Domain, Failure},
    id::{AllocationId, IdSequence, JobId, JobMasterEpoch, LeaderEpoch, ProcessId, WorkerId},
    message::{FromWorker, JobSetup, JobToWorker, SlotGrant, WorkerToJob},
    resource::ResourceProfile,
};

#[cfg(test)]
pub(crate) use tests::setup as test_setup;

pub use event::{Action, Ending, Event};
use fences::Fences;
use process::{Process, Taken};
use slots::SlotTable;

/// What the decisions depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This TaskManager.
    pub worker: WorkerId,
    /// What each slot offers.
    pub slots: Vec<ResourceProfile>,
    /// Time between two offers of the same slot.
    pub offer_interval: Duration,
    /// How long a program may take from its start until it says that it is ready.
    pub start_timeout: Duration,
    /// How long a cancelled task may take to end, unless its job says otherwise; `None` is for ever.
    pub cancellation_timeout: Option<Duration>,
    /// How long a process that was asked to end may take before it gets SIGTERM.
    pub ask_grace: Duration,
    /// How long a process may take from SIGTERM to its end before it is killed.
    pub terminate_grace: Duration,
}

/// The pure core of a TaskManager.
#[derive(Debug)]
pub struct State {
    settings: Settings,
    ids: IdSequence,
    leader: Option<LeaderEpoch>,
    /// There is a session with a JobManager that has taken the TaskManager in.
    registered: bool,
    /// The session has a connection.
    connected: bool,
    slots: SlotTable,
    jobs: BTreeMap<JobId, Job>,
    fences: Fences,
    /// The latest loss of each job that has slots, for a JobMaster that speaks to a process before it has heard of its end.
    losses: BTreeMap<JobId, (JobMasterEpoch, ProcessId, Failure)>,
    ending: Option<End>,
}

#[derive(Debug)]
struct Job {
    epoch: JobMasterEpoch,
    process: Process,
    /// Its JobMaster is gone, and the next one has not said a word.
    is_orphan: bool,
    /// Slots that were taken back since.
    lost: Vec<(AllocationId, String)>,
}

#[derive(Debug)]
struct End {
    reason: String,
    told: bool,
}

impl State {
    /// A TaskManager that knows no one yet. `seed` makes its process ids; no two lives may share one.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            slots: SlotTable::new(settings.slots.clone(), settings.offer_interval),
            settings,
            ids: IdSequence::new(seed),
            leader: None,
            registered: false,
            connected: false,
            jobs: BTreeMap::new(),
            fences: Fences::default(),
            losses: BTreeMap::new(),
            ending: None,
        }
    }

    /// The newest leadership that this TaskManager has belonged to.
    pub fn leader(&self) -> Option<LeaderEpoch> {
        self.leader
    }

    /// Whether a JobManager has accepted the TaskManager, and is connected.
    pub fn is_registered(&self) -> bool {
        self.registered && self.connected
    }

    /// Slots that are given, in their order.
    pub fn allocated(&self) -> Vec<SlotGrant> {
        self.slots.grants().cloned().collect()
    }

    /// How many slots `job` has here.
    pub fn slots_of(&self, job: JobId) -> usize {
        self.slots.of_job(job).count()
    }

    /// When [`Event::Tick`] is due, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let processes = self.jobs.values().filter_map(|job| job.process.deadline(&self.settings));
        let offers = self.is_registered().then(|| self.slots.offer_due()).flatten();
        processes.chain(offers).min()
    }

    /// Takes an event in and gives what is to be done, in order.
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Registered { leader } => self.registered(now, leader, &mut out),
            Event::Disconnected => self.connected = false,
            Event::Resumed => self.connected = true,
            Event::Begun => self.registered = false,
            Event::GivenUp => self.given_up(now, &mut out),
            // The rest of a session that is given up.
            Event::Allocate(_) | Event::FreeSlot { .. } | Event::Job { .. } if !self.registered => {}
            Event::Allocate(grant) => self.allocate(now, grant, &mut out),
            Event::FreeSlot { allocation, reason } => self.take_back(allocation, reason, &mut out),
            Event::Job { job, epoch, message: JobToWorker::Adopt { process } } => {
                self.adopt(now, job, epoch, process, &mut out);
            }
            Event::Job { job, epoch, message } => {
                if self.admit(now, job, epoch, &mut out) {
                    self.job_message(now, job, message, &mut out);
                }
            }
            Event::Spawned { process } => {
                let deadline = now + self.settings.start_timeout;
                if let Some((_, job)) = self.job_of(process) {
                    job.process.spawned(deadline);
                }
            }
            Event::Ready { location } => {
                if let Some((id, job)) = self.job_of(location.process)
                    && job.process.ready(location)
                {
                    self.tell_ready(id, &mut out);
                }
            }
            Event::Host { process, message } => {
                if let Some((id, job)) = self.job_of(process)
                    && job.process.hears(&message)
                {
                    let epoch = job.epoch;
                    self.tell(id, epoch, WorkerToJob::Host { process, message }, &mut out);
                }
            }
            Event::Condemned { process, failure } => {
                if let Some((_, job)) = self.job_of(process) {
                    job.process.stop(now, Ending::Kill, Some(failure), &mut out);
                }
            }
            Event::Ended { process, failure } => self.ended(process, failure, &mut out),
            Event::Stop { reason } => self.stop(now, reason, &mut out),
            Event::Tick => {}
        }
        self.settle(now, &mut out);
        out
    }

    /// Whether a JobManager of that leadership is to be followed.
    ///
    /// # Errors
    /// Why not.
    pub fn follows(&self, leader: LeaderEpoch) -> Result<(), String> {
        match self.leader {
            Some(known) if leader < known => {
                Err(format!("JobManager has leader epoch {leader}, which is older than {known}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn registered(&mut self, now: Instant, leader: LeaderEpoch, out: &mut Vec<Action>) {
        if self.follows(leader).is_err() {
            return;
        }
        (self.registered, self.connected) = (true, true);
        if self.leader.is_some_and(|known| leader > known) {
            self.losses.clear();
            self.fences = Fences::default();
            let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
            for id in jobs {
                let Some(job) = self.jobs.get_mut(&id) else { continue };
                let slots = self.slots.of_job(id).map(|grant| grant.allocation).collect();
                match job.process.found(slots) {
                    Some(found) => {
                        job.is_orphan = true;
                        let (epoch, message) = (job.epoch, WorkerToJob::Found(Box::new(found)));
                        self.send(FromWorker::Job { job: id, epoch, message }, out);
                    }
                    None => {
                        job.epoch = JobMasterEpoch::default();
                        self.drop_job(now, id, Ending::Terminate, out);
                    }
                }
            }
        }
        self.leader = Some(leader);
    }

    /// This life is over for the JobManager: it has told every job so. What is left of it must not meet the next one.
    fn given_up(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.registered = false;
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.drop_job(now, job, Ending::Kill, out);
        }
    }

    fn allocate(&mut self, now: Instant, grant: SlotGrant, out: &mut Vec<Action>) {
        let allocation = grant.allocation;
        let refused = if let Some(end) = &self.ending {
            Err(format!("the TaskManager is ending: {}", end.reason))
        } else if !self.admit(now, grant.job, grant.epoch, out) {
            Err(format!("JobMaster epoch {} of job {} is not the newest", grant.epoch, grant.job))
        } else {
            self.slots.give(now, grant)
        };
        out.push(Action::Send(match refused {
            Ok(()) => FromWorker::SlotAllocated(allocation),
            Err(reason) => FromWorker::SlotRefused { allocation, reason },
        }));
    }

    fn take_back(&mut self, allocation: AllocationId, reason: String, out: &mut Vec<Action>) {
        if let Some(grant) = self.slots.free(allocation) {
            match self.jobs.get_mut(&grant.job).filter(|job| job.is_orphan) {
                // Its next JobMaster was told that it is there.
                Some(orphan) => orphan.lost.push((allocation, reason)),
                None => self.tell(grant.job, grant.epoch, WorkerToJob::SlotLost { allocation, reason }, out),
            }
        }
        self.send(FromWorker::SlotFreed(allocation), out);
    }

    /// Whether `epoch` may speak for `job`. A newer one than known sweeps out what the older one left.
    fn admit(&mut self, now: Instant, job: JobId, epoch: JobMasterEpoch, out: &mut Vec<Action>) -> bool {
        let newest = self.jobs.get(&job).map(|job| job.epoch).or_else(|| self.fences.newest(job));
        if newest.is_some_and(|newest| epoch < newest) {
            return false;
        }
        if newest.is_some_and(|newest| epoch > newest) {
            self.drop_job(now, job, Ending::Terminate, out);
        }
        let new = || Job { epoch, process: Process::Absent, is_orphan: false, lost: Vec::new() };
        let job = self.jobs.entry(job).or_insert_with(new);
        (job.epoch, job.is_orphan) = (epoch, job.is_orphan && job.epoch == epoch);
        if !job.is_orphan {
            job.lost.clear();
        }
        true
    }

    /// A new JobMaster takes over a process that was left by an older one.
    fn adopt(&mut self, now: Instant, id: JobId, epoch: JobMasterEpoch, process: ProcessId, out: &mut Vec<Action>) {
        let orphan = self.jobs.get_mut(&id).filter(|job| job.is_orphan && job.epoch < epoch);
        if let Some(job) = orphan
            && let Some(journal) = job.process.journal(process)
        {
            (job.epoch, job.is_orphan) = (epoch, false);
            let lost = std::mem::take(&mut job.lost);
            self.slots.hand_over(id, epoch);
            self.tell(id, epoch, WorkerToJob::Adopted(Box::new(journal)), out);
            for (allocation, reason) in lost {
                self.tell(id, epoch, WorkerToJob::SlotLost { allocation, reason }, out);
            }
        } else if self.admit(now, id, epoch, out) {
            self.repeat_loss(id, process, out);
        }
    }

    fn job_message(&mut self, now: Instant, job: JobId, message: JobToWorker, out: &mut Vec<Action>) {
        match message {
            JobToWorker::AcceptSlots(allocations) => {
                for allocation in allocations {
                    if !self.slots.accept(job, allocation) {
                        let reason = "the TaskManager does not hold this slot for the job".to_owned();
                        self.tell_current(job, WorkerToJob::SlotLost { allocation, reason }, out);
                    }
                }
            }
            JobToWorker::RejectSlots(allocations) | JobToWorker::FreeSlots(allocations) => {
                for allocation in allocations {
                    if self.slots.free_for(job, allocation).is_some() {
                        self.send(FromWorker::SlotFreed(allocation), out);
                    }
                }
            }
            JobToWorker::StartProcess(setup) => self.start(now, job, setup, out),
            JobToWorker::Completed { checkpoint } => {
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.process.completed(checkpoint);
                }
            }
            JobToWorker::Forget => self.drop_job(now, job, Ending::Ask, out),
            // Handled before it is admitted, since that would sweep out what it is about.
            JobToWorker::Adopt { .. } => {}
            JobToWorker::Host { process, message } => {
                let Some(entry) = self.jobs.get_mut(&job) else { return };
                match entry.process.takes(now, process, &message) {
                    Taken::Delivered => out.push(Action::Deliver { process, message }),
                    Taken::Told => {}
                    Taken::Gone => self.repeat_loss(job, process, out),
                }
            }
        }
    }

    fn start(&mut self, now: Instant, job: JobId, setup: Box<JobSetup>, out: &mut Vec<Action>) {
        let obstacle = match &self.ending {
            Some(end) => Some(format!("the TaskManager is ending: {}", end.reason)),
            None if setup.job != job => Some(format!("the set-up is for another job, {}", setup.job)),
            None if self.slots.of_job(job).next().is_none() => Some("the job holds no slot on this TaskManager".into()),
            None => None,
        };
        if let Some(reason) = obstacle {
            let process = self.next_process();
            return self.lost(job, process, Failure::environment("job process not started").because(reason), out);
        }
        let process = self.next_process();
        let default = self.settings.cancellation_timeout;
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.process.start(now, process, setup, default, out);
        self.tell_ready(job, out);
    }

    fn ended(&mut self, process: ProcessId, failure: Failure, out: &mut Vec<Action>) {
        let fresh = self.next_process();
        let (startable, default) = (self.ending.is_none(), self.settings.cancellation_timeout);
        let Some((id, job)) = self.job_of(process) else { return };
        let (report, next) = job.process.ended(failure);
        if let Some(setup) = next.filter(|_| startable) {
            job.process.begin(fresh, setup, default, out);
        }
        if let Some(failure) = report {
            self.lost(id, process, failure, out);
        }
    }

    fn stop(&mut self, now: Instant, reason: String, out: &mut Vec<Action>) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(End { reason, told: false });
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.drop_job(now, job, Ending::Terminate, out);
        }
    }

    /// Frees the job's slots and ends its process without a word to its JobMaster.
    fn drop_job(&mut self, now: Instant, job: JobId, how: Ending, out: &mut Vec<Action>) {
        for allocation in self.slots.free_job(job) {
            self.send(FromWorker::SlotFreed(allocation), out);
        }
        self.losses.remove(&job);
        if let Some(job) = self.jobs.get_mut(&job) {
            job.process.stop(now, how, None, out);
        }
    }

    /// Restores the two rules of the module.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        for (id, job) in &mut self.jobs {
            if self.slots.of_job(*id).next().is_none() {
                job.process.retire(now, out);
            }
            job.process.expire(now, &self.settings, out);
        }
        let slots = &self.slots;
        let fences = &mut self.fences;
        self.jobs.retain(|id, job| {
            let keep = !matches!(job.process, Process::Absent) || slots.of_job(*id).next().is_some();
            if !keep {
                fences.note(*id, job.epoch);
            }
            keep
        });
        self.losses.retain(|id, _| slots.of_job(*id).next().is_some());
        if self.is_registered() {
            for (job, grants) in self.slots.due_offers(now) {
                self.tell_current(job, WorkerToJob::OfferSlots(grants), out);
            }
        }
        let idle = self.jobs.is_empty();
        if let Some(end) = self.ending.as_mut().filter(|end| idle && !end.told) {
            end.told = true;
            out.push(Action::Stopped { reason: end.reason.clone() });
        }
    }

    fn lost(&mut self, job: JobId, process: ProcessId, failure: Failure, out: &mut Vec<Action>) {
        if self.ending.is_some() {
            return; // Its leave tells more: what for.
        }
        let worker = self.settings.worker.clone();
        let failure = failure.at(|place| {
            place.worker.get_or_insert(worker);
        });
        let Some(epoch) = self.jobs.get(&job).map(|job| job.epoch) else {
            return;
        };
        self.losses.insert(job, (epoch, process, failure.clone()));
        self.tell(job, epoch, WorkerToJob::ProcessLost { process, failure }, out);
    }

    /// The JobMaster counts on a process that is not there: what was said of its end has not reached it yet, or it counts
    /// on one that never was.
    fn repeat_loss(&self, job: JobId, process: ProcessId, out: &mut Vec<Action>) {
        if self.ending.is_some() {
            return;
        }
        let known = self.losses.get(&job).filter(|(_, lost, _)| *lost == process);
        let failure = known.map_or_else(
            || {
                let worker = self.settings.worker.clone();
                Failure::environment("the job process is gone from its TaskManager")
                    .at(|place| place.worker = Some(worker))
            },
            |(_, _, failure)| failure.clone(),
        );
        self.tell_current(job, WorkerToJob::ProcessLost { process, failure }, out);
    }

    fn tell_ready(&self, job: JobId, out: &mut Vec<Action>) {
        if let Some(location) = self.jobs.get(&job).and_then(|job| job.process.location()) {
            self.tell_current(job, WorkerToJob::ProcessReady(location.clone()), out);
        }
    }

    fn tell_current(&self, job: JobId, message: WorkerToJob, out: &mut Vec<Action>) {
        if let Some(entry) = self.jobs.get(&job) {
            self.tell(job, entry.epoch, message, out);
        }
    }

    /// What concerns an orphan waits in its journal, or is asked for.
    fn tell(&self, job: JobId, epoch: JobMasterEpoch, message: WorkerToJob, out: &mut Vec<Action>) {
        if self.jobs.get(&job).is_some_and(|job| job.is_orphan) {
            return;
        }
        self.send(FromWorker::Job { job, epoch, message }, out);
    }

    /// Without a session a message is dropped: registering tells the whole truth.
    fn send(&self, message: FromWorker, out: &mut Vec<Action>) {
        if self.registered {
            out.push(Action::Send(message));
        }
    }

    fn job_of(&mut self, process: ProcessId) -> Option<(JobId, &mut Job)> {
        self.jobs.iter_mut().find(|(_, job)| job.process.id() == Some(process)).map(|(id, job)| (*id, job))
    }

    fn next_process(&mut self) -> ProcessId {
        ProcessId::from_bytes(*self.ids.next_allocation().as_bytes())
    }
}

/// How a task that does not stop ends its process.
fn stuck(attempts: usize, timeout: Duration) -> Failure {
    Failure::new(
        Domain::User,
        format!(
            "{attempts} cancelled task(s) did not stop within {} s; the job process was killed",
            timeout.as_secs_f32()
        ),
    )
}
