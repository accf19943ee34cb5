//! TaskManager and JobMaster.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{HostToJob, JobToHost, SlotGrant};
use crate::{
    failure::Failure,
    id::{AllocationId, AttemptId, CheckpointId, Digest, JobId, JobSecret, ProcessId, WorkerId},
    journal::Journal,
};

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
    /// A process of an older JobMaster runs on here. Said once to each new leadership, under the older epoch; answered by
    /// [`JobToWorker::Adopt`] or [`JobToWorker::Forget`].
    Found(Box<Found>),
    /// Answer to [`JobToWorker::Adopt`]. What the process says from here on follows.
    Adopted(Box<Journal>),
}

/// A job process that was left by a JobMaster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Which, and where.
    pub location: ProcessLocation,
    /// Shared with the job's other processes.
    pub secret: JobSecret,
    /// Of the configuration that it was started with.
    pub configuration: Digest,
    /// The newest attempt here of each subtask.
    pub tasks: Vec<FoundTask>,
}

/// A task of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTask {
    /// The attempt.
    pub attempt: AttemptId,
    /// Of how many subtasks of its vertex it is one.
    pub parallelism: u32,
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
    /// This process is the new JobMaster's, with the slots that it runs in. Answered by `Adopted`, or by `ProcessLost`.
    Adopt {
        /// Which.
        process: ProcessId,
    },
    /// A checkpoint is complete: what it holds need not be remembered for the next JobMaster.
    Completed {
        /// Which.
        checkpoint: CheckpointId,
    },
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

impl JobSetup {
    /// Tells a configuration from others.
    pub fn configuration_digest(&self) -> Digest {
        let mut text = Vec::new();
        for part in self.configuration.iter().flat_map(|(key, value)| [key, value]) {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        Digest::of(&text)
    }
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
