//! The JobManager: the Dispatcher with its REST endpoint, submission, job and result stores, blobs, the connections of
//! TaskManagers, and the archive.
//!
//! It runs one JobMaster per job and one ResourceManager, and carries messages between them and the workers. It never
//! runs user code: what must be planned on this side runs in a sandboxed child. It knows nothing of operators.
//!
//! # Layout
//! - [`job_manager`]: everything put together, from its start to its end; [`options`]
//! - [`dispatcher`]: accepts, recovers, ends and shows jobs
//! - [`submission`], [`executable`]: what is checked of a job and its program; pure
//! - [`stores`]: what survives the process; [`blobs`]: programs and graphs; [`history`]: which ended jobs are shown
//! - [`ha`]: several JobManagers, of which one leads
//! - [`control`]: the switchboard between workers, JobMasters and the ResourceManager
//! - [`operations`]: snapshots that are asked for, by their ids
//! - [`rest`]: the endpoint; `server`: the HTTP server under it
//! - [`jars`], [`planner`]: uploaded programs, and the sandbox that plans them

mod address;
pub mod blobs;
mod clock;
pub mod control;
pub mod dispatcher;
mod error;
pub mod executable;
pub mod ha;
pub mod history;
pub mod jars;
pub mod job_manager;
pub mod operations;
pub mod options;
pub mod planner;
pub mod rest;
mod server;
pub mod stores;
pub mod submission;

pub use dispatcher::Dispatcher;
pub use error::Error;
pub use ha::HighAvailability;
pub use job_manager::{JobManager, JobManagerHandle, Outcome, StartError};
pub use options::{BackendContext, BackendFactory, JobSource, Options, SingleJob};
