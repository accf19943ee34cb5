//! What JobManager, TaskManager and job process say to each other.
//!
//! Everything is a one-way message; an answer is another message. Any message may arrive late or twice, so each names
//! the epoch, life or attempt it is about, and the receiver drops what is stale. Three layers nest:
//!
//! - [`FromWorker`] / [`ToWorker`]: TaskManager and JobManager, in a session over control connections, each of which begins
//!   with [`Opening`] and [`Welcome`]
//! - [`WorkerToJob`] / [`JobToWorker`]: the part of it that is between a TaskManager and one job's JobMaster
//! - [`HostToJob`] / [`JobToHost`]: the part of that which the TaskManager only passes on, from and to the job process
//!
//! # Layout
//! - `worker`, `job`, `host`: the three layers

mod host;
mod job;
mod worker;

pub use host::{
    ChannelId, Committable, Deployment, EXIT_EXECUTED_TWICE, EXIT_OTHER_PROTOCOL, EdgeDeployment, HOST_PROTOCOL,
    HostSetup, HostToJob, HostToWorker, JobToHost, Peer, PlanRequest, TaskDeployment, TaskStateChange, WorkerToHost,
    environment, executed,
};
pub use job::{Found, FoundTask, JobSetup, JobToWorker, ProcessLocation, WorkerToJob};
pub use worker::{
    FromWorker, Heartbeat, LogAnswer, LogChunk, LogFile, LogRequest, Opening, Registration, SlotGrant, ToWorker,
    Welcome,
};

/// Name of the control protocol in the HTTP upgrade; the number changes when messages stop being understood.
pub const CONTROL_PROTOCOL: &str = "flott-control/3";
/// Path of the control connection on the REST port.
pub const CONTROL_PATH: &str = "/flott/v1/control";
/// Path under which blobs are served and taken on the REST port; a digest follows.
pub const BLOB_PATH: &str = "/flott/v1/blobs";
