//! One job's mind: execution graph, pipelined regions, slot pool, scheduling, failover, splits and the commit.
//!
//! A JobMaster runs one job from its graph to its end. It declares slots to a ResourceManager, has job processes started
//! beside the slots it gets, deploys subtasks to them, hands out the splits of sources, restarts what fails, and makes
//! results visible when all is done. It knows nothing of REST, of stores or of cluster backends, and never runs user code;
//! so it runs the same in a JobManager and inside a user's own program.
//!
//! All decisions are in [`core`], a pure machine; [`service`] is the mailbox loop around it.
//!
//! # Layout
//! - [`core`]: the machine: events in, actions out
//! - [`execution_graph`]: vertices, subtasks and attempts; the two transition tables
//! - [`region`]: what runs, fails and restarts together
//! - [`slot_pool`]: slot sharing, and the slots that the job has
//! - [`processes`]: the job processes, each in one of its lives
//! - [`deployment`]: what each process is told to run
//! - [`failover`]: restart strategies and the history of failures
//! - [`splits`]: who reads what
//! - [`alignment`]: how far each group of sources has come in event time
//! - [`checkpoints`]: snapshots of the job, and what a restart goes back to
//! - [`commit`]: prepared results become visible, with checkpoints and at the end
//! - [`scaling`]: what parallelism a running job is asked for
//! - [`spec`]: what a JobMaster is started with
//! - [`storage`]: the log of a job's checkpoints, kept for a JobMaster by its owner
//! - [`service`]: the running JobMaster, its handle, and what its owner implements
//! - `testing`: an in-memory cluster that plays the other side, for tests and simulations
//! - [`time`], [`index`], [`error`]: small things that all of them use

pub mod alignment;
mod bounded;
pub mod checkpoints;
pub mod commit;
pub mod core;
pub mod deployment;
pub mod error;
pub mod execution_graph;
pub mod failover;
pub mod index;
pub mod processes;
pub mod region;
pub mod scaling;
pub mod service;
pub mod slot_pool;
pub mod spec;
pub mod splits;
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod time;

pub use crate::{
    core::{Action, Event, FoundOn, JobMasterCore, Needs, RESCALES_MAX, RestorePoint, Taken, Wait},
    error::{JobMasterError, Stopped},
    scaling::{RescaleError, RescaleRequest, Rescaled},
    service::{
        ClusterPort, Declaration, JobListener, JobMasterHandle, JobMasterService, Options, RescaleOutcome,
        SnapshotRequest, ToStore,
    },
    spec::{Adaptive, JobSpec, SnapshotSpec, Timeouts},
    storage::{CheckpointKeeper, Discarded, Known, Recovery},
    time::Millis,
};
