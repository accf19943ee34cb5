//! A slot manager with a little world around it: workers with real slot tables, and a network that carries messages
//! at once unless told to hold them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use flott_core::{
    id::{AllocationId, InstanceId, JobId, JobMasterEpoch, LeaderEpoch, WorkerId, WorkerKey},
    message::{FromWorker, Heartbeat, Registration, SlotGrant, ToWorker},
    resource::ResourceProfile,
    view::WorkerMetrics,
};

use crate::{
    ConnectionNumber, Declaration, Options, SlotManagerOptions, Time, WorkerShape,
    backend::{Abilities, BackendEvent, LossReason, WorkerSpec},
    slot_manager::{Action, Event, SlotManager},
};

pub(super) const GIB: u64 = 1 << 30;

pub(super) const fn job(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

pub(super) const fn size(memory_bytes: u64) -> ResourceProfile {
    ResourceProfile { cpu_millicores: 0, memory_bytes }
}

/// A worker's own slot table.
pub(super) struct FakeWorker {
    pub(super) key: WorkerKey,
    pub(super) connection: ConnectionNumber,
    pub(super) slots: Vec<ResourceProfile>,
    pub(super) allocated: BTreeMap<AllocationId, SlotGrant>,
    /// Refuses every request.
    pub(super) refuses: bool,
    /// Neither hears nor speaks.
    pub(super) deaf: bool,
    pub(super) shut_down: bool,
    started_at: u64,
}

impl FakeWorker {
    fn hear(&mut self, message: ToWorker) -> Option<FromWorker> {
        match message {
            ToWorker::AllocateSlot(grant) => {
                let allocation = grant.allocation;
                let taken = self.allocated.values().any(|own| own.slot == grant.slot && own.allocation != allocation);
                if self.refuses || taken {
                    return Some(FromWorker::SlotRefused { allocation, reason: "no".into() });
                }
                self.allocated.insert(allocation, grant);
                Some(FromWorker::SlotAllocated(allocation))
            }
            ToWorker::FreeSlot { allocation, .. } => {
                self.allocated.remove(&allocation);
                Some(FromWorker::SlotFreed(allocation))
            }
            ToWorker::Shutdown { .. } | ToWorker::Refused { .. } => {
                self.shut_down = true;
                None
            }
            ToWorker::Registered { .. } | ToWorker::Job { .. } | ToWorker::ReadLog(_) => None,
        }
    }
}

pub(super) struct Bench {
    pub(super) core: SlotManager,
    pub(super) now: Time,
    pub(super) workers: BTreeMap<WorkerId, FakeWorker>,
    /// Workers that the backend runs, registered or not.
    pub(super) backend: BTreeMap<WorkerId, WorkerSpec>,
    /// Those of them that the backend has said will end soon.
    pub(super) leaving: BTreeSet<WorkerId>,
    /// What left the slot manager, in words.
    pub(super) log: Vec<String>,
    pub(super) lost: Vec<WorkerKey>,
    pub(super) pending: BTreeMap<JobId, Vec<String>>,
    connections: u64,
    instances: u8,
    inbox: VecDeque<Event>,
}

impl Bench {
    pub(super) fn standalone() -> Self {
        Self::new(SlotManagerOptions::default(), Abilities::default())
    }

    /// With a backend that starts workers of two slots of half a GiB.
    pub(super) fn starting(change: impl FnOnce(&mut SlotManagerOptions)) -> Self {
        let worker = WorkerShape { slots: 2, memory: GIB, cpu_millicores: 0 };
        let mut options = SlotManagerOptions { worker, ..SlotManagerOptions::default() };
        change(&mut options);
        Self::new(options, Abilities { starts: true, workers_max: None })
    }

    pub(super) fn new(slot_manager: SlotManagerOptions, abilities: Abilities) -> Self {
        slot_manager.validate().unwrap();
        let mut options = Options::new(LeaderEpoch(1), "localhost:8081");
        options.id_seed = 7;
        options.slot_manager = slot_manager;
        Self {
            core: SlotManager::new(options, abilities),
            now: Time(1_000_000),
            workers: BTreeMap::new(),
            backend: BTreeMap::new(),
            leaving: BTreeSet::new(),
            log: Vec::new(),
            lost: Vec::new(),
            pending: BTreeMap::new(),
            connections: 0,
            instances: 0,
            inbox: VecDeque::new(),
        }
    }

    /// Handles an event and all that follows from it at once.
    pub(super) fn event(&mut self, event: Event) {
        self.inbox.push_back(event);
        while let Some(event) = self.inbox.pop_front() {
            for action in self.core.handle(self.now, event) {
                self.act(action);
            }
            self.core.audit().unwrap();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { to, message } => self.deliver(&to, message),
            Action::Disconnect { worker, .. } => {
                if self.workers.get(&worker.worker).is_some_and(|known| known.key == worker) {
                    self.workers.remove(&worker.worker);
                }
            }
            Action::StartWorker(spec) => {
                self.log.push(format!("start {}", spec.worker));
                self.backend.insert(spec.worker.clone(), spec);
            }
            Action::StopWorker { worker, reason } => {
                self.log.push(format!("stop {worker}: {reason}"));
                self.workers.remove(&worker);
                if self.backend.remove(&worker).is_some() {
                    self.inbox.push_back(Event::Backend(BackendEvent::Lost { worker, reason: LossReason::Stopped }));
                }
            }
            Action::Pending { job, reasons } => {
                let said = reasons.into_iter().map(|reason| format!("{}: {}", reason.slots_missing, reason.reason));
                self.pending.insert(job, said.collect());
            }
            Action::WorkerLost { worker, failure } => {
                self.log.push(format!("lost {worker}: {}", failure.message));
                self.lost.push(worker);
            }
        }
    }

    fn deliver(&mut self, to: &WorkerKey, message: ToWorker) {
        let Some(worker) = self.workers.get_mut(&to.worker).filter(|worker| worker.key == *to && !worker.deaf) else {
            return;
        };
        if let Some(answer) = worker.hear(message) {
            self.inbox.push_back(Event::FromWorker { worker: to.clone(), message: Box::new(answer) });
        }
    }

    pub(super) fn tell(&mut self, worker: &str, message: FromWorker) {
        let key = self.worker(worker).key.clone();
        self.event(Event::FromWorker { worker: key, message: Box::new(message) });
    }

    pub(super) fn worker(&mut self, worker: &str) -> &mut FakeWorker {
        self.workers.get_mut(&WorkerId(worker.into())).expect("the worker is there")
    }

    /// A new life of a worker registers.
    pub(super) fn register(&mut self, worker: &str, slots: &[ResourceProfile]) {
        self.instances += 1;
        let key = WorkerKey { worker: WorkerId(worker.into()), instance: InstanceId::from_bytes([self.instances; 16]) };
        let fake = FakeWorker {
            key: key.clone(),
            connection: ConnectionNumber(0),
            slots: slots.to_vec(),
            allocated: BTreeMap::new(),
            refuses: false,
            deaf: false,
            shut_down: false,
            started_at: self.now.0,
        };
        self.workers.insert(key.worker, fake);
        self.connect(worker);
    }

    /// A life registers on its first connection, and is back on every other.
    pub(super) fn connect(&mut self, worker: &str) {
        self.connections += 1;
        let connection = ConnectionNumber(self.connections);
        let worker = self.worker(worker);
        let before = std::mem::replace(&mut worker.connection, connection);
        worker.deaf = false;
        let (registration, worker) = (Box::new(registration(worker)), worker.key.clone());
        self.event(if before == ConnectionNumber::default() {
            Event::Registered { registration, connection }
        } else {
            Event::Resumed { worker, connection }
        });
    }

    pub(super) fn disconnect(&mut self, worker: &str) {
        let worker = self.worker(worker);
        worker.deaf = true;
        let (key, connection) = (worker.key.clone(), worker.connection);
        self.event(Event::ConnectionLost { worker: key, connection, reason: "reset".into() });
    }

    /// Everything that the backend has started registers.
    pub(super) fn register_started(&mut self) {
        let new: Vec<_> =
            self.backend.values().filter(|spec| !self.workers.contains_key(&spec.worker)).cloned().collect();
        for spec in new {
            let slots = vec![spec.shape().slot(); spec.slots as usize];
            self.register(&spec.worker.0, &slots);
        }
    }

    /// A started worker ends by itself.
    pub(super) fn crash(&mut self, worker: &str, reason: LossReason) {
        let worker = WorkerId(worker.into());
        self.backend.remove(&worker);
        self.workers.remove(&worker);
        self.leaving.remove(&worker);
        self.event(Event::Backend(BackendEvent::Lost { worker, reason }));
    }

    pub(super) fn leave(&mut self, worker: &str, reason: LossReason) {
        let worker = WorkerId(worker.into());
        self.leaving.insert(worker.clone());
        self.event(Event::Backend(BackendEvent::Leaving { worker, reason }));
    }

    pub(super) fn declare(&mut self, number: u8, epoch: u64, needs: &[(ResourceProfile, u32)]) {
        let needs = needs.iter().copied().collect();
        self.event(Event::Declared(Declaration::new(job(number), JobMasterEpoch(epoch), needs).idle(true)));
    }

    /// Declares slots of any size in epoch 1, with some that workers are started for beyond them, and some that are welcome.
    pub(super) fn wish(&mut self, number: u8, needs: u32, wished: u32, welcome: u32) {
        let any = |count| [(ResourceProfile::ANY, count)].into();
        let declaration = Declaration::new(job(number), JobMasterEpoch(1), any(needs));
        self.event(Event::Declared(declaration.wishing(any(wished), any(welcome)).idle(true)));
    }

    /// Declares slots of any size in epoch 1.
    pub(super) fn need(&mut self, number: u8, slots: u32) {
        self.declare(number, 1, &[(ResourceProfile::ANY, slots)]);
    }

    pub(super) fn heartbeat(&mut self, worker: &str) {
        let worker = self.worker(worker);
        let allocated = worker.allocated.values().cloned().collect();
        let metrics = WorkerMetrics::default();
        let heartbeat = Heartbeat { leader: LeaderEpoch(1), allocated, metrics };
        let key = worker.key.clone();
        self.event(Event::FromWorker { worker: key, message: Box::new(FromWorker::Heartbeat(heartbeat)) });
    }

    /// Time passes; workers that are not deaf send heartbeats every second.
    pub(super) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut beat = self.now + Duration::from_secs(1);
        while self.now < until {
            let tick = self.core.next_tick().filter(|at| *at > self.now);
            let next = tick.into_iter().chain([beat, until]).min().expect("three times");
            self.now = next;
            if next == beat {
                beat = beat + Duration::from_secs(1);
                for worker in self
                    .workers
                    .values()
                    .filter(|worker| !worker.deaf)
                    .map(|worker| worker.key.worker.clone())
                    .collect::<Vec<_>>()
                {
                    if self.workers.contains_key(&worker) {
                        self.heartbeat(&worker.0);
                    }
                }
            }
            self.event(Event::Tick);
        }
    }

    pub(super) fn pass_ms(&mut self, millis: u64) {
        self.pass(Duration::from_millis(millis));
    }

    /// Slots that workers have given to a job, per worker.
    pub(super) fn slots_of(&self, number: u8) -> BTreeMap<&str, usize> {
        let count = |worker: &FakeWorker| worker.allocated.values().filter(|grant| grant.job == job(number)).count();
        let counts = self.workers.iter().map(|(name, worker)| (name.0.as_str(), count(worker)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn count_of(&self, number: u8) -> usize {
        self.slots_of(number).values().sum()
    }

    /// The job frees that many of its slots, as its JobMaster would by way of the workers.
    pub(super) fn job_frees(&mut self, number: u8, count: usize) {
        let mut freed = Vec::new();
        for worker in self.workers.values_mut() {
            let own: Vec<_> = worker
                .allocated
                .values()
                .filter(|grant| grant.job == job(number))
                .map(|grant| grant.allocation)
                .collect();
            for allocation in own {
                if freed.len() < count {
                    worker.allocated.remove(&allocation);
                    freed.push((worker.key.clone(), allocation));
                }
            }
        }
        for (worker, allocation) in freed {
            self.event(Event::FromWorker { worker, message: Box::new(FromWorker::SlotFreed(allocation)) });
        }
    }

    #[track_caller]
    pub(super) fn check_pending(&self, number: u8, expected: &[&str]) {
        let said = self.pending.get(&job(number)).cloned().unwrap_or_default();
        assert_eq!(said, expected);
    }

    /// No slot of any worker is given twice.
    pub(super) fn check_slots(&self) {
        for worker in self.workers.values() {
            let slots: BTreeSet<_> = worker.allocated.values().map(|grant| grant.slot).collect();
            assert_eq!(slots.len(), worker.allocated.len());
        }
    }
}

pub(super) fn registration(worker: &FakeWorker) -> Registration {
    Registration {
        worker: worker.key.worker.clone(),
        instance: worker.key.instance,
        pid: 1,
        host: "localhost".into(),
        cpu_cores: 1,
        physical_memory: GIB,
        memory: GIB,
        slots: worker.slots.clone(),
        allocated: worker.allocated.values().cloned().collect(),
        started_at: worker.started_at,
        version: "0".into(),
    }
}
