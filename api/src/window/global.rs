//! One window for all records.

use flott_runtime::{batch::Timestamp, time::TimeDomain};

use super::{GlobalWindow, NeverTrigger, WindowAssigner};
use crate::function::FunctionResult;

/// Puts all records of a key into one window, which has no end. It gives results only by a trigger that is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GlobalWindows;

impl GlobalWindows {
    /// The assigner.
    pub fn create() -> Self {
        Self
    }
}

impl<T> WindowAssigner<T> for GlobalWindows {
    type Window = GlobalWindow;
    type Trigger = NeverTrigger;

    // Nothing is ever late, and timestamps are not needed.
    fn time_domain(&self) -> TimeDomain {
        TimeDomain::Processing
    }

    fn default_trigger(&self) -> NeverTrigger {
        NeverTrigger
    }

    #[inline]
    fn assign(&mut self, _: &T, _: Timestamp, windows: &mut Vec<GlobalWindow>) -> FunctionResult {
        windows.push(GlobalWindow);
        Ok(())
    }
}
