//! Compares every index with what it indexes. For tests and simulations: it is slow, and finds what must never be.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::id::JobId;

use super::{SlotManager, classes::Classes, free_slots::FreeSlots, serving::can_be_served, worker::SlotState};

impl SlotManager {
    /// Whether all that is remembered twice agrees.
    ///
    /// # Errors
    /// What does not.
    pub fn audit(&self) -> Result<(), String> {
        let (mut registered, mut ungranted, mut coming) = (Classes::default(), Classes::default(), Classes::default());
        let mut free = FreeSlots::default();
        let mut allocations = BTreeMap::new();
        let mut grants: BTreeMap<JobId, BTreeSet<_>> = BTreeMap::new();
        for (number, worker) in &self.workers {
            same("name", &self.by_name.get(&worker.key.worker), &Some(number))?;
            let granted = worker.slots.iter().filter(|slot| slot.state.grant().is_some()).count();
            same("grants of a worker", &(worker.granted as usize), &granted)?;
            for (index, slot) in worker.indexed() {
                registered.add(slot.profile, 1);
                if slot.state == SlotState::Free && worker.is_open() {
                    free.insert(*number, index, slot.profile);
                }
                if let Some(allocation) = slot.state.allocation()
                    && allocations.insert(allocation, (*number, index)).is_some()
                {
                    return Err(format!("{allocation} is two slots"));
                }
                match slot.state.grant() {
                    Some(grant) => drop(grants.entry(grant.job).or_default().insert(grant.allocation)),
                    None if worker.is_leaving => {}
                    None => ungranted.add(slot.profile, 1),
                }
            }
        }
        for requested in self.requested.values() {
            coming.add(requested.spec.shape().slot(), u64::from(requested.spec.slots));
        }
        same("workers by name", &self.by_name.len(), &self.workers.len())?;
        same("registered slots", &self.registered, &registered)?;
        same("ungranted slots", &self.ungranted, &ungranted)?;
        same("coming slots", &self.coming, &coming)?;
        same("free slots", &self.free, &free)?;
        same("allocations", &self.allocations, &allocations)?;
        for (id, job) in &self.jobs {
            let of_job = grants.remove(id).unwrap_or_default();
            same("grants of a job", &job.grants.keys().copied().collect(), &of_job)?;
            same("order", &self.order.get(&job.arrival), &Some(id))?;
            same("shortness", &self.short.contains(&job.arrival), &!job.missing().is_empty())?;
            same("wishes", &self.wishing.contains(&job.arrival), &job.has_wishes())?;
            same("since", &job.short_since.is_some(), &!job.missing().is_empty())?;
            same("told", &self.told.contains(&job.arrival), &!job.said.is_empty())?;
            let on_worker = job.on_worker.values().map(|count| *count as usize).sum();
            same("grants by worker", &job.grants.len(), &on_worker)?;
        }
        same("grants of unknown jobs", &grants, &BTreeMap::new())?;
        same("jobs in order", &self.order.len(), &self.jobs.len())?;
        let twice = self.requested.keys().find(|worker| self.by_name.contains_key(*worker));
        same("requested though registered", &twice, &None)?;
        self.audit_service()
    }

    /// No job waits that free slots could serve, unless they are kept for one that waits longer.
    fn audit_service(&self) -> Result<(), String> {
        if self.kept_for.is_some() {
            return Ok(());
        }
        for id in self.short.iter().filter_map(|arrival| self.order.get(arrival)) {
            let Some(job) = self.jobs.get(id).filter(|job| !job.reconciling) else { continue };
            let mut free = self.free.classes();
            if free.serve(&job.missing()).is_empty() {
                return Err(format!("job {id} waits though free slots serve it"));
            }
            if job.said.is_empty() {
                return Err(format!("job {id} waits and was not told why"));
            }
        }
        if !self.short.is_empty() {
            return Ok(());
        }
        for (id, job) in self.jobs.iter().filter(|(_, job)| !job.reconciling) {
            let lacking = job.lacking();
            let served = |(demand, count): (&_, &u32)| {
                let mut free = self.free.classes();
                free.serve(&[(*demand, *count)].into()).values().sum::<u64>() < u64::from(*count)
            };
            if lacking.iter().any(served) {
                return Err(format!("job {id} could use slots that are free"));
            }
        }
        Ok(())
    }

    /// Whether everything that a job declared is granted; `None` for jobs that are not known.
    pub fn is_served(&self, job: &JobId) -> Option<bool> {
        self.jobs.get(job).map(|job| job.missing().is_empty())
    }

    /// Whether what a job needs could be had, were it alone.
    pub fn is_servable(&self, job: &JobId) -> Option<bool> {
        self.jobs.get(job).map(|job| can_be_served(job, &self.obtainable()))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, indexed: &T, true_one: &T) -> Result<(), String> {
    if indexed == true_one { Ok(()) } else { Err(format!("{what}: {indexed:?} should be {true_one:?}")) }
}
