//! The queue of happenings, and what becomes of each.

use std::{collections::BTreeMap, time::Instant};

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch, ProcessId, WorkerId, WorkerKey},
    message::{FromWorker, JobToWorker, Opening, ToWorker, Welcome},
    status::JobStatus,
};
use flott_jobmaster::Event;
use flott_resource_manager::{
    BackendEvent, Options, WorkerShape, WorkerSpec,
    backend::Abilities,
    slot_manager::{Event as ManagerEvent, SlotManager},
};

use super::{
    check::{Broken, Invariant},
    elections::Elections,
    faults::Fault,
    jobmanager::JobManager,
    jobs,
    logs::Logs,
    machines::{HostStep, Machine},
    masters::Job,
    network::{Connection, Wire},
    plan::Plan,
    stores::End,
    summary::Summary,
};
use crate::random::Random;

/// Time between two checks in milliseconds.
const CHECK_MS: u64 = 5000;
/// Within this after the faults have ceased everything has to end.
const CALM_MS_MAX: u64 = 3_600_000;
/// For this long after the last job workers may idle before they must be gone.
const IDLE_MS: u64 = 120_000;
/// More happenings than any history should need: something runs in circles.
const HAPPENINGS_MAX: u64 = 200_000_000;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    Arrive,
    /// A job has not been accepted for a while.
    Submit(JobId),
    MasterWake(LeaderEpoch, JobId, u64),
    /// What a JobMaster has written is there, or not.
    Stored(LeaderEpoch, JobId),
    /// Tasks at the logs of checkpoints go on.
    Logs,
    /// A JobManager sees the checkpoints of a job as they are.
    Mounted(LeaderEpoch, JobId),
    /// A JobManager looks whether another leads.
    Look(LeaderEpoch),
    /// A JobManager comes.
    Stand(usize),
    /// In this life it has got the lease.
    Elected(usize, u32),
    /// In this life it ends.
    JobManagerEnds(usize, u32),
    /// In this life it reaches the lease again.
    Reached(usize, u32),
    ManagerTick(LeaderEpoch),
    Dial(WorkerKey),
    FromWorker(u64, Box<Wire<Opening, FromWorker>>),
    ToWorker(u64, Box<Wire<Welcome, ToWorker>>),
    Said(LeaderEpoch, WorkerKey, u64, Box<FromWorker>),
    /// What a JobMaster was told comes once more.
    Again(LeaderEpoch, JobId, Box<Event>),
    /// What an earlier JobMaster has told a TaskManager comes once more.
    Ordered(WorkerKey, JobId, JobMasterEpoch, Box<JobToWorker>),
    ClosedHere(u64),
    ClosedThere(u64),
    MachineTick(WorkerKey),
    Heartbeat(WorkerKey),
    Host(WorkerKey, ProcessId, HostStep),
    SwitchOn(WorkerId),
    Boot(WorkerId),
    SwitchOff(WorkerKey),
    Backend(BackendEvent),
    Fault(Fault),
    Check,
}

