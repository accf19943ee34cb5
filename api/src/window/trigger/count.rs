//! The trigger that counts.

use flott_runtime::batch::Timestamp;

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{function::FunctionResult, window::Window};

/// Fires with every so many records of a window.
#[derive(Debug, Clone, Copy)]
pub struct CountTrigger {
    count: u64,
}

impl CountTrigger {
    /// Fires with every `count` records, at least one.
    pub fn of(count: u64) -> Self {
        Self { count }
    }
}

impl<T, W: Window> Trigger<T, W> for CountTrigger {
    type State = u64;

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        _: &W,
        ctx: &mut TriggerContext<'_, u64>,
    ) -> FunctionResult<TriggerResult> {
        let count = ctx.state();
        *count += 1;
        if *count < self.count {
            return Ok(TriggerResult::Continue);
        }
        *count = 0;
        Ok(TriggerResult::Fire)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_states(&self, into: &mut u64, other: u64) {
        *into += other;
    }

    fn is_initial(&self, count: &u64) -> bool {
        *count == 0
    }

    fn problem(&self) -> Option<String> {
        (self.count == 0).then(|| "it must count to at least 1, not 0".to_owned())
    }

    fn describe(&self) -> String {
        format!("CountTrigger({})", self.count)
    }
}
