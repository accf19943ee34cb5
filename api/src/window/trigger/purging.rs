//! The trigger that empties windows.

use flott_runtime::batch::Timestamp;

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{function::FunctionResult, window::Window};

/// Another trigger, with which what a window has is dropped whenever it fires.
#[derive(Debug, Clone)]
pub struct PurgingTrigger<Tr> {
    trigger: Tr,
}

impl<Tr> PurgingTrigger<Tr> {
    /// As `trigger`, and empties the window.
    pub fn of(trigger: Tr) -> Self {
        Self { trigger }
    }
}

#[inline]
fn purging(result: TriggerResult) -> TriggerResult {
    if result.fires() { TriggerResult::FireAndPurge } else { result }
}

impl<T, W: Window, Tr: Trigger<T, W>> Trigger<T, W> for PurgingTrigger<Tr> {
    type State = Tr::State;

    #[inline]
    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Tr::State>,
    ) -> FunctionResult<TriggerResult> {
        self.trigger.on_element(element, timestamp, window, ctx).map(purging)
    }

    #[inline]
    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Tr::State>,
    ) -> FunctionResult<TriggerResult> {
        self.trigger.on_event_time(time, window, ctx).map(purging)
    }

    #[inline]
    fn on_processing_time(
        &mut self,
        time: Timestamp,
        window: &W,
        ctx: &mut TriggerContext<'_, Tr::State>,
    ) -> FunctionResult<TriggerResult> {
        self.trigger.on_processing_time(time, window, ctx).map(purging)
    }

    fn can_merge(&self) -> bool {
        self.trigger.can_merge()
    }

    fn merge_states(&self, into: &mut Tr::State, other: Tr::State) {
        self.trigger.merge_states(into, other);
    }

    fn on_merge(&mut self, window: &W, ctx: &mut TriggerContext<'_, Tr::State>) -> FunctionResult {
        self.trigger.on_merge(window, ctx)
    }

    fn clear(&mut self, window: &W, ctx: &mut TriggerContext<'_, Tr::State>) -> FunctionResult {
        self.trigger.clear(window, ctx)
    }

    fn is_initial(&self, state: &Tr::State) -> bool {
        self.trigger.is_initial(state)
    }

    fn problem(&self) -> Option<String> {
        self.trigger.problem()
    }

    fn describe(&self) -> String {
        format!("PurgingTrigger({})", self.trigger.describe())
    }
}
