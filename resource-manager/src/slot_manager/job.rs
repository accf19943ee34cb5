//! What a job needs and what it was given.

use std::collections::BTreeMap;

use flott_core::{
    id::{AllocationId, JobMasterEpoch},
    resource::ResourceProfile,
    view::PendingReason,
};

use super::worker::WorkerNumber;
use crate::time::Time;

/// A job's place in the order of service: that of its first declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival(pub(super) u64);

/// A job that has declared needs.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) epoch: JobMasterEpoch,
    pub(super) arrival: Arrival,
    pub(super) needs: BTreeMap<ResourceProfile, u32>,
    pub(super) useful_min: u32,
    pub(super) idle: bool,
    pub(super) reconciling: bool,
    /// What counts as given: asked for at a worker, or held.
    pub(super) grants: BTreeMap<AllocationId, (WorkerNumber, ResourceProfile)>,
    counts: BTreeMap<ResourceProfile, u32>,
    /// Grants per worker.
    pub(super) on_worker: BTreeMap<WorkerNumber, u32>,
    /// Since when something is missing.
    pub(super) short_since: Option<Time>,
    /// What was last said about that.
    pub(super) said: Vec<PendingReason>,
}

impl Job {
    pub(super) const fn new(epoch: JobMasterEpoch, arrival: Arrival) -> Self {
        Self {
            epoch,
            arrival,
            needs: BTreeMap::new(),
            useful_min: 0,
            idle: false,
            reconciling: false,
            grants: BTreeMap::new(),
            counts: BTreeMap::new(),
            on_worker: BTreeMap::new(),
            short_since: None,
            said: Vec::new(),
        }
    }

    pub(super) fn give(&mut self, allocation: AllocationId, worker: WorkerNumber, demand: ResourceProfile) {
        let before = self.grants.insert(allocation, (worker, demand));
        debug_assert!(before.is_none(), "{allocation} is given twice");
        *self.counts.entry(demand).or_default() += 1;
        *self.on_worker.entry(worker).or_default() += 1;
    }

    pub(super) fn take(&mut self, allocation: AllocationId) {
        if let Some((worker, demand)) = self.grants.remove(&allocation) {
            decrement(&mut self.counts, demand);
            decrement(&mut self.on_worker, worker);
        }
    }

    /// How many grants of `demand` there are.
    pub(super) fn count(&self, demand: &ResourceProfile) -> u32 {
        self.counts.get(demand).copied().unwrap_or(0)
    }

    /// What is needed and not given.
    pub(super) fn missing(&self) -> BTreeMap<ResourceProfile, u32> {
        let lack = |(demand, count): (&ResourceProfile, &u32)| {
            let lack = count.saturating_sub(self.count(demand));
            (lack > 0).then_some((*demand, lack))
        };
        self.needs.iter().filter_map(lack).collect()
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
