//! Workers back to where they came from.

use flott_core::{message::ToWorker, resource::ResourceProfile};

use super::{
    SlotManager,
    deadlines::Due,
    serving::can_be_served,
    worker::{Worker, WorkerNumber},
};
use crate::time::Time;

impl SlotManager {
    /// Whether it is this ResourceManager that ends a worker.
    fn keeps(&self, worker: &Worker) -> bool {
        worker.started.is_some() || self.options.keeps_all
    }

    /// Releases a started worker that no job has used for long and that no waiting job could use.
    pub(super) fn idle_due(&mut self, now: Time, number: WorkerNumber) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        let timeout = self.options.idle_timeout;
        if !self.keeps(worker) || worker.granted > 0 || now < worker.idle_since + timeout {
            return;
        }
        let fewest = self.workers.len() as u64 <= u64::from(self.options.workers_min);
        if fewest || self.is_wanted(number) {
            self.deadlines.set(now + timeout, Due::Idle(number));
            return;
        }
        self.release(now, number, &format!("released after {} s without a job", timeout.as_secs_f64()));
    }

    /// Whether a job waits that this worker's slots may help to serve.
    fn is_wanted(&self, number: WorkerNumber) -> bool {
        let Some(worker) = self.workers.get(&number) else {
            return false;
        };
        let helps = |demand: &ResourceProfile| worker.slots.iter().any(|slot| slot.profile.covers(demand));
        let mut wishing = self.wishing.iter().filter_map(|arrival| self.jobs.get(self.order.get(arrival)?));
        if wishing.any(|job| job.wished_lacking().keys().any(helps)) {
            return true;
        }
        let obtainable = self.obtainable();
        self.short.iter().filter_map(|arrival| self.order.get(arrival)).any(|id| {
            let Some(job) = self.jobs.get(id) else { return false };
            job.missing().keys().any(helps) && can_be_served(job, &obtainable)
        })
    }

    pub(super) fn stop_workers(&mut self, now: Time, reason: String) {
        let kept = self.workers.iter().filter(|(_, worker)| self.keeps(worker));
        for number in kept.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.release(now, number, &reason);
        }
        for worker in self.requested.keys().cloned().collect::<Vec<_>>() {
            self.forget_request(&worker);
            self.stop_worker(now, worker, &reason);
        }
        self.stop_reason = Some(reason);
        self.changed = true;
    }

    /// Ends a started worker in order.
    fn release(&mut self, now: Time, number: WorkerNumber, reason: &str) {
        self.send(number, ToWorker::Shutdown { reason: reason.into() });
        self.remove(now, number, reason);
    }
}
