//! A TaskManager with its slots, its process and the process's tasks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flott_core::{
    checkpoint::{SnapshotFigures, SnapshotReport, SubtaskState},
    failure::Failure,
    id::{
        AllocationId, AttemptId, CheckpointId, Digest, InstanceId, JobMasterEpoch, JobSecret, OperatorId, ProcessId,
        SubtaskIndex, VertexId, WorkerId, WorkerKey,
    },
    job_graph::{JobGraph, OperatorKind},
    journal::Journal,
    message::{
        Committable, Deployment, Found, HostToJob, JobSetup, JobToHost, JobToWorker, ProcessLocation, SlotGrant,
        TaskStateChange, WorkerToJob,
    },
    status::ExecutionState,
    view::{Accumulator, TaskMetrics},
};

/// What tasks of a job do.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Splits of each source.
    pub splits: u32,
    sources: BTreeMap<VertexId, OperatorId>,
    sinks: BTreeMap<VertexId, OperatorId>,
    /// What they store.
    store: Arc<Mutex<FakeStore>>,
}

impl Profile {
    /// Tasks of `graph`, whose sources have so many splits each.
    pub fn of(graph: &JobGraph, splits: u32) -> Self {
        let of_kind = |kind| {
            let vertices = graph.vertices.iter();
            vertices
                .filter_map(|vertex| {
                    let operator = vertex.operators.iter().find(|operator| operator.kind == kind)?;
                    Some((vertex.id, operator.id))
                })
                .collect()
        };
        Self {
            splits,
            sources: of_kind(OperatorKind::Source),
            sinks: of_kind(OperatorKind::Sink),
            store: Arc::default(),
        }
    }
}

/// How a task or a commit goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Well.
    Good,
    /// With this failure.
    Bad(Failure),
}

/// What tasks have stored, as all TaskManagers of a cluster see it.
#[derive(Debug, Default)]
pub struct FakeStore {
    /// What a subtask had read at a barrier.
    at: BTreeMap<(CheckpointId, VertexId, SubtaskIndex), Vec<Bytes>>,
    /// The newest barrier that sources have given.
    newest: Option<CheckpointId>,
    /// What commits that went well have made visible.
    visible: BTreeSet<Bytes>,
    /// What an attempt has prepared on a TaskManager, in the latest process there.
    prepared: BTreeMap<(AttemptId, WorkerId), Vec<Bytes>>,
}

#[derive(Debug, Clone)]
struct Task {
    /// The newest barrier that it has come to.
    barrier: Option<CheckpointId>,
    /// Its subtask had finished in the checkpoint that it starts from.
    had_finished: bool,
    state: ExecutionState,
    read: Vec<Bytes>,
    asked: bool,
    exhausted: bool,
}

#[derive(Debug, Clone)]
struct Process {
    location: ProcessLocation,
    secret: JobSecret,
    configuration: Digest,
    journal: Journal,
    tasks: BTreeMap<AttemptId, Task>,
    /// Every attempt it was ever told to run or to stop.
    known: BTreeSet<AttemptId>,
}

/// A TaskManager in one of its lives.
#[derive(Debug, Clone)]
pub struct FakeWorker {
    key: WorkerKey,
    epoch: JobMasterEpoch,
    free: u32,
    offered: BTreeMap<AllocationId, SlotGrant>,
    accepted: BTreeSet<AllocationId>,
    process: Option<Process>,
    /// Whether its JobMaster is gone, and no other has spoken yet.
    is_orphan: bool,
    lives: u64,
    number: u64,
    profile: Profile,
    /// How the next starts of its process go; they go well when this runs out.
    pub starts: VecDeque<Outcome>,
    /// How the next commits in its process go; they go well when this runs out.
    pub commits: VecDeque<Outcome>,
    /// Whether tasks ignore being cancelled.
    pub is_stuck: bool,
    /// Commits that it was asked for.
    pub committed: Vec<Vec<Committable>>,
    /// Aborts that it was asked for.
    pub aborted: u32,
    /// What attempts were told last of their alignment groups.
    pub aligned: BTreeMap<AttemptId, Option<i64>>,
}

