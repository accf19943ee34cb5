//! Carries messages between a JobMaster and its workers, and watches.

mod owner;
mod time;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use flott_core::{
    checkpoint::Barrier,
    failure::Failure,
    id::{
        AllocationId, AttemptId, AttemptNumber, CheckpointId, IdSequence, JobMasterEpoch, SlotIndex, SubtaskIndex,
        VertexId, WorkerKey,
    },
    job_graph::scale::Scale,
    message::{Committable, HostToJob, JobToHost, JobToWorker, SlotGrant, WorkerToJob},
    past::Past,
    resource::ResourceProfile,
    status::JobStatus,
    view::JobView,
};
use flott_snapshot::Manifest;

use super::worker::{FakeWorker, Profile};
use crate::{
    checkpoints::RequestId,
    core::{Action, Event, JobMasterCore, RestorePoint, Taken},
    failover::random::SeededRandom,
    scaling::{RescaleRequest, Rescaled},
    slot_pool::Wishes,
    spec::JobSpec,
    time::Millis,
};

/// In which order messages arrive.
#[derive(Debug, Clone)]
pub enum Order {
    /// As they were sent.
    Sent,
    /// Drawn: those of TaskManagers overtake each other and come twice; those to one TaskManager stay in order, as on one
    /// connection.
    Wild(SeededRandom),
}

/// A job, its JobMaster, a ResourceManager for it alone, and TaskManagers.
#[derive(Debug, Clone)]
pub struct FakeCluster {
    /// The JobMaster.
    pub core: JobMasterCore,
    /// The time.
    pub now: Millis,
    /// TaskManagers that live.
    pub workers: BTreeMap<WorkerKey, FakeWorker>,
    /// States that the job has entered.
    pub statuses: Vec<JobStatus>,
    /// How the job ended; more than one entry is a bug.
    pub ended: Vec<JobView>,
    /// Manifests that were asked for; more than one is a bug.
    pub manifests: Vec<Vec<Committable>>,
    /// Whether one of these is durable.
    persisted: bool,
    /// Whether manifests are written at once.
    pub persists: bool,
    /// Scales that are to be written down, and are not answered.
    pub scaling: VecDeque<Scale>,
    /// What was written down last.
    pub scale: Scale,
    /// What the next JobMaster is to know, written down at once.
    pub past: Past,
    /// Answers to those who asked for another parallelism.
    pub rescaled: Vec<(RequestId, Result<Rescaled, Failure>)>,
    /// Manifests of checkpoints that are to be stored, and are not answered.
    pub storing: VecDeque<Arc<Manifest>>,
    /// Checkpoints that are damaged, each time that another one was sought; not answered.
    pub sought: Vec<BTreeSet<CheckpointId>>,
    /// What is to be kept with the one that was handed out last.
    pub retained: BTreeSet<CheckpointId>,
    /// Manifests that were stored, savepoints too, in order.
    pub stored: Vec<Arc<Manifest>>,
    /// Answers to those who asked for snapshots.
    pub answered: Vec<(RequestId, Result<Taken, Failure>)>,
    /// Barriers that were sent.
    pub barriers: BTreeMap<CheckpointId, Barrier>,
    /// What is declared now.
    pub declared: BTreeMap<ResourceProfile, u32>,
    /// What is declared beyond that.
    pub wishes: Wishes,
    /// Whether it was declared that the slots the job has are of no use to it so far.
    pub idle: bool,
    /// Whether it was declared that what there is may be the job's, so that it gets nothing else.
    reconciling: bool,
    /// Things that must never happen, and did.
    pub faults: Vec<String>,
    /// Messages that the JobMaster has sent.
    pub sent: u64,
    order: Order,
    profile: Profile,
    to_master: VecDeque<(WorkerKey, JobMasterEpoch, WorkerToJob)>,
    to_workers: BTreeMap<WorkerKey, VecDeque<JobToWorker>>,
    /// Those to whom a message is on its way.
    busy: BTreeSet<WorkerKey>,
    /// To whom a message was delivered last.
    served: Option<WorkerKey>,
    /// Whether slots or needs have changed since they were matched.
    unmatched: bool,
    /// Where each subtask is alive.
    alive: BTreeMap<(VertexId, SubtaskIndex), (AttemptId, WorkerKey)>,
    ids: IdSequence,
    wake: Option<Millis>,
    next_worker: u64,
}

