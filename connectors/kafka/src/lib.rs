//! Kafka as a source and an exactly-once sink of Flott's streams.
//!
//! # Layout
//! - [`KafkaSource`]: records of topics
//! - [`KafkaSink`]: records to topics, at least or exactly once
//! - [`Admin`]: topics are made
//! - `wire`: a client of what both need of Kafka's protocol
//! - [`KafkaError`]: what can go wrong

mod error;
mod sink;
mod source;
mod wire;

pub use error::KafkaError;
pub use sink::{Compression, DefaultPartitioner, KafkaMessage, KafkaSink, Partitioner};
pub use source::{KafkaRecord, KafkaSource, KafkaSplit, Offsets, OutOfRange, StartFrom, StopAt, Topics};
pub use wire::{Admin, NewTopic};

/// The program of the guide compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/kafka.md")]
struct Guide;
