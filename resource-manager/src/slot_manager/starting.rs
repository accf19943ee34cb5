//! Workers for what free slots do not cover.

use std::collections::BTreeMap;

use flott_core::{id::WorkerId, resource::ResourceProfile};

use super::{
    Action, SlotManager, classes::Classes, deadlines::Due, departing::Departed, serving::can_be_served,
    worker::WorkerNumber,
};
use crate::{
    backend::{BackendEvent, BackendWorker, LossReason, Rejection, WorkerSpec},
    time::Time,
};

/// A worker that the backend was asked for and that has not registered.
#[derive(Debug, Clone)]
pub(super) struct Requested {
    pub(super) spec: WorkerSpec,
    /// When it was asked for, or began to run.
    since: Time,
    runs: bool,
    /// What holds it up.
    pub(super) delay: Option<Delay>,
}

/// Why a worker that is on its way does not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delay {
    pub(super) rejection: Rejection,
    pub(super) message: String,
}

/// A worker that the backend was told to stop and that is not known to be gone.
#[derive(Debug, Clone)]
pub(super) struct Stopping {
    pub(super) told_at: Time,
    /// It was given up, and jobs were told so.
    pub(super) departed: Option<Departed>,
}

/// After this the backend is told again to stop a worker.
const STOP_AGAIN: std::time::Duration = std::time::Duration::from_secs(15);

impl SlotManager {
    /// How many more workers the bounds allow.
    pub(super) fn startable_workers(&self) -> u64 {
        if !self.abilities.starts || self.stop_reason.is_some() {
            return 0;
        }
        let there = (self.workers.len() + self.requested.len()) as u64;
        let by_workers = u64::from(self.options.workers_max.unwrap_or(u32::MAX)).saturating_sub(there);
        // The backend has its own bound on workers that it runs, those included that are about to end.
        let running = self.started_workers() as u64;
        let by_backend = u64::from(self.abilities.workers_max.unwrap_or(u32::MAX)).saturating_sub(running);
        let slots = self.registered.total() + self.coming.total();
        let by_slots =
            u64::from(self.options.slots_max).saturating_sub(slots) / u64::from(self.options.worker.slots.max(1));
        by_workers.min(by_backend).min(by_slots)
    }

    /// Slots that count for no job, those included that are coming.
    fn supply(&self) -> Classes {
        let mut supply = self.ungranted.clone();
        supply.add_all(&self.coming);
        supply
    }

    /// What jobs lack once all of `supply` is theirs. Jobs that can never be served by
    /// what may be had are left out: starting workers would not help them.
    fn uncovered(&self, mut supply: Classes, obtainable: &Classes) -> BTreeMap<ResourceProfile, u64> {
        let mut uncovered = BTreeMap::new();
        for id in self.short.iter().filter_map(|arrival| self.order.get(arrival)) {
            let Some(job) = self.jobs.get(id).filter(|job| !job.reconciling) else { continue };
            if !can_be_served(job, obtainable) {
                continue;
            }
            for (demand, count) in supply.serve(&job.missing()) {
                *uncovered.entry(demand).or_default() += count;
            }
        }
        for id in self.wishing.iter().filter_map(|arrival| self.order.get(arrival)) {
            let Some(job) = self.jobs.get(id).filter(|job| !job.reconciling) else { continue };
            for (demand, count) in supply.serve(&job.wished_lacking()) {
                *uncovered.entry(demand).or_default() += count;
            }
        }
        uncovered
    }

    pub(super) fn start_missing(&mut self, now: Time, obtainable: &Classes) {
        if !self.abilities.starts || self.stop_reason.is_some() {
            return;
        }
        let shape = self.options.worker;
        let slots: u64 = self
            .uncovered(self.supply(), obtainable)
            .iter()
            .filter(|(demand, _)| shape.slot().covers(demand))
            .map(|(_, count)| count)
            .sum();
        let there = (self.workers.len() + self.requested.len()) as u64;
        let wanted = slots.div_ceil(u64::from(shape.slots.max(1)));
        let wanted = wanted.max(u64::from(self.options.workers_min).saturating_sub(there));
        // Those that there are to be always may be a gang, which is let in when all of it has been asked for.
        let at_once = self.options.starting_max.max(self.options.workers_min);
        let at_once = u64::from(at_once).saturating_sub(self.requested.len() as u64);
        let count = wanted.min(self.startable_workers()).min(at_once);
        if count == 0 || self.backoff.pauses(now) {
            return;
        }
        // After a failure one worker shows whether starts work again.
        let count = if self.backoff.trouble().is_some() { count.min(self.probes()) } else { count };
        for _ in 0..count {
            self.started_ever += 1;
            let name = format!("{}-{}-{}", self.options.worker_prefix, self.leader, self.started_ever);
            let spec = WorkerSpec::new(WorkerId(name), shape);
            self.expect(now, spec.clone());
            self.actions.push(Action::StartWorker(spec));
        }
    }

