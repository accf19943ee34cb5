//! Machines with a TaskManager each, and the backend that starts them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flott_core::{
    failure::Failure,
    id::{AttemptId, InstanceId, LeaderEpoch, ProcessId, WorkerId, WorkerKey},
    message::{FromWorker, Heartbeat, HostToJob, ProcessLocation, Registration, ToWorker},
    resource::ResourceProfile,
    view::WorkerMetrics,
};
use flott_resource_manager::{
    BackendEvent, ConnectionNumber, WorkerSpec,
    backend::{LossReason, Rejection},
    slot_manager::Event as ManagerEvent,
};
use flott_worker::state::{Action, Ending, Event, Settings, State};

use super::{
    host::{Host, Mishaps, Reaction, Round, Surroundings},
    network::Session,
    world::{Happening, World},
};

/// Time between two heartbeats of a worker.
const HEARTBEAT_MS: u64 = 2000;

/// A machine that is on.
pub struct Machine {
    pub key: WorkerKey,
    pub state: State,
    pub connection: Option<u64>,
    pub session: Option<Session<FromWorker>>,
    /// With which JobManager that is.
    pub leader: Option<LeaderEpoch>,
    pub hosts: BTreeMap<ProcessId, Host>,
    /// It is on and never says a word.
    pub is_mute: bool,
    /// As what the backend has started it, if it has.
    pub started: Option<WorkerSpec>,
    born: u64,
    slots: u32,
    tick: Option<u64>,
}

impl Machine {
    pub fn registration(&self) -> Registration {
        Registration {
            worker: self.key.worker.clone(),
            instance: self.key.instance,
            pid: 1,
            host: self.key.worker.to_string(),
            cpu_cores: self.slots,
            physical_memory: 1 << 30,
            memory: 1 << 30,
            slots: vec![ResourceProfile::ANY; self.slots as usize],
            allocated: self.state.allocated(),
            started_at: self.born,
            version: "0".into(),
        }
    }
}

/// What a job process does next.
#[derive(Debug)]
pub enum HostStep {
    Up,
    Task(AttemptId),
    Says(Box<HostToJob>),
    Commit(Round),
    End(Option<Failure>),
}

impl World {
    fn instant(&self, at: u64) -> Instant {
        self.began + Duration::from_millis(at)
    }

    /// Switches a machine on.
    pub(super) fn switch_on(&mut self, worker: WorkerId, started: Option<WorkerSpec>) {
        let key = WorkerKey { worker, instance: InstanceId::from_bytes(self.random.bytes()) };
        let slots = self.plan.slots;
        let settings = Settings {
            worker: key.worker.clone(),
            slots: vec![ResourceProfile::ANY; slots as usize],
            offer_interval: Duration::from_secs(2),
            start_timeout: Duration::from_secs(30),
            cancellation_timeout: Some(Duration::from_secs(5)),
            ask_grace: Duration::from_secs(1),
            terminate_grace: Duration::from_secs(1),
        };
        let state = State::new(settings, self.random.next());
        let machine = Machine {
            key: key.clone(),
            state,
            connection: None,
            session: None,
            leader: None,
            hosts: BTreeMap::new(),
            is_mute: false,
            started,
            born: self.now,
            slots,
            tick: None,
        };
        self.machines.insert(key.worker.clone(), machine);
        let (dial, beat) = (self.random.within(1..=100), self.random.within(1..=HEARTBEAT_MS));
        self.at(self.now + dial, Happening::Dial(key.clone()));
        self.at(self.now + dial + beat, Happening::Heartbeat(key));
    }

