//! Processing time.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use crate::batch::Timestamp;

/// Where processing time comes from: the system, or a test.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// Milliseconds since 1970 by the system's clock. It may be set back; timers then come later.
    #[default]
    System,
    /// What a test says.
    Manual(ManualClock),
}

impl Clock {
    /// Milliseconds of processing time.
    #[inline]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => millis(since),
                Err(before) => -millis(before.duration()),
            },
            Self::Manual(clock) => clock.now(),
        }
    }

    /// Waits for this long. What the system's clock is set to meanwhile does not matter.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            Self::Manual(clock) => {
                let until = clock.now().saturating_add(millis(duration));
                poll_fn(|cx| if clock.reached(until, cx.waker()) { Poll::Ready(()) } else { Poll::Pending }).await;
            }
        }
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Default)]
struct Manual {
    now: Timestamp,
    /// Who waits for it to move, and for which time.
    waiting: Vec<(Timestamp, Waker)>,
}

impl ManualClock {
    /// A clock that says `now`, in milliseconds.
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.0.lock().now = now;
        clock
    }

    /// What it says, in milliseconds.
    pub fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    /// Moves it to `now` and wakes who waits for that. It never goes back: an earlier time changes nothing.
    pub fn set(&self, now: Timestamp) {
        let mut manual = self.0.lock();
        manual.now = manual.now.max(now);
        let waiting = std::mem::take(&mut manual.waiting);
        drop(manual);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(millis(by)));
    }

    /// The earliest time that somebody waits for, or has waited for since it was moved.
    pub fn awaited(&self) -> Option<Timestamp> {
        self.0.lock().waiting.iter().map(|(at, _)| *at).min()
    }

    /// Whether it says `at` or later; if not, `waker` is called when it moves.
    pub(super) fn reached(&self, at: Timestamp, waker: &Waker) -> bool {
        let mut manual = self.0.lock();
        if manual.now >= at {
            return true;
        }
        match manual.waiting.iter_mut().find(|(_, known)| known.will_wake(waker)) {
            Some((earliest, _)) => *earliest = at.min(*earliest),
            None => manual.waiting.push((at, waker.clone())),
        }
        false
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}

/// Whole milliseconds, as many as there can be.
pub(crate) fn millis(duration: Duration) -> Timestamp {
    Timestamp::try_from(duration.as_millis()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sleeper;

    #[test]
    fn a_manual_clock_wakes_who_waits_and_never_goes_back() {
        let clock = ManualClock::at(5);
        let (sleeper, waker) = Sleeper::new();
        assert!(clock.reached(5, &waker));
        assert_eq!(clock.awaited(), None);
        assert!(!clock.reached(9, &waker) && !clock.reached(7, &waker) && !clock.reached(8, &waker));
        assert_eq!(clock.awaited(), Some(7));
        clock.advance(Duration::from_millis(2));
        assert_eq!((sleeper.woken(), clock.now()), (1, 7));
        clock.set(3);
        assert_eq!(clock.now(), 7);
    }

    #[test]
    fn a_manual_clock_stops_at_the_end_of_time() {
        let clock = ManualClock::at(Timestamp::MAX - 1);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_is_as_long_as_the_clock_says() {
        let manual = ManualClock::at(5);
        let clock = Clock::Manual(manual.clone());
        let sleep = clock.sleep(Duration::from_millis(10));
        tokio::pin!(sleep);
        let (_, waker) = Sleeper::new();
        let mut cx = std::task::Context::from_waker(&waker);
        for (now, done) in [(5, false), (14, false), (15, true)] {
            manual.set(now);
            assert_eq!(std::future::Future::poll(sleep.as_mut(), &mut cx).is_ready(), done, "at {now}");
        }
        Clock::System.sleep(Duration::from_secs(1_000_000)).await;
    }

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(Clock::System.now() > 1_577_836_800_000);
    }
}
