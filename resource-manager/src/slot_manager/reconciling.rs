//! A worker's own list of its slots, compared with what is known here.
//!
//! What the worker has and nobody here knows is freed. What is known here and the worker does not have is asked for
//! again, or given up. A heartbeat may have been sent before the latest request arrived, so a difference only counts
//! when the last word about the slot is older than a message can be on its way; a registration begins a session,
//! so nothing is on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flott_core::{
    id::AllocationId,
    message::{Heartbeat, SlotGrant, ToWorker},
};

use super::{
    SlotManager,
    worker::{Slot, SlotState, Worker, WorkerNumber},
};
use crate::time::Time;

impl SlotManager {
    pub(super) fn heartbeat(&mut self, now: Time, number: WorkerNumber, heartbeat: Heartbeat) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.metrics = heartbeat.metrics;
        // Before the worker has heard of this leadership it speaks of slots that it is about to drop.
        if heartbeat.leader == self.leader {
            self.reconcile(now, number, &heartbeat.allocated, self.options.answer_timeout);
        }
    }

    /// Whether the worker lists just what it is known to hold, as nearly always.
    fn is_in_step(&self, number: WorkerNumber, worker: &Worker, listed: &[SlotGrant]) -> bool {
        let is_held = |slot: &Slot| matches!(slot.state, SlotState::Held { .. });
        let known = worker.slots.iter().filter(|slot| slot.state.allocation().is_some()).count();
        known == listed.len()
            && listed.iter().all(|grant| {
                self.allocations.get(&grant.allocation).is_some_and(|(at, index)| {
                    *at == number && *index == grant.slot && worker.slot(*index).is_some_and(is_held)
                })
            })
    }

    pub(super) fn reconcile(&mut self, now: Time, number: WorkerNumber, listed: &[SlotGrant], in_flight: Duration) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        if self.is_in_step(number, worker, listed) {
            return;
        }
        let ids: BTreeSet<AllocationId> = listed.iter().map(|grant| grant.allocation).collect();
        let settled = |since: Time| now.since(since) >= in_flight;
        let known: Vec<_> = worker.indexed().map(|(index, slot)| (index, slot.state.clone())).collect();
        let mut unknown: BTreeMap<_, _> = listed.iter().map(|grant| (grant.allocation, grant.slot)).collect();
        for (index, state) in known {
            let Some(allocation) = state.allocation() else { continue };
            unknown.remove(&allocation);
            match (ids.contains(&allocation), state) {
                (true, SlotState::Asked { grant, .. }) => {
                    self.set_slot(now, number, index, SlotState::Held { grant, since: now });
                }
                (true, SlotState::Freeing { sent_at, .. }) if settled(sent_at) => {
                    self.take_back(now, number, index, allocation, "the slot is not wanted any more");
                }
                (false, SlotState::Asked { grant, sent_at, tries }) if settled(sent_at) => {
                    self.ask(now, number, grant, tries);
                }
                (false, SlotState::Held { since, .. }) if settled(since) => {
                    // Should the list be older than it looks, the worker is told too.
                    self.take_back(now, number, index, allocation, "the worker did not list the slot as given");
                }
                (false, SlotState::Freeing { sent_at, .. }) if settled(sent_at) => {
                    self.set_slot(now, number, index, SlotState::Free);
                }
                // In step, or a message is on its way.
                (_, SlotState::Asked { .. } | SlotState::Held { .. } | SlotState::Freeing { .. }) => {}
                (_, SlotState::Free | SlotState::Refused { .. }) => {}
            }
        }
        for (allocation, slot) in unknown {
            let state = self.workers.get(&number).and_then(|worker| worker.slot(slot)).map(|slot| &slot.state);
            let reason = "nobody here knows of the allocation";
            match state {
                Some(SlotState::Free | SlotState::Refused { .. }) => {
                    self.take_back(now, number, slot, allocation, reason);
                }
                Some(SlotState::Asked { .. } | SlotState::Held { .. } | SlotState::Freeing { .. }) | None => {
                    self.send(number, ToWorker::FreeSlot { allocation, reason: reason.into() });
                }
            }
        }
    }
}
