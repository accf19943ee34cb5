//! A source that keeps to a schedule.

use std::{
    os::fd::{AsFd, AsRawFd, RawFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use flott::{Batch, Failure, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};
use nix::{
    errno::Errno,
    sys::{
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Stamped, clock};
use crate::mix::mix;

const TICK: Duration = Duration::from_millis(1);
const TICKS_PER_SECOND: u64 = 1_000;

/// Every millisecond, a thousandth of `rate` records, spread over the subtasks: a key below `keys`, a number, and the
/// nanosecond at which the record was due.
#[derive(Debug)]
pub(super) struct Paced {
    pub rate: u64,
    pub keys: u64,
    pub duration: Duration,
}

impl Source for Paced {
    type Item = Stamped;
    /// Number of the reader, how many there are, and the first tick.
    type Split = (u32, u32, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Self::Split>> {
        Ok((0..parallelism).map(|reader| (reader, parallelism, 0)).collect())
    }

    fn open(
        &self,
        (reader, readers, tick): Self::Split,
        _: &TaskInfo,
    ) -> TaskResult<Box<dyn SplitReader<Stamped, Self::Split>>> {
        let began = clock::now().map_err(broken)?.saturating_sub(Duration::from_millis(tick));
        let ticks = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let (reader, readers) = (u64::from(reader), u64::from(readers));
        let timer = Timer::every(began, TICK).map_err(broken)?;
        Ok(Box::new(Reader {
            rate: self.rate,
            keys: self.keys.max(1),
            reader,
            readers,
            began,
            tick,
            ticks,
            sent: due_by(tick, self.rate, readers),
            timer,
        }))
    }
}

fn broken(error: impl Into<std::io::Error>) -> Box<Failure> {
    Box::new(Failure::environment(format!("the timer of the paced source: {}", error.into())))
}

struct Reader {
    rate: u64,
    keys: u64,
    reader: u64,
    readers: u64,
    began: Duration,
    tick: u64,
    ticks: u64,
    sent: u64,
    timer: Timer,
}

impl SplitReader<Stamped, (u32, u32, u64)> for Reader {
    /// The records of one tick, once it is due.
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<Stamped>) -> Poll<TaskResult<ReadStatus>> {
        loop {
            if self.tick >= self.ticks {
                return Poll::Ready(Ok(ReadStatus::Ended));
            }
            let due = self.began + Duration::from_millis(self.tick);
            if clock::now().map_err(broken)? < due {
                ready!(self.timer.poll_expired(cx)).map_err(broken)?;
                continue;
            }
            self.tick += 1;
            let upto = due_by(self.tick, self.rate, self.readers);
            let stamp = clock::stamp(due);
            let (keys, reader, readers) = (self.keys, self.reader, self.readers);
            batch
                .records
                .extend((self.sent..upto).map(|number| (mix(number * readers + reader) % keys, number, stamp)));
            let none = self.sent == upto;
            self.sent = upto;
            if none {
                continue;
            }
            return Poll::Ready(Ok(if self.tick >= self.ticks { ReadStatus::Ended } else { ReadStatus::More }));
        }
    }

    fn remaining(&self) -> (u32, u32, u64) {
        (self.reader as u32, self.readers as u32, self.tick)
    }
}

/// Records that one of `readers` has sent after `ticks`.
fn due_by(ticks: u64, rate: u64, readers: u64) -> u64 {
    let due = u128::from(ticks) * u128::from(rate) / (u128::from(TICKS_PER_SECOND) * u128::from(readers.max(1)));
    u64::try_from(due).unwrap_or(u64::MAX)
}

/// A timer of the kernel: it is exact to microseconds, where those of an async runtime are to a millisecond.
struct Timer(AsyncFd<Raw>);

struct Raw(TimerFd);

impl AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Timer {
    /// Expires at `start` and then every `interval`.
    fn every(start: Duration, interval: Duration) -> std::io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let expiration = Expiration::IntervalDelayed(TimeSpec::from(start), TimeSpec::from(interval));
        timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        // SAFETY: `Raw` owns its descriptor until it is dropped, and always answers with that one.
        Ok(Self(unsafe { AsyncFd::register_with_interest(Raw(timer), Interest::READABLE) }?))
    }

    /// Ready when it has expired since the last time.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            match guard.get_inner().0.wait() {
                // Until it expires again there is nothing to read; a second look would be a system call for each tick.
                Ok(()) => {
                    guard.clear_ready();
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::due_by;

    #[track_caller]
    fn check(ticks: u64, rate: u64, readers: u64, expected: u64) {
        assert_eq!(due_by(ticks, rate, readers), expected);
    }

    #[test]
    fn every_tick_has_its_share() {
        check(0, 50_000, 2, 0);
        check(1, 50_000, 2, 25);
        check(30_000, 50_000, 2, 750_000);
    }

    #[test]
    fn rates_below_one_per_tick_add_up() {
        check(1, 300, 1, 0);
        check(10, 300, 1, 3);
        check(1_000, 300, 1, 300);
    }
}
