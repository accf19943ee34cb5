//! What users write where a closure is not enough: functions with a life cycle, contexts and state.
//!
//! # Layout
//! - `collector`: where results go
//! - `open`: where functions get their state handles from
//! - `context`: what a function sees besides its record
//! - `process`: process functions, with one input or two, keyed or not
//! - `broadcast`: process functions of a stream and a broadcast one
//! - `join`: functions of pairs
//! - `calls`: how asynchronous calls are made

mod broadcast;
mod calls;
mod collector;
mod context;
mod join;
mod open;
mod process;

pub use broadcast::{
    BroadcastOpen, BroadcastProcessFunction, KeyedBroadcastContext, KeyedBroadcastOpen, KeyedBroadcastProcessFunction,
};
pub(crate) use calls::Calls;
pub use calls::{AsyncOptions, AsyncRetry};
pub use collector::Collector;
pub(crate) use context::Times;
pub use context::{Context, KeyedContext, OutputTag};
pub use join::{JoinContext, ProcessJoinFunction};
pub use open::{KeyedOpen, OpenContext};
pub use process::{CoProcessFunction, KeyedCoProcessFunction, KeyedProcessFunction, ProcessFunction, Timer};

use flott_core::failure::Failure;
pub use flott_runtime::state::Aggregate;

use flott_runtime::error::{UserError, user_failure};

/// What user functions return: an error fails the task with its message.
pub type FunctionResult<T = ()> = Result<T, UserError>;

/// The failure behind what a user function returned. One of ours that it only passed on stays as it is.
#[cold]
pub(crate) fn failed(error: UserError) -> Box<Failure> {
    match error.downcast::<Box<Failure>>() {
        Ok(failure) => *failure,
        Err(error) => user_failure("user function failed", &error),
    }
}
