//! TaskManager and JobManager.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{JobToWorker, WorkerToJob};
use crate::{
    id::{AllocationId, InstanceId, JobId, JobMasterEpoch, LeaderEpoch, MessageNumber, SlotIndex, WorkerId, WorkerKey},
    resource::ResourceProfile,
    view::WorkerMetrics,
};

/// How a TaskManager opens a control connection, before any message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Who dials.
    pub worker: WorkerKey,
    /// The leadership that it has a session with.
    pub session: Option<LeaderEpoch>,
    /// How far it has heard in that session.
    pub received: MessageNumber,
}

/// How a JobManager answers an [`Opening`], before any message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// The session that the worker asks for goes on.
    Resumed {
        /// How far the JobManager has heard in it.
        received: MessageNumber,
    },
    /// The worker has no session with this leadership; one begins, with its registration.
    Begun {
        /// The leadership.
        leader: LeaderEpoch,
    },
    /// The session is over, and with it this life of the worker, which may come back as a new one.
    Over {
        /// Why.
        reason: String,
    },
}

/// From a TaskManager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message of a session.
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
    /// Registered. On a new leader epoch the worker says which job processes run ([`WorkerToJob::Found`]), and drops
    /// everything else of jobs.
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
