//! Triggers at the end of a window.

use flott_runtime::batch::Timestamp;

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{function::FunctionResult, window::Window};

/// Fires when the watermark reaches the end of the window, and then for each record that comes late but not too late. The
/// default where windows end in event time.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventTimeTrigger;

impl EventTimeTrigger {
    /// The trigger.
    pub fn create() -> Self {
        Self
    }
}

impl<T, W: Window> Trigger<T, W> for EventTimeTrigger {
    type State = ();

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        let end = window.max_timestamp();
        if end <= ctx.watermark() {
            return Ok(TriggerResult::Fire);
        }
        ctx.register_event_time_timer(end);
        Ok(TriggerResult::Continue)
    }

    #[inline]
    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        _: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        Ok(if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue })
    }

    fn can_merge(&self) -> bool {
        true
    }

    #[inline]
    fn on_merge(&mut self, window: &W, ctx: &mut TriggerContext<'_, ()>) -> FunctionResult {
        // Where the end is past already, the record that the windows were merged for fires.
        let end = window.max_timestamp();
        if end > ctx.watermark() {
            ctx.register_event_time_timer(end);
        }
        Ok(())
    }

    fn is_initial(&self, (): &()) -> bool {
        true
    }
}

/// Fires when the clock reaches the end of the window. The default where windows end in processing time.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessingTimeTrigger;

impl ProcessingTimeTrigger {
    /// The trigger.
    pub fn create() -> Self {
        Self
    }
}

impl<T, W: Window> Trigger<T, W> for ProcessingTimeTrigger {
    type State = ();

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        ctx.register_processing_time_timer(window.max_timestamp());
        Ok(TriggerResult::Continue)
    }

    #[inline]
    fn on_processing_time(
        &mut self,
        _: Timestamp,
        _: &W,
        _: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        Ok(TriggerResult::Fire)
    }

    fn can_merge(&self) -> bool {
        true
    }

    #[inline]
    fn on_merge(&mut self, window: &W, ctx: &mut TriggerContext<'_, ()>) -> FunctionResult {
        ctx.register_processing_time_timer(window.max_timestamp());
        Ok(())
    }

    fn is_initial(&self, (): &()) -> bool {
        true
    }
}