    /// A machine is gone, with everything on it. The JobManager notices by its connection, or by its silence.
    pub(super) fn switch_off(&mut self, worker: &WorkerKey, reason: LossReason, noticed: bool) {
        if self.machines.get(&worker.worker).is_none_or(|machine| machine.key != *worker) {
            return;
        }
        let Some(machine) = self.machines.remove(&worker.worker) else { return };
        if let Some(number) = machine.connection {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.open_there = false;
            }
            if noticed {
                let notice = self.random.within(0..=50);
                self.at(self.now + notice, Happening::ClosedHere(number));
            }
        }
        if machine.started.is_some() {
            let notice = self.random.within(0..=300);
            let lost = BackendEvent::Lost { worker: machine.key.worker, reason };
            self.at(self.now + notice, Happening::Backend(lost));
        } else {
            let pause = self.random.within(1000..=10_000);
            self.at(self.now + pause, Happening::SwitchOn(machine.key.worker));
        }
    }

    // ------------------------------------------------------------ the backend

    pub(super) fn backend_starts(&mut self, spec: WorkerSpec) {
        let worker = spec.worker.clone();
        let delay = self.random.within(50..=2000);
        let share = if self.has_faults() { self.plan.faults.starts } else { 0 };
        if self.random.per_mille(share) {
            let rejected =
                BackendEvent::Rejected { worker, rejection: Rejection::Quota, message: "no room just now".into() };
            self.at(self.now + delay, Happening::Backend(rejected));
            return;
        }
        self.at(self.now + delay, Happening::Backend(BackendEvent::Started(worker.clone())));
        if self.random.per_mille(share) {
            let lost = BackendEvent::Lost { worker, reason: LossReason::Exited { code: 1 } };
            self.at(self.now + delay + 1, Happening::Backend(lost));
            return;
        }
        self.booting.insert(worker.clone(), spec);
        self.at(self.now + delay, Happening::Boot(worker));
    }

    pub(super) fn boot(&mut self, worker: WorkerId) {
        let Some(spec) = self.booting.remove(&worker) else { return };
        let mute = self.has_faults() && self.random.per_mille(self.plan.faults.starts);
        self.switch_on(worker.clone(), Some(spec));
        if let Some(machine) = self.machines.get_mut(&worker) {
            machine.is_mute = mute;
        }
    }

    pub(super) fn backend_stops(&mut self, worker: &WorkerId) {
        let delay = self.random.within(1..=500);
        if self.booting.remove(worker).is_some() {
            let lost = BackendEvent::Lost { worker: worker.clone(), reason: LossReason::Stopped };
            self.at(self.now + delay, Happening::Backend(lost));
        } else if let Some(machine) = self.machines.get(worker) {
            self.at(self.now + delay, Happening::SwitchOff(machine.key.clone()));
        }
    }

    // ------------------------------------------------------------ the TaskManager

    /// Tells a TaskManager something, and carries out what it wants.
    pub(super) fn at_machine(&mut self, worker: &WorkerKey, event: Event) {
        let now = self.instant(self.now);
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        let actions = machine.state.handle(now, event);
        for action in actions {
            self.machine_acts(worker, action);
        }
        let began = self.began;
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        let deadline = machine.state.deadline().map(|at| {
            // Up to the next millisecond, lest it be told too early.
            let since = at.saturating_duration_since(began);
            since.as_millis() as u64 + u64::from(since.subsec_nanos() % 1_000_000 > 0)
        });
        if let Some(at) = deadline.filter(|at| machine.tick.is_none_or(|tick| *at < tick)) {
            machine.tick = Some(at);
            self.at(at.max(self.now), Happening::MachineTick(worker.clone()));
        }
    }

    pub(super) fn machine_tick(&mut self, worker: &WorkerKey) {
        if let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) {
            machine.tick = None;
            self.at_machine(worker, Event::Tick);
        }
    }

    fn machine_acts(&mut self, worker: &WorkerKey, action: Action) {
        let Some(machine) = self.machines.get_mut(&worker.worker) else { return };
        match action {
            Action::Send(message) => self.worker_sends(worker, message),
            Action::Start { process, setup } => {
                if let Some(job) = self.jobs.get_mut(&setup.job) {
                    job.secrets.insert(process, setup.secret);
                }
                machine.hosts.insert(process, Host::new(setup.job, process, self.host_epoch));
                let fails = self.has_faults() && self.random.per_mille(self.plan.faults.processes);
                let delay = self.random.within(20..=300);
                let step = if fails { HostStep::End(Some(Failure::environment("exit code 1"))) } else { HostStep::Up };
                self.at(self.now + delay, Happening::Host(worker.clone(), process, step));
            }
            Action::End { process, how } => {
                let stuck = machine.hosts.get(&process).is_some_and(|host| host.is_stuck);
                if !stuck || how == Ending::Kill {
                    let delay = self.random.within(1..=50);
                    self.at(self.now + delay, Happening::Host(worker.clone(), process, HostStep::End(None)));
                }
            }
            Action::Deliver { process, message } => {
                let reaction = self.at_host(worker, process, |host, around| host.receive(around, message));
                self.react(worker, process, reaction);
            }
            Action::Stopped { reason } => {
                self.worker_sends(worker, FromWorker::Goodbye { reason });
                self.switch_off(worker, LossReason::Exited { code: 0 }, true);
            }
        }
    }

    fn react(&mut self, worker: &WorkerKey, process: ProcessId, reaction: Reaction) {
        for message in reaction.says {
            self.at(self.now + 1, Happening::Host(worker.clone(), process, HostStep::Says(Box::new(message))));
        }
        for (delay, attempt) in reaction.steps {
            self.at(self.now + delay, Happening::Host(worker.clone(), process, HostStep::Task(attempt)));
        }
        for (delay, round) in reaction.commits {
            self.at(self.now + delay, Happening::Host(worker.clone(), process, HostStep::Commit(round)));
        }
        reaction.files.iter().for_each(|location| self.logs.write_state(location));
    }

    fn mishaps(&self) -> Mishaps {
        let faults = &self.plan.faults;
        let all = Mishaps {
            tasks: faults.tasks,
            stuck: faults.stuck,
            spoils: faults.spoils,
            commits: faults.commits,
            slow: faults.slow,
        };
        if self.has_faults() { all } else { Mishaps::default() }
    }

    /// A process does something.
    fn at_host(
        &mut self,
        worker: &WorkerKey,
        process: ProcessId,
        act: impl FnOnce(&mut Host, &mut Surroundings<'_>) -> Reaction,
    ) -> Reaction {
        let mishaps = self.mishaps();
        let machine = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker);
        let Some(host) = machine.and_then(|machine| machine.hosts.get_mut(&process)) else {
            return Reaction::default();
        };
        let Some(job) = self.jobs.get_mut(&host.job) else { return Reaction::default() };
        let mut around = Surroundings {
            random: &mut self.random,
            profile: &job.profile,
            outside: &mut job.outside,
            directory: job.kept.checkpoints().map(|directory| directory.trim_start_matches('/')).unwrap_or_default(),
            mishaps,
            now: self.now,
        };
        act(host, &mut around)
    }

    pub(super) fn host_step(&mut self, worker: &WorkerKey, process: ProcessId, step: HostStep) {
        let mishaps = self.mishaps();
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        let Some(host) = machine.hosts.get_mut(&process) else { return };
        match step {
            HostStep::Up => {
                host.is_stuck = self.random.per_mille(mishaps.stuck);
                let location = ProcessLocation {
                    process,
                    worker: worker.worker.clone(),
                    data_address: ([127, 0, 0, 1], 1).into(),
                    pid: 1,
                };
                self.at_machine(worker, Event::Spawned { process });
                self.at_machine(worker, Event::Ready { location });
            }
            HostStep::Task(attempt) => {
                let reaction = self.at_host(worker, process, |host, around| host.step(around, attempt));
                self.react(worker, process, reaction);
            }
            HostStep::Commit(round) => {
                let reaction = self.at_host(worker, process, |host, around| host.commit(around, round));
                self.react(worker, process, reaction);
            }
            HostStep::Says(message) => self.at_machine(worker, Event::Host { process, message: *message }),
            HostStep::End(failure) => {
                machine.hosts.remove(&process);
                let failure = failure.unwrap_or_else(|| Failure::environment("killed by signal 9"));
                self.at_machine(worker, Event::Ended { process, failure });
            }
        }
    }

    pub(super) fn heartbeat(&mut self, worker: &WorkerKey) {
        let Some(machine) = self.machines.get(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        if let (Some(leader), true) = (machine.state.leader(), machine.state.is_registered()) {
            let (allocated, metrics) = (machine.state.allocated(), WorkerMetrics::default());
            self.worker_sends(worker, FromWorker::Heartbeat(Heartbeat { leader, allocated, metrics }));
        }
        self.at(self.now + HEARTBEAT_MS, Happening::Heartbeat(worker.clone()));
    }

    /// A session begins, with a JobManager that leads.
    pub(super) fn worker_begins(&mut self, worker: &WorkerKey, registration: Registration) {
        self.at_machine(worker, Event::Begun);
        self.worker_sends(worker, FromWorker::Register(registration));
    }

    /// The session goes on.
    pub(super) fn worker_resumes(&mut self, worker: &WorkerKey) {
        self.at_machine(worker, Event::Resumed);
    }

    /// This life is over.
    pub(super) fn worker_is_over(&mut self, worker: &WorkerKey) {
        self.switch_off(worker, LossReason::Exited { code: 1 }, true);
    }

    /// A message of the JobManager arrives.
    pub(super) fn worker_hears(&mut self, worker: &WorkerKey, message: ToWorker) {
        match message {
            ToWorker::Registered { leader } => self.at_machine(worker, Event::Registered { leader }),
            ToWorker::Refused { .. } => self.worker_is_over(worker),
            ToWorker::AllocateSlot(grant) => self.at_machine(worker, Event::Allocate(grant)),
            ToWorker::FreeSlot { allocation, reason } => {
                self.at_machine(worker, Event::FreeSlot { allocation, reason });
            }
            ToWorker::Job { job, epoch, message } => {
                self.host_epoch = epoch;
                if let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) {
                    let hosts = machine.hosts.values_mut().filter(|host| host.job == job);
                    hosts.for_each(|host| host.epoch = host.epoch.max(epoch));
                }
                self.at_machine(worker, Event::Job { job, epoch, message });
            }
            ToWorker::ReadLog(_) => {}
            ToWorker::Shutdown { reason } => self.at_machine(worker, Event::Stop { reason }),
        }
    }

    pub(super) fn worker_disconnected(&mut self, worker: &WorkerKey, number: u64) {
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        if machine.connection != Some(number) {
            return;
        }
        machine.connection = None;
        self.at_machine(worker, Event::Disconnected);
        let pause = if self.random.per_mille(800) { self.random.within(1..=500) } else { self.random.within(1..=3000) };
        self.at(self.now + pause, Happening::Dial(worker.clone()));
    }

    /// A message of a worker arrives: registrations and what concerns slots go to the slot manager, the rest to jobs.
    pub(super) fn worker_said(&mut self, worker: WorkerKey, connection: u64, message: FromWorker) {
        match message {
            FromWorker::Register(registration) => {
                let connection = ConnectionNumber(connection);
                self.manage(ManagerEvent::Registered { registration: Box::new(registration), connection });
            }
            FromWorker::Job { job, epoch, message } => self.master_hears(&worker, job, epoch, message),
            message => self.manage(ManagerEvent::FromWorker { worker, message: Box::new(message) }),
        }
    }
}
