//! Nanoseconds that all processes of the host agree on.

use std::time::Duration;

use nix::{
    errno::Errno,
    time::{ClockId, clock_gettime},
};

/// The monotonic clock: time since the host was started.
pub(super) fn now() -> Result<Duration, Errno> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from)
}

/// As a stamp. It overflows after 584 years.
pub(super) fn stamp(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