impl FakeCluster {
    /// A job that is started, on a cluster without TaskManagers.
    ///
    /// # Panics
    /// When the spec is refused.
    pub fn new(spec: JobSpec, splits: u32, order: Order) -> Self {
        let profile = Profile::of(&spec.graph, splits);
        let now = spec.accepted_at;
        let core = JobMasterCore::new(spec).expect("the spec of a test is good");
        let mut cluster = Self {
            core,
            now,
            workers: BTreeMap::new(),
            statuses: Vec::new(),
            ended: Vec::new(),
            manifests: Vec::new(),
            persisted: false,
            persists: true,
            scaling: VecDeque::new(),
            scale: Scale::default(),
            past: Past::default(),
            rescaled: Vec::new(),
            storing: VecDeque::new(),
            sought: Vec::new(),
            retained: BTreeSet::new(),
            stored: Vec::new(),
            answered: Vec::new(),
            barriers: BTreeMap::new(),
            declared: BTreeMap::new(),
            wishes: Wishes::default(),
            idle: false,
            reconciling: false,
            faults: Vec::new(),
            sent: 0,
            order,
            profile,
            to_master: VecDeque::new(),
            to_workers: BTreeMap::new(),
            busy: BTreeSet::new(),
            served: None,
            unmatched: false,
            alive: BTreeMap::new(),
            ids: IdSequence::new(1),
            wake: None,
            next_worker: 0,
        };
        cluster.tell(Event::Start);
        cluster
    }

    /// Adds a TaskManager.
    pub fn add_worker(&mut self, slots: u32) -> WorkerKey {
        self.next_worker += 1;
        let epoch = self.core.spec().epoch;
        let worker = FakeWorker::new(self.next_worker, slots, epoch, self.profile.clone());
        let key = worker.key().clone();
        self.workers.insert(key.clone(), worker);
        self.to_workers.insert(key.clone(), VecDeque::new());
        self.unmatched = true;
        self.allocate();
        key
    }

    /// A TaskManager dies with all that is on it; what it had sent may still arrive, in wild order.
    pub fn kill_worker(&mut self, worker: &WorkerKey) {
        self.lose_worker(worker, Failure::environment("no heartbeat for 8000 ms"));
    }

    /// As [`Self::kill_worker`], told in these words.
    pub fn lose_worker(&mut self, worker: &WorkerKey, failure: Failure) {
        if self.workers.remove(worker).is_none() {
            return;
        }
        self.to_workers.remove(worker);
        self.busy.remove(worker);
        self.unmatched = true;
        self.alive.retain(|_, (_, on)| on != worker);
        if matches!(self.order, Order::Sent) {
            self.to_master.retain(|(from, ..)| from != worker);
        }
        self.tell(Event::WorkerLost { worker: worker.clone(), failure });
        self.allocate();
    }

    /// A job process dies.
    pub fn kill_process(&mut self, worker: &WorkerKey) {
        self.at_worker(worker, FakeWorker::kill_process);
    }

    /// A job process dies, and nobody hears of it yet.
    pub fn kill_process_unheard(&mut self, worker: &WorkerKey) {
        self.at_worker(worker, |worker| {
            worker.kill_process();
            Vec::new()
        });
    }

    /// A slot is taken back.
    pub fn take_back(&mut self, worker: &WorkerKey, allocation: AllocationId) {
        self.at_worker(worker, |worker| worker.take_back(allocation));
        self.allocate();
    }

    /// A task fails.
    pub fn fail(&mut self, attempt: AttemptId, failure: Failure) {
        if let Some(worker) = self.worker_of(attempt) {
            self.at_worker(&worker, |worker| worker.fail(attempt, failure).into_iter().collect());
        }
    }

    /// A task goes on by a step; `false` if it has nothing to do.
    pub fn work(&mut self, attempt: AttemptId) -> bool {
        let Some(worker) = self.worker_of(attempt) else { return false };
        self.at_worker(&worker, |worker| worker.work(attempt).into_iter().collect())
    }

    /// Every task goes on by a step; `false` if there is nothing to do.
    pub fn work_all(&mut self) -> bool {
        let attempts: Vec<_> = self.live().collect();
        // Not `any`: all of them work.
        attempts.into_iter().filter(|attempt| self.work(*attempt)).count() > 0
    }

    /// Attempts that are alive.
    pub fn live(&self) -> impl Iterator<Item = AttemptId> {
        self.workers.values().flat_map(|worker| worker.live().map(|(attempt, _)| attempt))
    }

