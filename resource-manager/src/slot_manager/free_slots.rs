//! Slots that can be given now, and which of them to give.
//!
//! A job's tasks talk to each other, and a job has one process per worker: so by default a job is packed onto few
//! workers, those first where it is already. Spread instead, it takes from each worker in turn.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use flott_core::{id::SlotIndex, resource::ResourceProfile};

use super::{classes::Classes, worker::WorkerNumber};

/// A slot chosen for a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) worker: WorkerNumber,
    pub(super) slot: SlotIndex,
    pub(super) offers: ResourceProfile,
    pub(super) demand: ResourceProfile,
}

type OnWorkers = BTreeMap<WorkerNumber, BTreeSet<SlotIndex>>;

/// Free slots by size, then by worker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FreeSlots {
    classes: BTreeMap<ResourceProfile, OnWorkers>,
    count: u64,
}

impl FreeSlots {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Whether every one of them serves every demand.
    pub(super) fn all_cover(&self, needs: &BTreeMap<ResourceProfile, u32>) -> bool {
        self.classes.keys().all(|offers| needs.keys().all(|demand| offers.covers(demand)))
    }

    /// How many there are of each size.
    pub(super) fn classes(&self) -> Classes {
        let mut classes = Classes::default();
        for (size, class) in &self.classes {
            classes.add(*size, class.values().map(|slots| slots.len() as u64).sum());
        }
        classes
    }

    pub(super) fn insert(&mut self, worker: WorkerNumber, slot: SlotIndex, offers: ResourceProfile) {
        if self.classes.entry(offers).or_default().entry(worker).or_default().insert(slot) {
            self.count += 1;
        }
    }

    pub(super) fn remove(&mut self, worker: WorkerNumber, slot: SlotIndex, offers: ResourceProfile) {
        let Some(class) = self.classes.get_mut(&offers) else {
            return;
        };
        let Some(slots) = class.get_mut(&worker) else { return };
        if slots.remove(&slot) {
            self.count -= 1;
        }
        if slots.is_empty() {
            class.remove(&worker);
        }
        if class.is_empty() {
            self.classes.remove(&offers);
        }
    }

    /// Takes as many slots for `needs` as there are, great demands first and from the smallest slots that serve.
    /// `presence` is how many slots the job has on which worker.
    pub(super) fn take(
        &mut self,
        needs: &BTreeMap<ResourceProfile, u32>,
        presence: &BTreeMap<WorkerNumber, u32>,
        spread: bool,
    ) -> Vec<Pick> {
        let mut presence = presence.clone();
        let mut picks = Vec::new();
        for (demand, count) in needs.iter().rev() {
            let mut wanted = *count as usize;
            let sizes: Vec<_> = self.classes.keys().filter(|offers| offers.covers(demand)).copied().collect();
            for offers in sizes {
                let Some(class) = self.classes.get(&offers).filter(|_| wanted > 0) else {
                    continue;
                };
                let chosen = if spread {
                    choose_spread(class, &presence, wanted)
                } else {
                    choose_packed(class, &presence, wanted)
                };
                wanted -= chosen.len();
                for (worker, slot) in chosen {
                    self.remove(worker, slot, offers);
                    *presence.entry(worker).or_default() += 1;
                    picks.push(Pick { worker, slot, offers, demand: *demand });
                }
            }
        }
        picks
    }

    /// Puts back what was taken.
    pub(super) fn put_back(&mut self, picks: &[Pick]) {
        for pick in picks {
            self.insert(pick.worker, pick.slot, pick.offers);
        }
    }
}

/// Workers that the job is on first, those with most of it before others; then the fewest workers that do.
fn choose_packed(
    class: &OnWorkers,
    presence: &BTreeMap<WorkerNumber, u32>,
    wanted: usize,
) -> Vec<(WorkerNumber, SlotIndex)> {
    let mut chosen = Vec::with_capacity(wanted.min(1024));
    let mut take = |worker: WorkerNumber, slots: &BTreeSet<SlotIndex>| {
        let room = wanted - chosen.len();
        chosen.extend(slots.iter().take(room).map(|slot| (worker, *slot)));
        wanted - chosen.len()
    };
    let mut left = wanted;
    let mut familiar: Vec<_> = presence.iter().filter(|(worker, _)| class.contains_key(worker)).collect();
    familiar.sort_by_key(|(worker, count)| (Reverse(**count), **worker));
    for (worker, _) in familiar {
        if let Some(slots) = class.get(worker).filter(|_| left > 0) {
            left = take(*worker, slots);
        }
    }
    if left == 0 {
        return chosen;
    }
    let strangers = class.iter().filter(|(worker, _)| !presence.contains_key(worker));
    let mut by_room: BTreeSet<_> = strangers.map(|(worker, slots)| (slots.len(), *worker)).collect();
    while left > 0 {
        // The tightest fit for what is left, else the roomiest worker (the earliest of equals).
        let fit = by_room.range((left, WorkerNumber::default())..).next().copied();
        let roomiest = || by_room.last().and_then(|(room, _)| by_room.range((*room, WorkerNumber::default())..).next());
        let Some(next) = fit.or_else(|| roomiest().copied()) else {
            break;
        };
        by_room.remove(&next);
        if let Some(slots) = class.get(&next.1) {
            left = take(next.1, slots);
        }
    }
    chosen
}

