//! How fast requests may follow one another: so many a second, over a burst of as many.

use std::time::{Duration, Instant};

/// A bucket that fills with time. Whoever takes from it is told how long to wait.
#[derive(Debug)]
pub struct Pace {
    /// Time between two requests in the long run.
    gap: Duration,
    /// How far ahead of the long run requests may be.
    ahead_max: Duration,
    /// When the next request would be due, were there no bursts.
    due: Option<Instant>,
}

impl Pace {
    /// So many a second; at least one.
    pub fn per_second(requests: u32) -> Self {
        let requests = requests.max(1);
        let gap = Duration::from_secs(1) / requests;
        Self { gap, ahead_max: gap * (requests - 1), due: None }
    }

    /// Takes a turn at `now`; says how long to wait for it.
    pub fn take(&mut self, now: Instant) -> Duration {
        let due = self.due.map_or(now, |due| due.max(now));
        self.due = Some(due + self.gap);
        due.saturating_duration_since(now).saturating_sub(self.ahead_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut pace = Pace::per_second(10);
        let now = Instant::now();
        let waits: Vec<_> = (0..13).map(|_| pace.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
        // A second later what was owed is paid.
        let later = now + Duration::from_secs(10);
        assert!((0..10).all(|_| pace.take(later).is_zero()));
        assert!(!pace.take(later).is_zero());
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let mut pace = Pace::per_second(1);
        let now = Instant::now();
        assert_eq!([pace.take(now), pace.take(now)], [Duration::ZERO, Duration::from_secs(1)]);
    }
}
