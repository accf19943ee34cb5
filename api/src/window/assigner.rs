//! Which windows a record belongs to.

use std::any::type_name;

use flott_runtime::{batch::Timestamp, time::TimeDomain};

use super::{Trigger, Window};
use crate::function::FunctionResult;

/// Says which windows each record belongs to. A prototype lives in the plan; each subtask has a clone.
///
/// ```
/// use flott::{EventTimeTrigger, FunctionResult, TimeDomain, TimeWindow, Timestamp, WindowAssigner};
///
/// /// A window for each hour of records whose number is even, and one for each day of the others.
/// #[derive(Clone)]
/// struct ByNumber;
///
/// impl WindowAssigner<u64> for ByNumber {
///     type Window = TimeWindow;
///     type Trigger = EventTimeTrigger;
///
///     fn time_domain(&self) -> TimeDomain {
///         TimeDomain::Event
///     }
///
///     fn default_trigger(&self) -> EventTimeTrigger {
///         EventTimeTrigger::create()
///     }
///
///     fn assign(&mut self, record: &u64, at: Timestamp, windows: &mut Vec<TimeWindow>) -> FunctionResult {
///         let size = if record % 2 == 0 { 3_600_000 } else { 86_400_000 };
///         let start = at.saturating_sub(at.rem_euclid(size));
///         windows.push(TimeWindow::new(start, start.saturating_add(size)));
///         Ok(())
///     }
/// }
/// ```
pub trait WindowAssigner<T>: Clone + Send + Sync + 'static {
    /// Its windows.
    type Window: Window;
    /// The trigger of its windows unless another is set.
    type Trigger: Trigger<T, Self::Window>;

    /// The kind of time that windows end in. In event time records must have timestamps, and can be late.
    fn time_domain(&self) -> TimeDomain;

    /// The trigger of its windows unless another is set.
    fn default_trigger(&self) -> Self::Trigger;

    /// Adds the windows that `record` belongs to: none, one or several, each once. `at` is the record's timestamp where
    /// windows end in event time, and otherwise what the clock says.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn assign(&mut self, record: &T, at: Timestamp, windows: &mut Vec<Self::Window>) -> FunctionResult;

    /// Whether windows of a key that [belong together](Window::merge) become one, as sessions do.
    fn merges(&self) -> bool {
        false
    }

    /// How the windows lie, if that is the same for all records. An assigner that says it need not be asked about each
    /// record: one that says what is not so gets wrong results.
    fn aligned(&self) -> Option<AlignedWindows> {
        None
    }

    /// What makes it impossible, as a size of zero; asked when the plan is made.
    fn problem(&self) -> Option<String> {
        None
    }

    /// What it is, with its numbers, for people and for the plan's fingerprint.
    fn describe(&self) -> String {
        short_name(type_name::<Self>()).to_owned()
    }
}

/// The name of a type without the path to it and without its parameters.
pub(crate) fn short_name(name: &str) -> &str {
    let path = name.split('<').next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path)
}

/// How windows that are the same for all records and keys lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlignedWindows {
    /// Their shape.
    pub kind: AlignedKind,
    /// The kind of time that they end in.
    pub domain: TimeDomain,
    /// Length of a window in milliseconds; of the longest, where they differ. At least 1.
    pub size_ms: i64,
    /// From one window to the next, in milliseconds. At least 1.
    pub slide_ms: i64,
    /// Windows begin at this time, and at whole multiples of the slide from it; of the size, where they cumulate.
    pub offset_ms: i64,
}

/// The shape of aligned windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlignedKind {
    /// One after the other: the slide is the size.
    Tumbling,
    /// All of one size, beginning every slide. They overlap where the slide is less than the size, and leave out what is
    /// between them where it is more.
    Sliding,
    /// Every size one begins, ends after a slide, and begins anew at the same time, a slide longer, until it has the size.
    Cumulating,
}
