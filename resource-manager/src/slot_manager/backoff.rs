//! Pauses between failing starts, so that a worker that cannot live is not started as fast as it dies.

use std::time::Duration;

use crate::time::Time;

/// Failures in a row, and until when to pause.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
    until: Time,
    cause: String,
}

impl Backoff {
    pub(super) const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, failures: 0, until: Time(0), cause: String::new() }
    }

    /// A start failed; says until when to pause. Failures during a pause belong to the try that led to it: many
    /// workers that die at once count once.
    pub(super) fn failed(&mut self, now: Time, cause: String) -> Time {
        self.cause = cause;
        if now >= self.until {
            let doubled = self.initial.saturating_mul(1 << self.failures.min(20));
            self.failures = self.failures.saturating_add(1);
            self.until = now + doubled.min(self.max);
        }
        self.until
    }

    /// Starts work again.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = Time(0);
        self.cause.clear();
    }

    pub(super) fn pauses(&self, now: Time) -> bool {
        now < self.until
    }

    /// How often in a row, and why last; `None` when the last start worked.
    pub(super) fn trouble(&self) -> Option<(u32, &str)> {
        (self.failures > 0).then_some((self.failures, self.cause.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        let mut now = Time(1000);
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let until = backoff.failed(now, "no".into());
            pauses.push(until.since(now).as_millis());
            assert!(backoff.pauses(now));
            now = until;
            assert!(!backoff.pauses(now));
        }
        assert_eq!(pauses, [100, 200, 400, 500, 500]);
        assert_eq!(backoff.trouble(), Some((5, "no")));
        backoff.succeeded();
        assert_eq!(backoff.trouble(), None);
    }

    #[test]
    fn failures_at_once_count_once() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        assert_eq!(backoff.failed(Time(0), "a".into()), Time(100));
        assert_eq!(backoff.failed(Time(50), "b".into()), Time(100));
        assert_eq!(backoff.trouble(), Some((1, "b")));
    }
}
