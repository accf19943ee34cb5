//! Job process and JobMaster, and job process and TaskManager.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{JobSetup, ProcessLocation};
use crate::{
    checkpoint::{Barrier, SnapshotReport, TaskRestore},
    failure::Failure,
    id::{
        AllocationId, AttemptId, CheckpointId, EdgeIndex, JobId, JobMasterEpoch, OperatorId, ProcessId, SubtaskIndex,
        VertexId, WorkerId,
    },
    status::ExecutionState,
    view::{Accumulator, TaskMetrics},
};

/// From a job process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostToJob {
    /// An attempt changed state. Sent for Initializing, Running and each terminal state.
    TaskState(Box<TaskStateChange>),
    /// Cumulative figures of running attempts, with all that their functions have counted: about once a second, in as many messages as
    /// it takes. Whole each time, so that one may be lost or come late, and a JobMaster that has just taken over soon knows them.
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
    /// A task has taken part in a checkpoint, or could not.
    Snapshot(Box<SnapshotReport>),
    /// Answer to [`JobToHost::Commit`].
    Committed {
        /// The round that was asked for.
        round: u32,
        /// How it went; if well, with what people should know all the same.
        result: Result<Vec<Failure>, Failure>,
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
    /// Final or current figures, however it ended. Figures that are all 0 say nothing: so does a process answer that is asked about an
    /// attempt which it does not know, or has told of already.
    pub metrics: TaskMetrics,
    /// With `Finished`: what its sinks have prepared and a commit will make visible.
    pub committables: Vec<Committable>,
    /// With `Finished`: results by name, beside what its figures hold.
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
    /// Put this barrier into the streams of these sources. Each task that it comes to answers with
    /// [`HostToJob::Snapshot`]. For a savepoint every process gets it, as its tasks have to know where to.
    Snapshot {
        /// The barrier.
        barrier: Barrier,
        /// The attempts here that begin with a source.
        attempts: Vec<AttemptId>,
        /// Directory of a savepoint, as a location.
        directory: Option<String>,
    },
    /// Nothing becomes of the checkpoints and savepoints from `first` to `last`, whose barriers may be anywhere or nowhere: what is
    /// written for them is dropped, and what comes to their barriers yet writes nothing. May be said again, and of what is complete.
    AbortCheckpoints {
        /// The first.
        first: CheckpointId,
        /// The last, too.
        last: CheckpointId,
    },
    /// Make prepared results visible. Idempotent; may be asked of another process after a loss.
    Commit {
        /// Grows with each try.
        round: u32,
        /// All committables of the job.
        committables: Vec<Committable>,
    },
    /// The job ends: remove what its sinks have left. May be asked of another process after a loss.
    Abort {
        /// What stays as it is, by sink: it is in snapshots and may not be visible, and a job that starts from one of them makes it so.
        kept: BTreeMap<OperatorId, Vec<Bytes>>,
    },
}

/// Tasks for one process, with what they need to find their peers.
///
/// The deployments of one round say much the same of edges and processes, and all of them are there before the first is sent:
/// thousands of processes would hold thousands of copies. So they share these. On the wire nothing of that is seen, and each
/// process decodes its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The JobMaster that deploys. With the number of an attempt it tells older attempts from newer ones: numbers begin anew
    /// with each JobMaster.
    pub epoch: JobMasterEpoch,
    /// What to run.
    pub tasks: Vec<TaskDeployment>,
    /// Every edge that one of `tasks` reads or writes.
    pub edges: Vec<Arc<EdgeDeployment>>,
    /// Processes that `edges` refer to by place.
    pub processes: Arc<[ProcessLocation]>,
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
    /// What it starts from; `None`: with nothing.
    pub restore: Option<Box<TaskRestore>>,
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
    /// Run mode under `flott run -m local`: file that gets a letter of [`super::executed`] for each thing that happens.
    pub const EXECUTED: &str = "FLOTT_EXECUTED";
    /// Host mode: path of the TaskManager's Unix socket for this process.
    pub const HOST_SOCKET: &str = "FLOTT_HOST_SOCKET";
    /// Host mode: JSON file of [`super::HostSetup`], readable by this process alone.
    pub const HOST_SETUP: &str = "FLOTT_HOST_SETUP";
    /// Host mode: the [`super::HOST_PROTOCOL`] of the TaskManager.
    pub const HOST_PROTOCOL: &str = "FLOTT_HOST_PROTOCOL";
    /// Carried by a TaskManager that a backend of this host started, and by everything that it starts in its turn, so
    /// that nothing of it is left behind when it is gone.
    pub const WORKER_MARK: &str = "FLOTT_WORKER_MARK";
}

/// What a program that is run by `flott run -m local` writes down of itself.
pub mod executed {
    /// `execute` was called.
    pub const CALLED: u8 = b'c';
    /// What was put together is a job, and it begins.
    pub const BEGUN: u8 = b'b';
}

/// Exit code of a program in plan mode that was seen to call `execute` a second time. One that `main` is unlikely to use.
pub const EXIT_EXECUTED_TWICE: i32 = 178;

/// Which messages job processes and their TaskManagers, and by way of them the JobMaster, understand. Programs are built with
/// a Flott of their own: one that knows others says so at once, as they would take what they hear for something else. It is
/// raised with every change of these messages; a test looks after that.
pub const HOST_PROTOCOL: u32 = 1;

/// Exit code of a program in host mode whose [`HOST_PROTOCOL`] is not that of the TaskManager.
pub const EXIT_OTHER_PROTOCOL: i32 = 179;

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
