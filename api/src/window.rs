//! Windows: what cuts a stream into pieces that end.
//!
//! # Layout
//! - `bounds`: what a window is: [`Window`], [`TimeWindow`], [`GlobalWindow`]
//! - `assigner`: which windows a record belongs to: [`WindowAssigner`]
//! - `aligned`: tumbling, sliding and cumulating windows
//! - `trigger`: when a window gives results: [`Trigger`]
//! - `function`: what makes results of a window: [`ProcessWindowFunction`]
//! - `context`: what such a function sees besides the records

mod aligned;
mod assigner;
mod bounds;
mod context;
mod function;
mod trigger;

pub use aligned::{
    CumulativeEventTimeWindows, CumulativeProcessingTimeWindows, SlidingEventTimeWindows, SlidingProcessingTimeWindows,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows,
};
pub use assigner::{AlignedKind, AlignedWindows, WindowAssigner};
pub use bounds::{GlobalWindow, TimeWindow, Window};
pub(crate) use context::WindowScopes;
pub use context::{WindowContext, WindowOpen, WindowState};
pub use function::ProcessWindowFunction;
pub(crate) use trigger::TriggerTimers;
pub use trigger::{EventTimeTrigger, ProcessingTimeTrigger, Trigger, TriggerContext, TriggerResult};

use std::time::Duration;

/// Whole milliseconds, as many as timestamps can tell.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
