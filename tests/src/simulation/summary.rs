//! What has happened, in numbers: a history in which too little happens proves nothing.

use std::collections::BTreeMap;

use super::stale::Stale;

/// What a history came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Things that happened.
    pub happenings: u64,
    /// Jobs by how they ended.
    pub finished: u32,
    /// Failed, as their restart strategy wanted.
    pub failed: u32,
    /// Cancelled.
    pub canceled: u32,
    /// Workers that the slot manager gave up or released.
    pub workers_lost: u64,
    /// Scales that jobs have reached by themselves, as they were made durable.
    pub scales: u64,
    /// Checkpoints that were made durable.
    pub checkpoints: u64,
    /// Savepoints that were asked for, and are there.
    pub savepoints: u32,
    /// Changes of the parallelism that were asked for, and are through.
    pub rescales: u32,
    /// JobManagers that have followed another.
    pub leaders: u32,
    /// JobMasters that have learned from the log of checkpoints that another leads.
    pub deposed: u32,
    /// Jobs that have stopped with a savepoint, and were started from it.
    pub continued: u32,
    /// Job processes that were taken over from an earlier JobMaster.
    pub taken_over: u32,
    /// What JobManagers were asked that were deposed, and have refused.
    pub refused: u32,
    /// Messages that were over when they came, by what of them was.
    pub stale: BTreeMap<Stale, u64>,
    /// Jobs that have ended and left checkpoints or state files, all of which were removed.
    pub removed: u32,
    /// Savepoints that were given up, and of which all files were removed.
    pub abandoned: u32,
    /// Jobs that a JobManager has found no checkpoints of, where there were some.
    pub unmounted: u32,
    /// JobMasters that have stepped aside.
    pub asides: u32,
}

impl Summary {
    /// Counts what has happened in another history too.
    pub fn add(&mut self, other: &Self) {
        let Self { simulated_ms, happenings, workers_lost, scales, checkpoints, .. } = other;
        self.simulated_ms += simulated_ms;
        self.happenings += happenings;
        self.workers_lost += workers_lost;
        self.scales += scales;
        self.checkpoints += checkpoints;
        let Self { finished, failed, canceled, savepoints, rescales, leaders, deposed, continued, taken_over, .. } =
            other;
        self.finished += finished;
        self.failed += failed;
        self.canceled += canceled;
        self.savepoints += savepoints;
        self.rescales += rescales;
        self.leaders += leaders;
        self.deposed += deposed;
        self.continued += continued;
        self.taken_over += taken_over;
        let Self { stale, refused, removed, abandoned, unmounted, asides, .. } = other;
        stale.iter().for_each(|(kind, count)| *self.stale.entry(*kind).or_default() += count);
        self.refused += refused;
        self.removed += removed;
        self.abandoned += abandoned;
        self.unmounted += unmounted;
        self.asides += asides;
    }

    /// The kinds of what is over of which nothing was heard.
    pub fn unheard(&self) -> Vec<Stale> {
        Stale::ALL.into_iter().filter(|kind| !self.stale.contains_key(kind)).collect()
    }
}
