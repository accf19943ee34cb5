//! What must hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fmt::Write as _,
};

use flott_core::status::JobStatus;

use super::world::World;

/// Longest wait of a job that the cluster could serve, in milliseconds: many times what all jobs before it may take.
const WAIT_MAX_MS: u64 = 600_000;

/// Something happened that must not.
#[derive(Debug, Clone)]
pub struct Violation {
    /// In the history of this seed.
    pub seed: u64,
    /// At this time.
    pub at_ms: u64,
    /// What.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at_ms, what } = self;
        writeln!(f, "seed {seed}, at {at_ms} ms: {what}")?;
        write!(f, "replay: FLOTT_SIM_SEED={seed} cargo test -p flott-tests --test simulation")
    }
}

impl std::error::Error for Violation {}

impl World {
    /// Everything that holds at any time.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.check_slots()?;
        for job in self.jobs.values().filter(|_| self.plan.durable) {
            job.outside.check(&job.profile, false)?;
        }
        if self.is_down {
            return Ok(());
        }
        self.manager.audit()?;
        self.check_waiting()
    }

    /// No slot is given twice, and no allocation is two slots.
    fn check_slots(&self) -> Result<(), String> {
        let mut allocations = BTreeMap::new();
        for machine in self.machines.values() {
            let mut slots = BTreeSet::new();
            for grant in machine.state.allocated() {
                if !slots.insert(grant.slot) {
                    return Err(format!("slot {} of {} is given twice", grant.slot, machine.key));
                }
                if let Some(other) = allocations.insert(grant.allocation, &machine.key) {
                    return Err(format!("{} is given by {other} and by {}", grant.allocation, machine.key));
                }
            }
        }
        Ok(())
    }

    /// No job waits for ever that could run.
    fn check_waiting(&mut self) -> Result<(), String> {
        let now = self.now;
        for (id, job) in &mut self.jobs {
            let waits = self.manager.is_served(id) == Some(false) && self.manager.is_servable(id) == Some(true);
            job.waits_since = if waits { Some(job.waits_since.unwrap_or(now)) } else { None };
            if job.waits_since.is_some_and(|since| now - since > WAIT_MAX_MS) {
                let reasons = self.manager.pending(id);
                return Err(format!("job {id} waits since {:?} ms and could run: {reasons:?}", job.waits_since));
            }
        }
        Ok(())
    }

    /// When all is over: nothing is left.
    pub(super) fn check_end(&self) -> Result<(), String> {
        self.manager.audit()?;
        for (id, job) in self.jobs.iter().filter(|_| self.plan.durable) {
            let has_finished = job.ended.as_ref().is_some_and(|(status, _)| *status == JobStatus::Finished);
            job.outside.check(&job.profile, has_finished).map_err(|what| format!("job {id}: {what}"))?;
        }
        for (id, job) in &self.jobs {
            if !job.core.is_over() {
                return Err(format!("job {id} ({:?}) does not end: {:?}", job.core.status(), job.core.waits()));
            }
        }
        for machine in self.machines.values() {
            if let Some(grant) = machine.state.allocated().first() {
                return Err(format!("slot {} of {} is still given to {}", grant.slot, machine.key, grant.job));
            }
            if !machine.hosts.is_empty() {
                return Err(format!("{} job processes are left on {}", machine.hosts.len(), machine.key));
            }
        }
        if self.plan.backend && (!self.machines.is_empty() || self.manager.started_workers() > 0) {
            let counted = self.manager.started_workers();
            return Err(format!("{} machines are left, {counted} of them counted", self.machines.len()));
        }
        if !self.plan.backend && self.manager.overview().len() != self.plan.machines as usize {
            return Err(format!("{} of {} workers came back", self.manager.overview().len(), self.plan.machines));
        }
        Ok(())
    }
}

impl World {
    /// What each job that has not ended has and waits for, and where its tasks are.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (id, job) in self.jobs.iter().filter(|(_, job)| !job.core.is_over()) {
            let _ = writeln!(text, "job {id} {}: {:?} {:?}", job.core.status(), job.core.waits(), job.declared());
            for machine in self.machines.values() {
                let slots = machine.state.slots_of(*id);
                let hosts: Vec<_> = machine.hosts.values().filter(|host| host.job == *id).collect();
                if slots > 0 || !hosts.is_empty() {
                    let _ = writeln!(text, "  {}: {slots} slots, {hosts:?}", machine.key);
                }
            }
            for vertex in job.core.view().vertices {
                for (place, subtask) in vertex.subtasks.iter().enumerate() {
                    let attempt = &subtask.current;
                    if !attempt.state.is_terminal() {
                        let (number, state, worker) = (attempt.attempt, attempt.state, &attempt.worker);
                        let _ = writeln!(text, "  {}_{place}_{number} {state} on {worker:?}", vertex.id);
                    }
                }
            }
        }
        text
    }
}
