//! What every part of Flott speaks: ids and epochs, the job graph, resource profiles, configuration keys, failures,
//! control-plane messages and the states of jobs and tasks.
//!
//! This crate does no I/O, reads no clock and starts nothing. It knows nothing of sockets, files or user code.
//!
//! # Layout
//! - [`id`]: newtypes for everything that has an identity, an epoch or an index
//! - [`status`]: Flink's job and execution states
//! - [`failure`]: the one error that travels between processes and is shown to people
//! - [`resource`]: what a slot offers and what a subtask asks for
//! - [`job_graph`]: the graph that is submitted, its document (`job.graph`), its checks and its plan
//! - [`topology`]: which subtask sends to which, for every ship strategy
//! - [`message`]: what JobManager, TaskManager and job process say to each other
//! - [`view`]: a job and a cluster as REST and the command line show them
//! - [`past`]: what the JobMasters of a job know of its past
//! - [`key_group`]: the stable hash of a key, and key groups
//! - [`checkpoint`]: what is said of checkpoints
//! - [`journal`]: what a TaskManager notes for the JobMaster after this one
//! - [`codec`]: the binary format of records, state and control messages
//! - [`json`]: where in a JSON document an error lies
//! - [`schema`]: what encodings of a type look like
//! - [`sealed`]: JSON documents with a format, a version and a checksum
//! - [`config`]: every configuration key, declared once
//! - [`metrics`]: what is measured, and the text in which Prometheus reads it
//! - [`units`]: byte sizes and durations as people write them

pub mod checkpoint;
pub mod codec;
pub mod config;
pub mod failure;
pub mod id;
pub mod job_graph;
pub mod journal;
pub mod json;
pub mod key_group;
pub mod message;
pub mod metrics;
pub mod past;
pub mod resource;
pub mod schema;
pub mod sealed;
pub mod status;
pub mod topology;
pub mod units;
pub mod view;