    /// Where an attempt is alive.
    pub fn worker_of(&self, attempt: AttemptId) -> Option<WorkerKey> {
        let known = self.alive.get(&(attempt.vertex, attempt.subtask)).filter(|(current, _)| *current == attempt);
        if let Some((_, worker)) = known {
            return Some(worker.clone());
        }
        let mut left = self.workers.iter().filter(|(_, worker)| worker.is_orphan());
        let (key, _) = left.find(|(_, worker)| worker.live().any(|(live, _)| live == attempt))?;
        Some(key.clone())
    }

    fn at_worker(&mut self, worker: &WorkerKey, act: impl FnOnce(&mut FakeWorker) -> Vec<WorkerToJob>) -> bool {
        let Some(fake) = self.workers.get_mut(worker) else { return false };
        let free = fake.free();
        for (attempt, _) in fake.live() {
            let place = (attempt.vertex, attempt.subtask);
            if self.alive.get(&place).is_some_and(|(_, on)| on == worker) {
                self.alive.remove(&place);
            }
        }
        let answers = act(fake);
        // No subtask is alive twice, but for those of a JobMaster before, and those that are about to be forgotten: what they do
        // does not count.
        let lanes = &self.to_workers;
        let is_forgotten =
            |worker: &WorkerKey| lanes.get(worker).is_some_and(|lane| lane.contains(&JobToWorker::Forget));
        let counts = !fake.is_orphan() && !is_forgotten(worker);
        for (attempt, _) in fake.live().filter(|_| counts) {
            let before = self.alive.insert((attempt.vertex, attempt.subtask), (attempt, worker.clone()));
            if let Some((other, on)) = before.filter(|(_, on)| !is_forgotten(on)) {
                self.faults.push(format!("{attempt} runs on {worker} while {other} runs on {on}"));
            }
        }
        let epoch = fake.epoch();
        self.unmatched |= fake.free() > free;
        let acted = !answers.is_empty();
        if fake.is_orphan() {
            return acted;
        }
        self.to_master.extend(answers.into_iter().map(|answer| (worker.clone(), epoch, answer)));
        acted
    }

    /// Tells the JobMaster something, and carries out what it wants.
    pub fn tell(&mut self, event: Event) {
        let actions = self.core.handle(self.now, event);
        for action in actions {
            if !self.ended.is_empty() && !matches!(action, Action::Send { message: JobToWorker::Forget, .. }) {
                self.faults.push(format!("after the end: {action:?}"));
            }
            match action {
                Action::Declare(needs) => {
                    self.declared = needs.slots;
                    self.wishes = needs.wishes;
                    (self.idle, self.reconciling) = (needs.idle, needs.reconciling);
                    self.unmatched = true;
                }
                Action::Send { worker, message } => {
                    self.sent += 1;
                    if let JobToWorker::Host { message: JobToHost::Snapshot { barrier, .. }, .. } = &message {
                        self.barriers.insert(barrier.checkpoint, *barrier);
                    }
                    if let Some(lane) = self.to_workers.get_mut(&worker) {
                        lane.push_back(message);
                        self.busy.insert(worker);
                    }
                }
                Action::WakeAt(at) => self.wake = at,
                Action::PersistCommit(committables) => self.manifests.push(committables),
                Action::PersistPast(past) => self.past = *past,
                Action::PersistScale(scale) => self.scaling.push_back(scale),
                Action::RescaleAnswered { request, result } => self.rescaled.push((request, result)),
                Action::FindCheckpoint { damaged } => self.sought.push(damaged),
                Action::StoreCheckpoint { manifest, retained, directory } => {
                    if directory.is_some() {
                        self.check_promised(&manifest);
                    }
                    self.retained = retained;
                    self.storing.push_back(manifest);
                }
                Action::SnapshotAnswered { request, result } => self.answered.push((request, result)),
                Action::StatusChanged(status) => self.statuses.push(status),
                Action::StepAside { checkpoint, .. } => {
                    self.faults.push(format!("checkpoint {checkpoint} is said not to be there"));
                }
                Action::Ended(view) => self.ended.push(*view),
            }
        }
        if self.manifests.len() > 1 || self.ended.len() > 1 {
            self.faults.push("more than one manifest or end".to_owned());
        }
        self.allocate();
    }

