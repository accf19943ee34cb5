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
    /// What it would use beyond that, in this order. Workers are started for the first.
    pub(super) wished: BTreeMap<ResourceProfile, u32>,
    pub(super) welcome: BTreeMap<ResourceProfile, u32>,
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
            wished: BTreeMap::new(),
            welcome: BTreeMap::new(),
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

    /// Whether there may be slots that it would use beyond its needs.
    pub(super) fn has_wishes(&self) -> bool {
        !self.wished.is_empty() || !self.welcome.is_empty()
    }

    /// How many slots of `demand` may be given to it at most.
    pub(super) fn limit(&self, demand: &ResourceProfile) -> u32 {
        let all = [&self.needs, &self.wished, &self.welcome];
        all.iter().filter_map(|counts| counts.get(demand)).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What it would use beyond its needs and is not given.
    pub(super) fn lacking(&self) -> BTreeMap<ResourceProfile, u32> {
        self.beyond_needs(self.wished.keys().chain(self.welcome.keys()), |demand| self.limit(demand))
    }

    /// The part of this that workers are started for.
    pub(super) fn wished_lacking(&self) -> BTreeMap<ResourceProfile, u32> {
        let limit = |demand: &ResourceProfile| self.need(demand).saturating_add(self.wished[demand]);
        self.beyond_needs(self.wished.keys(), limit)
    }

    fn need(&self, demand: &ResourceProfile) -> u32 {
        self.needs.get(demand).copied().unwrap_or(0)
    }

    fn beyond_needs<'a>(
        &self,
        demands: impl Iterator<Item = &'a ResourceProfile>,
        limit: impl Fn(&ResourceProfile) -> u32,
    ) -> BTreeMap<ResourceProfile, u32> {
        // What is missing of its needs is no wish.
        let lack = |demand: &ResourceProfile| limit(demand).saturating_sub(self.count(demand).max(self.need(demand)));
        demands.map(|demand| (*demand, lack(demand))).filter(|(_, lack)| *lack > 0).collect()
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
