//! How much of each workload is run.

use std::time::Duration;

/// Sizes at a scale. At 1 each run takes some seconds on two cores.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub chain_records: u64,
    pub text_bytes: u64,
    pub keyed_records: u64,
    pub keys: u64,
    pub shuffle_records: u64,
    pub window_records: u64,
    pub nexmark_events: u64,
    pub state_keys: u64,
    /// Bytes of the value of a key.
    pub state_bytes: u64,
    pub latency_rate: u64,
    pub latency_keys: u64,
    pub latency_duration: Duration,
    pub latency_warm_up: Duration,
    pub jobs: u32,
}

impl Sizes {
    /// Everything in proportion, but for what would not be the same workload any more: keys and rates.
    pub fn scaled(scale: f64) -> Self {
        let records = |full: u64| ((full as f64 * scale) as u64).max(1_000);
        let seconds = |full: f64| Duration::from_secs_f64((full * scale).max(1.0).ceil());
        Self {
            chain_records: records(400_000_000),
            text_bytes: records(1_000_000_000),
            keyed_records: records(50_000_000),
            keys: 1_000_000,
            shuffle_records: records(200_000_000),
            window_records: records(100_000_000),
            nexmark_events: records(20_000_000),
            state_keys: records(1_000_000),
            state_bytes: 1_000,
            latency_rate: 50_000,
            latency_keys: 100_000,
            latency_duration: seconds(30.0) + seconds(10.0),
            latency_warm_up: seconds(10.0),
            jobs: ((30.0 * scale).ceil() as u32).clamp(1, 30),
        }
    }

    /// Values that are replaced in a second: a hundredth.
    pub fn state_rate(&self) -> u64 {
        self.state_keys / 100
    }

    /// Memory of a TaskManager that holds all of the state, with room for what grows and for what is being written.
    pub fn state_memory(&self) -> u64 {
        (4 * self.state_keys * (self.state_bytes + 100)).max(2 << 30)
    }

    /// Bytes of all values.
    pub fn state_of_job(&self) -> u64 {
        self.state_keys * self.state_bytes
    }
}
