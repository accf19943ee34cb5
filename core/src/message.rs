//! What JobManager, TaskManager and job process say to each other.
//!
//! Everything is a one-way message; an answer is another message. Any message may arrive late or twice, so each names
//! the epoch, life or attempt it is about, and the receiver drops what is stale. Three layers nest:
//!
//! - [`FromWorker`] / [`ToWorker`]: TaskManager and JobManager, over the control connection
//! - [`WorkerToJob`] / [`JobToWorker`]: the part of it that is between a TaskManager and one job's JobMaster
//! - [`HostToJob`] / [`JobToHost`]: the part of that which the TaskManager only passes on, from and to the job process

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{
        AllocationId, AttemptId, Digest, EdgeIndex, InstanceId, JobId, JobMasterEpoch, JobSecret, LeaderEpoch,
        OperatorId, ProcessId, SlotIndex, SubtaskIndex, VertexId, WorkerId,
    },
    resource::ResourceProfile,
    status::ExecutionState,
    view::{Accumulator, TaskMetrics, WorkerMetrics},
};

/// Name of the control protocol in the HTTP upgrade; the number changes when messages stop being understood.
pub const CONTROL_PROTOCOL: &str = "flott-control/1";
/// Path of the control connection on the REST port.
pub const CONTROL_PATH: &str = "/flott/v1/control";
/// Path under which blobs are served and taken on the REST port; a digest follows.
pub const BLOB_PATH: &str = "/flott/v1/blobs";

// ---------------------------------------------------------------- TaskManager <-> JobManager

/// From a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message on every connection.
    Register(Registration),
    /// Sent every heartbeat interval; carries the whole truth about slots.
    Heartbeat(Heartbeat),
    /// A slot was given to a job as asked.
    SlotAllocated(AllocationId),
    /// A slot could not be given: it is taken, or the worker is going away.
    SlotRefused {
        /// The allocation that was asked for.
        allocation: AllocationId,
        /// Why.
        reason: String,
    },
    /// A slot is free again.
    SlotFreed(AllocationId),
    /// For a job's JobMaster.
    Job {
        /// The job.
        job: JobId,
        /// The JobMaster that the TaskManager believes to lead the job.
        epoch: JobMasterEpoch,
        /// What.
        message: WorkerToJob,
    },
    /// Part of the answer to [`ToWorker::ReadLog`].
    Log(LogChunk),
    /// The worker is ending in order; its slots and processes are gone.
    Goodbye {
        /// Why.
        reason: String,
    },
}

/// To a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Registered. On a new leader epoch the worker drops what jobs of older ones left on it.
    Registered {
        /// The leadership that the worker now belongs to.
        leader: LeaderEpoch,
    },
    /// Not wanted; the worker ends.
    Refused {
        /// Why.
        reason: String,
        /// Whether only this life of it is not wanted, because it was given up: the worker may come back as a new one.
        life_is_over: bool,
    },
    /// Give a slot to a job, and offer it to the job's JobMaster.
    AllocateSlot(SlotGrant),
    /// Take a slot back.
    FreeSlot {
        /// Which.
        allocation: AllocationId,
        /// Why.
        reason: String,
    },
    /// From a job's JobMaster.
    Job {
        /// The job.
        job: JobId,
        /// The sender. The worker refuses epochs older than the newest it has seen for the job.
        epoch: JobMasterEpoch,
        /// What.
        message: JobToWorker,
    },
    /// Send back a piece of a log file.
    ReadLog(LogRequest),
    /// End in order.
    Shutdown {
        /// Why.
        reason: String,
    },
}

/// A TaskManager introduces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Its name.
    pub worker: WorkerId,
    /// Which life of it.
    pub instance: InstanceId,
    /// Operating system process id, for people and for the process backend.
    pub pid: u32,
    /// Host that peers reach its job processes at.
    pub host: String,
    /// Cores of the machine.
    pub cpu_cores: u32,
    /// Physical memory of the machine in bytes.
    pub physical_memory: u64,
    /// The one memory number: `taskmanager.memory.process.size` in bytes.
    pub memory: u64,
    /// What each slot offers; one entry per slot.
    pub slots: Vec<ResourceProfile>,
    /// What is allocated now; a new leader frees what it does not know.
    pub allocated: Vec<SlotGrant>,
    /// Milliseconds since the epoch when this life began.
    pub started_at: u64,
    /// Engine version.
    pub version: String,
}

