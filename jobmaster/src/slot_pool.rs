//! The slots of one job: which shared slots are wanted, and which allocation each of them has.
//!
//! The pool is declarative. The scheduler says which shared slots it wants, and [`SlotPool::needs`] is the whole of it,
//! to be declared to the ResourceManager whenever it changes; what is offered then is taken if it serves something that
//! is missing, and refused otherwise. A taken slot stays with its shared slot over restarts, until it is lost or the
//! shared slot is not wanted any more.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    id::{AllocationId, WorkerKey},
    message::SlotGrant,
    resource::ResourceProfile,
};

mod reserve;
mod sharing;

use reserve::Reserve;
pub use reserve::Wishes;
pub use sharing::{SharedSlot, SlotSharing};

use crate::{
    bounded::Recent,
    index::{SharedSlotIndex, Table},
    time::Millis,
};

/// Allocations that are remembered as gone, so that a late offer of one is refused.
const GONE_MAX: usize = 4096;

/// A slot that the job has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSlot {
    /// The allocation.
    pub allocation: AllocationId,
    /// Its TaskManager.
    pub worker: WorkerKey,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    /// Since when it is waited for; `None` when it is not wanted, or its subtasks are deployed.
    since: Option<Millis>,
    wanted: bool,
    held: Option<HeldSlot>,
}

/// What became of an offered slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Taken, for this shared slot.
    Accepted(SharedSlotIndex),
    /// Taken, for when the job is rescaled.
    Reserved,
    /// It was taken before; the answer is repeated.
    Known,
    /// Nothing is missing that it could serve, or it was gone before.
    Rejected,
}

/// The slots of one job.
#[derive(Debug, Clone)]
pub struct SlotPool {
    sharing: SlotSharing,
    entries: Table<SharedSlotIndex, Entry>,
    by_allocation: BTreeMap<AllocationId, SharedSlotIndex>,
    by_worker: BTreeMap<WorkerKey, BTreeSet<SharedSlotIndex>>,
    missing: BTreeMap<ResourceProfile, BTreeSet<SharedSlotIndex>>,
    missing_since: BTreeSet<(Millis, SharedSlotIndex)>,
    needs: BTreeMap<ResourceProfile, u32>,
    reserve: Reserve,
    gone: Recent<AllocationId>,
}

impl SlotPool {
    /// Wants nothing yet.
    pub fn new(sharing: SlotSharing) -> Self {
        Self {
            entries: Table::new(vec![Entry::default(); sharing.len()]),
            sharing,
            by_allocation: BTreeMap::new(),
            by_worker: BTreeMap::new(),
            missing: BTreeMap::new(),
            missing_since: BTreeSet::new(),
            needs: BTreeMap::new(),
            reserve: Reserve::default(),
            gone: Recent::new(GONE_MAX),
        }
    }

    /// Which subtasks share slots.
    pub fn sharing(&self) -> &SlotSharing {
        &self.sharing
    }

    /// Everything that is wanted, held or not, by profile.
    pub fn needs(&self) -> &BTreeMap<ResourceProfile, u32> {
        &self.needs
    }

    /// What is wanted and not held, by profile.
    pub fn missing(&self) -> impl Iterator<Item = (ResourceProfile, u32)> {
        self.missing.iter().map(|(profile, slots)| (*profile, slots.len() as u32))
    }

    /// Since when the slot that has been missing longest is waited for.
    pub fn missing_since(&self) -> Option<Millis> {
        self.missing_since.first().map(|(since, _)| *since)
    }

    /// The slot that a shared slot has.
    pub fn held(&self, slot: SharedSlotIndex) -> Option<&HeldSlot> {
        self.entries[slot].held.as_ref()
    }

    /// Whose allocation this is.
    pub fn holder(&self, allocation: AllocationId) -> Option<SharedSlotIndex> {
        self.by_allocation.get(&allocation).copied()
    }

    /// Shared slots that have their slot on `worker`.
    pub fn on_worker(&self, worker: &WorkerKey) -> impl Iterator<Item = SharedSlotIndex> {
        self.by_worker.get(worker).into_iter().flatten().copied()
    }