impl Profile {
    /// What an attempt has prepared.
    pub fn prepared(&self, attempt: AttemptId, worker: &WorkerId) -> Vec<Bytes> {
        let store = self.store.lock().unwrap();
        store.prepared.get(&(attempt, worker.clone())).cloned().unwrap_or_default()
    }

    /// What commits that went well have made visible.
    pub fn visible(&self) -> BTreeSet<Bytes> {
        self.store.lock().unwrap().visible.clone()
    }
}

impl Profile {
    /// Another JobMaster numbers its barriers by itself.
    pub fn forget_barriers(&self) {
        self.store.lock().unwrap().newest = None;
    }
}

impl FakeWorker {
    /// TaskManager number `number`, with free slots.
    pub fn new(number: u64, slots: u32, epoch: JobMasterEpoch, profile: Profile) -> Self {
        let mut instance = [0; 16];
        instance[..8].copy_from_slice(&number.to_le_bytes());
        Self {
            key: WorkerKey { worker: WorkerId(format!("tm-{number}")), instance: InstanceId::from_bytes(instance) },
            epoch,
            free: slots,
            offered: BTreeMap::new(),
            accepted: BTreeSet::new(),
            process: None,
            is_orphan: false,
            lives: 0,
            number,
            profile,
            starts: VecDeque::new(),
            commits: VecDeque::new(),
            is_stuck: false,
            committed: Vec::new(),
            aborted: 0,
            aligned: BTreeMap::new(),
        }
    }

    /// Its identity.
    pub fn key(&self) -> &WorkerKey {
        &self.key
    }

    /// Slots that are given to nobody.
    pub fn free(&self) -> u32 {
        self.free
    }

    /// Whether nothing of the job is left on it.
    pub fn is_clean(&self) -> bool {
        self.offered.is_empty() && self.process.is_none()
    }

    /// Allocations that it has, offered or accepted.
    pub fn allocations(&self) -> impl Iterator<Item = &SlotGrant> {
        self.offered.values()
    }

    /// Attempts that are alive.
    pub fn live(&self) -> impl Iterator<Item = (AttemptId, ExecutionState)> {
        let tasks = self.process.iter().flat_map(|process| &process.tasks);
        tasks.map(|(attempt, task)| (*attempt, task.state))
    }

    /// Its process, if one runs.
    pub fn process(&self) -> Option<&ProcessLocation> {
        self.process.as_ref().map(|process| &process.location)
    }

    /// The ResourceManager gives a slot to the job. What an older JobMaster has left goes.
    pub fn allocate(&mut self, grant: SlotGrant) -> WorkerToJob {
        if grant.epoch > self.epoch {
            self.epoch = grant.epoch;
            self.sweep();
        }
        self.free -= 1;
        self.offered.insert(grant.allocation, grant.clone());
        WorkerToJob::OfferSlots(vec![grant])
    }

    /// The slot is taken back.
    pub fn take_back(&mut self, allocation: AllocationId) -> Vec<WorkerToJob> {
        if !self.free_slot(allocation) {
            return Vec::new();
        }
        vec![WorkerToJob::SlotLost { allocation, reason: "taken back".to_owned() }]
    }

    fn free_slot(&mut self, allocation: AllocationId) -> bool {
        let had = self.offered.remove(&allocation).is_some();
        self.accepted.remove(&allocation);
        self.free += u32::from(had);
        had
    }

    /// Another JobManager leads: what is said of the job that runs here, under the epoch of before.
    pub fn followed(&mut self) -> Option<WorkerToJob> {
        let Some(Process { location, secret, configuration, journal, .. }) = &self.process else {
            self.sweep();
            return None;
        };
        self.is_orphan = true;
        let found = Found {
            location: location.clone(),
            secret: *secret,
            configuration: *configuration,
            tasks: journal.found(),
        };
        Some(WorkerToJob::Found(Box::new(found)))
    }

    fn sweep(&mut self) {
        (self.process, self.is_orphan) = (None, false);
        for allocation in self.offered.keys().copied().collect::<Vec<_>>() {
            self.free_slot(allocation);
        }
    }