/// A slot given to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotGrant {
    /// Which slot of the worker.
    pub slot: SlotIndex,
    /// The allocation.
    pub allocation: AllocationId,
    /// The job.
    pub job: JobId,
    /// The JobMaster that declared the need.
    pub epoch: JobMasterEpoch,
    /// What was asked for.
    pub profile: ResourceProfile,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The leadership that the worker believes in.
    pub leader: LeaderEpoch,
    /// Allocated slots, all of them.
    pub allocated: Vec<SlotGrant>,
    /// Gauges of the TaskManager and its job processes.
    pub metrics: WorkerMetrics,
}

/// Asks for a piece of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRequest {
    /// Repeated in the answer.
    pub request: u64,
    /// Which file; `None` asks for the list of files.
    pub file: Option<String>,
    /// First byte wanted. Negative counts from the end.
    pub offset: i64,
    /// Most bytes wanted.
    pub length_max: u64,
}

/// A piece of a log, or the list of logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogChunk {
    /// From the request.
    pub request: u64,
    /// The answer, or why there is none.
    pub result: Result<LogAnswer, String>,
}

/// Answer to a [`LogRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LogAnswer {
    /// Files there are.
    Files(Vec<LogFile>),
    /// Bytes of one file.
    Piece {
        /// Where `bytes` begins.
        offset: u64,
        /// Size of the file now.
        size: u64,
        /// Content.
        bytes: Bytes,
    },
}

/// A log file of a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its name; no path. Job process logs are named `<job id>.log` and `<job id>.out`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since the epoch.
    pub modified_at: u64,
}

// ---------------------------------------------------------------- TaskManager <-> JobMaster

/// From a TaskManager to a job's JobMaster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WorkerToJob {
    /// These slots are yours if you want them. Repeated until answered.
    OfferSlots(Vec<SlotGrant>),
    /// A slot that the JobMaster held was taken back.
    SlotLost {
        /// Which.
        allocation: AllocationId,
        /// Why.
        reason: String,
    },
    /// The job process is up and its data port is open.
    ProcessReady(ProcessLocation),
    /// A job process ended, or could not be started. Everything on it is gone.
    ProcessLost {
        /// Which life; the one that was being started if it never came up.
        process: ProcessId,
        /// Exit code or signal, with the end of its standard error.
        failure: Failure,
    },
    /// From the job process.
    Host {
        /// Which life of it.
        process: ProcessId,
        /// What.
        message: HostToJob,
    },
}

/// From a JobMaster to a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobToWorker {
    /// Answer to an offer.
    AcceptSlots(Vec<AllocationId>),
    /// Answer to an offer: not wanted, free them.
    RejectSlots(Vec<AllocationId>),
    /// Slots that the job no longer needs.
    FreeSlots(Vec<AllocationId>),
    /// Bring up the job process unless it is up; answered by `ProcessReady` or `ProcessLost` in either case.
    StartProcess(Box<JobSetup>),
    /// The job has ended or left this worker: end its process, free its slots, forget it.
    Forget,
    /// For the job process.
    Host {
        /// Which life of it. When that one is not there any more, the answer is its `ProcessLost`.
        process: ProcessId,
        /// What.
        message: JobToHost,
    },
}

/// What a TaskManager needs to start a job process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSetup {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// The `job.graph` document, a blob.
    pub graph: Digest,
    /// The executable, a blob.
    pub program: Digest,
    /// Its file name, for process listings.
    pub program_name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Shared by the job's processes.
    pub secret: JobSecret,
    /// The job's effective configuration (the cluster's, overlaid with the job's).
    pub configuration: BTreeMap<String, String>,
}

