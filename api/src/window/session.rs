//! Windows that last as long as something happens.

use std::{any::type_name, time::Duration};

use flott_core::failure::Failure;
use flott_runtime::{batch::Timestamp, time::TimeDomain};

use super::{EventTimeTrigger, ProcessingTimeTrigger, TimeWindow, WindowAssigner, assigner::short_name, millis};
use crate::function::FunctionResult;

fn problem(gap_ms: i64) -> Option<String> {
    (gap_ms < 1).then(|| format!("the gap must be at least one millisecond, not {gap_ms} ms"))
}

#[cold]
fn no_gap() -> Box<Failure> {
    Box::new(Failure::user("the gap of a session must be at least one millisecond").fatal())
}

macro_rules! session {
    ($(#[$doc:meta])* $name:ident, $dynamic:ident, $domain:ident, $trigger:ident) => {
        $(#[$doc])*
        ///
        /// A session ends a gap after its last record. Of two records that are exactly a gap apart the later one still
        /// belongs to the session of the earlier, if it comes before that is over.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            gap_ms: i64,
        }

        impl $name {
            /// Sessions between which there is nothing for `gap`, at least one millisecond.
            pub fn with_gap(gap: Duration) -> Self {
                Self { gap_ms: millis(gap) }
            }

            /// Sessions where each record says for how long there must be nothing after it. A gap of less than a
            /// millisecond fails the task.
            pub fn with_dynamic_gap<T, F>(gap: F) -> $dynamic<F>
            where
                F: FnMut(&T) -> Duration + Clone + Send + Sync + 'static,
            {
                $dynamic { gap }
            }
        }

        impl<T> WindowAssigner<T> for $name {
            type Window = TimeWindow;
            type Trigger = $trigger;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }

            #[inline]
            fn assign(&mut self, _: &T, at: Timestamp, windows: &mut Vec<TimeWindow>) -> FunctionResult {
                windows.push(TimeWindow::new(at, at.saturating_add(self.gap_ms)));
                Ok(())
            }

            fn merges(&self) -> bool {
                true
            }

            fn problem(&self) -> Option<String> {
                problem(self.gap_ms)
            }

            fn describe(&self) -> String {
                format!("{}({} ms)", stringify!($name), self.gap_ms)
            }
        }

        /// Sessions whose gap depends on their records.
        #[derive(Debug, Clone)]
        pub struct $dynamic<F> {
            gap: F,
        }

        impl<T, F> WindowAssigner<T> for $dynamic<F>
        where
            F: FnMut(&T) -> Duration + Clone + Send + Sync + 'static,
        {
            type Window = TimeWindow;
            type Trigger = $trigger;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }

            #[inline]
            fn assign(&mut self, record: &T, at: Timestamp, windows: &mut Vec<TimeWindow>) -> FunctionResult {
                let gap_ms = millis((self.gap)(record));
                if gap_ms < 1 {
                    return Err(no_gap().into());
                }
                windows.push(TimeWindow::new(at, at.saturating_add(gap_ms)));
                Ok(())
            }

            fn merges(&self) -> bool {
                true
            }

            fn describe(&self) -> String {
                short_name(type_name::<Self>()).to_owned()
            }
        }
    };
}

session! {
    /// Sessions by the timestamps of records.
    EventTimeSessionWindows, DynamicEventTimeSessionWindows, Event, EventTimeTrigger
}

session! {
    /// Sessions by the clock.
    ProcessingTimeSessionWindows, DynamicProcessingTimeSessionWindows, Processing, ProcessingTimeTrigger
}
