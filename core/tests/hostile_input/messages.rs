//! One control message of each interesting shape.

#[path = "hosts.rs"]
pub mod hosts;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use flott_core::{
    checkpoint::{
        Barrier, Behind, Origin, Overtaking, RestorePart, SnapshotFigures, SnapshotKind, SnapshotReport, StateFile,
        SubtaskState, TaskRestore,
    },
    codec,
    failure::Failure,
    id::{
        AllocationId, AttemptId, AttemptNumber, CheckpointId, Digest, EdgeIndex, InstanceId, JobId, JobMasterEpoch,
        JobSecret, LeaderEpoch, OperatorId, ProcessId, SlotIndex, SubtaskIndex, VertexId, WorkerId,
    },
    key_group::{KeyGroup, KeyGroupRange},
    message::{
        Committable, Deployment, EdgeDeployment, FromWorker, Heartbeat, HostToJob, HostToWorker, JobSetup, JobToHost,
        JobToWorker, LogAnswer, LogChunk, LogRequest, Peer, ProcessLocation, Registration, SlotGrant, TaskDeployment,
        TaskStateChange, ToWorker, WorkerToHost, WorkerToJob,
    },
    resource::ResourceProfile,
    status::ExecutionState,
    view::{Accumulator, Counters, TaskMetrics, WorkerMetrics},
};
use serde::Serialize;

const JOB: JobId = JobId::from_bytes([1; 16]);
const EPOCH: JobMasterEpoch = JobMasterEpoch(3);
const PROCESS: ProcessId = ProcessId::from_bytes([2; 16]);

fn attempt() -> AttemptId {
    AttemptId { vertex: VertexId::from_bytes([3; 16]), subtask: SubtaskIndex(1), attempt: AttemptNumber(2) }
}

fn grant() -> SlotGrant {
    SlotGrant {
        slot: SlotIndex(0),
        allocation: AllocationId::from_bytes([4; 16]),
        job: JOB,
        epoch: EPOCH,
        profile: ResourceProfile { cpu_millicores: 1000, memory_bytes: 1 << 30 },
    }
}

fn location() -> ProcessLocation {
    ProcessLocation {
        process: PROCESS,
        worker: WorkerId("worker-1".to_owned()),
        data_address: ([127, 0, 0, 1], 4711).into(),
        pid: 42,
    }
}

fn failure() -> Failure {
    Failure::user("the word is too long").because("it has 70 letters").at(|place| place.subtask = Some((1, 4)))
}

fn committable() -> Committable {
    Committable { sink: OperatorId::from_uid("sink"), attempt: attempt(), data: Bytes::from_static(b"part-0") }
}

fn from_job(message: WorkerToJob) -> FromWorker {
    FromWorker::Job { job: JOB, epoch: EPOCH, message }
}

fn from_host(message: HostToJob) -> FromWorker {
    from_job(WorkerToJob::Host { process: PROCESS, message })
}

fn to_job(message: JobToWorker) -> ToWorker {
    ToWorker::Job { job: JOB, epoch: EPOCH, message }
}

fn to_host(message: JobToHost) -> ToWorker {
    to_job(JobToWorker::Host { process: PROCESS, message })
}

fn snapshot(result: Result<SubtaskState, Failure>) -> HostToJob {
    HostToJob::Snapshot(Box::new(SnapshotReport {
        attempt: attempt(),
        checkpoint: CheckpointId(3),
        result,
        committables: [(CheckpointId(3), vec![committable()])].into(),
        figures: SnapshotFigures { stored_bytes: 7, ..SnapshotFigures::default() },
    }))
}

fn barrier() -> Barrier {
    Barrier {
        checkpoint: CheckpointId(3),
        kind: SnapshotKind::Savepoint,
        behind: Behind::Drain,
        overtaking: Overtaking::Never,
        full: false,
    }
}

fn registration() -> Registration {
    Registration {
        worker: WorkerId("worker-1".to_owned()),
        instance: InstanceId::from_bytes([5; 16]),
        pid: 41,
        host: "127.0.0.1".to_owned(),
        cpu_cores: 2,
        physical_memory: 8 << 30,
        memory: 1 << 30,
        slots: vec![ResourceProfile::ANY; 2],
        allocated: vec![grant()],
        started_at: 1_700_000_000_000,
        version: "0.1.0".to_owned(),
    }
}

