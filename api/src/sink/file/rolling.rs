//! When a file is complete before the next checkpoint.

use std::time::Duration;

use flott_runtime::batch::Timestamp;

/// What completes a file, besides a checkpoint and the end. By itself: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rolling {
    /// Bytes at which it is large enough.
    pub bytes: Option<u64>,
    /// How long it is written at most.
    pub age: Option<Duration>,
    /// For how long no record comes to it.
    pub idle: Option<Duration>,
}

impl Rolling {
    /// Whether a file of so many bytes is large enough.
    pub fn is_full(&self, bytes: u64) -> bool {
        self.bytes.is_some_and(|most| bytes >= most)
    }

    /// When a file is complete that was opened, and last written to, at these times of the clock, if nothing else comes.
    pub fn due(&self, opened: Timestamp, written: Timestamp) -> Option<Timestamp> {
        let after = |at: Timestamp, wait: Option<Duration>| Some(at.saturating_add(millis(wait?)));
        [after(opened, self.age), after(written, self.idle)].into_iter().flatten().min()
    }
}

/// Whole milliseconds, at least one: a file that is complete at once would never be written to.
fn millis(duration: Duration) -> Timestamp {
    Timestamp::try_from(duration.as_millis()).unwrap_or(Timestamp::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_full_at_their_size() {
        let size = |bytes| Rolling { bytes, ..Rolling::default() };
        for (most, bytes, full) in
            [(None, u64::MAX, false), (Some(10), 9, false), (Some(10), 10, true), (Some(0), 0, true)]
        {
            assert_eq!(size(most).is_full(bytes), full, "{bytes} of {most:?}");
        }
    }

    #[test]
    fn files_are_due_by_age_or_idleness_whichever_is_first() {
        let wait = |millis: Option<u64>| millis.map(Duration::from_millis);
        for (age, idle, opened, written, due) in [
            (None, None, 5, 7, None),
            (Some(100), None, 5, 90, Some(105)),
            (None, Some(30), 5, 90, Some(120)),
            (Some(100), Some(30), 5, 20, Some(50)),
            (Some(100), Some(30), 5, 90, Some(105)),
            (Some(0), None, 5, 5, Some(6)),
            (Some(u64::MAX), None, 5, 5, Some(Timestamp::MAX)),
        ] {
            let rolling = Rolling { bytes: None, age: wait(age), idle: wait(idle) };
            assert_eq!(rolling.due(opened, written), due, "{rolling:?}, opened {opened}, written {written}");
        }
    }
}
