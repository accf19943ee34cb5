//! Which records of two streams are near enough in time.

use flott_runtime::{batch::Timestamp, time::TimeDelta};

/// How much later a right record may be than a left one, both ends included. Plain data, no clock.
///
/// Sums are worked out as if time had no ends: a pair is near enough or not by its true distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    lower: Timestamp,
    upper: Timestamp,
}

/// The times from one to the other that there are.
#[inline]
fn times(from: i128, to: i128) -> Option<(Timestamp, Timestamp)> {
    let from = Timestamp::try_from(from.max(Timestamp::MIN.into())).ok()?;
    let to = Timestamp::try_from(to.min(Timestamp::MAX.into())).ok()?;
    (from <= to).then_some((from, to))
}

impl Bounds {
    /// From `lower` to `upper`, which are included or not.
    pub fn new((lower, lower_in): (TimeDelta, bool), (upper, upper_in): (TimeDelta, bool)) -> Self {
        let lower = lower.as_millis().checked_add(i64::from(!lower_in));
        let upper = upper.as_millis().checked_sub(i64::from(!upper_in));
        match (lower, upper) {
            (Some(lower), Some(upper)) => Self { lower, upper },
            // Nothing is beyond the ends.
            _ => Self { lower: 0, upper: -1 },
        }
    }

    /// Times of the right records that a left one at `at` is joined with, from and to; none if there cannot be any.
    #[inline]
    pub fn right_of(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let at = i128::from(at);
        times(at + i128::from(self.lower), at + i128::from(self.upper))
    }

    /// Times of the left records that a right one at `at` is joined with, from and to; none if there cannot be any.
    #[inline]
    pub fn left_of(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let at = i128::from(at);
        times(at - i128::from(self.upper), at - i128::from(self.lower))
    }

    /// When no right record that is not late is joined with a left one at `at`: the watermark has passed this.
    #[inline]
    pub fn left_expiry(self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.upper)
    }

    /// When no left record that is not late is joined with a right one at `at`: the watermark has passed this.
    #[inline]
    pub fn right_expiry(self, at: Timestamp) -> Timestamp {
        at.saturating_sub(self.lower)
    }

    /// From the earlier to the later of both bounds and no distance: about how long a record is kept.
    pub fn reach(self) -> Timestamp {
        self.upper.max(0).saturating_sub(self.lower.min(0)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bounds: Bounds, at: Timestamp, right: Option<(i64, i64)>, left: Option<(i64, i64)>) {
        assert_eq!((bounds.right_of(at), bounds.left_of(at)), (right, left));
    }

    fn bounds(lower: i64, upper: i64) -> Bounds {
        Bounds::new((TimeDelta::from_millis(lower), true), (TimeDelta::from_millis(upper), true))
    }

    #[test]
    fn bounds_are_seen_from_both_sides() {
        check(bounds(-5, 1), 100, Some((95, 101)), Some((99, 105)));
        check(bounds(0, 0), 100, Some((100, 100)), Some((100, 100)));
        check(bounds(2, 3), 100, Some((102, 103)), Some((97, 98)));
    }

    #[test]
    fn bounds_may_be_excluded() {
        let exclusive =
            |lower, upper| Bounds::new((TimeDelta::from_millis(lower), false), (TimeDelta::from_millis(upper), false));
        assert_eq!(exclusive(-6, 2), bounds(-5, 1));
        check(exclusive(0, 0), 7, None, None);
        check(exclusive(i64::MAX, i64::MAX), 7, None, None);
        check(exclusive(i64::MIN, i64::MIN), 7, None, None);
    }

    #[test]
    fn at_the_ends_of_time_distances_stay_true() {
        use std::ops::Neg;
        const MIN: i64 = i64::MIN;
        const MAX: i64 = i64::MAX;
        check(bounds(-5, 1), MIN, Some((MIN, MIN + 1)), Some((MIN, MIN + 5)));
        check(bounds(-5, 1), MAX, Some((MAX - 5, MAX)), Some((MAX - 1, MAX)));
        check(bounds(1, 2), MAX, None, Some((MAX - 2, MAX - 1)));
        check(bounds(1, 2), MIN, Some((MIN + 1, MIN + 2)), None);
        check(bounds(MIN, MAX), 0, Some((MIN, MAX)), Some((MAX.neg(), MAX)));
        check(bounds(MIN, MIN), 0, Some((MIN, MIN)), None);
        assert_eq!((bounds(MIN, MAX).left_expiry(5), bounds(MIN, MAX).right_expiry(5)), (MAX, MAX));
        assert_eq!(bounds(MIN, MAX).reach(), MAX);
        assert_eq!((bounds(-5, 1).reach(), bounds(3, 9).reach(), bounds(0, 0).reach()), (6, 9, 1));
    }
}
