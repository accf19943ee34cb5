//! What can be chosen.

use std::time::Duration;

use thiserror::Error;

/// Midnight before 15 July 2015, from where Beam's events begin.
pub const BASE_TIME: i64 = 1_436_918_400_000;

/// The longest that events may come late, in milliseconds: a day.
const OUT_OF_ORDER_MS_MAX: u64 = 86_400_000;

/// Which events there are, and in which order they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many.
    pub count: u64,
    /// Other seeds, other events.
    pub seed: u64,
    /// How many happen in a second of event time; not 0.
    pub events_per_second: u64,
    /// How many milliseconds an event may be behind the latest that came before it.
    pub out_of_order_ms: u64,
    /// When the first event happened, in milliseconds since 1970.
    pub base_time: i64,
}

impl Default for Options {
    /// A million events, 10,000 a second, in order.
    fn default() -> Self {
        Self { count: 1_000_000, seed: 0, events_per_second: 10_000, out_of_order_ms: 0, base_time: BASE_TIME }
    }
}

/// Options that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// Nothing happens.
    #[error("0 events per second never end; choose at least 1")]
    Rate,
    /// Events would be reordered over more than fits into memory.
    #[error("events can be {OUT_OF_ORDER_MS_MAX} ms out of order at most, not {0}")]
    OutOfOrder(u64),
}

impl Options {
    /// How late events may be: as long as watermarks have to wait for them.
    pub fn out_of_order(&self) -> Duration {
        Duration::from_millis(self.out_of_order_ms)
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        if self.events_per_second == 0 {
            return Err(OptionsError::Rate);
        }
        if self.out_of_order_ms > OUT_OF_ORDER_MS_MAX {
            return Err(OptionsError::OutOfOrder(self.out_of_order_ms));
        }
        Ok(())
    }

    /// How many events in a row may change places.
    pub(super) fn events_out_of_order(&self) -> u64 {
        let events = u128::from(self.out_of_order_ms) * u128::from(self.events_per_second) / 1000;
        u64::try_from(events).unwrap_or(u64::MAX)
    }
}