/// A control plane with everything around it.
pub struct World {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) began: Instant,
    pub(super) began_at: u64,
    pub(super) now: u64,
    pub(super) options: Options,
    pub(super) abilities: Abilities,
    /// The one that leads; while [`is_past`](Self::is_past), the one that did.
    pub(super) jobmanager: JobManager,
    /// One that led before, and does not know that another does.
    pub(super) deposed: Option<JobManager>,
    pub(super) is_past: bool,
    /// Of the JobMaster that a TaskManager has heard of last.
    pub(super) host_epoch: JobMasterEpoch,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) logs: Logs,
    pub(super) elections: Elections,
    pub(super) machines: BTreeMap<WorkerId, Machine>,
    pub(super) booting: BTreeMap<WorkerId, WorkerSpec>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) connections_ever: u64,
    pub(super) faults_seen: Vec<Broken>,
    pub(super) summary: Summary,
    pub(super) asked_ever: u64,
    /// Prints what happens at this worker, or to this job.
    pub(super) trace: Option<String>,
    queue: BTreeMap<(u64, u64), Happening>,
    queued_ever: u64,
    arrived: u32,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        // Where JobManagers are elected, none is yet.
        let leader = LeaderEpoch(u64::from(!plan.durable));
        let mut options = Options::new(leader, "jobmanager:8081");
        options.id_seed = random.next();
        options.slot_manager.worker = WorkerShape { slots: plan.slots, memory: 0, cpu_millicores: 0 };
        options.slot_manager.workers_max = Some(plan.machines);
        options.slot_manager.spread = random.per_mille(300);
        let abilities = Abilities { starts: plan.backend, workers_max: None };
        // Not at zero, so that a time that was never set shows.
        let began_at = 1_000_000;
        let logs = Logs::new(Random::new(plan.seed ^ 0x6c6f_6773), began_at);
        let mut world = Self {
            random,
            began: Instant::now(),
            began_at,
            now: began_at,
            jobmanager: JobManager::new(leader, SlotManager::new(options.clone(), abilities), logs.store.elsewhere()),
            options,
            abilities,
            deposed: None,
            is_past: false,
            host_epoch: JobMasterEpoch::default(),
            jobs: BTreeMap::new(),
            logs,
            elections: Elections::default(),
            machines: BTreeMap::new(),
            booting: BTreeMap::new(),
            connections: BTreeMap::new(),
            connections_ever: 0,
            faults_seen: Vec::new(),
            summary: Summary::default(),
            asked_ever: 0,
            trace: std::env::var("FLOTT_SIM_TRACE").ok(),
            queue: BTreeMap::new(),
            queued_ever: 0,
            arrived: 0,
            plan,
        };
        if world.plan.durable {
            world.begin_elections();
            world.expect_logs(began_at + 1);
        }
        if !world.plan.backend {
            for number in 0..world.plan.machines {
                world.switch_on(WorkerId(format!("external-{number}")), None);
            }
        }
        world
    }

    /// What was planned.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Simulated milliseconds since it began.
    pub fn now(&self) -> u64 {
        self.now - self.began_at
    }

    pub(super) fn at(&mut self, at: u64, happening: Happening) {
        self.queued_ever += 1;
        self.queue.insert((at, self.queued_ever), happening);
    }

    /// Lets the whole plan happen.
    pub(super) fn run(&mut self) -> Result<Summary, Broken> {
        for _ in 0..self.plan.jobs {
            let arrival = self.random.within(0..=self.plan.arrivals_ms);
            self.at(self.now + arrival, Happening::Arrive);
        }
        Fault::ALL.into_iter().for_each(|fault| self.expect_fault(fault));
        self.at(self.now + CHECK_MS, Happening::Check);
        let calm = self.began_at + self.plan.faults.until_ms.max(self.plan.arrivals_ms);
        self.run_while(calm + CALM_MS_MAX, |world| !world.is_over())?;
        self.run_while(self.now + IDLE_MS, |_| true)?;
        self.check_end()?;
        self.count_ends()?;
        self.summary.simulated_ms = self.now();
        Ok(self.summary.clone())
    }

    /// Goes on up to a time, as long as a condition holds.
    pub(super) fn run_while(&mut self, until: u64, goes_on: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        while goes_on(self) {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) else { break };
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.summary.happenings += 1;
            if let Some(wanted) = &self.trace {
                self.print_if_about(wanted, &happening);
            }
            self.happen(happening)?;
            if let Some(fault) = self.faults_seen.pop() {
                return Err(fault);
            }
            if self.summary.happenings > HAPPENINGS_MAX {
                let what = format!("{HAPPENINGS_MAX} things have happened, and there is no end");
                return Err(Invariant::I9.broken(what));
            }
        }
        Ok(())
    }

    fn print_if_about(&self, wanted: &str, happening: &Happening) {
        let worker = match happening {
            Happening::Dial(worker) | Happening::Host(worker, ..) | Happening::SwitchOff(worker) => {
                Some(&worker.worker)
            }
            Happening::FromWorker(number, _)
            | Happening::ToWorker(number, _)
            | Happening::ClosedHere(number)
            | Happening::ClosedThere(number) => {
                self.connections.get(number).map(|connection| &connection.worker.worker)
            }
            Happening::SwitchOn(worker) | Happening::Boot(worker) => Some(worker),
            _ => None,
        };
        if worker.is_some_and(|worker| worker.0 == wanted) {
            eprintln!("{} {happening:?}", self.now());
        }
    }

    fn is_over(&self) -> bool {
        let are_over = self.jobs.values().all(|job| job.kept.end.is_some());
        self.arrived == self.plan.jobs && !self.has_faults() && are_over
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        match happening {
            Happening::Arrive => {
                self.arrived += 1;
                let (spec, profile) = jobs::draw(&self.plan, &mut self.random, self.now);
                self.submit(spec, profile)?;
            }
            Happening::Submit(job) => self.submit_again(job)?,
            Happening::MasterWake(leader, job, at) => self.tell(leader, |world| {
                world.wake_master(job, at);
                Ok(())
            })?,
            Happening::Stored(leader, job) => self.tell(leader, |world| world.stored(job))?,
            Happening::Logs => self.logs_go_on()?,
            Happening::Mounted(leader, job) => self.tell(leader, |world| world.mounted(job))?,
            Happening::Look(leader) => self.tell(leader, |world| {
                world.look_into_log();
                Ok(())
            })?,
            Happening::Stand(seat) => self.stand(seat),
            Happening::Elected(seat, life) => self.elected(seat, life),
            Happening::JobManagerEnds(seat, life) => self.jobmanager_ends(seat, life),
            Happening::Reached(seat, life) => self.lease_is_reached(seat, life),
            Happening::ManagerTick(leader) => self.tell(leader, |world| {
                world.tick_manager();
                Ok(())
            })?,
            Happening::Dial(worker) => self.dial(&worker),
            Happening::FromWorker(number, wire) => {
                if let Some(leader) = self.leader_of(number) {
                    self.tell(leader, |world| world.jobmanager_receives(number, *wire))?;
                }
            }
            Happening::ToWorker(number, wire) => self.worker_receives(number, *wire)?,
            Happening::Said(leader, worker, connection, message) => self.tell(leader, |world| {
                world.worker_said(worker, connection, *message);
                Ok(())
            })?,
            Happening::Again(leader, job, event) => self.tell(leader, |world| {
                world.master(job, *event);
                Ok(())
            })?,
            Happening::Ordered(worker, job, epoch, message) => self.ordered(&worker, job, epoch, *message),
            Happening::ClosedHere(number) => {
                if let Some(leader) = self.leader_of(number) {
                    self.tell(leader, |world| {
                        world.closed_here(number);
                        Ok(())
                    })?;
                }
            }
            Happening::ClosedThere(number) => self.closed_there(number),
            Happening::MachineTick(worker) => self.machine_tick(&worker),
            Happening::Heartbeat(worker) => self.heartbeat(&worker),
            Happening::Host(worker, process, step) => self.host_step(&worker, process, step),
            Happening::SwitchOn(worker) => self.switch_on(worker, None),
            Happening::Boot(worker) => self.boot(worker),
            Happening::SwitchOff(worker) => {
                self.switch_off(&worker, flott_resource_manager::backend::LossReason::Stopped, true);
            }
            Happening::Backend(event) => self.manage(ManagerEvent::Backend(event)),
            Happening::Fault(fault) => self.fault(fault)?,
            Happening::Check => {
                self.check()?;
                self.at(self.now + CHECK_MS, Happening::Check);
            }
        }
        Ok(())
    }

    fn count_ends(&mut self) -> Result<(), Broken> {
        for (id, job) in &self.jobs {
            let Some(End { status, failure, .. }) = &job.kept.end else {
                return Err(Invariant::I9.broken(format!("job {id} has no end")));
            };
            match status {
                JobStatus::Finished => self.summary.finished += 1,
                JobStatus::Canceled if job.may_be_cancelled => self.summary.canceled += 1,
                JobStatus::Failed if !job.profile.is_patient => self.summary.failed += 1,
                status => return Err(Invariant::I9.broken(format!("job {id} ended {status}: {failure:?}"))),
            }
        }
        Ok(())
    }

    /// Tasks that run, and how long this history is, for measurements.
    pub(super) fn running_tasks(&self) -> usize {
        self.machines.values().flat_map(|machine| machine.hosts.values()).map(super::host::Host::running).sum()
    }
}
