//! Windows.

use flott_runtime::batch::Timestamp;

/// A span of event or processing time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    /// Its first millisecond.
    pub start: Timestamp,
    /// The first millisecond behind it.
    pub end: Timestamp,
}

impl TimeWindow {
    /// Its last millisecond.
    pub fn max_timestamp(&self) -> Timestamp {
        self.end.saturating_sub(1)
    }
}