fn setup() -> JobSetup {
    JobSetup {
        job: JOB,
        name: "word count".to_owned(),
        graph: Digest::of(b"graph"),
        program: Digest::of(b"program"),
        program_name: "wordcount".to_owned(),
        arguments: vec!["--input".to_owned(), "text".to_owned()],
        secret: JobSecret::from_bytes([6; 16]),
        configuration: BTreeMap::from([("parallelism.default".to_owned(), "2".to_owned())]),
    }
}

fn figures() -> TaskMetrics {
    let mut counters = Counters::default();
    counters.add("words", 11);
    TaskMetrics { records_in: 7, counters, ..TaskMetrics::default() }
}

fn state_change() -> TaskStateChange {
    TaskStateChange {
        attempt: attempt(),
        state: ExecutionState::Failed,
        failure: Some(failure()),
        metrics: figures(),
        committables: vec![committable()],
        accumulators: BTreeMap::from([
            ("words".to_owned(), Accumulator::LongCounter(-1)),
            ("mean".to_owned(), Accumulator::DoubleCounter(0.5)),
            ("lines".to_owned(), Accumulator::List(vec!["{}".to_owned()])),
        ]),
    }
}

fn state_file() -> StateFile {
    StateFile { path: "shared/a".into(), bytes: 7, checksum: 9 }
}

fn state() -> SubtaskState {
    let splits = vec![(OperatorId::from_uid("source"), vec![Bytes::from_static(b"split")])];
    SubtaskState { files: vec![state_file()], in_flight: vec![state_file()], splits }
}

fn restore() -> TaskRestore {
    let groups = KeyGroupRange::new(KeyGroup(0), KeyGroup(63)).unwrap();
    TaskRestore {
        origin: Origin { job: JobId::from_bytes([9; 16]), kind: SnapshotKind::Savepoint, checkpoint: CheckpointId(3) },
        directory: "/snapshots".into(),
        parts: vec![RestorePart { subtask: SubtaskIndex(0), parallelism: 2, groups, files: vec![state_file()] }],
        in_flight: vec![state_file()],
        finished: true,
        ignore_unclaimed: true,
    }
}

fn deployment() -> Deployment {
    let peer = Peer { attempt: AttemptNumber(2), process: 0 };
    Deployment {
        epoch: EPOCH,
        tasks: vec![TaskDeployment {
            attempt: attempt(),
            allocation: AllocationId::from_bytes([4; 16]),
            parallelism: 2,
            max_parallelism: 128,
            restore: Some(Box::new(restore())),
        }],
        edges: vec![Arc::new(EdgeDeployment {
            edge: EdgeIndex(0),
            producers: vec![peer; 2],
            consumers: vec![peer; 2],
            max_parallelism: 128,
        })],
        processes: [location()].into(),
    }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    codec::to_vec(message).expect("control messages can be encoded")
}

/// Messages by name.
pub fn encoded() -> Vec<(String, Vec<u8>)> {
    let piece = LogAnswer::Piece { offset: 3, size: 9, bytes: Bytes::from_static(b"line\n") };
    let heartbeat =
        Heartbeat { leader: LeaderEpoch(1), allocated: vec![grant(); 2], metrics: WorkerMetrics::default() };
    let log = LogRequest { request: 1, file: Some("worker.log".to_owned()), offset: -10, length_max: 100 };
    let others = [
        ("register", encode(&FromWorker::Register(registration()))),
        ("heartbeat", encode(&FromWorker::Heartbeat(heartbeat))),
        ("log", encode(&FromWorker::Log(LogChunk { request: 1, result: Ok(piece) }))),
        ("offer-slots", encode(&from_job(WorkerToJob::OfferSlots(vec![grant()])))),
        ("process-ready", encode(&from_job(WorkerToJob::ProcessReady(location())))),
        ("process-lost", encode(&from_job(WorkerToJob::ProcessLost { process: PROCESS, failure: failure() }))),
        ("allocate-slot", encode(&ToWorker::AllocateSlot(grant()))),
        ("read-log", encode(&ToWorker::ReadLog(log))),
        ("start-process", encode(&to_job(JobToWorker::StartProcess(Box::new(setup()))))),
    ];
    others.into_iter().chain(hosts::encoded()).map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}
