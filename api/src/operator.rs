//! The operators behind the methods of streams. Each works a batch at a time in a typed loop, and keeps what it needs
//! between batches, so that a record costs no allocation, lock or dynamic call.
//!
//! # Layout
//! - `map`, `filter`, `flat_map`, `co_map`: functions without state
//! - `call`: asynchronous calls, and the queue of their results
//! - `process`, `keyed_process`, `co_process`, `broadcast`: process functions; `keyed`: what those with a key share
//! - `firing`: timers of keyed functions
//! - `interval_join`, `temporal_join`: joins of two streams
//! - `timeline`: what joins keep, in order of time
//! - `late`: records behind the watermark
//! - `window`: windows of any kind
//! - `fold`: what is folded per key: reductions and aggregations
//! - `folding`: a batch folded into a table
//! - `running`: a result for each record (streaming)
//! - `combine`, `total`: one result for each key (batch), before the shuffle and after
//! - `slices`: aligned windows that fold
//! - `sink`: the end of a chain

mod broadcast;
mod call;
mod co_map;
mod co_process;
mod combine;
mod filter;
mod firing;
mod flat_map;
mod fold;
mod folding;
mod interval_join;
mod keyed;
mod keyed_process;
mod late;
mod map;
mod process;
mod running;
mod sink;
mod slices;
#[cfg(test)]
pub(crate) mod stand;
mod temporal_join;
mod timeline;
mod total;
mod window;

pub(crate) use broadcast::{BroadcastProcess, KeyedBroadcastProcess};
pub(crate) use call::{Call, answer};
pub(crate) use co_map::{CoFlatMap, CoMap};
pub(crate) use co_process::{CoProcess, KeyedCoProcess};
pub(crate) use combine::Combine;
pub(crate) use filter::{Filter, TryFilter};
pub(crate) use flat_map::{FlatMap, TryFlatMap};
pub(crate) use fold::{Aggregating, Fold, Reducing, Summing};
pub(crate) use interval_join::{Bounds, IntervalJoin, Lane, Pairs};
pub(crate) use keyed_process::KeyedProcess;
pub(crate) use late::Late;
pub(crate) use map::{Map, TryMap};
pub(crate) use process::Process;
pub(crate) use running::Running;
pub(crate) use sink::SinkOperator;
pub(crate) use slices::{Shape, SliceSpec, SliceWindows};
pub(crate) use temporal_join::{Deletes, LatestJoin, TemporalJoin};
pub(crate) use total::Total;
pub(crate) use window::{
    Bare, Closure, CoGrouping, Emit, Evicting, Folding, Gathering, Joining, Pair, Pairing, PaneFunction, Processing,
    Whole, WindowSpec, Windows, WithKey,
};