    /// Takes a message of the JobMaster of `epoch`, which may be new here.
    pub fn receive_of(&mut self, epoch: JobMasterEpoch, message: JobToWorker) -> Vec<WorkerToJob> {
        if epoch > self.epoch {
            let adopted = match (&message, &self.process) {
                (JobToWorker::Adopt { process }, Some(found)) if *process == found.location.process => {
                    self.is_orphan.then(|| found.journal.clone())
                }
                _ => None,
            };
            (self.epoch, self.is_orphan) = (epoch, false);
            if let Some(journal) = adopted {
                self.offered.values_mut().for_each(|grant| grant.epoch = epoch);
                return vec![WorkerToJob::Adopted(Box::new(journal))];
            }
            self.sweep();
        }
        self.receive(message)
    }

    /// Whether nobody hears what it says.
    pub fn is_orphan(&self) -> bool {
        self.is_orphan
    }

    /// The process dies.
    pub fn kill_process(&mut self) -> Vec<WorkerToJob> {
        let Some(process) = self.process.take() else { return Vec::new() };
        if self.is_orphan {
            self.sweep();
        }
        vec![WorkerToJob::ProcessLost {
            process: process.location.process,
            failure: Failure::environment("the job process was killed by signal 9"),
        }]
    }

    /// Takes a message of the JobMaster, and answers.
    pub fn receive(&mut self, message: JobToWorker) -> Vec<WorkerToJob> {
        match message {
            JobToWorker::AcceptSlots(allocations) => {
                let unknown = allocations.into_iter().filter(|allocation| {
                    let known = self.offered.contains_key(allocation);
                    if known {
                        self.accepted.insert(*allocation);
                    }
                    !known
                });
                let lost = |allocation| WorkerToJob::SlotLost { allocation, reason: "not allocated".to_owned() };
                unknown.map(lost).collect()
            }
            JobToWorker::RejectSlots(allocations) | JobToWorker::FreeSlots(allocations) => {
                for allocation in allocations {
                    self.free_slot(allocation);
                }
                Vec::new()
            }
            // That of an orphan has been adopted.
            JobToWorker::Adopt { process } => {
                let failure = Failure::environment("the job process is gone from its TaskManager");
                vec![WorkerToJob::ProcessLost { process, failure }]
            }
            JobToWorker::Completed { checkpoint } => {
                if let Some(process) = &mut self.process {
                    process.journal.complete(checkpoint);
                }
                Vec::new()
            }
            JobToWorker::StartProcess(setup) => vec![self.start(&setup)],
            JobToWorker::Forget => {
                self.sweep();
                Vec::new()
            }
            JobToWorker::Host { process, message } => match &self.process {
                Some(running) if running.location.process == process => self.host(message),
                Some(_) | None => {
                    let failure = Failure::environment("the job process is gone from its TaskManager");
                    vec![WorkerToJob::ProcessLost { process, failure }]
                }
            },
        }
    }