/// Where a job process is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessLocation {
    /// Which life.
    pub process: ProcessId,
    /// Its TaskManager.
    pub worker: WorkerId,
    /// Where it takes data connections.
    pub data_address: SocketAddr,
    /// Operating system process id.
    pub pid: u32,
}

// ---------------------------------------------------------------- job process <-> JobMaster

/// From a job process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostToJob {
    /// An attempt changed state. Sent for Initializing, Running and each terminal state.
    TaskState(TaskStateChange),
    /// Cumulative figures of running attempts.
    Metrics(Vec<(AttemptId, TaskMetrics)>),
    /// A source reader wants its next split.
    RequestSplit {
        /// The reader.
        attempt: AttemptId,
        /// The source.
        source: OperatorId,
    },
    /// Answer to [`JobToHost::EnumerateSplits`].
    SplitsEnumerated {
        /// Who enumerated.
        attempt: AttemptId,
        /// The source.
        source: OperatorId,
        /// All splits there are, opaque to the JobMaster.
        result: Result<Vec<Bytes>, Failure>,
    },
    /// How far a source that aligns its watermark has come. Said again and again while it reads, and each time answered
    /// by [`JobToHost::GroupWatermark`].
    SourceWatermark {
        /// The reader.
        attempt: AttemptId,
        /// Its alignment group.
        group: String,
        /// Milliseconds of event time; `None` while the others are not to wait for it: it is idle, or has read all.
        watermark: Option<i64>,
    },
    /// Answer to [`JobToHost::Commit`].
    Committed {
        /// The round that was asked for.
        round: u32,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// Answer to [`JobToHost::Abort`].
    Aborted {
        /// How it went.
        result: Result<(), Failure>,
    },
}

/// An attempt changed state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStateChange {
    /// Which.
    pub attempt: AttemptId,
    /// To what.
    pub state: ExecutionState,
    /// Why, with `Failed`.
    pub failure: Option<Failure>,
    /// Final or current figures.
    pub metrics: TaskMetrics,
    /// With `Finished`: what its sinks have prepared and a commit will make visible.
    pub committables: Vec<Committable>,
    /// With `Finished`: results by name.
    pub accumulators: BTreeMap<String, Accumulator>,
}

/// Something prepared by a sink that becomes visible by a commit. Committing twice is harmless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committable {
    /// The sink.
    pub sink: OperatorId,
    /// Who prepared it.
    pub attempt: AttemptId,
    /// Opaque to everyone but the sink.
    pub data: Bytes,
}

/// To a job process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobToHost {
    /// Run these. A repeat of a known attempt is dropped.
    Deploy(Box<Deployment>),
    /// Stop these; each answers with `Canceled`, or with how it ended before. Unknown ones answer `Canceled` too.
    Cancel(Vec<AttemptId>),
    /// List the splits of a source that this attempt reads.
    EnumerateSplits {
        /// On whose behalf.
        attempt: AttemptId,
        /// The source.
        source: OperatorId,
        /// Readers there are, as a hint how finely to split.
        parallelism: u32,
    },
    /// Answer to [`HostToJob::RequestSplit`].
    AssignSplit {
        /// The reader.
        attempt: AttemptId,
        /// The source.
        source: OperatorId,
        /// The split; `None` when there are no more.
        split: Option<Bytes>,
        /// Splits that this reader is to hold open at most if all are to have about as many; at least 1.
        share: u32,
    },
    /// Answer to [`HostToJob::SourceWatermark`].
    GroupWatermark {
        /// The reader.
        attempt: AttemptId,
        /// The least watermark of the other sources of the group; `None` when none counts, and there is nobody to wait for.
        watermark: Option<i64>,
    },
    /// Make prepared results visible. Idempotent; may be asked of another process after a loss.
    Commit {
        /// Grows with each try.
        round: u32,
        /// All committables of the job.
        committables: Vec<Committable>,
    },
    /// The job ends without its results: remove what its sinks have prepared.
    Abort,
}

