//! A rate: says how many events are due.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Between two looks at the clock.
const STEP: Duration = Duration::from_millis(1);

/// Lets events through at a rate, in steps of a millisecond. What could not be taken in time is made up for.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    began: Option<Instant>,
    given: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// `per_second` must be positive.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, began: None, given: 0, sleep: None }
    }

    /// Events that are due, at least one and at most `most`; they count as given.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<u64> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let now = Instant::now();
            let began = *self.began.get_or_insert(now);
            // One is due at once.
            let due = ((now - began).as_secs_f64() * self.per_second) as u64 + 1;
            if due > self.given {
                let give = (due - self.given).min(most);
                self.given += give;
                return Poll::Ready(give);
            }
            let wait = Duration::try_from_secs_f64(self.given as f64 / self.per_second).unwrap_or(Duration::MAX);
            let next = began.checked_add(wait).unwrap_or(now + Duration::from_secs(3600));
            self.sleep = Some(Box::pin(sleep_until(next.max(now + STEP))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_come_at_the_rate() {
        let mut pace = Pace::new(5_000.0);
        let start = Instant::now();
        let mut given = 0;
        while given < 10_000 {
            given += poll_fn(|cx| pace.poll_due(cx, 10_000 - given)).await;
        }
        let took = (Instant::now() - start).as_secs_f64();
        assert!((1.99..2.01).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_made_up_for() {
        let mut pace = Pace::new(1_000.0);
        poll_fn(|cx| pace.poll_due(cx, 1)).await;
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(poll_fn(|cx| pace.poll_due(cx, 10_000)).await, 3_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_rates_do_not_overflow() {
        let mut pace = Pace::new(f64::MIN_POSITIVE);
        assert_eq!(poll_fn(|cx| pace.poll_due(cx, 9)).await, 1);
        let waited = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| pace.poll_due(cx, 9))).await;
        assert!(waited.is_err());
    }
}
