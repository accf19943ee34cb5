//! How long records take from their source over a hop by key to their receiver.
//!
//! The source keeps an exact schedule and stamps each record with the time at which it was *due*, so a source that is
//! late, or a receiver that keeps it waiting, counts as latency. All processes are on one host and read one clock.
//!
//! # Layout
//! - `clock`: nanoseconds that all processes of the host agree on
//! - `paced`: the source
//! - `recorder`: the receiver

mod clock;
mod paced;
mod recorder;

use std::{path::PathBuf, time::Duration};

use flott::Environment;

use self::{paced::Paced, recorder::Recorder};

/// A record on its way.
type Stamped = (u64, u64, u64);

/// What is sent, and where the figures go.
#[derive(Debug, Clone)]
pub struct Options {
    /// Records per second, all subtasks together.
    pub rate: u64,
    /// Distinct keys; not 0.
    pub keys: u64,
    /// How long records are sent.
    pub duration: Duration,
    /// What receivers leave out at the beginning.
    pub warm_up: Duration,
    /// Directory for the histogram: JSON lines of `latency_ns` and `records`, from each receiver its own.
    pub output: PathBuf,
}

/// Paced source, key by the first number, recorder, files.
pub fn plan(env: &Environment, options: Options) {
    let Options { rate, keys, duration, warm_up, output } = options;
    env.from_source(Paced { rate, keys, duration }, "paced")
        .key_by(|record: &Stamped| record.0)
        .process(Recorder::new(warm_up))
        .name("recorder")
        .write_json_lines(output);
}
