//! The workloads of `docs/performance.md` as small programs, on the library that everyone uses.
//!
//! Each module plans one workload into an [`Environment`](flott::Environment); the program `lab` runs the one that it is
//! told to. `cargo xtask bench` builds it, runs it on real clusters and measures.
//!
//! # Layout
//! - [`chain`]: map, filter, map over a generator
//! - [`wordcount`]: words of a text
//! - [`keyed_sum`]: a running sum per key
//! - [`shuffle`]: records by key from every subtask to every other
//! - [`latency`]: how long a record takes over a hop
//! - [`window_sum`]: a sum per key and window
//! - [`churn`]: keys that come and go, under all that holds state per key
//! - [`state`]: much state, for what snapshots and restarts cost
//! - [`trivial`]: ten numbers, for what a job costs by itself
//! - [`mix`]: the generators' hash

pub mod chain;
pub mod churn;
pub mod keyed_sum;
pub mod latency;
pub mod mix;
pub mod shuffle;
pub mod state;
pub mod trivial;
pub mod window_sum;
pub mod wordcount;
