//! A rate limit: says how many records are due.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Between two looks at the clock.
const STEP: Duration = Duration::from_millis(1);

/// What may be made up for at once after a standstill, as with a consumer that was slow.
const ARREARS_MAX: Duration = Duration::from_secs(1);

/// Lets records through at a rate, in steps of a millisecond.
pub(super) struct Pace {
    per_second: f64,
    /// When the first record was due, moved along where arrears are forgiven.
    began: Option<Instant>,
    given: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// `per_second` must be positive.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, began: None, given: 0, sleep: None }
    }

    /// Records that are due, at least one and at most `wanted`; they count as given.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<u64> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let now = Instant::now();
            let began = *self.began.get_or_insert(now);
            let elapsed = now - began;
            // One record is due at once.
            let due = (elapsed.as_secs_f64() * self.per_second) as u64 + 1;
            if due <= self.given {
                let next = began + Duration::from_secs_f64(self.given as f64 / self.per_second);
                self.sleep = Some(Box::pin(sleep_until(next.max(now + STEP))));
                continue;
            }
            let arrears = due - self.given;
            let most = (self.per_second * ARREARS_MAX.as_secs_f64()).max(1.0) as u64;
            if arrears > most {
                self.began = Some(now);
                self.given = 0;
                continue;
            }
            let give = arrears.min(wanted);
            self.given += give;
            return Poll::Ready(give);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn records_come_at_the_rate() {
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
    async fn slow_rates_wait_for_single_records() {
        let mut pace = Pace::new(2.0);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(poll_fn(|cx| pace.poll_due(cx, 100)).await, 1);
        }
        assert_eq!((Instant::now() - start).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_not_made_up_for() {
        let mut pace = Pace::new(1_000.0);
        poll_fn(|cx| pace.poll_due(cx, 1)).await;
        tokio::time::advance(Duration::from_secs(100)).await;
        let mut given = 0;
        let start = Instant::now();
        while given < 3_000 {
            given += poll_fn(|cx| pace.poll_due(cx, 3_000 - given)).await;
        }
        assert!((Instant::now() - start).as_secs_f64() > 1.9);
    }
}
