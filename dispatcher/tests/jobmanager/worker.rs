//! A TaskManager whose slots and job processes are pretended.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, SnapshotFigures, SnapshotReport, SubtaskState},
    codec,
    failure::Failure,
    id::{AttemptId, InstanceId, JobId, JobMasterEpoch, LeaderEpoch, MessageNumber, ProcessId, WorkerId, WorkerKey},
    message::{
        CONTROL_PATH, CONTROL_PROTOCOL, Committable, FromWorker, Heartbeat, HostToJob, JobToHost, JobToWorker,
        LogAnswer, LogChunk, LogFile, LogRequest, Opening, ProcessLocation, Registration, SlotGrant, TaskStateChange,
        ToWorker, Welcome, WorkerToJob,
    },
    resource::ResourceProfile,
    status::ExecutionState,
    view::{Counters, TaskMetrics, WorkerMetrics},
};
use flott_rpc::{
    Connection, Event, Incoming, Options,
    carrier::http,
    session::{Packet, Session},
};
use tokio::task::JoinHandle;

/// What the tasks of this worker do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Finish at once; sinks leave something to commit.
    Finish,
    /// Run until they are cancelled.
    Run,
    /// The same, and take part in checkpoints, without state; they say to have stored a byte for one that is full.
    Snapshot,
    /// Finish at once, but never commit what their sinks have left.
    FinishUncommitted,
    /// Must not be deployed; the process only commits.
    OnlyCommit,
    /// Fail at once.
    Fail,
}

pub struct Worker {
    pub name: String,
    running: JoinHandle<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.abort();
    }
}

struct Played {
    worker: WorkerId,
    tasks: Tasks,
    leader: LeaderEpoch,
    session: Session<FromWorker, ToWorker>,
    process: ProcessId,
    deployed: Vec<AttemptId>,
    slots: BTreeMap<flott_core::id::AllocationId, SlotGrant>,
}

impl Worker {
    /// Connects and registers a worker of `slots` slots.
    pub async fn start(address: &str, name: &str, slots: usize, tasks: Tasks, token: Option<&str>) -> Self {
        let upgrade =
            http::Upgrade { path: CONTROL_PATH, protocol: CONTROL_PROTOCOL, token, timeout: Duration::from_secs(30) };
        let io = http::connect(address, &upgrade).await.unwrap();
        let (link, mut incoming) = Connection::start(io, Options::default());
        let slot = ResourceProfile { cpu_millicores: 1000, memory_bytes: 512 << 20 };
        let registration = Registration {
            worker: WorkerId(name.to_owned()),
            instance: InstanceId::random(),
            pid: std::process::id(),
            host: "127.0.0.1".to_owned(),
            cpu_cores: 2,
            physical_memory: 8 << 30,
            memory: 1 << 30,
            slots: vec![slot; slots],
            allocated: Vec::new(),
            started_at: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let worker = WorkerKey { worker: registration.worker.clone(), instance: registration.instance };
        let opening = Opening { worker, session: None, received: MessageNumber(0) };
        link.send(Packet::open(&opening).unwrap()).unwrap();
        let Some(Event::Message(Packet::Open(welcome))) = incoming.next().await else {
            panic!("the session is opened first");
        };
        assert!(matches!(codec::decode(&welcome), Ok(Welcome::Begun { .. })));
        let mut session = Session::new(&Options::default());
        session.resume(link, None, MessageNumber(0)).unwrap();
        session.send(&FromWorker::Register(registration)).unwrap();
        let Some(Event::Message(packet)) = incoming.next().await else { panic!("the worker is answered") };
        let Ok(Some(ToWorker::Registered { leader })) = session.receive(packet) else {
            panic!("the worker is registered first");
        };
        let played = Played {
            worker: WorkerId(name.to_owned()),
            tasks,
            leader,
            session,
            process: ProcessId::random(),
            deployed: Vec::new(),
            slots: BTreeMap::new(),
        };
        Self { name: name.to_owned(), running: tokio::spawn(played.run(incoming)) }
    }
}

impl Played {
    async fn run(mut self, mut incoming: Incoming<Packet, Packet>) {
        let mut heartbeats = tokio::time::interval(Duration::from_millis(500));
        loop {
            let event = tokio::select! {
                event = incoming.next() => event,
                _ = heartbeats.tick() => {
                    let metrics = WorkerMetrics { resident_bytes: 10 << 20, ..WorkerMetrics::default() };
                    let allocated = self.slots.values().cloned().collect();
                    self.say(FromWorker::Heartbeat(Heartbeat { leader: self.leader, allocated, metrics }));
                    continue;
                }
            };
            let message = match event {
                Some(Event::Message(packet)) => self.session.receive(packet).unwrap(),
                Some(Event::Request(..)) => None,
                Some(Event::Closed(_)) | None => return,
            };
            match message {
                Some(ToWorker::AllocateSlot(grant)) => {
                    self.slots.insert(grant.allocation, grant.clone());
                    self.say(FromWorker::SlotAllocated(grant.allocation));
                    let (job, epoch) = (grant.job, grant.epoch);
                    self.say_job(job, epoch, WorkerToJob::OfferSlots(vec![grant]));
                }
                Some(ToWorker::FreeSlot { allocation, .. }) => {
                    self.slots.remove(&allocation);
                    self.say(FromWorker::SlotFreed(allocation));
                }
                Some(ToWorker::Job { job, epoch, message }) => self.job(job, epoch, message),
                Some(ToWorker::ReadLog(request)) => self.log(request),
                Some(ToWorker::Shutdown { .. }) => return,
                Some(ToWorker::Registered { .. } | ToWorker::Refused { .. }) | None => {}
            }
        }
    }

