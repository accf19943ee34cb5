//! How often checkpoints are taken, and how long they may take.

use std::time::Duration;

use flott_core::{
    checkpoint::Overtaking,
    config::{Configuration, keys::checkpointing},
    job_graph::ExecutionMode,
};

use crate::spec::JobSpec;

/// The settings of a job's checkpoints; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From the beginning of one to that of the next; `None`: only on request.
    pub interval: Option<u64>,
    /// Least time from the end of one to the beginning of the next.
    pub min_pause: u64,
    /// After which one is given up.
    pub timeout: u64,
    /// That may be under way at a time.
    pub concurrent_max: u32,
    /// That may fail in a row; `None`: all.
    pub tolerable: Option<u32>,
    /// Complete ones that are kept.
    pub retained: usize,
    /// Whether barriers of checkpoints go past records that wait.
    pub overtaking: Overtaking,
}

impl Settings {
    /// Those of a job. One in batch mode takes none: it starts over. Nor does one without a directory for them.
    pub fn of(spec: &JobSpec) -> Self {
        // A configuration is checked where it is taken in: what does not parse is not there.
        let configuration = Configuration::try_from(spec.configuration.clone()).unwrap_or_default();
        let may = spec.graph.mode == ExecutionMode::Streaming && spec.snapshots.directory.is_some();
        let interval = millis(configuration.get(&checkpointing::INTERVAL));
        Self {
            interval: (may && interval > 0).then_some(interval),
            min_pause: millis(configuration.get(&checkpointing::MIN_PAUSE)),
            timeout: millis(configuration.get(&checkpointing::TIMEOUT)),
            concurrent_max: configuration.get(&checkpointing::MAX_CONCURRENT),
            tolerable: configuration.get(&checkpointing::TOLERABLE_FAILED),
            retained: configuration.get(&checkpointing::NUM_RETAINED) as usize,
            overtaking: match millis(configuration.get(&checkpointing::ALIGNED_TIMEOUT)) {
                _ if !configuration.get(&checkpointing::UNALIGNED) => Overtaking::Never,
                0 => Overtaking::Now,
                ms => Overtaking::After { ms },
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