/// Tasks for one process, with what they need to find their peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// What to run.
    pub tasks: Vec<TaskDeployment>,
    /// Every edge that one of `tasks` reads or writes.
    pub edges: Vec<EdgeDeployment>,
    /// Processes that `edges` refer to by place.
    pub processes: Vec<ProcessLocation>,
}

/// One attempt to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDeployment {
    /// Which.
    pub attempt: AttemptId,
    /// The slot it runs in.
    pub allocation: AllocationId,
    /// Subtasks of its vertex.
    pub parallelism: u32,
    /// Key groups of its vertex.
    pub max_parallelism: u32,
}

/// Where the two ends of an edge run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeDeployment {
    /// Which edge of the job graph.
    pub edge: EdgeIndex,
    /// One per producing subtask, in order.
    pub producers: Vec<Peer>,
    /// One per consuming subtask, in order.
    pub consumers: Vec<Peer>,
    /// Key groups of the consuming vertex.
    pub max_parallelism: u32,
}

/// One end of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Attempt of the subtask in this place.
    pub attempt: crate::id::AttemptNumber,
    /// Place in [`Deployment::processes`].
    pub process: u32,
}

/// A channel between two attempts; how data connections name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId {
    /// The edge.
    pub edge: EdgeIndex,
    /// Sender.
    pub producer: (SubtaskIndex, crate::id::AttemptNumber),
    /// Receiver.
    pub consumer: (SubtaskIndex, crate::id::AttemptNumber),
}

/// The first thing a job process and its TaskManager say on their Unix socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostToWorker {
    /// The process has planned, its data port is open.
    Ready {
        /// Which life, from its environment.
        process: ProcessId,
        /// Where it takes data connections.
        data_address: SocketAddr,
    },
    /// The process cannot host this job, for example because it planned something else.
    Unfit(Failure),
    /// For the JobMaster.
    Job(HostToJob),
    /// Figures of the process, every second.
    Usage {
        /// Vertices that have running tasks here.
        running: Vec<(VertexId, u32)>,
    },
}

/// From a TaskManager to its job process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WorkerToHost {
    /// From the JobMaster.
    Job(JobToHost),
    /// End in order.
    Shutdown,
}

/// Environment variables by which the runtime tells a program its mode.
pub mod environment {
    /// `plan` or `host`; absent means run.
    pub const MODE: &str = "FLOTT_MODE";
    /// Plan mode: file that the job graph document is written to.
    pub const PLAN_OUTPUT: &str = "FLOTT_PLAN_OUTPUT";
    /// Plan mode, and run mode under `flott run -m local`: JSON of [`super::PlanRequest`].
    pub const PLAN_REQUEST: &str = "FLOTT_PLAN_REQUEST";
    /// Host mode: path of the TaskManager's Unix socket for this process.
    pub const HOST_SOCKET: &str = "FLOTT_HOST_SOCKET";
    /// Host mode: JSON file of [`super::HostSetup`], readable by this process alone.
    pub const HOST_SETUP: &str = "FLOTT_HOST_SETUP";
    /// Carried by a TaskManager that a backend of this host started, and by everything that it starts in its turn, so
    /// that nothing of it is left behind when it is gone.
    pub const WORKER_MARK: &str = "FLOTT_WORKER_MARK";
}

/// What the client wants of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// Identity of the job; a fresh one when absent.
    pub job: Option<JobId>,
    /// Overrides the name that the program gives.
    pub name: Option<String>,
    /// The entry that the user named.
    pub entry: Option<String>,
    /// Effective configuration of the submission.
    pub configuration: BTreeMap<String, String>,
}

/// What a job process is told when it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSetup {
    /// Which life this is.
    pub process: ProcessId,
    /// The job.
    pub setup: JobSetup,
    /// File with the `job.graph` document.
    pub graph_file: String,
    /// Slots of the TaskManager, which is how many tasks of CPU work run at once.
    pub slots: u32,
    /// Address that the data port listens on; port 0 is any.
    pub data_bind: SocketAddr,
    /// Host that peers reach it at.
    pub data_host: String,
    /// The TaskManager.
    pub worker: WorkerId,
}
