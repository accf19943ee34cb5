//! A client of the parts of Kafka's protocol that sources and sinks need. Messages are encoded and decoded by `kafka-protocol`.
//!
//! Transactions are those of protocol versions before KIP-890's: partitions are added by a request, and the end of a transaction
//! leaves the producer's epoch as it is, so that it can be asked for again by anybody who knows id and epoch.
//!
//! # Layout
//! - `connection`: one request at a time over one connection
//! - `cluster`: who leads what, and asking again
//! - `admin`: topics, for tests and examples
//! - `background`: the threads that wait for brokers

mod admin;
mod background;
mod cluster;
mod connection;

pub use admin::{Admin, NewTopic};
pub(crate) use background::{block_on, spawn};
pub(crate) use cluster::{Cluster, Coordinated, NEWS_PATIENCE, NO_BROKER, Route, TopicMeta, retrying, topic_name};
pub(crate) use connection::Connection;
