//! How asynchronous calls are made: how many at once, for how long, how often.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::Data,
    error::{TaskResult, UserError},
    time::Clock,
};

use super::failed;

/// Calls that are under way at once in a subtask, unless the program says otherwise.
const CAPACITY: usize = 100;

/// How often, and after how long, a call is made again.
///
/// The first call does not count: with 3 retries, a function is called up to four times for a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AsyncRetry {
    retries: u32,
    delay: Duration,
    delay_max: Duration,
    multiplier: f64,
}

impl AsyncRetry {
    /// Up to `retries` more calls, each `delay` after the one before has come back.
    pub fn fixed_delay(retries: u32, delay: Duration) -> Self {
        Self { retries, delay, delay_max: delay, multiplier: 1.0 }
    }

    /// Up to `retries` more calls. The first is made after `delay`; before each further one the delay is multiplied, up
    /// to `delay_max`.
    pub fn exponential(retries: u32, delay: Duration, delay_max: Duration, multiplier: f64) -> Self {
        Self { retries, delay, delay_max, multiplier }
    }

    /// The delay before retry `retry`, from 0.
    fn delay(&self, retry: u32) -> Duration {
        let factor = self.multiplier.powi(i32::try_from(retry).unwrap_or(i32::MAX));
        let delay = Duration::try_from_secs_f64(self.delay.as_secs_f64() * factor);
        delay.map_or(self.delay_max, |delay| delay.min(self.delay_max))
    }
}

type Test<V> = Arc<dyn Fn(&V) -> bool + Send + Sync>;
type OnTimeout<T, R, E> = Arc<dyn Fn(T) -> Result<R, E> + Send + Sync>;

/// How asynchronous calls are made by [`Stream::map_async`](crate::Stream::map_async) and its kin: for records `T`, with
/// results `R` or errors `E`.
///
/// ```
/// use std::time::Duration;
///
/// use flott::{AsyncOptions, AsyncRetry};
///
/// # fn options() -> AsyncOptions<u64, String, std::io::Error> {
/// AsyncOptions::unordered()
///     .capacity(1_000)
///     .timeout(Duration::from_secs(30))
///     .retry(AsyncRetry::exponential(5, Duration::from_millis(100), Duration::from_secs(5), 2.0))
///     .retry_if(|error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset)
///     .on_timeout(|record| Ok(format!("nobody knows {record}")))
/// # }
/// ```
pub struct AsyncOptions<T, R, E> {
    ordered: bool,
    capacity: usize,
    timeout: Option<Duration>,
    retry: Option<AsyncRetry>,
    retry_errors: Option<Test<E>>,
    retry_results: Option<Test<R>>,
    on_timeout: Option<OnTimeout<T, R, E>>,
}

impl<T, R, E> fmt::Debug for AsyncOptions<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncOptions")
            .field("ordered", &self.ordered)
            .field("capacity", &self.capacity)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl<T, R, E> AsyncOptions<T, R, E> {
    fn new(ordered: bool) -> Self {
        Self {
            ordered,
            capacity: CAPACITY,
            timeout: None,
            retry: None,
            retry_errors: None,
            retry_results: None,
            on_timeout: None,
        }
    }

    /// Results come in the order of their records: a slow call holds up those after it.
    pub fn ordered() -> Self {
        Self::new(true)
    }

    /// Results come as the calls come back. Watermarks are not overtaken, and overtake nothing: only what is between two
    /// of them changes places.
    pub fn unordered() -> Self {
        Self::new(false)
    }

    /// Records at once in a subtask, 100 unless set: those whose calls are under way or wait to be made again, and those
    /// whose results cannot be given yet. With so many, no more input is taken.
    #[must_use]
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// How long it may take to get a result for a record, retries included. When it takes longer, the call is dropped and
    /// the task fails, unless [`on_timeout`](Self::on_timeout) says otherwise. There is no limit unless it is set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has calls that fail made again. When there is no retry left, the last error, or result, is what counts.
    #[must_use]
    pub fn retry(mut self, retry: AsyncRetry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// After which errors a call is made again; after all of them unless set.
    #[must_use]
    pub fn retry_if(mut self, test: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.retry_errors = Some(Arc::new(test));
        self
    }

    /// After which results a call is made again; after none unless set.
    #[must_use]
    pub fn retry_if_result(mut self, test: impl Fn(&R) -> bool + Send + Sync + 'static) -> Self {
        self.retry_results = Some(Arc::new(test));
        self
    }

    /// What counts when the time for a record is up.
    #[must_use]
    pub fn on_timeout(mut self, result: impl Fn(T) -> Result<R, E> + Send + Sync + 'static) -> Self {
        self.on_timeout = Some(Arc::new(result));
        self
    }

    /// What makes no sense, if anything does not.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.capacity == 0 {
            return Some("the capacity must be at least 1");
        }
        match self.retry {
            Some(retry) if !(retry.multiplier.is_finite() && retry.multiplier >= 1.0) => {
                Some("the multiplier of the delay between calls must be a number of at least 1")
            }
            Some(retry) if retry.delay_max < retry.delay => {
                Some("the longest delay between calls must not be shorter than the first")
            }
            None if self.retry_errors.is_some() || self.retry_results.is_some() => {
                Some("`retry` must say how often calls are made again, where it is said after what they are")
            }
            _ => None,
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered
    }

    pub(crate) fn most(&self) -> usize {
        self.capacity
    }
}

