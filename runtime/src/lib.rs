//! The engine room: tasks and the operators in them, channels within a process and between processes, time, keyed
//! state, and the loop that hosts tasks on behalf of a TaskManager or of a program that runs by itself.
//!
//! It knows job graphs and deployments, but neither the planning API above it nor clusters, REST or backends.
//!
//! # Layout
//! - [`batch`]: records on the move, with or without timestamps
//! - [`event`]: what travels between records: watermarks, idleness, end
//! - [`output`]: the face of everything that takes records, and chains of operators
//! - [`source`]: splits and readers
//! - [`program`]: what the runtime asks of a planned program
//! - [`task`]: one subtask: its wiring, its loop, its figures
//! - [`channel`]: gates, writers and partitioners
//! - [`net`]: channels between processes
//! - [`state`]: keyed state
//! - [`snapshot`]: what a task gives at a barrier, and what it starts from
//! - [`time`]: clocks and timers
//! - `lanes`: the executor of tasks
//! - [`host`]: many tasks of one job in one process
//! - [`host_process`]: a host under a TaskManager
//! - [`harness`]: the tasks of a job in the caller's thread, for tests

pub mod batch;
pub mod channel;
pub mod error;
pub mod event;
pub mod harness;
pub mod host;
pub mod host_process;
mod lanes;
pub mod net;
pub mod output;
pub mod program;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod task;
#[cfg(test)]
mod testing;
pub mod time;
