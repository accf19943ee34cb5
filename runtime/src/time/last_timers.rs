//! Timers that fire when the input has ended, and whether they ever come to an end.

use crate::batch::Timestamp;

/// So many may fire beyond all times that were heard of, and so many for each that there is, before it is taken that they
/// will go on for ever.
pub const LAST_TIMERS_MAX: usize = 1_000_000;
const LAST_TIMERS_EACH: usize = 100_000;

/// Tells timers that set others for ever from those that are many, at the final watermark, which lets all of them fire.
///
/// A timer that sets the next one a second later has much to do before it comes to the end of a year of records, but it comes
/// there: as long as time goes on, and has not come as far as the records have, nothing is counted. Beyond, and at one time,
/// it is.
#[derive(Debug, Clone)]
pub struct LastTimers {
    /// The greatest time that was heard of, of records and of watermarks before the final one.
    heard: Timestamp,
    /// The latest time up to that at which one has fired at the final watermark, and how many more may.
    count: Option<(Timestamp, usize)>,
}

impl Default for LastTimers {
    fn default() -> Self {
        Self { heard: Timestamp::MIN, count: None }
    }
}

impl LastTimers {
    /// Records or watermarks have come as far as `at`.
    #[inline]
    pub fn hear(&mut self, at: Timestamp) {
        self.heard = self.heard.max(at);
    }

    /// The greatest time that was heard of, if there is any.
    pub fn heard(&self) -> Option<Timestamp> {
        (self.heard > Timestamp::MIN).then_some(self.heard)
    }

    /// A timer fires at `at`, at the final watermark, and there are `others`. False if there have been too many.
    pub fn count(&mut self, at: Timestamp, others: usize) -> bool {
        let left = match &mut self.count {
            Some((reached, left)) if at <= *reached || at > self.heard => left,
            count => {
                let most = others.saturating_mul(LAST_TIMERS_EACH).saturating_add(LAST_TIMERS_MAX);
                &mut count.insert((at.min(self.heard), most)).1
            }
        };
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `times` may fire, of which each sets the next; there are `others` besides.
    #[track_caller]
    fn check(heard: Timestamp, others: usize, times: impl Iterator<Item = Timestamp>, expected: Option<usize>) {
        let mut last = LastTimers::default();
        last.hear(heard);
        let mut fired = 0;
        for at in times {
            if !last.count(at, others) {
                return assert_eq!(Some(fired), expected);
            }
            fired += 1;
        }
        assert_eq!(None, expected, "{fired} have fired");
    }

    #[test]
    fn as_far_as_the_records_have_come_timers_have_an_end() {
        check(3_000_000, 0, 0..=3_000_000, None);
        check(3_000_000, 0, 0.., Some(3_000_000 + LAST_TIMERS_MAX));
    }

    #[test]
    fn where_time_stands_still_they_have_none() {
        check(10, 0, std::iter::repeat(5), Some(LAST_TIMERS_MAX));
        check(10, 0, (0..).map(|n| 5 - n), Some(LAST_TIMERS_MAX));
    }

    #[test]
    fn many_may_set_many_others_each() {
        check(0, 20, (0..20 * 100_000).map(|n| 1 + n / 20), None);
        check(0, 20, 1.., Some(LAST_TIMERS_MAX + 20 * LAST_TIMERS_EACH));
    }

    #[test]
    fn without_records_all_count() {
        check(Timestamp::MIN, 0, 0.., Some(LAST_TIMERS_MAX));
        check(Timestamp::MAX, usize::MAX, [Timestamp::MIN, Timestamp::MAX, Timestamp::MAX].into_iter(), None);
    }
}
