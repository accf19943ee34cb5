//! The life of one grant: asked of the worker, held by the job, freed.

use flott_core::{
    id::{AllocationId, JobId, SlotIndex},
    message::{SlotGrant, ToWorker},
};

use super::{
    SlotManager,
    deadlines::Due,
    free_slots::Pick,
    worker::{SlotState, WorkerNumber},
};
use crate::time::Time;

/// How often an unanswered grant is sent before the slot is taken back and another one is used.
const ASKS_MAX: u32 = 5;

impl SlotManager {
    /// Moves a slot into a state and keeps every index in step. The one place that writes a slot.
    pub(super) fn set_slot(&mut self, now: Time, number: WorkerNumber, index: SlotIndex, state: SlotState) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        let (is_open, is_leaving) = (worker.is_open(), worker.is_leaving);
        let Some(slot) = worker.slots.get_mut(index.0 as usize) else {
            return;
        };
        let profile = slot.profile;
        let before = std::mem::replace(&mut slot.state, state.clone());
        if let Some(allocation) = before.allocation() {
            self.allocations.remove(&allocation);
        }
        if let Some(allocation) = state.allocation() {
            self.allocations.insert(allocation, (number, index));
        }
        match state {
            SlotState::Free if is_open => self.free.insert(number, index, profile),
            _ => self.free.remove(number, index, profile),
        }
        match &state {
            SlotState::Refused { until } => self.deadlines.set(*until, Due::Slot(number, index)),
            SlotState::Asked { sent_at, .. } | SlotState::Freeing { sent_at, .. } => {
                self.deadlines.set(*sent_at + self.options.answer_timeout, Due::Slot(number, index));
            }
            SlotState::Free | SlotState::Held { .. } => {}
        }
        match (before.grant().is_some(), state.grant().is_some()) {
            (false, true) => {
                worker.granted += 1;
                if !is_leaving {
                    self.ungranted.remove(profile, 1);
                }
            }
            (true, false) => {
                worker.granted -= 1;
                if !is_leaving {
                    self.ungranted.add(profile, 1);
                }
                if worker.granted == 0 {
                    worker.idle_since = now;
                    self.deadlines.set(now + self.options.idle_timeout, Due::Idle(number));
                }
            }
            (false, false) | (true, true) => {}
        }
        let (taken, given) = (before.grant(), state.grant());
        if let Some(grant) = taken.filter(|grant| given.is_none_or(|given| given.allocation != grant.allocation)) {
            if let Some(job) = self.jobs.get_mut(&grant.job) {
                job.take(grant.allocation);
            }
            self.job_changed(now, grant.job);
        }
        if let Some(grant) = given.filter(|grant| taken.is_none_or(|taken| taken.allocation != grant.allocation)) {
            if let Some(job) = self.jobs.get_mut(&grant.job) {
                job.give(grant.allocation, number, grant.profile);
            }
            self.job_changed(now, grant.job);
        }
        // A slot that counts for nobody may serve someone.
        self.changed |= state == SlotState::Free;
    }

    /// Asks a worker to give a free slot to a job.
    pub(super) fn grant(&mut self, now: Time, id: JobId, pick: Pick) {
        let Some(job) = self.jobs.get(&id) else { return };
        let allocation = self.ids.next_allocation();
        let grant = SlotGrant { slot: pick.slot, allocation, job: id, epoch: job.epoch, profile: pick.demand };
        self.ask(now, pick.worker, grant, 1);
    }

    pub(super) fn ask(&mut self, now: Time, number: WorkerNumber, grant: SlotGrant, tries: u32) {
        self.set_slot(now, number, grant.slot, SlotState::Asked { grant: grant.clone(), sent_at: now, tries });
        self.send(number, ToWorker::AllocateSlot(grant));
    }

    /// Asks a worker to take a slot back; the slot is nobody's until it answers.
    pub(super) fn take_back(
        &mut self,
        now: Time,
        number: WorkerNumber,
        index: SlotIndex,
        allocation: AllocationId,
        reason: &str,
    ) {
        self.set_slot(now, number, index, SlotState::Freeing { allocation, sent_at: now });
        self.send(number, ToWorker::FreeSlot { allocation, reason: reason.into() });
    }

    /// Takes back everything that a job was given.
    pub(super) fn free_all_of(&mut self, now: Time, id: JobId, reason: &str) {
        let Some(job) = self.jobs.get(&id) else { return };
        for allocation in job.grants.keys().copied().collect::<Vec<_>>() {
            if let Some((number, index)) = self.allocations.get(&allocation).copied() {
                self.take_back(now, number, index, allocation, reason);
            }
        }
    }

    /// A job needs less than it was given: takes back what no worker has confirmed. Slots that it holds are its own to
    /// give back, since only it knows which of them it uses.
    pub(super) fn give_back_unanswered(&mut self, now: Time, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let mut surplus = Vec::new();
        let mut kept = std::collections::BTreeMap::new();
        let held = |place: Option<&(WorkerNumber, SlotIndex)>| {
            let state = place.and_then(|(number, index)| self.workers.get(number)?.slot(*index));
            matches!(state.map(|slot| &slot.state), Some(SlotState::Held { .. }))
        };
        let (held, asked): (Vec<_>, Vec<_>) =
            job.grants.iter().partition(|(allocation, _)| held(self.allocations.get(allocation)));
        for (_, (_, demand)) in held {
            *kept.entry(*demand).or_insert(0) += 1;
        }
        for (allocation, (_, demand)) in asked {
            let kept = kept.entry(*demand).or_insert(0);
            if *kept < job.limit(demand) {
                *kept += 1;
            } else {
                surplus.push(*allocation);
            }
        }
        for allocation in surplus {
            if let Some((number, index)) = self.allocations.get(&allocation).copied() {
                self.take_back(now, number, index, allocation, "the job needs fewer slots");
            }
        }
    }

    pub(super) fn slot_allocated(&mut self, now: Time, number: WorkerNumber, allocation: AllocationId) {
        match self.state_of(number, allocation) {
            Some((index, SlotState::Asked { grant, .. })) => {
                self.set_slot(now, number, index, SlotState::Held { grant, since: now });
            }
            Some((_, SlotState::Held { .. } | SlotState::Freeing { .. })) => {}
            Some((_, SlotState::Free | SlotState::Refused { .. })) | None => {
                // Given up here meanwhile.
                let reason = "the slot was not wanted any more".into();
                self.send(number, ToWorker::FreeSlot { allocation, reason });
            }
        }
    }

    pub(super) fn slot_refused(&mut self, now: Time, number: WorkerNumber, allocation: AllocationId) {
        match self.state_of(number, allocation) {
            Some((index, SlotState::Asked { .. } | SlotState::Freeing { .. })) => {
                let until = now + self.options.refusal_pause;
                self.set_slot(now, number, index, SlotState::Refused { until });
            }
            // A late answer to a repeated request; the next heartbeat tells.
            Some((_, SlotState::Held { .. } | SlotState::Free | SlotState::Refused { .. })) | None => {}
        }
    }

    pub(super) fn slot_freed(&mut self, now: Time, number: WorkerNumber, allocation: AllocationId) {
        if let Some((index, _)) = self.state_of(number, allocation) {
            self.set_slot(now, number, index, SlotState::Free);
        }
    }

    /// Sends again what is unanswered; tries refused slots again.
    pub(super) fn slot_due(&mut self, now: Time, number: WorkerNumber, index: SlotIndex) {
        let Some(slot) = self.workers.get(&number).and_then(|worker| worker.slot(index)) else {
            return;
        };
        let overdue = |sent_at: Time| now >= sent_at + self.options.answer_timeout;
        match slot.state.clone() {
            SlotState::Refused { until } if now >= until => self.set_slot(now, number, index, SlotState::Free),
            SlotState::Asked { grant, sent_at, tries } if overdue(sent_at) => {
                if tries < ASKS_MAX {
                    self.ask(now, number, grant, tries + 1);
                } else {
                    self.take_back(now, number, index, grant.allocation, "the request for the slot was not answered");
                }
            }
            SlotState::Freeing { allocation, sent_at } if overdue(sent_at) => {
                self.take_back(now, number, index, allocation, "the slot is not wanted any more");
            }
            SlotState::Free
            | SlotState::Refused { .. }
            | SlotState::Asked { .. }
            | SlotState::Held { .. }
            | SlotState::Freeing { .. } => {}
        }
    }

    /// The state of the slot of `number` that goes by `allocation`.
    pub(super) fn state_of(&self, number: WorkerNumber, allocation: AllocationId) -> Option<(SlotIndex, SlotState)> {
        let (at, index) = *self.allocations.get(&allocation)?;
        let slot = self.workers.get(&number).filter(|_| at == number)?.slot(index)?;
        Some((index, slot.state.clone()))
    }
}