    fn say(&mut self, message: FromWorker) {
        self.session.send(&message).unwrap();
    }

    fn say_job(&mut self, job: JobId, epoch: JobMasterEpoch, message: WorkerToJob) {
        self.say(FromWorker::Job { job, epoch, message });
    }

    fn free(&mut self, wanted: impl Fn(&SlotGrant) -> bool) {
        let freed: Vec<_> = self.slots.values().filter(|grant| wanted(grant)).map(|grant| grant.allocation).collect();
        for allocation in freed {
            self.slots.remove(&allocation);
            self.say(FromWorker::SlotFreed(allocation));
        }
    }

    fn job(&mut self, job: JobId, epoch: JobMasterEpoch, message: JobToWorker) {
        match message {
            JobToWorker::AcceptSlots(_) | JobToWorker::Adopt { .. } | JobToWorker::Completed { .. } => {}
            JobToWorker::RejectSlots(slots) | JobToWorker::FreeSlots(slots) => {
                self.free(|grant| slots.contains(&grant.allocation));
            }
            JobToWorker::Forget => self.free(|grant| grant.job == job),
            JobToWorker::StartProcess(_) => {
                let location = ProcessLocation {
                    process: self.process,
                    worker: self.worker.clone(),
                    data_address: "127.0.0.1:1".parse().unwrap(),
                    pid: 1,
                };
                self.say_job(job, epoch, WorkerToJob::ProcessReady(location));
            }
            JobToWorker::Host { message, .. } => {
                for answer in self.host(message) {
                    self.say_job(job, epoch, WorkerToJob::Host { process: self.process, message: answer });
                }
            }
        }
    }

