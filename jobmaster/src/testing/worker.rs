//! A TaskManager with its slots and its process.

mod profile;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use flott_core::{
    checkpoint::{SnapshotFigures, SnapshotReport, SubtaskState},
    failure::Failure,
    id::{
        AllocationId, AttemptId, CheckpointId, Digest, InstanceId, JobMasterEpoch, JobSecret, OperatorId, ProcessId,
        WorkerId, WorkerKey,
    },
    journal::Journal,
    message::{
        Committable, Deployment, Found, HostToJob, JobSetup, JobToHost, JobToWorker, ProcessLocation, SlotGrant,
        TaskStateChange, WorkerToJob,
    },
    status::ExecutionState,
    view::{Accumulator, TaskMetrics},
};

pub use profile::Profile;

/// How a task or a commit goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Well.
    Good,
    /// With this failure.
    Bad(Failure),
}

#[derive(Debug, Clone)]
struct Task {
    /// The newest barrier that it has come to.
    barrier: Option<CheckpointId>,
    /// Its subtask had finished in the checkpoint that it starts from.
    had_finished: bool,
    state: ExecutionState,
    read: Vec<Bytes>,
    /// Those of them that this attempt was given itself.
    counted: u32,
    asked: bool,
    exhausted: bool,
}

impl Task {
    /// Nothing, for one whose subtask had finished before.
    fn figures(&self) -> TaskMetrics {
        let mut metrics = TaskMetrics::default();
        if !self.had_finished {
            metrics.records_read = self.read.len() as u64;
            metrics.counters.add("tasks", 1);
            metrics.counters.add("counted", self.counted.into());
        }
        metrics
    }
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
    /// What its sinks have to say with the next commit that goes well.
    pub tells: Vec<Failure>,
    /// Aborts that it was asked for.
    pub aborted: u32,
    /// What the last of them had to leave.
    pub kept: BTreeSet<Bytes>,
    /// Checkpoints of which it was told that nothing becomes of them, from one number to another.
    pub given_up: Vec<(CheckpointId, CheckpointId)>,
    /// What attempts were told last of their alignment groups.
    pub aligned: BTreeMap<AttemptId, Option<i64>>,
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
            tells: Vec::new(),
            aborted: 0,
            kept: BTreeSet::new(),
            given_up: Vec::new(),
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
            completed: journal.completed,
            slots: self.offered.keys().copied().collect(),
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

    /// The JobMaster that it obeys.
    pub fn epoch(&self) -> JobMasterEpoch {
        self.epoch
    }
}