    /// How many workers may be tried while starts are failing: one at a time after several failures in a row. One that is held up
    /// shows nothing, and may wait for others that it is let in with.
    fn probes(&self) -> u64 {
        match self.backoff.trouble() {
            Some((failures, _)) if failures >= 3 => {
                u64::from(self.requested.values().all(|requested| requested.delay.is_some()))
            }
            Some(_) | None => u64::MAX,
        }
    }

    /// Waits for a worker to register.
    fn expect(&mut self, now: Time, spec: WorkerSpec) {
        self.deadlines.set(now + self.options.start_timeout, Due::Start(spec.worker.clone()));
        self.coming.add(spec.shape().slot(), u64::from(spec.slots));
        self.requested.insert(spec.worker.clone(), Requested { spec, since: now, runs: false, delay: None });
    }

    /// Waits no more for a worker; says what was asked for, if it was.
    pub(super) fn forget_request(&mut self, worker: &WorkerId) -> Option<WorkerSpec> {
        let spec = self.requested.remove(worker)?.spec;
        self.coming.remove(spec.shape().slot(), u64::from(spec.slots));
        Some(spec)
    }

    pub(super) fn found(&mut self, now: Time, workers: Vec<BackendWorker>) {
        for BackendWorker { spec } in workers {
            if self.requested.contains_key(&spec.worker) || self.stopping.contains_key(&spec.worker) {
                continue;
            }
            let registered = self.by_name.get(&spec.worker).copied();
            if let Some(worker) = registered.and_then(|number| self.workers.get_mut(&number)) {
                worker.started = Some(spec);
            } else if self.stop_reason.is_some() {
                self.stop_worker(now, spec.worker, "no workers are wanted any more");
            } else {
                self.expect(now, spec);
            }
        }
        self.changed = true;
    }

    pub(super) fn backend_event(&mut self, now: Time, event: BackendEvent) {
        match event {
            BackendEvent::Started(worker) => self.worker_runs(now, &worker),
            BackendEvent::Delayed { worker, rejection, message } => {
                self.worker_delayed(&worker, Delay { rejection, message });
            }
            BackendEvent::Leaving { worker, reason } => self.leaving(now, &worker, &reason),
            BackendEvent::Lost { worker, reason } => self.backend_lost(now, &worker, &reason),
            BackendEvent::Rejected { worker, rejection, message } => {
                self.changed |= self.stopping.remove(&worker).is_some();
                if self.forget_request(&worker).is_some() {
                    self.start_failed(now, rejected(rejection, &message));
                }
            }
        }
    }

    fn backend_lost(&mut self, now: Time, worker: &WorkerId, reason: &LossReason) {
        self.explain(worker, Some(reason));
        if let Some(stopping) = self.stopping.remove(worker) {
            // There may be room again for another one.
            self.changed = true;
            if let Some(departed) = stopping.departed {
                self.explain_late(departed, reason);
            }
        }
        if self.forget_request(worker).is_some() {
            self.start_failed(now, format!("{worker} {reason} before it registered"));
        }
        if let Some(number) = self.by_name.get(worker).copied() {
            if let Some(worker) = self.workers.get_mut(&number) {
                worker.leaving = None; // it ended as this says
            }
            self.lose(now, number, &reason.to_string());
            // It is gone already: nothing to stop.
            self.stopping.remove(worker);
        }
    }

    pub(super) fn start_failed(&mut self, now: Time, cause: String) {
        let until = self.backoff.failed(now, cause);
        self.deadlines.set(until, Due::Backoff);
        self.changed = true;
    }

