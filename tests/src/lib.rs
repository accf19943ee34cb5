//! What the end-to-end tests share: sandboxes with clusters of real processes in them, a REST client, and results to
//! compare with.
//!
//! # Layout
//! - [`binaries`]: where the real binaries are
//! - [`sandbox`]: a place of its own for each test; nothing may be left running in it
//! - [`certificates`]: TLS of clusters under test
//! - [`checkpoints`]: checkpoints as they lie in their directory
//! - [`command`]: a command, what it printed and how it ended
//! - [`rest`]: the REST endpoint of a cluster under test
//! - [`moto`]: a server that speaks S3
//! - [`metrics`]: what is collected of an endpoint
//! - [`fixture`]: savepoints of every kind of state, as builds wrote them
//! - [`forward`]: a port of a pod of a Kubernetes cluster under test
//! - [`pod`]: processes of such pods
//! - [`eventually`](mod@eventually): bounded waits with a name
//! - [`book`]: word counts, counted the plain way
//! - [`simulation`]: a whole control plane in simulated time, from a seed
//! - [`chaos`]: clusters of real processes that are killed and stopped by a plan, from a seed
//! - [`date`]: what day it is, by the clocks of a sandbox
//! - [`copy`]: copies of directories
//! - [`disk`]: a file system of few bytes, and what else disks do
//! - `random`: numbers from a seed
//! - [`proxy`]: a stretch of network that tears
//! - [`program`]: the tests' own program, which misbehaves on request; [`plain`]: a job of it that can be taken up again

pub mod binaries;
pub mod book;
pub mod certificates;
pub mod chaos;
pub mod checkpoints;
pub mod command;
pub mod copy;
pub mod date;
pub mod disk;
pub mod eventually;
pub mod fixture;
pub mod forward;
pub mod metrics;
#[path = "../../snapshot/tests/common/moto.rs"]
pub mod moto;
pub mod plain;
pub mod pod;
pub mod program;
pub mod proxy;
mod random;
pub mod rest;
pub mod sandbox;
pub mod simulation;