/// One slot at a time from the worker that has least of the job, then from the one with most room.
fn choose_spread(
    class: &OnWorkers,
    presence: &BTreeMap<WorkerNumber, u32>,
    wanted: usize,
) -> Vec<(WorkerNumber, SlotIndex)> {
    let on = |worker: &WorkerNumber| presence.get(worker).copied().unwrap_or(0);
    let mut left: BTreeMap<_, _> = class.iter().map(|(worker, slots)| (*worker, slots.iter())).collect();
    let mut order: BTreeSet<_> =
        class.iter().map(|(worker, slots)| (on(worker), Reverse(slots.len()), *worker)).collect();
    let mut chosen = Vec::with_capacity(wanted.min(1024));
    while chosen.len() < wanted {
        let Some((count, Reverse(room), worker)) = order.pop_first() else {
            break;
        };
        if let Some(slot) = left.get_mut(&worker).and_then(Iterator::next) {
            chosen.push((worker, *slot));
        }
        if room > 1 {
            order.insert((count + 1, Reverse(room - 1), worker));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `rooms` are free slots per worker, `presence` slots the job has there; `expected` slots taken per worker.
    #[track_caller]
    fn check(spread: bool, rooms: &[u32], presence: &[u32], wanted: u32, expected: &[u32]) {
        let mut free = FreeSlots::default();
        for (worker, room) in (0..).map(WorkerNumber).zip(rooms) {
            (0..*room).for_each(|slot| free.insert(worker, SlotIndex(slot), ResourceProfile::ANY));
        }
        let on = (0..).map(WorkerNumber).zip(presence.iter().copied()).filter(|(_, count)| *count > 0).collect();
        let picks = free.take(&[(ResourceProfile::ANY, wanted)].into(), &on, spread);
        let taken = |worker| picks.iter().filter(|pick| pick.worker == WorkerNumber(worker)).count() as u32;
        assert_eq!((0..rooms.len() as u64).map(taken).collect::<Vec<_>>(), expected);
        assert_eq!(free.count(), rooms.iter().sum::<u32>() as u64 - expected.iter().sum::<u32>() as u64);
        let distinct: BTreeSet<_> = picks.iter().map(|pick| (pick.worker, pick.slot)).collect();
        assert_eq!(distinct.len(), picks.len());
    }

    #[test]
    fn packed_jobs_go_where_they_are_and_then_onto_few_workers() {
        check(false, &[4, 4, 4], &[0, 1, 0], 3, &[0, 3, 0]);
        check(false, &[4, 4, 4], &[0, 1, 2], 6, &[0, 2, 4]);
        check(false, &[1, 4, 2], &[], 2, &[0, 0, 2]);
        check(false, &[1, 4, 2], &[], 5, &[1, 4, 0]);
        check(false, &[1, 4, 2], &[], 9, &[1, 4, 2]);
        check(false, &[4, 4], &[], 1, &[1, 0]);
    }

    #[test]
    fn spread_jobs_take_from_each_worker_in_turn() {
        check(true, &[4, 4, 4], &[], 6, &[2, 2, 2]);
        check(true, &[4, 4, 4], &[0, 2, 0], 4, &[2, 0, 2]);
        check(true, &[1, 4, 4], &[], 7, &[1, 3, 3]);
        check(true, &[2, 4], &[], 1, &[0, 1]);
    }

    #[test]
    fn demands_take_the_smallest_slots_that_serve() {
        let size = |memory_bytes| ResourceProfile { cpu_millicores: 0, memory_bytes };
        let mut free = FreeSlots::default();
        for (slot, memory) in [4, 1, 2].into_iter().enumerate() {
            free.insert(WorkerNumber(0), SlotIndex(slot as u32), size(memory));
        }
        let picks = free.take(&[(size(0), 1), (size(2), 1)].into(), &BTreeMap::new(), false);
        let sizes: Vec<_> = picks.iter().map(|pick| (pick.demand.memory_bytes, pick.offers.memory_bytes)).collect();
        assert_eq!(sizes, [(2, 2), (0, 1)]);
    }
}