    /// A worker has the start timeout from the time that it runs, since what comes before is not up to it.
    fn worker_runs(&mut self, now: Time, worker: &WorkerId) {
        let Some(requested) = self.requested.get_mut(worker).filter(|requested| !requested.runs) else {
            return;
        };
        (requested.runs, requested.since) = (true, now);
        self.changed |= requested.delay.take().is_some();
        self.deadlines.set(now + self.options.start_timeout, Due::Start(worker.clone()));
    }

    fn worker_delayed(&mut self, worker: &WorkerId, delay: Delay) {
        if let Some(requested) = self.requested.get_mut(worker).filter(|requested| !requested.runs) {
            self.changed |= requested.delay.as_ref() != Some(&delay);
            requested.delay = Some(delay);
        }
    }

    /// What holds workers up, with how many it holds up: the obstacle of most workers.
    pub(super) fn worst_delay(&self) -> Option<(u32, &Delay)> {
        let mut held_up: BTreeMap<(&str, Rejection), (u32, &Delay)> = BTreeMap::new();
        for delay in self.requested.values().filter_map(|requested| requested.delay.as_ref()) {
            held_up.entry((&delay.message, delay.rejection)).or_insert((0, delay)).0 += 1;
        }
        held_up.into_values().max_by_key(|(count, _)| *count)
    }

    /// Gives up workers that are held up and that nobody waits for any more; those that do come end by idleness.
    pub(super) fn stop_unneeded(&mut self, now: Time, obtainable: &Classes) {
        let delayed: Vec<_> = self.requested.iter().filter(|(_, requested)| requested.delay.is_some()).collect();
        if delayed.is_empty() {
            return;
        }
        let mut supply = self.supply();
        for (_, requested) in &delayed {
            supply.remove(requested.spec.shape().slot(), u64::from(requested.spec.slots));
        }
        let slots: u64 = self.uncovered(supply, obtainable).values().sum();
        let there = (self.workers.len() + self.requested.len() - delayed.len()) as u64;
        let fewest = u64::from(self.options.workers_min).saturating_sub(there);
        let (mut kept, mut kept_slots) = (0, 0);
        let mut unneeded = Vec::new();
        for (worker, requested) in delayed {
            if kept < fewest || kept_slots < slots {
                kept += 1;
                kept_slots += u64::from(requested.spec.slots);
            } else {
                unneeded.push(worker.clone());
            }
        }
        for worker in unneeded {
            self.forget_request(&worker);
            self.stop_worker(now, worker, "it is held up, and nothing waits for it any more");
        }
    }

    pub(super) fn start_due(&mut self, now: Time, worker: &WorkerId) {
        let timeout = self.options.start_timeout;
        let late = |requested: &Requested| requested.delay.is_none() && now >= requested.since + timeout;
        if self.requested.get(worker).is_some_and(late) {
            self.forget_request(worker);
            let reason = format!("{worker} did not register within {} s", timeout.as_secs_f64());
            self.stop_worker(now, worker.clone(), &reason);
            self.start_failed(now, reason);
        }
    }

    /// A worker has lived long enough: starts work.
    pub(super) fn stable(&mut self, now: Time, number: WorkerNumber) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        if worker.started.is_some() && now >= worker.registered_at + self.options.stable_after {
            self.backoff.succeeded();
            self.changed = true;
        }
    }

    /// Has the backend stop a worker, and remembers it until it is known to be gone.
    pub(super) fn stop_worker(&mut self, now: Time, worker: WorkerId, reason: &str) {
        self.stopping.entry(worker.clone()).or_insert(Stopping { told_at: now, departed: None }).told_at = now;
        self.deadlines.set(now + STOP_AGAIN, Due::Stop(worker.clone()));
        self.actions.push(Action::StopWorker { worker, reason: reason.into() });
    }

    pub(super) fn stop_due(&mut self, now: Time, worker: &WorkerId) {
        if self.stopping.get(worker).is_some_and(|stopping| now >= stopping.told_at + STOP_AGAIN) {
            self.stop_worker(now, worker.clone(), "it was told before and is still there");
        }
    }
}

fn rejected(rejection: Rejection, message: &str) -> String {
    format!("{rejection}: {message}")
}
