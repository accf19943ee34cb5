//! A whole cluster in a namespace: what a client makes there, finds again, reaches, and removes.
//!
//! One object heads it, a Deployment for a session and a Job for a cluster of one job, and all others belong to it, so that
//! deleting the head deletes everything. The head is made first and asleep, which is what two clients of one name contend
//! for; it is woken when the rest is there. What a client that died in between has left is a head that sleeps.
//!
//! # Layout
//! - [`spec`]: what a cluster is to be, read once from the configuration; [`manifest`]: its objects, pure
//! - [`head`]: what is known of a cluster from its head, pure; [`find`]: looks
//! - [`create`], [`remove`]: the effects; [`objects`]: requests about objects of any kind
//! - [`rights`]: whether the JobManager may do what it has to
//! - [`tls`]: whether the certificates are there that pods mount
//! - [`startup`]: what the JobManager's pod waits for
//! - [`forward`], [`token`]: the way to the JobManager

pub mod create;
pub mod error;
pub mod find;
pub mod forward;
pub mod head;
pub mod manifest;
pub mod objects;
pub mod remove;
pub mod rights;
pub mod spec;
pub mod startup;
pub mod tls;
pub mod token;

/// The port of REST and control connections, in every JobManager that a client starts.
pub const PORT: u16 = 8081;
