//! When a task must wake up.

use std::{
    pin::Pin,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::Clock;
use crate::batch::Timestamp;

/// Longest sleep at a time: the system's clock may be set, and then it is time to look again.
const SLEEP_MAX: Duration = Duration::from_secs(10);

const UNSET: Timestamp = Timestamp::MAX;

/// The earliest processing time that an operator of a task waits for. Operators set it from the task's thread; when it
/// rings it is unset, and whoever still waits sets it again.
#[derive(Debug)]
pub struct Alarm(AtomicI64);

impl Default for Alarm {
    fn default() -> Self {
        Self(AtomicI64::new(UNSET))
    }
}

impl Alarm {
    /// Has the operators of the task told of the time when the clock says `at` or later.
    pub fn set(&self, at: Timestamp) {
        self.0.fetch_min(at, Relaxed);
    }

    /// The earliest time that is waited for.
    pub fn next(&self) -> Option<Timestamp> {
        let at = self.0.load(Relaxed);
        (at != UNSET).then_some(at)
    }

    /// The time by `clock`, if the alarm rings.
    #[inline]
    pub fn ring(&self, clock: &Clock) -> Option<Timestamp> {
        let at = self.0.load(Relaxed);
        if at == UNSET {
            return None;
        }
        let now = clock.now();
        if now < at {
            return None;
        }
        self.0.store(UNSET, Relaxed);
        Some(now)
    }
}

/// Waits for an alarm.
#[derive(Default)]
pub(crate) struct AlarmWait {
    sleep: Option<(Timestamp, Pin<Box<Sleep>>)>,
}

impl AlarmWait {
    /// Ready with the time when `alarm` rings.
    pub fn poll(&mut self, alarm: &Alarm, clock: &Clock, cx: &mut Context<'_>) -> Poll<Timestamp> {
        loop {
            if let Some(now) = alarm.ring(clock) {
                self.sleep = None;
                return Poll::Ready(now);
            }
            let Some(at) = alarm.next() else { return Poll::Pending };
            if let Clock::Manual(manual) = clock {
                if manual.reached(at, cx.waker()) {
                    continue;
                }
                return Poll::Pending;
            }
            let sleep = match &mut self.sleep {
                Some((known, sleep)) if *known == at => sleep,
                sleep => {
                    let left = u64::try_from(at.saturating_sub(clock.now())).unwrap_or(0);
                    let until = Instant::now() + Duration::from_millis(left).min(SLEEP_MAX);
                    &mut sleep.insert((at, Box::pin(sleep_until(until)))).1
                }
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::Sleeper, time::ManualClock};

    #[test]
    fn the_earliest_time_rings_once() {
        let manual = ManualClock::at(0);
        let clock = Clock::Manual(manual.clone());
        let alarm = Alarm::default();
        assert_eq!(alarm.ring(&clock), None);
        alarm.set(10);
        alarm.set(20);
        assert_eq!((alarm.next(), alarm.ring(&clock)), (Some(10), None));
        manual.set(15);
        assert_eq!((alarm.ring(&clock), alarm.ring(&clock), alarm.next()), (Some(15), None, None));
    }

    #[test]
    fn who_waits_is_woken_by_a_manual_clock() {
        let manual = ManualClock::at(0);
        let clock = Clock::Manual(manual.clone());
        let (alarm, mut wait) = (Alarm::default(), AlarmWait::default());
        let (sleeper, waker) = Sleeper::new();
        let mut cx = Context::from_waker(&waker);
        assert!(wait.poll(&alarm, &clock, &mut cx).is_pending());
        alarm.set(10);
        assert!(wait.poll(&alarm, &clock, &mut cx).is_pending());
        manual.set(9);
        assert_eq!(sleeper.woken(), 1);
        assert!(wait.poll(&alarm, &clock, &mut cx).is_pending());
        manual.set(11);
        assert_eq!(wait.poll(&alarm, &clock, &mut cx), Poll::Ready(11));
    }

    #[tokio::test]
    async fn the_system_clock_is_slept_for() {
        let (alarm, mut wait) = (Alarm::default(), AlarmWait::default());
        let at = Clock::System.now() + 20;
        alarm.set(at);
        let now = std::future::poll_fn(|cx| wait.poll(&alarm, &Clock::System, cx)).await;
        assert!(now >= at);
    }
}
