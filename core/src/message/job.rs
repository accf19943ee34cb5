//! TaskManager and JobMaster.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{HostToJob, JobToHost, SlotGrant, TaskStateChange};
use crate::{
    failure::Failure,
    id::{AllocationId, AttemptId, Digest, JobId, JobSecret, OperatorId, ProcessId, WorkerId},
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
    /// The newest attempt here of each subtask.
    pub attempts: Vec<AttemptId>,
}

/// What a job process was told and has told, as far as it counts for the next JobMaster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The newest attempt here of each subtask.
    pub tasks: Vec<TaskJournal>,
    /// Lists of splits that were asked for here.
    pub listings: Vec<ListingJournal>,
    /// Whether a barrier has come here.
    pub snapshots: bool,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskJournal {
    /// Which.
    pub attempt: AttemptId,
    /// The slot it runs in.
    pub allocation: AllocationId,
    /// Its latest report.
    pub report: Option<TaskStateChange>,
    /// What it reads.
    pub readers: Vec<ReaderJournal>,
}

/// What one attempt was given of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReaderJournal {
    /// The source.
    pub source: OperatorId,
    /// Splits, by their places in the list.
    pub given: Vec<u32>,
    /// It was told that there are no more.
    pub is_dismissed: bool,
    /// Requests that are not answered.
    pub unanswered: u32,
}

/// A source's list of splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListingJournal {
    /// The source.
    pub source: OperatorId,
    /// Who was asked for it.
    pub lister: AttemptId,
    /// The list, if there is an answer.
    pub splits: Option<Vec<Bytes>>,
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