/// A user's function with how it is called, in one subtask.
pub(crate) struct Calls<T, R, E, F> {
    pub options: Arc<AsyncOptions<T, R, E>>,
    pub function: F,
    pub clock: Clock,
}

impl<T, R, E, F, Fut> Calls<T, R, E, F>
where
    T: Data,
    E: Into<UserError>,
    F: Fn(T) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    /// The result for `record`, whatever it takes.
    pub async fn result(&self, record: T) -> TaskResult<R> {
        let Some(timeout) = self.options.timeout else { return self.attempts(record).await };
        let kept = record.clone();
        tokio::select! {
            biased;
            result = self.attempts(record) => return result,
            () = self.clock.sleep(timeout) => {}
        }
        match &self.options.on_timeout {
            Some(result) => result(kept).map_err(|error| failed(error.into())),
            None => {
                let message = format!("an asynchronous call has not come back within {timeout:?}");
                Err(Box::new(Failure::user(message)))
            }
        }
    }

    async fn attempts(&self, record: T) -> TaskResult<R> {
        let mut retries = 0;
        loop {
            let Some(retry) = self.options.retry.filter(|retry| retries < retry.retries) else {
                let result = (self.function)(record).await;
                return result.map_err(|error| self.gave_up(error.into(), retries));
            };
            let result = (self.function)(record.clone()).await;
            let again = match &result {
                Ok(result) => self.options.retry_results.as_ref().is_some_and(|test| test(result)),
                Err(error) => self.options.retry_errors.as_ref().is_none_or(|test| test(error)),
            };
            if !again {
                return result.map_err(|error| self.gave_up(error.into(), retries));
            }
            drop(result);
            self.clock.sleep(retry.delay(retries)).await;
            retries += 1;
        }
    }

    #[cold]
    fn gave_up(&self, error: UserError, retries: u32) -> Box<Failure> {
        let failure = failed(error);
        if retries == 0 { failure } else { Box::new(failure.because(format!("it was called {} times", retries + 1))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let fixed = AsyncRetry::fixed_delay(3, second);
        assert_eq!([fixed.delay(0), fixed.delay(2), fixed.delay(u32::MAX)], [second; 3]);
        let growing = AsyncRetry::exponential(9, second, 5 * second, 2.0);
        let delays: Vec<_> = (0..4).map(|retry| growing.delay(retry).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5]);
        assert_eq!(growing.delay(u32::MAX), 5 * second);
        let endless = AsyncRetry::exponential(9, second, Duration::MAX, 10.0);
        assert_eq!(endless.delay(u32::MAX), Duration::MAX);
        assert_eq!(AsyncRetry::exponential(9, Duration::ZERO, second, 1e300).delay(5), second);
    }

    #[test]
    fn options_that_make_no_sense_are_told() {
        #[track_caller]
        fn check(options: AsyncOptions<u8, u8, String>, expected: Option<&str>) {
            let problem = options.problem();
            assert!(problem.is_some() == expected.is_some(), "{problem:?}");
            assert!(problem.unwrap_or_default().contains(expected.unwrap_or_default()), "{problem:?}");
        }
        let second = Duration::from_secs(1);
        check(AsyncOptions::ordered(), None);
        check(AsyncOptions::ordered().capacity(0), Some("capacity"));
        check(AsyncOptions::ordered().retry(AsyncRetry::exponential(1, second, second, 0.5)), Some("multiplier"));
        check(AsyncOptions::ordered().retry(AsyncRetry::exponential(1, second, second, f64::NAN)), Some("multiplier"));
        check(AsyncOptions::ordered().retry(AsyncRetry::exponential(1, 2 * second, second, 2.0)), Some("longest"));
        check(AsyncOptions::ordered().retry_if(|_| true), Some("`retry`"));
        check(AsyncOptions::unordered().retry_if(|_| true).retry(AsyncRetry::fixed_delay(1, second)), None);
    }
}
