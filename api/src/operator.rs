//! The operators behind the methods of streams. Each works a batch at a time in a typed loop, and keeps what it needs
//! between batches, so that a record costs no allocation, lock or dynamic call.
//!
//! # Layout
//! - `map`, `filter`, `flat_map`: stateless functions
//! - `process`, `keyed_process`, `co_process`: process functions
//! - `fold`: what is folded per key: reductions and aggregations
//! - `folding`: a batch folded into a table
//! - `running`: a result for each record (streaming)
//! - `combine`, `total`: one result for each key (batch), before the shuffle and after
//! - `sink`: the end of a chain

mod co_process;
mod combine;
mod filter;
mod flat_map;
mod fold;
mod folding;
mod keyed_process;
mod map;
mod process;
mod running;
mod sink;
mod total;

pub(crate) use co_process::{CoMap, CoProcess, KeyedCoProcess};
pub(crate) use combine::Combine;
pub(crate) use filter::{Filter, TryFilter};
pub(crate) use flat_map::{FlatMap, TryFlatMap};
pub(crate) use fold::{Aggregating, Fold, Reducing, Summing};
pub(crate) use keyed_process::KeyedProcess;
pub(crate) use map::{Map, TryMap};
pub(crate) use process::Process;
pub(crate) use running::Running;
pub(crate) use sink::SinkOperator;
pub(crate) use total::Total;
