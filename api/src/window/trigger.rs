//! When a window gives results.
//!
//! # Layout
//! - `timers`: the timers of a window
//! - `time`: at the window's end
//! - `count`, `delta`, `continuous`, `never`: other reasons
//! - `purging`: a trigger that also empties the window

mod continuous;
mod count;
mod delta;
mod never;
mod purging;
mod time;
mod timers;

use std::any::type_name;

use flott_runtime::{
    batch::{Data, Timestamp},
    time::TimeDomain,
};

use super::{Window, assigner::short_name};
use crate::function::{FunctionResult, Times};

pub use continuous::{ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger};
pub use count::CountTrigger;
pub use delta::DeltaTrigger;
pub use never::NeverTrigger;
pub use purging::PurgingTrigger;
pub use time::{EventTimeTrigger, ProcessingTimeTrigger};
pub(crate) use timers::TriggerTimers;

/// What happens to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// It gives results, if it has records.
    Fire,
    /// What it has is dropped.
    Purge,
    /// It gives results, and what it has is dropped.
    FireAndPurge,
}

impl TriggerResult {
    /// Whether the window gives results.
    #[inline]
    pub fn fires(self) -> bool {
        matches!(self, Self::Fire | Self::FireAndPurge)
    }

    /// Whether what the window has is dropped.
    #[inline]
    pub fn purges(self) -> bool {
        matches!(self, Self::Purge | Self::FireAndPurge)
    }
}

/// Says when a window gives results. A prototype lives in the plan; each subtask has a clone, which serves all keys and
/// windows: what belongs to one window is [`State`](Self::State).
///
/// ```
/// use flott::{FunctionResult, TimeWindow, Timestamp, Trigger, TriggerContext, TriggerResult, Window};
///
/// /// Fires when a window has three records, and once more at its end.
/// #[derive(Clone)]
/// struct Early;
///
/// impl<T> Trigger<T, TimeWindow> for Early {
///     type State = u32;
///
///     fn on_element(
///         &mut self,
///         _: &T,
///         _: Timestamp,
///         window: &TimeWindow,
///         ctx: &mut TriggerContext<'_, u32>,
///     ) -> FunctionResult<TriggerResult> {
///         ctx.register_event_time_timer(window.max_timestamp());
///         *ctx.state() += 1;
///         Ok(if *ctx.state() == 3 { TriggerResult::Fire } else { TriggerResult::Continue })
///     }
///
///     fn on_event_time(
///         &mut self,
///         _: Timestamp,
///         _: &TimeWindow,
///         _: &mut TriggerContext<'_, u32>,
///     ) -> FunctionResult<TriggerResult> {
///         Ok(TriggerResult::Fire)
///     }
/// }
/// ```
pub trait Trigger<T, W: Window>: Clone + Send + Sync + 'static {
    /// What it remembers of a window.
    type State: Data + Default;

    /// Called for each record of a window. `timestamp` is that of the record, or `i64::MIN` if it has none.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Self::State>,
    ) -> FunctionResult<TriggerResult>;

    /// Called when the watermark has reached the time of a timer that the trigger has set for the window.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_event_time(
        &mut self,
        _time: Timestamp,
        _window: &W,
        _ctx: &mut TriggerContext<'_, Self::State>,
    ) -> FunctionResult<TriggerResult> {
        Ok(TriggerResult::Continue)
    }

    /// Called when the clock is past the time of a timer that the trigger has set for the window.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_processing_time(
        &mut self,
        _time: Timestamp,
        _window: &W,
        _ctx: &mut TriggerContext<'_, Self::State>,
    ) -> FunctionResult<TriggerResult> {
        Ok(TriggerResult::Continue)
    }

    /// Whether it can be used where windows merge.
    fn can_merge(&self) -> bool {
        false
    }

    /// Puts the state of a window into that of another that it is merged with.
    fn merge_states(&self, _into: &mut Self::State, _other: Self::State) {}

    /// Called when windows have become `window`, or one has grown to it, after their states were merged. The timers of the
    /// windows that it was made of are gone; this sets those that the new one needs.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_merge(&mut self, _window: &W, _ctx: &mut TriggerContext<'_, Self::State>) -> FunctionResult {
        Ok(())
    }

    /// Called when the window is over, before its state and its timers are dropped.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn clear(&mut self, _window: &W, _ctx: &mut TriggerContext<'_, Self::State>) -> FunctionResult {
        Ok(())
    }

    /// Whether `state` is as good as a new one. An empty window without timers is then forgotten, and costs nothing.
    fn is_initial(&self, _state: &Self::State) -> bool {
        false
    }

    /// What makes it impossible, as a count of zero; asked when the plan is made.
    fn problem(&self) -> Option<String> {
        None
    }

    /// What it is, with its numbers, for people and for the plan's fingerprint.
    fn describe(&self) -> String {
        short_name(type_name::<Self>()).to_owned()
    }
}

/// What a trigger works with: its state in a window, the window's timers, and the time.
pub struct TriggerContext<'a, S> {
    state: &'a mut S,
    timers: &'a mut TriggerTimers,
    times: Times,
}

impl<'a, S> TriggerContext<'a, S> {
    pub(crate) fn new(state: &'a mut S, timers: &'a mut TriggerTimers, times: Times) -> Self {
        Self { state, timers, times }
    }

    /// What the trigger remembers of the window.
    pub fn state(&mut self) -> &mut S {
        self.state
    }

    /// A context whose state is a part of this one's: for triggers that are made of others.
    pub fn part<P>(&mut self, part: impl FnOnce(&mut S) -> &mut P) -> TriggerContext<'_, P> {
        TriggerContext { state: part(self.state), timers: self.timers, times: self.times }
    }

    /// The watermark; `i64::MIN` before the first, `i64::MAX` at the end of the input.
    pub fn watermark(&self) -> Timestamp {
        self.times.watermark
    }

    /// Processing time in milliseconds since 1970.
    pub fn processing_time(&self) -> Timestamp {
        self.times.processing
    }

    /// Has `on_event_time` called for the window when the watermark reaches `at`; with the next watermark if it has. A
    /// window has one timer per time, however often it is set. Timers after the window's time is over do not come.
    #[inline]
    pub fn register_event_time_timer(&mut self, at: Timestamp) {
        self.timers.add(TimeDomain::Event, at);
    }

    /// Has `on_processing_time` called for the window when the clock is past `at`. Timers that are still set when
    /// the input has ended are called then; those that they set themselves are not.
    #[inline]
    pub fn register_processing_time_timer(&mut self, at: Timestamp) {
        self.timers.add(TimeDomain::Processing, at);
    }

    /// Takes back a timer.
    pub fn delete_event_time_timer(&mut self, at: Timestamp) {
        self.timers.remove(TimeDomain::Event, at);
    }

    /// Takes back a timer.
    pub fn delete_processing_time_timer(&mut self, at: Timestamp) {
        self.timers.remove(TimeDomain::Processing, at);
    }
}
