//! Nexmark, the benchmark of queries over streams: people open auctions, and others bid.
//!
//! The queries are those of the official Flink suite, <https://github.com/nexmark/nexmark>, written with the library
//! that everyone uses. `nexmark --query q5` runs one; `nexmark check` compares answers with those of a reference that
//! shares no code with the engine.
//!
//! # Layout
//! - [`event`]: the records
//! - [`generator`]: events by their numbers
//! - [`source`]: the generator as a source

pub mod event;
pub mod generator;
pub mod source;
