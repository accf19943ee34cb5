//! What makes results of a window.

use flott_runtime::batch::{Data, Key};

use super::{Window, WindowContext, WindowOpen};
use crate::function::FunctionResult;

/// A function of all that a window has, as Flink's `ProcessWindowFunction`. A prototype lives in the plan; each subtask gets
/// a clone, opens it, and uses it from one thread at a time.
///
/// ```
/// use flott::{FunctionResult, ProcessWindowFunction, TimeWindow, WindowContext};
///
/// /// The middle one of the numbers of a window.
/// #[derive(Clone)]
/// struct Median;
///
/// impl ProcessWindowFunction for Median {
///     type Key = String;
///     type Window = TimeWindow;
///     type In = (String, u64);
///     type Out = (String, i64, u64);
///
///     fn process(
///         &mut self,
///         key: &String,
///         window: &TimeWindow,
///         elements: &[(String, u64)],
///         ctx: &mut WindowContext<'_, String, TimeWindow, Self::Out>,
///     ) -> FunctionResult {
///         let mut numbers: Vec<u64> = elements.iter().map(|element| element.1).collect();
///         numbers.sort_unstable();
///         ctx.emit((key.clone(), window.end, numbers[numbers.len() / 2]));
///         Ok(())
///     }
/// }
/// ```
pub trait ProcessWindowFunction: Clone + Send + Sync + 'static {
    /// Keys; `()` where all records are in one window, whatever their key.
    type Key: Key;
    /// Windows.
    type Window: Window;
    /// What a window has: records, or one result of the aggregation before it.
    type In: Data;
    /// Results.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut WindowOpen<'_, Self::Key, Self::Window>) -> FunctionResult {
        Ok(())
    }

    /// Called whenever the window fires, with what it has, in the order in which it came; where windows have merged, with
    /// what the earlier had first. What is given out has the window's [last timestamp](Window::max_timestamp).
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(
        &mut self,
        key: &Self::Key,
        window: &Self::Window,
        elements: &[Self::In],
        ctx: &mut WindowContext<'_, Self::Key, Self::Window, Self::Out>,
    ) -> FunctionResult;

    /// Called once when the window is over. State that is kept per window is dropped after it, whatever this does.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn clear(
        &mut self,
        _key: &Self::Key,
        _window: &Self::Window,
        _ctx: &mut WindowContext<'_, Self::Key, Self::Window, Self::Out>,
    ) -> FunctionResult {
        Ok(())
    }
}
