//! A rate of a counter that is read more often than it is brought up to date.
//!
//! Counters come about once a second, and are looked at four times a second. So what is measured is the time between two
//! changes, not between two looks. Pure; the caller says what time it is.

use std::{collections::VecDeque, time::Duration};

/// How far back it goes.
const WINDOW: Duration = Duration::from_secs(3);
/// A counter that has not changed for this long stands still.
const STILL: Duration = Duration::from_millis(2500);

/// The rate of one counter.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// When it was first seen at a value, and the value; oldest first.
    changes: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes note of what the counter is at `now`, and gives the rate a second.
    pub fn look(&mut self, now: Duration, value: u64) -> f64 {
        match self.changes.back() {
            Some((_, last)) if *last == value => {}
            Some((_, last)) if *last > value => self.changes = VecDeque::from([(now, value)]),
            _ => self.changes.push_back((now, value)),
        }
        while self.changes.len() > 2 && self.changes[1].0 + WINDOW < now {
            self.changes.pop_front();
        }
        match (self.changes.front(), self.changes.back()) {
            (Some((from, before)), Some((to, after))) if from < to && *to + STILL >= now => {
                (after - before) as f64 / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 250 ms at a counter that is brought up to date every second.
    #[track_caller]
    fn check(counter: impl Fn(u64) -> u64, seconds: std::ops::Range<u64>, expected: f64) {
        let mut rate = Rate::default();
        for look in 0..seconds.end * 4 {
            let given = rate.look(Duration::from_millis(look * 250), counter(look / 4));
            if look / 4 >= seconds.start {
                assert!((given - expected).abs() <= expected * 0.01, "{given} after {look} looks");
            }
        }
    }

    #[test]
    fn a_steady_counter_has_a_steady_rate() {
        check(|second| second * 1000, 1..20, 1000.0);
        check(|_| 7, 0..20, 0.0);
        // What was there before is no rate.
        check(|second| 1_000_000 + second * 10, 1..20, 10.0);
    }

    #[test]
    fn a_rate_that_changes_is_followed() {
        check(|second| if second < 10 { second * 1000 } else { 10_000 + (second - 10) * 50 }, 14..20, 50.0);
        check(|second| second.min(10) * 1000, 13..20, 0.0);
    }

    #[test]
    fn a_counter_that_begins_anew_does_not_run_backwards() {
        check(|second| if second < 10 { second * 1000 } else { (second - 10) * 100 }, 11..20, 100.0);
    }
}
