//! The trigger that does nothing.

use flott_runtime::batch::Timestamp;

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{function::FunctionResult, window::Window};

/// Never fires. The default of [`GlobalWindows`](crate::GlobalWindows).
#[derive(Debug, Clone, Copy, Default)]
pub struct NeverTrigger;

impl<T, W: Window> Trigger<T, W> for NeverTrigger {
    type State = ();

    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        _: &W,
        _: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        Ok(TriggerResult::Continue)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn is_initial(&self, (): &()) -> bool {
        true
    }
}
