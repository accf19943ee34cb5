//! Much state: what snapshots of it cost, and how long records stand still when something dies or changes.
//!
//! `lab state` holds a value per key and says when it sees records; from that, and from what REST tells, everything
//! here is read.
//!
//! - `beats`: when records were seen
//! - `job`: the job, started and filled
//! - `snapshots`: checkpoints, savepoints, restore, rescaling
//! - `failures`: SIGKILL

mod beats;
pub mod failures;
mod job;
pub mod snapshots;

use std::time::{SystemTime, UNIX_EPOCH};

/// The name of a vertex holds that of its operators.
const VALUES: &str = "values";

/// Microseconds since 1970.
fn now_us() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64)
}

/// Seconds between two times in microseconds.
fn seconds(from_us: u64, to_us: u64) -> f64 {
    to_us.saturating_sub(from_us) as f64 / 1e6
}
