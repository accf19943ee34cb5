//! Free slots to jobs.
//!
//! In order of arrival, each job gets all that it misses, or else as much as lets parts of it go on, or nothing. The
//! first job that was passed over for too long, and that could be served by the workers there are or that can be had,
//! has the free slots that it could use put aside: jobs after it get what is left. If other jobs sit on slots that
//! they can do nothing with, these are taken back for it. Only one job has slots put aside at a time, so that no two
//! wait for each other.
//!
//! What is free when no job that could be served waits any more goes to jobs that could use it beyond their needs.

use flott_core::id::JobId;

use super::{
    SlotManager,
    classes::Classes,
    job::{Arrival, Job},
    worker::SlotState,
};
use crate::time::Time;

impl SlotManager {
    pub(super) fn serve_jobs(&mut self, now: Time, obtainable: &Classes) {
        self.kept_for = None;
        let mut aside = Vec::new();
        for arrival in self.short.iter().copied().collect::<Vec<_>>() {
            let Some(id) = self.order.get(&arrival).copied() else { continue };
            let Some(job) = self.jobs.get(&id).filter(|job| !job.reconciling) else { continue };
            let missing = job.missing();
            let wanted: u64 = missing.values().map(|count| u64::from(*count)).sum();
            let useful = if job.useful_min == 0 { wanted } else { wanted.min(u64::from(job.useful_min)) };
            let keeps = self.kept_for.is_none() && self.waits_long(now, job) && can_be_served(job, obtainable);
            if useful > self.free.count() && !keeps {
                continue;
            }
            if keeps && useful > self.free.count() && self.free.all_cover(&missing) {
                // All that is free is put aside: nothing is left for later jobs.
                self.kept_for = Some(id);
                self.take_back_idle_slots(now, id, obtainable);
                break;
            }
            let picks = self.free.take(&missing, &job.on_worker, self.options.spread);
            let (taken, all) = (picks.len() as u64, picks.len() as u64 == wanted);
            if taken >= useful {
                for pick in picks {
                    self.grant(now, id, pick);
                }
            } else if keeps {
                aside.extend(picks);
            } else {
                self.free.put_back(&picks);
            }
            if keeps && !all {
                self.kept_for = Some(id);
                self.take_back_idle_slots(now, id, obtainable);
            }
        }
        self.free.put_back(&aside);
        self.serve_wishes(now, obtainable);
        // Granting and putting back have said that something changed; this pass has seen to it.
        self.changed = false;
    }

    fn serve_wishes(&mut self, now: Time, obtainable: &Classes) {
        if self.kept_for.is_some() || self.is_awaited(now, obtainable) {
            return;
        }
        for arrival in self.wishing.iter().copied().collect::<Vec<_>>() {
            let Some(id) = self.order.get(&arrival).copied() else { continue };
            let Some(job) = self.jobs.get(&id).filter(|job| !job.reconciling) else { continue };
            for pick in self.free.take(&job.lacking(), &job.on_worker, self.options.spread) {
                self.grant(now, id, pick);
            }
        }
    }

    /// Whether a job waits that could be served, or that has not waited for long: more slots may be on their way.
    fn is_awaited(&self, now: Time, obtainable: &Classes) -> bool {
        let mut waiting = self.short.iter().filter_map(|arrival| self.jobs.get(self.order.get(arrival)?));
        waiting.any(|job| !self.waits_long(now, job) || !job.reconciling && can_be_served(job, obtainable))
    }

    fn waits_long(&self, now: Time, job: &Job) -> bool {
        job.short_since.is_some_and(|since| now.since(since) >= self.options.overtaking_max)
    }

    /// Takes slots back from jobs that wait long themselves and run nothing on them, the latest first, if that lets
    /// `id` run. An earlier job is only drawn on if it could not be served with all there is.
    fn take_back_idle_slots(&mut self, now: Time, id: JobId, obtainable: &Classes) {
        let Some(job) = self.jobs.get(&id) else { return };
        let own = job.idle && !job.grants.is_empty();
        let waiters = self.idle_waiters(now, job.arrival, obtainable);
        if waiters.is_empty() && !own {
            return;
        }
        let missing = job.missing();
        // Free slots, those put aside for this job too, and those that are being freed already.
        let mut pool = Classes::default();
        for slot in self.workers.values().filter(|worker| worker.is_open()).flat_map(|worker| &worker.slots) {
            if matches!(slot.state, SlotState::Free | SlotState::Freeing { .. }) {
                pool.add(slot.profile, 1);
            }
        }
        let mut donors = Vec::new();
        let lacks = |pool: &Classes| !pool.clone().serve(&missing).is_empty();
        for donor in waiters {
            if !lacks(&pool) {
                break;
            }
            pool.add_all(&self.slots_of(&donor));
            donors.push(donor);
        }
        if lacks(&pool) {
            // Its own great slots may serve its small demands, since there were no others once.
            let own_slots = if own { self.slots_of(&id) } else { Classes::default() };
            let serves_needs = |pool: &Classes| {
                let mut with_own = pool.clone();
                with_own.add_all(&own_slots);
                with_own.serve(&job.needs).is_empty()
            };
            // Workers that come may have slots for the small ones only, so that none is asked for while these have great ones.
            let mut later = pool.clone();
            later.add_all(&self.to_come());
            let helps = serves_needs(&pool) || lacks(&later) && serves_needs(&later);
            if !own || !helps {
                return;
            }
            donors.push(id);
        }
        for donor in donors {
            self.free_all_of(now, donor, "the job could not use it yet, and another job can");
        }
    }

    /// The slots that count for a job, by size.
    fn slots_of(&self, id: &JobId) -> Classes {
        let mut slots = Classes::default();
        let grants = self.jobs.get(id).into_iter().flat_map(|job| job.grants.keys());
        for (number, index) in grants.filter_map(|allocation| self.allocations.get(allocation)) {
            if let Some(slot) = self.workers.get(number).and_then(|worker| worker.slot(*index)) {
                slots.add(slot.profile, 1);
            }
        }
        slots
    }

    /// Jobs that may be drawn on for the one that arrived at `than`, the latest first.
    fn idle_waiters(&self, now: Time, than: Arrival, obtainable: &Classes) -> Vec<JobId> {
        let waiters = self.short.iter().rev().filter_map(|arrival| Some((*arrival, *self.order.get(arrival)?)));
        let drawn_on = |(arrival, id): &(Arrival, JobId)| {
            self.jobs.get(id).is_some_and(|job| {
                let has_way = *arrival < than && can_be_served(job, obtainable);
                job.idle && *arrival != than && !has_way && !job.grants.is_empty() && self.waits_long(now, job)
            })
        };
        waiters.filter(drawn_on).map(|(_, id)| id).collect()
    }

    /// Every slot there is, is coming, or may still be had.
    pub(super) fn obtainable(&self) -> Classes {
        let mut slots = self.registered.clone();
        slots.add_all(&self.to_come());
        slots
    }

    /// Every slot that is coming, or may still be had.
    fn to_come(&self) -> Classes {
        let mut slots = self.coming.clone();
        let room = self.startable_workers();
        slots.add(self.options.worker.slot(), room.saturating_mul(u64::from(self.options.worker.slots)));
        slots
    }
}

/// Whether all that a job needs could be had if it were alone.
pub(super) fn can_be_served(job: &Job, obtainable: &Classes) -> bool {
    obtainable.clone().serve(&job.needs).is_empty()
}
