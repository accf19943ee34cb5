//! Slots that a job gathers while it runs, for the time when it is rescaled: those that it needs for that, and those that
//! it would use if it had them.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    id::{AllocationId, WorkerKey},
    message::SlotGrant,
    resource::ResourceProfile,
};

use super::{HeldSlot, SlotPool, SlotSharing};
use crate::index::SharedSlotIndex;

/// What is gathered, and how much of it there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Reserve {
    wanted: BTreeMap<ResourceProfile, u32>,
    /// What would be used on top of that.
    wishes: Wishes,
    held: BTreeMap<AllocationId, (WorkerKey, ResourceProfile)>,
}

impl Reserve {
    /// Whose a slot of the reserve is.
    pub(super) fn holder(&self, allocation: AllocationId) -> Option<&WorkerKey> {
        self.held.get(&allocation).map(|(worker, _)| worker)
    }

    fn count(&self, profile: &ResourceProfile) -> u32 {
        self.held.values().filter(|(_, held)| held == profile).count() as u32
    }

    /// How many there may be of a profile.
    fn limit(&self, profile: &ResourceProfile) -> u32 {
        let counts = [&self.wanted, &self.wishes.wished, &self.wishes.welcome];
        counts.iter().filter_map(|counts| counts.get(profile)).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Takes a slot, if one that it can serve as is missing.
    pub(super) fn offer(&mut self, worker: &WorkerKey, grant: &SlotGrant) -> bool {
        let profiles = [&self.wanted, &self.wishes.wished, &self.wishes.welcome].into_iter().flat_map(BTreeMap::keys);
        let lacking: BTreeSet<_> =
            profiles.filter(|profile| self.count(profile) < self.limit(profile)).copied().collect();
        let exact = lacking.get(&grant.profile);
        let Some(profile) = exact.or_else(|| lacking.iter().rfind(|profile| grant.profile.covers(profile))).copied()
        else {
            return false;
        };
        self.held.insert(grant.allocation, (worker.clone(), profile));
        true
    }
}

/// Slots that a job would use beyond those that it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// TaskManagers may be started for these.
    pub wished: BTreeMap<ResourceProfile, u32>,
    /// For these, on top, they are not.
    pub welcome: BTreeMap<ResourceProfile, u32>,
}

/// A slot that serves as one of `profile`.
type Place = (HeldSlot, ResourceProfile);

impl SlotPool {
    /// Asks for slots on top of what is wanted, in place of what was asked for so before.
    pub fn reserve(&mut self, extra: BTreeMap<ResourceProfile, u32>) {
        let before = std::mem::replace(&mut self.reserve.wanted, extra);
        for (profile, count) in before {
            let needed = self.needs.get(&profile).copied().unwrap_or(0).saturating_sub(count);
            self.needs.insert(profile, needed);
        }
        for (profile, count) in &self.reserve.wanted {
            *self.needs.entry(*profile).or_default() += count;
        }
        self.needs.retain(|_, count| *count > 0);
    }

    /// How many slots of each profile were asked for by [`reserve`](Self::reserve).
    pub fn reserved(&self) -> &BTreeMap<ResourceProfile, u32> {
        &self.reserve.wanted
    }

    /// Says what would be used beyond what is needed, in place of what was said before. What the reserve has beyond all that is
    /// returned: it is to be given back.
    pub fn wish(&mut self, wishes: Wishes) -> Vec<HeldSlot> {
        self.reserve.wishes = wishes;
        let mut counts: BTreeMap<ResourceProfile, u32> = BTreeMap::new();
        let surplus = self.reserve.held.iter().filter(|(_, (_, profile))| {
            let count = counts.entry(*profile).or_default();
            *count += 1;
            *count > self.reserve.limit(profile)
        });
        let surplus: Vec<_> = surplus.map(|(allocation, _)| *allocation).collect();
        let held = surplus.into_iter().filter_map(|allocation| {
            let (worker, _) = self.reserve.held.remove(&allocation)?;
            Some(HeldSlot { allocation, worker })
        });
        let held: Vec<_> = held.collect();
        held.into_iter().map(|held| self.give_back(held)).collect()
    }

    /// What would be used beyond what is needed.
    pub fn wishes(&self) -> &Wishes {
        &self.reserve.wishes
    }

    /// Whether there are slots that nothing runs on.
    pub fn has_reserve(&self) -> bool {
        !self.reserve.held.is_empty()
    }

    /// A slot of the reserve is gone; `false` if there is none of this name.
    pub fn lose_reserved(&mut self, allocation: AllocationId) -> bool {
        let is_lost = self.reserve.held.remove(&allocation).is_some();
        if is_lost {
            self.gone.insert(allocation);
        }
        is_lost
    }

