//! The clock of one JobMaster.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::Millis;

/// The wall clock as it was at the start, carried on by the monotonic one: it never goes back, and a test can pause it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    epoch: Millis,
}

impl Clock {
    /// Reads the wall clock.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch: Millis(since_epoch.as_millis() as u64) }
    }

    /// The time now.
    pub fn now(&self) -> Millis {
        self.epoch.plus(self.started.elapsed().as_millis() as u64)
    }

    /// When it will be `at`. Far futures are cut off at a year.
    pub fn instant(&self, at: Millis) -> Instant {
        const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
        self.started + Duration::from_millis(at.since(self.epoch).min(YEAR + self.now().since(self.epoch)))
    }
}
