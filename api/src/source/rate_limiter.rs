//! A rate limit: says how many records are due.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Between two looks at the clock.
const STEP: Duration = Duration::from_millis(1);

/// Between two questions of somebody who is not held up, for whom this is no standstill.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);

/// What may be made up for at once after a standstill, where nothing else is said.
const ARREARS: Duration = Duration::from_secs(1);

/// Where a wait is longer than can be told.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Lets records through at a rate, in steps of a millisecond: what a [`SplitReader`](crate::SplitReader) asks before it reads.
/// Each reader has its own, for its share of a source's rate.
///
/// ```
/// use std::task::{Context, Poll, ready};
///
/// use flott::{Batch, RateLimiter, ReadStatus, SplitReader, TaskResult};
///
/// struct Numbers {
///     next: u64,
///     limiter: RateLimiter,
/// }
///
/// impl SplitReader<u64, u64> for Numbers {
///     fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
///         let due = ready!(self.limiter.poll_due(cx, 1_000));
///         batch.records.extend(self.next..self.next + due);
///         self.next += due;
///         Poll::Ready(Ok(ReadStatus::More))
///     }
///
///     fn remaining(&self) -> u64 {
///         self.next
///     }
/// }
/// ```
pub struct RateLimiter {
    /// None for no limit.
    per_second: Option<f64>,
    arrears: Duration,
    /// When the first record was due, moved along where arrears are forgiven.
    began: Option<Instant>,
    given: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl RateLimiter {
    /// So many records per second, from the first question on. What is not a positive number is no limit.
    pub fn new(per_second: f64) -> Self {
        let per_second = (per_second.is_finite() && per_second > 0.0).then_some(per_second);
        Self { per_second, arrears: ARREARS, began: None, given: 0, sleep: None }
    }

    /// For how long a standstill, as with a consumer that was slow, may be made up for at once: a second where nothing is
    /// said, and 20 ms at least. After a longer one the rate begins anew. [`Duration::MAX`] forgets nothing, and keeps the average.
    #[must_use]
    pub fn arrears(mut self, most: Duration) -> Self {
        self.arrears = most;
        self
    }

    /// Records that are due, at least one and at most `wanted`; they count as given. The task of `cx` is woken when the next one
    /// is.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<u64> {
        let Some(per_second) = self.per_second else { return Poll::Ready(wanted) };
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let now = Instant::now();
            let began = *self.began.get_or_insert(now);
            // One record is due at once.
            let due = (((now - began).as_secs_f64() * per_second) as u64).saturating_add(1);
            if due <= self.given {
                let wait = Duration::try_from_secs_f64(self.given as f64 / per_second).unwrap_or(FOREVER);
                let next = began.checked_add(wait.min(FOREVER)).unwrap_or(now);
                self.sleep = Some(Box::pin(sleep_until(next.max(now + STEP))));
                continue;
            }
            let arrears = due - self.given;
            let most = self.arrears.max(BETWEEN_QUESTIONS).as_secs_f64();
            if arrears > ((per_second * most) as u64).max(1) {
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

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, arrears, given, .. } = self;
        let mut shown = f.debug_struct("RateLimiter");
        shown.field("per_second", per_second).field("arrears", arrears).field("given", given).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Takes `count` records; how long that takes.
    async fn take(limiter: &mut RateLimiter, count: u64) -> f64 {
        let (start, mut given) = (Instant::now(), 0);
        while given < count {
            given += poll_fn(|cx| limiter.poll_due(cx, count - given)).await;
        }
        (Instant::now() - start).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn records_come_at_the_rate() {
        for arrears in [ARREARS, Duration::MAX, Duration::ZERO] {
            let took = take(&mut RateLimiter::new(5_000.0).arrears(arrears), 10_000).await;
            assert!((1.99..2.01).contains(&took), "{took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_rates_wait_for_single_records() {
        let mut limiter = RateLimiter::new(2.0);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(poll_fn(|cx| limiter.poll_due(cx, 100)).await, 1);
        }
        assert_eq!((Instant::now() - start).as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_standstill_is_not_made_up_for() {
        let mut limiter = RateLimiter::new(1_000.0);
        take(&mut limiter, 1).await;
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(take(&mut limiter, 3_000).await > 1.9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_made_up_for_where_all_may_be() {
        let mut limiter = RateLimiter::new(1_000.0).arrears(Duration::MAX);
        take(&mut limiter, 1).await;
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(poll_fn(|cx| limiter.poll_due(cx, 1_000_000)).await, 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_and_fastest_rates_do_not_overflow() {
        let mut slowest = RateLimiter::new(f64::MIN_POSITIVE);
        assert_eq!(poll_fn(|cx| slowest.poll_due(cx, 9)).await, 1);
        let waited = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| slowest.poll_due(cx, 9))).await;
        assert!(waited.is_err());
        let mut fastest = RateLimiter::new(f64::MAX).arrears(Duration::MAX);
        for _ in 0..2 {
            assert!(poll_fn(|cx| fastest.poll_due(cx, u64::MAX)).await > 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_rate_is_no_limit() {
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(poll_fn(|cx| RateLimiter::new(none).poll_due(cx, 9)).await, 9);
        }
    }
}