    /// All slots of the reserve on `worker` are gone.
    pub fn lose_reserved_on(&mut self, worker: &WorkerKey) {
        let lost: Vec<_> =
            self.reserve.held.iter().filter(|(_, (on, _))| on == worker).map(|(allocation, _)| *allocation).collect();
        for allocation in lost {
            self.lose_reserved(allocation);
        }
    }

    /// Whether the reserve has a slot on `worker`.
    pub fn reserves_on(&self, worker: &WorkerKey) -> bool {
        self.reserve.held.values().any(|(on, _)| on == worker)
    }

    /// Uses a slot of the reserve for one that is missing, if it serves, from a TaskManager that is `preferred` if it can be;
    /// says for which, and where it is.
    pub fn use_reserved(&mut self, preferred: impl Fn(&WorkerKey) -> bool) -> Option<(SharedSlotIndex, WorkerKey)> {
        if self.reserve.held.is_empty() {
            return None;
        }
        let serves = |(_, (_, profile)): &(&AllocationId, &(WorkerKey, ResourceProfile))| {
            self.missing.get(profile).is_some_and(|slots| !slots.is_empty())
        };
        let found = self.reserve.held.iter().filter(serves).max_by_key(|(_, (worker, _))| preferred(worker));
        let (allocation, (worker, profile)) = found.map(|(allocation, held)| (*allocation, held.clone()))?;
        let slot = *self.missing.get(&profile)?.first()?;
        self.reserve.held.remove(&allocation);
        self.put(slot, HeldSlot { allocation, worker: worker.clone() });
        self.index_missing(slot);
        Some((slot, worker))
    }

    /// How many slots there are of each profile on TaskManagers that `is_up`, the reserve included.
    pub fn held_where(&self, is_up: impl Fn(&WorkerKey) -> bool) -> BTreeMap<ResourceProfile, u32> {
        let mut counts = BTreeMap::new();
        let own = self.entries.iter().filter_map(|(slot, entry)| {
            entry.held.as_ref().map(|held| (&held.worker, self.sharing.slot(slot).profile))
        });
        let reserved = self.reserve.held.values().map(|(worker, profile)| (worker, *profile));
        for (_, profile) in own.chain(reserved).filter(|(worker, _)| is_up(worker)) {
            *counts.entry(profile).or_default() += 1;
        }
        counts
    }

    /// Gives the slots that there are to another division of the job. A slot stays with its subtask where that goes on to be,
    /// and TaskManagers that are `preferred` come before others. What is left over is the reserve, until [`wish`](Self::wish) says
    /// that it is not wanted.
    pub fn reshare(&mut self, sharing: SlotSharing, preferred: impl Fn(&WorkerKey) -> bool) {
        let mut next = Self::new(sharing);
        next.gone = std::mem::replace(&mut self.gone, crate::bounded::Recent::new(super::GONE_MAX));
        let mut own: BTreeMap<(String, u32), Place> = BTreeMap::new();
        for (slot, entry) in self.entries.iter() {
            let shared = self.sharing.slot(slot);
            if let Some(held) = &entry.held {
                own.insert((shared.group.clone(), shared.subtask), (held.clone(), shared.profile));
            }
        }
        let mut open = Vec::new();
        for slot in next.sharing.keys() {
            let shared = next.sharing.slot(slot);
            let place = (shared.group.clone(), shared.subtask);
            match own.remove(&place) {
                Some((held, profile)) if profile == shared.profile && preferred(&held.worker) => next.put(slot, held),
                Some(other) => {
                    own.insert(place, other);
                    open.push(slot);
                }
                None => open.push(slot),
            }
        }
        let reserved = std::mem::take(&mut self.reserve.held).into_iter();
        let reserved = reserved.map(|(allocation, (worker, profile))| (HeldSlot { allocation, worker }, profile));
        let mut rest: Vec<Place> = own.into_values().chain(reserved).collect();
        // The order among equals stays: places of the job come before the reserve.
        rest.sort_by_key(|(held, _)| !preferred(&held.worker));
        for slot in open {
            let profile = next.sharing.slot(slot).profile;
            if let Some(found) = rest.iter().position(|(_, offered)| *offered == profile) {
                next.put(slot, rest.remove(found).0);
            }
        }
        let rest = rest.into_iter().map(|(held, profile)| (held.allocation, (held.worker, profile)));
        next.reserve.held = rest.collect();
        *self = next;
    }

    fn put(&mut self, slot: SharedSlotIndex, held: HeldSlot) {
        self.by_allocation.insert(held.allocation, slot);
        self.by_worker.entry(held.worker.clone()).or_default().insert(slot);
        self.entries[slot].held = Some(held);
        // It counts as given to the job, so it must count as needed too: else it would stand for one that is missing.
        self.count_wanted(slot);
    }

    fn give_back(&mut self, held: HeldSlot) -> HeldSlot {
        self.gone.insert(held.allocation);
        held
    }
}
