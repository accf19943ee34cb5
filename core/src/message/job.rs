//! TaskManager and JobMaster.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{HostToJob, JobToHost, SlotGrant};
use crate::{
    checkpoint::{Origin, SnapshotKind},
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
    /// [`JobToWorker::Adopt`], or by anything else of the new JobMaster, which ends the process.
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
    /// The newest checkpoint that the process was told to be complete; 0 if none.
    pub completed: CheckpointId,
    /// All slots here that the job was given, whatever runs in them. Whoever adopts the process has them.
    pub slots: Vec<AllocationId>,
}

/// A task of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTask {
    /// The attempt.
    pub attempt: AttemptId,
    /// Of how many subtasks of its vertex it is one.
    pub parallelism: u32,
    /// What it began from.
    pub origin: Option<Origin>,
}

impl Found {
    /// The newest checkpoint of `job` that this tells to be complete; 0 if none.
    pub fn latest_complete(&self, job: JobId) -> CheckpointId {
        let origins = self.tasks.iter().filter_map(|task| task.origin);
        let own = origins.filter(|origin| origin.job == job && origin.kind == SnapshotKind::Checkpoint);
        own.map(|origin| origin.checkpoint).fold(self.completed, CheckpointId::max)
    }
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

/// Settings that are none of a job process's business: a JobManager that is started with another port, or beside others, takes over
/// what runs.
const NOT_OF_PROCESSES: [&str; 10] = [
    "rest.",
    "web.",
    "security.",
    "cluster.",
    "high-availability.",
    "kubernetes.",
    "jobmanager.",
    "jobstore.",
    "slotmanager.",
    "client.",
];

impl JobSetup {
    /// Tells a configuration from others, by what a process of the job may read of it.
    pub fn configuration_digest(&self) -> Digest {
        let mut text = Vec::new();
        let read = |key: &str| !NOT_OF_PROCESSES.iter().any(|prefix| key.starts_with(prefix));
        let entries = self.configuration.iter().filter(|(key, _)| read(key));
        for part in entries.flat_map(|(key, value)| [key, value]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_do_not_read_makes_no_other_configuration() {
        let digest = |more: &[(&str, &str)]| {
            let configuration = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let setup = JobSetup {
                job: JobId::from_bytes([1; 16]),
                name: "job".to_owned(),
                graph: Digest::of(b"graph"),
                program: Digest::of(b"program"),
                program_name: "program".to_owned(),
                arguments: Vec::new(),
                secret: JobSecret::random(),
                configuration,
            };
            setup.configuration_digest()
        };
        let interval = ("execution.checkpointing.interval", "1 s");
        assert_eq!(digest(&[interval, ("rest.port", "0")]), digest(&[interval, ("rest.port", "8081")]));
        assert_eq!(digest(&[("web.exception-history-size", "20")]), digest(&[]));
        assert_ne!(digest(&[interval]), digest(&[("execution.checkpointing.interval", "2 s")]));
        assert_ne!(digest(&[interval]), digest(&[]));
    }
}
