//! Triggers that fire again and again.

use std::time::Duration;

use flott_runtime::batch::Timestamp;

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{
    function::FunctionResult,
    window::{Window, millis},
};

/// The first multiple of `interval` after `at`, but not after `end`.
fn next(at: Timestamp, interval: i64, end: Timestamp) -> Timestamp {
    let interval = interval.max(1);
    at.saturating_add(interval - at.rem_euclid(interval)).min(end)
}

/// What both triggers have in common, whose state is when they fire next.
macro_rules! fires_again {
    ($name:ident) => {
        fn can_merge(&self) -> bool {
            true
        }

        fn merge_states(&self, into: &mut Option<Timestamp>, other: Option<Timestamp>) {
            *into = into.iter().copied().chain(other).min();
        }

        fn is_initial(&self, next: &Option<Timestamp>) -> bool {
            next.is_none()
        }

        fn problem(&self) -> Option<String> {
            let interval = self.interval_ms;
            (interval < 1).then(|| format!("the interval must be at least one millisecond, not {interval} ms"))
        }

        fn describe(&self) -> String {
            format!("{}({} ms)", stringify!($name), self.interval_ms)
        }
    };
}

/// Fires whenever the watermark passes a multiple of an interval, from the first record of a window on, and at the window's
/// end; after it as [`EventTimeTrigger`](crate::EventTimeTrigger).
///
/// A watermark that passes several multiples at once has it fire once for all of them: nothing has come between, so each
/// would give the same again. (Flink fires for each; a window without an end, a small interval and a record with a timestamp far
/// ahead would then fire for ever.)
#[derive(Debug, Clone, Copy)]
pub struct ContinuousEventTimeTrigger {
    interval_ms: i64,
}

impl ContinuousEventTimeTrigger {
    /// Fires every `interval`, at least one millisecond.
    pub fn of(interval: Duration) -> Self {
        Self { interval_ms: millis(interval) }
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousEventTimeTrigger {
    /// When it fires next.
    type State = Option<Timestamp>;

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        timestamp: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> FunctionResult<TriggerResult> {
        let end = window.max_timestamp();
        if end <= ctx.watermark() {
            return Ok(TriggerResult::Fire);
        }
        if ctx.state().is_none() {
            let at = next(timestamp, self.interval_ms, end);
            *ctx.state() = Some(at);
            ctx.register_event_time_timer(at);
        }
        ctx.register_event_time_timer(end);
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> FunctionResult<TriggerResult> {
        let end = window.max_timestamp();
        if time == end {
            *ctx.state() = None;
            return Ok(TriggerResult::Fire);
        }
        if *ctx.state() != Some(time) {
            return Ok(TriggerResult::Continue);
        }
        // This firing is also that of the other multiples that the watermark has passed.
        let at = next(time.max(ctx.watermark()), self.interval_ms, end);
        *ctx.state() = Some(at);
        ctx.register_event_time_timer(at);
        Ok(TriggerResult::Fire)
    }

    fn on_merge(&mut self, window: &W, ctx: &mut TriggerContext<'_, Option<Timestamp>>) -> FunctionResult {
        let end = window.max_timestamp();
        if end <= ctx.watermark() {
            return Ok(());
        }
        if let Some(at) = *ctx.state() {
            ctx.register_event_time_timer(at);
        }
        ctx.register_event_time_timer(end);
        Ok(())
    }

    fires_again!(ContinuousEventTimeTrigger);
}

/// Fires whenever the clock passes a multiple of an interval, from the first record of a window on, until the window's end
/// by the clock. If several have passed when it gets to fire, it fires once for all of them.
#[derive(Debug, Clone, Copy)]
pub struct ContinuousProcessingTimeTrigger {
    interval_ms: i64,
}

impl ContinuousProcessingTimeTrigger {
    /// Fires every `interval`, at least one millisecond.
    pub fn of(interval: Duration) -> Self {
        Self { interval_ms: millis(interval) }
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousProcessingTimeTrigger {
    /// When it fires next.
    type State = Option<Timestamp>;

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> FunctionResult<TriggerResult> {
        if ctx.state().is_none() {
            let at = next(ctx.processing_time(), self.interval_ms, window.max_timestamp());
            *ctx.state() = Some(at);
            ctx.register_processing_time_timer(at);
        }
        Ok(TriggerResult::Continue)
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> FunctionResult<TriggerResult> {
        if *ctx.state() != Some(time) {
            return Ok(TriggerResult::Continue);
        }
        // This firing is also that of the other multiples that the clock is past. At the end of the input it may not be past
        // any.
        let past = time.max(ctx.processing_time().saturating_sub(1));
        let at = next(past, self.interval_ms, window.max_timestamp());
        // The last one is at the end.
        let more = at > time;
        *ctx.state() = more.then_some(at);
        if more {
            ctx.register_processing_time_timer(at);
        }
        Ok(TriggerResult::Fire)
    }

    fn on_merge(&mut self, _: &W, ctx: &mut TriggerContext<'_, Option<Timestamp>>) -> FunctionResult {
        if let Some(at) = *ctx.state() {
            ctx.register_processing_time_timer(at);
        }
        Ok(())
    }

    fires_again!(ContinuousProcessingTimeTrigger);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_whole_wherever_they_lie() {
        #[track_caller]
        fn check(at: Timestamp, interval: i64, expected: Timestamp) {
            assert_eq!(next(at, interval, Timestamp::MAX), expected);
        }
        check(0, 10, 10);
        check(9, 10, 10);
        check(-1, 10, 0);
        check(-10, 10, 0);
        check(Timestamp::MIN, 10, Timestamp::MIN + 8);
        check(Timestamp::MIN, i64::MAX, -i64::MAX);
        check(Timestamp::MAX - 7, 10, Timestamp::MAX);
        assert_eq!(next(3, 10, 7), 7);
    }
}