    /// The ResourceManager gives free slots to what is declared and not given.
    fn allocate(&mut self) {
        if self.reconciling || !std::mem::take(&mut self.unmatched) {
            return;
        }
        let mut given: BTreeMap<ResourceProfile, u32> = BTreeMap::new();
        for grant in self.workers.values().flat_map(FakeWorker::allocations) {
            *given.entry(grant.profile).or_default() += 1;
        }
        let mut lacking = Vec::new();
        // What is wished for comes last.
        let wishes = [&self.wishes.welcome, &self.wishes.wished];
        let mut given_of = |profile: &ResourceProfile, count: u32| {
            let given = given.entry(*profile).or_default();
            let used = count.min(*given);
            *given -= used;
            count - used
        };
        let needs: Vec<_> =
            self.declared.iter().map(|(profile, count)| (*profile, given_of(profile, *count))).collect();
        for counts in wishes {
            lacking.extend(counts.iter().flat_map(|(profile, count)| {
                let lack = given_of(profile, *count).min(1_000);
                std::iter::repeat_n(*profile, lack as usize)
            }));
        }
        for (profile, lack) in needs {
            lacking.extend(std::iter::repeat_n(profile, lack as usize));
        }
        if lacking.is_empty() {
            return;
        }
        let (job, epoch) = (self.core.spec().graph.job_id, self.core.spec().epoch);
        for (key, worker) in &mut self.workers {
            for slot in 0..worker.free() {
                let Some(profile) = lacking.pop() else { return };
                let allocation = self.ids.next_allocation();
                let offer = worker.allocate(SlotGrant { slot: SlotIndex(slot), allocation, job, epoch, profile });
                self.to_master.push_back((key.clone(), epoch, offer));
            }
        }
    }

    /// Delivers one message; `false` if there is none.
    pub fn deliver(&mut self) -> bool {
        let incoming = self.to_master.len();
        let place = match &mut self.order {
            Order::Sent => 0,
            Order::Wild(random) => random.below(incoming + self.busy.len()),
        };
        if place < incoming {
            return self.deliver_to_master(place);
        }
        let next = match (&self.order, &self.served) {
            // In turn: two that go on and on with each other must not keep a third from being heard.
            (Order::Sent, Some(served)) => self.busy.iter().find(|worker| *worker > served).or(self.busy.first()),
            (Order::Sent, None) | (Order::Wild(_), _) => self.busy.iter().nth(place - incoming),
        };
        let Some(worker) = next.cloned() else { return false };
        self.served = Some(worker.clone());
        let lane = self.to_workers.get_mut(&worker);
        let message = lane.and_then(|lane| {
            let message = lane.pop_front();
            if lane.is_empty() {
                self.busy.remove(&worker);
            }
            message
        });
        let Some(message) = message else { return false };
        let epoch = self.core.spec().epoch;
        self.at_worker(&worker, |worker| worker.receive_of(epoch, message));
        self.allocate();
        true
    }

    fn deliver_to_master(&mut self, place: usize) -> bool {
        let Some((worker, epoch, message)) = self.to_master.remove(place) else { return false };
        if let Order::Wild(random) = &mut self.order
            && random.below(8) == 0
        {
            self.to_master.push_back((worker.clone(), epoch, message.clone()));
        }
        self.tell(Event::Worker { worker, epoch, message });
        true
    }

    /// What the last attempts of all subtasks have prepared, in a job that has ended.
    pub fn prepared_at_last(&self, view: &JobView) -> BTreeSet<Bytes> {
        let mut prepared = BTreeSet::new();
        for vertex in &view.vertices {
            for (subtask, current) in
                (0..).map(SubtaskIndex).zip(vertex.subtasks.iter().map(|subtask| &subtask.current))
            {
                let attempt = AttemptId { vertex: vertex.id, subtask, attempt: AttemptNumber(current.attempt) };
                if let Some(worker) = &current.worker {
                    prepared.extend(self.profile.prepared(attempt, worker));
                }
            }
        }
        prepared
    }

    /// What commits that went well have made visible.
    pub fn visible(&self) -> BTreeSet<Bytes> {
        self.profile.visible()
    }

    /// Splits of each source.
    pub fn splits(&self) -> u32 {
        self.profile.splits
    }

    /// Whether a message is on its way.
    pub fn is_busy(&self) -> bool {
        !self.to_master.is_empty() || !self.busy.is_empty()
    }

    /// A message that some earlier life of things might have sent, to see it dropped.
    pub fn inject(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, message: WorkerToJob) {
        self.to_master.push_back((worker.clone(), epoch, message));
    }

    /// Messages to the JobMaster that are on their way.
    pub fn incoming(&self) -> impl Iterator<Item = (&WorkerKey, &WorkerToJob)> {
        self.to_master.iter().map(|(worker, _, message)| (worker, message))
    }

    /// A report in the name of a process, to inject.
    pub fn from_process(&self, worker: &WorkerKey, message: HostToJob) -> Option<WorkerToJob> {
        let process = self.workers.get(worker)?.process()?.process;
        Some(WorkerToJob::Host { process, message })
    }
}
