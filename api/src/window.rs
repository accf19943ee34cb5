//! Windows: what cuts a stream into pieces that end.
//!
//! # Layout
//! - `bounds`: what a window is: [`Window`], [`TimeWindow`], [`GlobalWindow`]
//! - `assigner`: which windows a record belongs to: [`WindowAssigner`]
//! - `aligned`: tumbling, sliding and cumulating windows
//! - `session`: windows that last as long as something happens
//! - `global`: one window for all
//! - `trigger`: when a window gives results: [`Trigger`]
//! - `evictor`: what takes records out of a window: [`Evictor`]
//! - `elements`: all records of a window
//! - `tagged`: a record of one of two streams: [`TaggedUnion`]
//! - `function`: what makes results of a window: [`ProcessWindowFunction`]
//! - `context`: what such a function sees besides the records
//! - `state`: what it keeps per window

mod aligned;
mod assigner;
mod bounds;
mod context;
mod elements;
mod evictor;
mod function;
mod global;
mod session;
mod state;
mod tagged;
mod trigger;

pub use aligned::{
    CumulativeEventTimeWindows, CumulativeProcessingTimeWindows, SlidingEventTimeWindows, SlidingProcessingTimeWindows,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows,
};
pub use assigner::{AlignedKind, AlignedWindows, WindowAssigner};
pub use bounds::{GlobalWindow, TimeWindow, Window};
pub(crate) use context::WindowScopes;
pub use context::{WindowContext, WindowOpen};
pub use elements::WindowElements;
pub(crate) use evictor::AnyEvictor;
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor};
pub use function::ProcessWindowFunction;
pub use global::GlobalWindows;
pub use session::{
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows,
    ProcessingTimeSessionWindows,
};
pub use state::{WindowListState, WindowMapState, WindowValueState};
pub use tagged::TaggedUnion;
pub(crate) use trigger::TriggerTimers;
pub use trigger::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger, EventTimeTrigger,
    NeverTrigger, ProcessingTimeTrigger, PurgingTrigger, Trigger, TriggerContext, TriggerResult,
};

use std::time::Duration;

/// Whole milliseconds, as many as timestamps can tell.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
