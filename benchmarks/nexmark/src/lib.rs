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
//! - [`files`]: events in files
//! - [`query`], [`queries`]: the queries, by name and one by one
//! - [`model`]: what their answers should be
//! - [`check`]: whether they are

pub mod check;
pub mod event;
pub mod files;
pub mod generator;
pub mod model;
pub mod queries;
pub mod query;
pub mod source;