    fn start(&mut self, setup: &JobSetup) -> WorkerToJob {
        if let Some(process) = &self.process {
            return WorkerToJob::ProcessReady(process.location.clone());
        }
        self.lives += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.number.to_le_bytes());
        id[8..].copy_from_slice(&self.lives.to_le_bytes());
        let process = ProcessId::from_bytes(id);
        if let Some(Outcome::Bad(failure)) = self.starts.pop_front() {
            return WorkerToJob::ProcessLost { process, failure };
        }
        let location = ProcessLocation {
            process,
            worker: self.key.worker.clone(),
            data_address: ([127, 0, 0, 1], 1 + (self.number % 60_000) as u16).into(),
            pid: self.lives as u32,
        };
        // Attempts are counted anew where a job starts over.
        self.profile.store.lock().unwrap().prepared.retain(|(_, worker), _| *worker != self.key.worker);
        self.process = Some(Process {
            location: location.clone(),
            secret: setup.secret,
            configuration: setup.configuration_digest(),
            journal: Journal::default(),
            tasks: BTreeMap::new(),
            known: BTreeSet::new(),
        });
        WorkerToJob::ProcessReady(location)
    }

    fn host(&mut self, message: JobToHost) -> Vec<WorkerToJob> {
        if let Some(process) = &mut self.process {
            process.journal.told(&message);
        }
        match message {
            JobToHost::Deploy(deployment) => self.deploy(&deployment),
            JobToHost::Cancel(attempts) => attempts.into_iter().filter_map(|attempt| self.cancel(attempt)).collect(),
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                let splits = (0..self.profile.splits).map(|split| Bytes::from(format!("{source}/{split}")));
                let message = HostToJob::SplitsEnumerated { attempt, source, result: Ok(splits.collect()) };
                self.says(message).into_iter().collect()
            }
            JobToHost::GroupWatermark { attempt, watermark } => {
                self.aligned.insert(attempt, watermark);
                Vec::new()
            }
            JobToHost::AssignSplit { attempt, split, .. } => {
                if let Some(task) = self.task(attempt) {
                    task.asked = false;
                    match split {
                        Some(split) => task.read.push(split),
                        None => task.exhausted = true,
                    }
                }
                Vec::new()
            }
            JobToHost::Snapshot { barrier, attempts, .. } => {
                self.profile.store.lock().unwrap().newest = Some(barrier.checkpoint);
                attempts.into_iter().filter_map(|attempt| self.snapshot(attempt, barrier.checkpoint)).collect()
            }
            JobToHost::Commit { round, committables } => {
                self.committed.push(committables);
                let result = match self.commits.pop_front() {
                    Some(Outcome::Bad(failure)) => Err(failure),
                    Some(Outcome::Good) | None => {
                        let committed = self.committed.last().into_iter().flatten();
                        let data = committed.map(|committable| committable.data.clone());
                        self.profile.store.lock().unwrap().visible.extend(data);
                        Ok(())
                    }
                };
                self.says(HostToJob::Committed { round, result }).into_iter().collect()
            }
            JobToHost::Abort => {
                self.aborted += 1;
                self.says(HostToJob::Aborted { result: Ok(()) }).into_iter().collect()
            }
        }
    }

    fn says(&mut self, message: HostToJob) -> Option<WorkerToJob> {
        let running = self.process.as_mut()?;
        running.journal.said(&message);
        let process = running.location.process;
        Some(WorkerToJob::Host { process, message })
    }

    fn task(&mut self, attempt: AttemptId) -> Option<&mut Task> {
        self.process.as_mut()?.tasks.get_mut(&attempt)
    }

    fn deploy(&mut self, deployment: &Deployment) -> Vec<WorkerToJob> {
        let Some(process) = &mut self.process else { return Vec::new() };
        for task in &deployment.tasks {
            if process.known.insert(task.attempt) {
                let state = ExecutionState::Deploying;
                let store = self.profile.store.lock().unwrap();
                let AttemptId { vertex, subtask, .. } = task.attempt;
                let restore = task.restore.as_deref();
                let had_finished = restore.is_some_and(|restore| restore.finished);
                // There may be fewer subtasks now, or more.
                let parts = store.at.iter().filter(|((checkpoint, of, part), _)| {
                    restore.is_some_and(|restore| restore.origin.checkpoint == *checkpoint)
                        && !had_finished
                        && (*of, part.0 % task.parallelism) == (vertex, subtask.0)
                });
                let read = parts.flat_map(|(_, read)| read.clone()).collect();
                let (barrier, exhausted) = (store.newest, had_finished);
                let task_state = Task { barrier, had_finished, state, read, asked: false, exhausted };
                process.tasks.insert(task.attempt, task_state);
            }
        }
        Vec::new()
    }

    fn cancel(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        if self.is_stuck {
            return None;
        }
        let process = self.process.as_mut()?;
        let known = process.known.contains(&attempt);
        if process.tasks.remove(&attempt).is_none() && known {
            // It has said how it ended.
            return None;
        }
        self.report(attempt, ExecutionState::Canceled, None)
    }

    fn report(&mut self, attempt: AttemptId, state: ExecutionState, failure: Option<Failure>) -> Option<WorkerToJob> {
        self.says(HostToJob::TaskState(TaskStateChange {
            attempt,
            state,
            failure,
            metrics: TaskMetrics::default(),
            committables: Vec::new(),
            accumulators: BTreeMap::new(),
        }))
    }

    /// A task goes on by one step: it initializes, runs, asks for splits, and finishes when there are none left. Tasks
    /// that are not sources finish as soon as they run.
    pub fn work(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        let source = self.profile.sources.get(&attempt.vertex).copied();
        let newest = self.profile.store.lock().unwrap().newest;
        let task = self.task(attempt)?;
        match task.state {
            ExecutionState::Deploying => {
                task.state = ExecutionState::Initializing;
                self.report(attempt, ExecutionState::Initializing, None)
            }
            ExecutionState::Initializing => {
                task.state = ExecutionState::Running;
                self.report(attempt, ExecutionState::Running, None)
            }
            ExecutionState::Running => match source {
                None if !task.had_finished && task.barrier < newest => {
                    newest.and_then(|newest| self.snapshot(attempt, newest))
                }
                Some(source) if !task.exhausted => {
                    if task.asked {
                        return None;
                    }
                    task.asked = true;
                    self.says(HostToJob::RequestSplit { attempt, source })
                }
                Some(_) | None => self.finish(attempt),
            },
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Finished
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Failed
            | ExecutionState::Reconciling => None,
        }
    }

    /// A running task comes to a barrier.
    fn snapshot(&mut self, attempt: AttemptId, checkpoint: CheckpointId) -> Option<WorkerToJob> {
        let sink = self.profile.sinks.get(&attempt.vertex).copied();
        let is_orphan = self.is_orphan;
        let task = self.task(attempt).filter(|task| task.state == ExecutionState::Running)?;
        task.barrier = Some(checkpoint);
        let read = task.read.clone();
        if !is_orphan {
            self.profile.store.lock().unwrap().at.insert((checkpoint, attempt.vertex, attempt.subtask), read);
        }
        let committable = sink.map(|sink| self.committable(sink, attempt, &format!(" at {checkpoint}")));
        self.says(HostToJob::Snapshot(Box::new(SnapshotReport {
            attempt,
            checkpoint,
            result: Ok(SubtaskState::default()),
            committables: committable.map(|committable| (checkpoint, vec![committable])).into_iter().collect(),
            figures: SnapshotFigures::default(),
        })))
    }

    /// Something that nobody else prepares: attempts are counted anew where a job starts over under another JobMaster.
    fn committable(&self, sink: OperatorId, attempt: AttemptId, when: &str) -> Committable {
        let process = self.process.as_ref().map_or(ProcessId::from_bytes([0; 16]), |process| process.location.process);
        let data = Bytes::from(format!("{attempt} in {process}{when}"));
        let mut store = self.profile.store.lock().unwrap();
        store.prepared.entry((attempt, self.key.worker.clone())).or_default().push(data.clone());
        Committable { sink, attempt, data }
    }

    /// A task finishes: it tells which splits it has read, and what its sink has prepared; unless its subtask had finished before.
    pub fn finish(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        let sink = self.profile.sinks.get(&attempt.vertex).copied();
        let task = self.process.as_mut()?.tasks.remove(&attempt)?;
        if task.had_finished {
            return self.report(attempt, ExecutionState::Finished, None);
        }
        let read = task.read.iter().map(|split| String::from_utf8_lossy(split).into_owned()).collect();
        let committable = sink.map(|sink| self.committable(sink, attempt, ""));
        self.says(HostToJob::TaskState(TaskStateChange {
            attempt,
            state: ExecutionState::Finished,
            failure: None,
            metrics: TaskMetrics { records_read: task.read.len() as u64, ..TaskMetrics::default() },
            committables: committable.into_iter().collect(),
            accumulators: BTreeMap::from([
                ("splits".to_owned(), Accumulator::List(read)),
                ("tasks".to_owned(), Accumulator::LongCounter(1)),
            ]),
        }))
    }

    /// A task fails.
    pub fn fail(&mut self, attempt: AttemptId, failure: Failure) -> Option<WorkerToJob> {
        self.process.as_mut()?.tasks.remove(&attempt)?;
        self.report(attempt, ExecutionState::Failed, Some(failure))
    }

    /// The JobMaster that it obeys.
    pub fn epoch(&self) -> JobMasterEpoch {
        self.epoch
    }
}
