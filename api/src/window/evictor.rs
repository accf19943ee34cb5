//! What takes records out of windows.
//!
//! # Layout
//! - `count`, `time`, `delta`: those that there are
//! - `erased`: evictors of any type

mod count;
mod delta;
mod erased;
mod time;

use std::any::type_name;

use flott_runtime::batch::Timestamp;

use super::{Window, WindowElements, assigner::short_name};
use crate::function::{FunctionResult, Times};

pub use count::CountEvictor;
pub use delta::DeltaEvictor;
pub(crate) use erased::AnyEvictor;
pub use time::TimeEvictor;

/// Takes records out of a window when it fires, before or after its function has seen them. What is taken out is gone: the
/// next time the window fires it is not there. A prototype lives in the plan; each subtask has a clone.
///
/// A window with an evictor keeps all its records, even where they would be reduced or aggregated as they come. If none are
/// left before the window's function, one of all records is called with none; a reduction or an aggregation gives nothing.
pub trait Evictor<T, W: Window>: Clone + Send + Sync + 'static {
    /// Called before the function of the window.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn evict_before(
        &mut self,
        _elements: &mut WindowElements<T>,
        _window: &W,
        _ctx: &EvictorContext,
    ) -> FunctionResult {
        Ok(())
    }

    /// Called after the function of the window.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn evict_after(&mut self, _elements: &mut WindowElements<T>, _window: &W, _ctx: &EvictorContext) -> FunctionResult {
        Ok(())
    }

    /// What makes it impossible; asked when the plan is made.
    fn problem(&self) -> Option<String> {
        None
    }

    /// What it is, with its numbers, for people and for the plan's fingerprint.
    fn describe(&self) -> String {
        short_name(type_name::<Self>()).to_owned()
    }
}

/// What an evictor sees besides the window.
#[derive(Debug, Clone, Copy)]
pub struct EvictorContext {
    times: Times,
}

impl EvictorContext {
    pub(crate) fn new(times: Times) -> Self {
        Self { times }
    }

    /// The watermark; `i64::MIN` before the first, `i64::MAX` at the end of the input.
    pub fn watermark(&self) -> Timestamp {
        self.times.watermark
    }

    /// Processing time in milliseconds since 1970.
    pub fn processing_time(&self) -> Timestamp {
        self.times.processing
    }
}

/// When an evictor of ours takes records out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

/// The methods that our evictors share, by `evict`.
macro_rules! evicts {
    () => {
        fn evict_before(
            &mut self,
            elements: &mut WindowElements<T>,
            _: &W,
            _: &super::EvictorContext,
        ) -> crate::function::FunctionResult {
            if self.when == super::When::Before {
                self.evict(elements);
            }
            Ok(())
        }

        fn evict_after(
            &mut self,
            elements: &mut WindowElements<T>,
            _: &W,
            _: &super::EvictorContext,
        ) -> crate::function::FunctionResult {
            if self.when == super::When::After {
                self.evict(elements);
            }
            Ok(())
        }
    };
}
use evicts;
