//! Which slot is given to which job, and which of them the job's JobMaster still has to answer for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flott_core::{
    id::{AllocationId, JobId, JobMasterEpoch},
    message::SlotGrant,
    resource::ResourceProfile,
};

#[derive(Debug)]
pub(super) struct SlotTable {
    slots: Vec<Slot>,
    offer_interval: Duration,
}

#[derive(Debug)]
struct Slot {
    profile: ResourceProfile,
    given: Option<Given>,
}

#[derive(Debug)]
struct Given {
    grant: SlotGrant,
    /// `None` once the JobMaster has accepted.
    offer_at: Option<Instant>,
}

impl SlotTable {
    pub(super) fn new(profiles: Vec<ResourceProfile>, offer_interval: Duration) -> Self {
        let slots = profiles.into_iter().map(|profile| Slot { profile, given: None }).collect();
        Self { slots, offer_interval }
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &SlotGrant> {
        self.given().map(|given| &given.grant)
    }

    pub(super) fn of_job(&self, job: JobId) -> impl Iterator<Item = &SlotGrant> {
        self.grants().filter(move |grant| grant.job == job)
    }

    /// Gives a slot. The same grant again is no error.
    pub(super) fn give(&mut self, now: Instant, grant: SlotGrant) -> Result<(), String> {
        let elsewhere = self
            .grants()
            .find(|held| held.allocation == grant.allocation && held.slot != grant.slot)
            .map(|held| held.slot);
        if let Some(slot) = elsewhere {
            return Err(format!("allocation {} is on slot {slot} already", grant.allocation));
        }
        let count = self.slots.len();
        let Some(slot) = usize::try_from(grant.slot.0).ok().and_then(|index| self.slots.get_mut(index)) else {
            return Err(format!("there is no slot {}, only {count} from 0", grant.slot));
        };
        match &slot.given {
            Some(given) if given.grant == grant => Ok(()),
            Some(given) => Err(format!("slot {} is taken by job {}", grant.slot, given.grant.job)),
            None if !slot.profile.covers(&grant.profile) => {
                Err(format!("slot {} offers {}, not {}", grant.slot, slot.profile, grant.profile))
            }
            None => {
                slot.given = Some(Given { grant, offer_at: Some(now) });
                Ok(())
            }
        }
    }

    /// Notes that the JobMaster took the slot; `false` if `job` does not hold it.
    pub(super) fn accept(&mut self, job: JobId, allocation: AllocationId) -> bool {
        match self.given_mut().find(|given| given.grant.allocation == allocation && given.grant.job == job) {
            Some(given) => {
                given.offer_at = None;
                true
            }
            None => false,
        }
    }

    pub(super) fn free(&mut self, allocation: AllocationId) -> Option<SlotGrant> {
        self.free_where(|grant| grant.allocation == allocation).pop()
    }

    pub(super) fn free_for(&mut self, job: JobId, allocation: AllocationId) -> Option<SlotGrant> {
        self.free_where(|grant| grant.allocation == allocation && grant.job == job).pop()
    }

    pub(super) fn free_job(&mut self, job: JobId) -> Vec<AllocationId> {
        self.free_where(|grant| grant.job == job).into_iter().map(|grant| grant.allocation).collect()
    }

    /// The job's slots are another JobMaster's, which has them.
    pub(super) fn hand_over(&mut self, job: JobId, epoch: JobMasterEpoch) {
        for given in self.given_mut().filter(|given| given.grant.job == job) {
            given.grant.epoch = epoch;
            given.offer_at = None;
        }
    }

    pub(super) fn offer_due(&self) -> Option<Instant> {
        self.given().filter_map(|given| given.offer_at).min()
    }

    /// Offers that are due, by job. When one slot of a job is due, all its unanswered ones are offered together.
    pub(super) fn due_offers(&mut self, now: Instant) -> BTreeMap<JobId, Vec<SlotGrant>> {
        let mut offers: BTreeMap<JobId, Vec<SlotGrant>> = BTreeMap::new();
        for given in self.given().filter(|given| given.offer_at.is_some_and(|at| at <= now)) {
            offers.entry(given.grant.job).or_default();
        }
        let next = now + self.offer_interval;
        for given in self.given_mut().filter(|given| given.offer_at.is_some()) {
            if let Some(grants) = offers.get_mut(&given.grant.job) {
                grants.push(given.grant.clone());
                given.offer_at = Some(next);
            }
        }
        offers
    }

    fn free_where(&mut self, gone: impl Fn(&SlotGrant) -> bool) -> Vec<SlotGrant> {
        let taken = |slot: &mut Slot| slot.given.take_if(|given| gone(&given.grant)).map(|given| given.grant);
        self.slots.iter_mut().filter_map(taken).collect()
    }

    fn given(&self) -> impl Iterator<Item = &Given> {
        self.slots.iter().filter_map(|slot| slot.given.as_ref())
    }

    fn given_mut(&mut self) -> impl Iterator<Item = &mut Given> {
        self.slots.iter_mut().filter_map(|slot| slot.given.as_mut())
    }
}