    /// TaskManagers that the job holds slots of, with the number of them.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerKey, usize)> {
        self.by_worker.iter().map(|(worker, slots)| (worker, slots.len()))
    }

    /// Asks for a slot, or begins a new wait for one that is wanted already.
    pub fn want(&mut self, slot: SharedSlotIndex, now: Millis) {
        self.count_wanted(slot);
        let entry = &mut self.entries[slot];
        // The wait of a slot that is missing goes on, however often it is asked for.
        if entry.since.is_none() {
            entry.since = Some(now);
        }
        self.index_missing(slot);
    }

    fn count_wanted(&mut self, slot: SharedSlotIndex) {
        let entry = &mut self.entries[slot];
        if !entry.wanted {
            entry.wanted = true;
            *self.needs.entry(self.sharing.slot(slot).profile).or_default() += 1;
        }
    }

    fn index_missing(&mut self, slot: SharedSlotIndex) {
        let entry = &self.entries[slot];
        let profile = self.sharing.slot(slot).profile;
        if entry.wanted && entry.held.is_none() {
            self.missing.entry(profile).or_default().insert(slot);
            if let Some(since) = entry.since {
                self.missing_since.insert((since, slot));
            }
            return;
        }
        if let Some(missing) = self.missing.get_mut(&profile) {
            missing.remove(&slot);
            if missing.is_empty() {
                self.missing.remove(&profile);
            }
        }
        if let Some(since) = entry.since {
            self.missing_since.remove(&(since, slot));
        }
    }

    /// The wait for a slot is over: what runs in it is deployed. If it is lost later, a new wait begins then.
    pub fn settle(&mut self, slot: SharedSlotIndex) {
        debug_assert!(self.entries[slot].held.is_some(), "what is deployed has a slot");
        self.entries[slot].since = None;
    }

    /// A shared slot is not wanted any more. Its slot, if it has one, is kept and still counts as needed: it is given up
    /// when it is lost, or when the job ends.
    pub fn stop_waiting(&mut self, slot: SharedSlotIndex) {
        if self.entries[slot].held.is_none() {
            self.unwant(slot);
        }
    }

    fn unwant(&mut self, slot: SharedSlotIndex) {
        let entry = &mut self.entries[slot];
        if !entry.wanted {
            return;
        }
        entry.wanted = false;
        let profile = self.sharing.slot(slot).profile;
        if let Some(count) = self.needs.get_mut(&profile) {
            *count -= 1;
            if *count == 0 {
                self.needs.remove(&profile);
            }
        }
        self.index_missing(slot);
        self.entries[slot].since = None;
    }

    /// Decides on an offered slot. Offers are repeated until they are answered, so the answer is repeated too.
    pub fn offer(&mut self, worker: &WorkerKey, grant: &SlotGrant) -> Answer {
        if let Some(slot) = self.by_allocation.get(&grant.allocation) {
            let same = self.entries[*slot].held.as_ref().is_some_and(|held| held.worker == *worker);
            return if same { Answer::Known } else { Answer::Rejected };
        }
        if let Some(known) = self.reserve.holder(grant.allocation) {
            return if known == worker { Answer::Known } else { Answer::Rejected };
        }
        if self.gone.contains(&grant.allocation) {
            return Answer::Rejected;
        }
        let Some(slot) = self.match_grant(&grant.profile) else {
            if self.reserve.offer(worker, grant) {
                return Answer::Reserved;
            }
            self.gone.insert(grant.allocation);
            return Answer::Rejected;
        };
        self.entries[slot].held = Some(HeldSlot { allocation: grant.allocation, worker: worker.clone() });
        self.index_missing(slot);
        self.by_allocation.insert(grant.allocation, slot);
        self.by_worker.entry(worker.clone()).or_default().insert(slot);
        Answer::Accepted(slot)
    }

    /// Takes over a slot that an earlier JobMaster had for this shared slot; `false` if there is another already.
    pub fn adopt(&mut self, slot: SharedSlotIndex, worker: &WorkerKey, allocation: AllocationId) -> bool {
        let held = HeldSlot { allocation, worker: worker.clone() };
        if let Some(known) = &self.entries[slot].held {
            return *known == held;
        }
        if self.by_allocation.contains_key(&allocation) {
            return false;
        }
        self.entries[slot].held = Some(held);
        self.index_missing(slot);
        self.by_allocation.insert(allocation, slot);
        self.by_worker.entry(worker.clone()).or_default().insert(slot);
        true
    }

    /// The missing shared slot that a slot of `profile` serves best: one that asked for just this, else the largest that
    /// it covers.
    fn match_grant(&self, profile: &ResourceProfile) -> Option<SharedSlotIndex> {
        let first = |slots: &BTreeSet<SharedSlotIndex>| slots.first().copied();
        if let Some(slots) = self.missing.get(profile) {
            return first(slots);
        }
        self.missing.iter().rev().find(|(wanted, _)| profile.covers(wanted)).and_then(|(_, slots)| first(slots))
    }

    /// A slot is gone. `still_wanted` says whether another is to be asked for in its place.
    pub fn lose(&mut self, slot: SharedSlotIndex, still_wanted: bool, now: Millis) -> Option<HeldSlot> {
        let held = self.entries[slot].held.take()?;
        self.by_allocation.remove(&held.allocation);
        if let Some(slots) = self.by_worker.get_mut(&held.worker) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_worker.remove(&held.worker);
            }
        }
        self.gone.insert(held.allocation);
        if still_wanted {
            self.want(slot, now);
        } else {
            self.unwant(slot);
        }
        Some(held)
    }

    /// Whether the job asks for all that it has: what it has beyond that would count against what it misses.
    ///
    /// # Errors
    /// What it has beyond that.
    #[cfg(any(test, feature = "testing"))]
    pub fn check(&self) -> Result<(), String> {
        let mut wanted = self.reserved().clone();
        for (slot, entry) in self.entries.iter() {
            if entry.wanted {
                *wanted.entry(self.sharing.slot(slot).profile).or_default() += 1;
            } else if let Some(held) = &entry.held {
                return Err(format!("shared slot {} has {} and is not wanted", slot.0, held.allocation));
            }
        }
        if wanted == self.needs { Ok(()) } else { Err(format!("{:?} are declared, not {wanted:?}", self.needs)) }
    }

    /// Allocations on `worker`.
    pub fn allocations_on(&self, worker: &WorkerKey) -> Vec<AllocationId> {
        self.on_worker(worker).filter_map(|slot| self.held(slot)).map(|held| held.allocation).collect()
    }

    /// Remembers that an allocation which is not held is gone.
    pub fn forget(&mut self, allocation: AllocationId) {
        self.gone.insert(allocation);
    }

    /// Gives up everything: the job has ended.
    pub fn clear(&mut self) {
        let sharing = self.sharing.clone();
        let gone = std::mem::replace(&mut self.gone, Recent::new(GONE_MAX));
        *self = Self { gone, ..Self::new(sharing) };
    }
}
