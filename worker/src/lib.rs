//! The TaskManager: slots, job processes, their programs and their logs.
//!
//! It offers the slots of one machine to a JobManager, gives them to jobs as it is told, and runs each job's program as
//! a process of its own, so that whatever a program does, it does it to itself. It passes messages between JobMasters
//! and job processes on without understanding them, and moves no records: job processes talk to each other.
//!
//! It runs on Linux: process groups, parent death signals and `/proc` are what isolation is made of.
//!
//! # Layout
//! - [`TaskManager`], [`TaskManagerHandle`], [`run`]: its face
//! - [`Options`], [`JobManagerAddress`]: what it is told; [`ExitReason`], [`Error`]: how it ends
//! - [`state`]: every decision, without I/O: slots and offers, process lives, watches, fences
//! - `service`: the mailbox, and `service::dialer`, the link to the JobManager
//! - `process`: one job process from its blobs to its end: thread, limits, socket, output, environment
//! - `blobs`: programs and graphs by digest, fetched once, kept within a bound
//! - `memory`: who has to go when memory runs out
//! - [`lock`]: whose a directory is
//! - `logs`: log files for people far away
//! - `usage`: figures from `/proc`; `metrics`: what is served of them

#![deny(unsafe_code)]

mod blobs;
mod error;
mod handle;
pub mod lock;
mod logs;
mod memory;
mod metrics;
mod options;
mod process;
mod service;
pub mod state;
mod usage;

pub use error::{Error, ExitReason};
pub use handle::{TaskManager, TaskManagerHandle, run};
pub use metrics::MetricsOptions;
pub use options::{JobManagerAddress, Options};
pub use process::ProgramVariables;
