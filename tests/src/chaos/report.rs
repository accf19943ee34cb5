//! How scenarios went.

use std::{fmt, time::Duration};

/// How a scenario went.
#[derive(Debug)]
pub struct Report {
    pub(super) seed: u64,
    pub(super) program: &'static str,
    pub(super) steps: usize,
    pub(super) skipped: usize,
    pub(super) jobs: usize,
    pub(super) checkpoints: u64,
    pub(super) failures: u64,
    pub(super) lines: i64,
    pub(super) took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, program, steps, skipped, jobs, checkpoints, failures, lines, took } = self;
        write!(
            f,
            "seed {seed}: {program}: {} disturbances ({skipped} came too late), {jobs} jobs, {checkpoints} checkpoints, \
             {failures} failures, {lines} lines, {:.1} s",
            steps - skipped,
            took.as_secs_f64()
        )
    }
}
