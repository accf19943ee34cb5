//! Signed spans of time.

use std::{fmt, ops::Neg, time::Duration};

/// A span of time that may be negative, in milliseconds; for what lies before something as well as after it.
///
/// What is out of range becomes the nearest that is not: [`MIN`](Self::MIN) or [`MAX`](Self::MAX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeDelta(i64);

impl TimeDelta {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// The longest back.
    pub const MIN: Self = Self(i64::MIN);
    /// The longest ahead.
    pub const MAX: Self = Self(i64::MAX);

    /// So many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// So many minutes.
    pub const fn from_mins(mins: i64) -> Self {
        Self(mins.saturating_mul(60_000))
    }

    /// So many hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self(hours.saturating_mul(3_600_000))
    }

    /// So many days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self(days.saturating_mul(86_400_000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl From<Duration> for TimeDelta {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Neg for TimeDelta {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Display for TimeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_signed_and_saturate() {
        assert_eq!(TimeDelta::from_secs(-5), -TimeDelta::from(Duration::from_secs(5)));
        assert_eq!(TimeDelta::from_hours(1), TimeDelta::from_mins(60));
        assert_eq!(TimeDelta::from_days(i64::MIN), TimeDelta::MIN);
        assert_eq!(-TimeDelta::MIN, TimeDelta::MAX);
        assert_eq!(TimeDelta::from(Duration::MAX), TimeDelta::MAX);
        assert!(TimeDelta::from_millis(-1) < TimeDelta::ZERO);
        assert_eq!(TimeDelta::from_millis(-1).to_string(), "-1 ms");
    }
}
