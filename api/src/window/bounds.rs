//! What a window is.

use std::fmt;

use flott_runtime::batch::{Data, Timestamp};
use serde::{Deserialize, Serialize};

/// A window: a part of a stream, told from others by its value. Its order is that of time.
pub trait Window: Data + Ord {
    /// The last timestamp that belongs to it. Results have it for a timestamp.
    fn max_timestamp(&self) -> Timestamp;

    /// Both as one, if they belong together; asked where the assigner [merges](crate::WindowAssigner::merges). Of windows
    /// in order those that belong together must stand side by side, and a window that it gives must belong with whatever
    /// one of the two belonged with.
    fn merge(&self, _other: &Self) -> Option<Self> {
        None
    }

    /// The window from `start` until before `end`, if windows of this kind are spans of time. Assigners whose windows are
    /// [aligned](crate::WindowAssigner::aligned) need it.
    fn of_span(_start: Timestamp, _end: Timestamp) -> Option<Self> {
        None
    }
}

/// The time from `start` until before `end`, in milliseconds.
///
/// Time is as long as timestamps can tell: a window that would begin before `i64::MIN` or end after `i64::MAX` is cut
/// there. One that ends at `i64::MAX` holds that timestamp as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first timestamp.
    pub start: Timestamp,
    /// The first timestamp after it.
    pub end: Timestamp,
}

impl TimeWindow {
    /// The window from `start` until before `end`.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Whether they overlap, or one begins where the other ends.
    pub fn intersects(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The smallest window that has both in it.
    #[must_use]
    pub fn cover(&self, other: &Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl Window for TimeWindow {
    #[inline]
    fn max_timestamp(&self) -> Timestamp {
        if self.end == Timestamp::MAX { self.end } else { self.end.saturating_sub(1) }
    }

    #[inline]
    fn merge(&self, other: &Self) -> Option<Self> {
        self.intersects(other).then(|| self.cover(other))
    }

    #[inline]
    fn of_span(start: Timestamp, end: Timestamp) -> Option<Self> {
        Some(Self { start, end })
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

/// The window that everything is in. It has no end but that of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalWindow;

impl Window for GlobalWindow {
    #[inline]
    fn max_timestamp(&self) -> Timestamp {
        Timestamp::MAX
    }
}