    fn host(&mut self, message: JobToHost) -> Vec<HostToJob> {
        match message {
            JobToHost::Deploy(deployment) => {
                self.deployed.extend(deployment.tasks.iter().map(|task| task.attempt));
                deployment.tasks.iter().flat_map(|task| self.states(task.attempt)).collect()
            }
            JobToHost::Cancel(attempts) => {
                attempts.into_iter().map(|attempt| state(attempt, ExecutionState::Canceled)).collect()
            }
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                vec![HostToJob::SplitsEnumerated { attempt, source, result: Ok(Vec::new()) }]
            }
            JobToHost::Snapshot { barrier, .. } if self.tasks == Tasks::Snapshot => {
                self.deployed.iter().map(|attempt| snapshot(*attempt, barrier)).collect()
            }
            JobToHost::AssignSplit { .. }
            | JobToHost::GroupWatermark { .. }
            | JobToHost::Snapshot { .. }
            | JobToHost::AbortCheckpoints { .. } => Vec::new(),
            JobToHost::Commit { .. } if self.tasks == Tasks::FinishUncommitted => Vec::new(),
            JobToHost::Commit { round, committables } => {
                assert_eq!(committables.len(), 4, "one of each subtask");
                vec![HostToJob::Committed { round, result: Ok(Vec::new()) }]
            }
            JobToHost::Abort { .. } => vec![HostToJob::Aborted { result: Ok(()) }],
        }
    }

    fn states(&self, attempt: AttemptId) -> Vec<HostToJob> {
        let mut states = vec![state(attempt, ExecutionState::Initializing), state(attempt, ExecutionState::Running)];
        match self.tasks {
            Tasks::Run | Tasks::Snapshot => {}
            Tasks::OnlyCommit => panic!("a job that only has to commit was deployed"),
            Tasks::Finish | Tasks::FinishUncommitted => {
                let mut change = change(attempt, ExecutionState::Finished);
                let sink = flott_core::id::OperatorId::from_uid("Sink: drop");
                change.committables = vec![Committable { sink, attempt, data: Bytes::from_static(b"part") }];
                states.push(HostToJob::TaskState(Box::new(change)));
            }
            Tasks::Fail => {
                let mut change = change(attempt, ExecutionState::Failed);
                change.failure = Some(Failure::user("injected failure").because("because of the test"));
                states.push(HostToJob::TaskState(Box::new(change)));
            }
        }
        states
    }

    fn log(&mut self, LogRequest { request, file, offset, length_max }: LogRequest) {
        let content = b"0123456789";
        let result = match file.as_deref() {
            None => Ok(LogAnswer::Files(vec![
                LogFile { name: "taskmanager.log".to_owned(), size: 10, modified_at: 7 },
                LogFile { name: format!("{}.log", JobId::from_bytes([5; 16])), size: 10, modified_at: 7 },
            ])),
            Some("taskmanager.log") => {
                let begin = usize::try_from(offset).unwrap_or_else(|_| 10 - offset.unsigned_abs() as usize).min(10);
                let end = begin.saturating_add(length_max as usize).min(10);
                let bytes = Bytes::from_static(&content[begin..end]);
                Ok(LogAnswer::Piece { offset: begin as u64, size: 10, bytes })
            }
            Some(other) => Err(format!("there is no log {other:?}")),
        };
        self.say(FromWorker::Log(LogChunk { request, result }));
    }
}

fn change(attempt: AttemptId, state: ExecutionState) -> TaskStateChange {
    let mut counters = Counters::default();
    counters.add("mapped", 21);
    TaskStateChange {
        attempt,
        state,
        failure: None,
        metrics: TaskMetrics { records_in: 3, busy_ms: 5, counters, ..TaskMetrics::default() },
        committables: Vec::new(),
        accumulators: BTreeMap::new(),
    }
}

fn snapshot(attempt: AttemptId, barrier: Barrier) -> HostToJob {
    HostToJob::Snapshot(Box::new(SnapshotReport {
        attempt,
        checkpoint: barrier.checkpoint,
        result: Ok(SubtaskState::default()),
        committables: BTreeMap::new(),
        figures: SnapshotFigures { stored_bytes: u64::from(barrier.full), ..SnapshotFigures::default() },
    }))
}

fn state(attempt: AttemptId, state: ExecutionState) -> HostToJob {
    HostToJob::TaskState(Box::new(change(attempt, state)))
}
