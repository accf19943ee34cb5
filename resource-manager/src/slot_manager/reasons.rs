//! Why a job waits, in a line a person can act on.

use flott_core::{id::JobId, resource::ResourceProfile, view::PendingReason};

use super::{Action, SlotManager, classes::Classes, job::Job, serving::can_be_served};
use crate::time::Time;

impl SlotManager {
    /// Says to every job that waits why, and to those that do not wait any more that they do not, when that is news.
    pub(super) fn tell_reasons(&mut self, now: Time, obtainable: &Classes) {
        let mut news = Vec::new();
        for arrival in self.short.union(&self.told) {
            let Some((id, job)) = self.order.get(arrival).and_then(|id| Some((*id, self.jobs.get(id)?))) else {
                continue;
            };
            let reasons = self.reasons_of(now, id, job, obtainable);
            if reasons != job.said {
                news.push((id, reasons));
            }
        }
        for (job, reasons) in news {
            if let Some(known) = self.jobs.get_mut(&job) {
                known.said.clone_from(&reasons);
                if reasons.is_empty() {
                    self.told.remove(&known.arrival)
                } else {
                    self.told.insert(known.arrival)
                };
            }
            self.actions.push(Action::Pending { job, reasons });
        }
    }

    fn reasons_of(&self, now: Time, id: JobId, job: &Job, obtainable: &Classes) -> Vec<PendingReason> {
        let since = job.short_since.unwrap_or(now).0;
        let missing = job.missing();
        if missing.is_empty() {
            return Vec::new();
        }
        let servable = can_be_served(job, obtainable);
        let unattainable = !servable && self.is_beyond_bounds(job);
        let reason = |(demand, count)| PendingReason {
            slots_missing: count,
            profile: demand,
            since,
            reason: self.reason(id, &demand, servable, obtainable),
            unattainable,
        };
        missing.into_iter().map(reason).collect()
    }

    fn reason(&self, id: JobId, demand: &ResourceProfile, servable: bool, obtainable: &Classes) -> String {
        if let Some(reason) = &self.stop_reason {
            return format!("the cluster is stopping: {reason}");
        }
        if let Some(largest) = obtainable.largest().filter(|_| !obtainable.covers(demand)) {
            return format!("no slot is that big: the largest is {largest}");
        }
        if !servable {
            return format!("{}; {}", self.stock(), self.bound());
        }
        if !self.requested.is_empty() {
            let count = self.requested.len();
            let (workers, are) = if count == 1 { ("worker", "is") } else { ("workers", "are") };
            let trouble = self.backoff.trouble().map(|(_, cause)| format!(" (before: {cause})")).unwrap_or_default();
            let held_up = match self.worst_delay() {
                Some((held_up, delay)) if held_up as usize == count => {
                    format!(": {}: {}", delay.rejection, delay.message)
                }
                Some((held_up, delay)) => format!(", {held_up} held up: {}: {}", delay.rejection, delay.message),
                None => String::new(),
            };
            return format!("waiting for {count} {workers} that {are} starting{held_up}{trouble}");
        }
        if let Some((failures, cause)) = self.backoff.trouble() {
            let times = if failures == 1 { "".into() } else { format!(" {failures} times") };
            return format!("starting a worker failed{times}, it is tried again: {cause}");
        }
        match self.kept_for.filter(|other| *other != id) {
            Some(other) => format!("free slots are kept for job {other}, which waits longer; {}", self.stock()),
            None => format!("waiting for slots that other jobs use; {}", self.stock()),
        }
    }

    /// Whether a job that was given nothing wants more slots than the settings ever allow.
    fn is_beyond_bounds(&self, job: &Job) -> bool {
        if !self.abilities.starts || self.stop_reason.is_some() || !job.grants.is_empty() {
            return false;
        }
        let options = &self.options;
        let slots = u64::from(options.worker.slots.max(1));
        let workers = [options.workers_max, self.abilities.workers_max].into_iter().flatten().map(u64::from);
        let most = workers.chain([u64::from(options.slots_max) / slots]).min().unwrap_or(0) * slots;
        let there = self.registered.total() + self.coming.total();
        job.needs.values().map(|count| u64::from(*count)).sum::<u64>() > most.max(there)
    }

    /// What there is.
    fn stock(&self) -> String {
        match self.workers.len() as u64 {
            0 => "no TaskManager is registered".into(),
            workers => {
                let (workers, are) = (counted(workers, "TaskManager"), if workers == 1 { "is" } else { "are" });
                let slots = counted(self.registered.total(), "slot");
                format!("{workers} with {slots} {are} registered, {} free", self.free.count())
            }
        }
    }

    /// What keeps more from coming.
    fn bound(&self) -> String {
        let options = &self.options;
        if !self.abilities.starts {
            return format!(
                "no backend can start workers: start one with `flott taskmanager --jobmanager {}`",
                self.address
            );
        }
        match (options.workers_max, self.abilities.workers_max) {
            (Some(most), backend) if backend.is_none_or(|backend| most <= backend) => {
                format!("at most {most} workers of {} slots are allowed", options.worker.slots)
            }
            (_, Some(most)) if u64::from(most) * u64::from(options.worker.slots) < u64::from(options.slots_max) => {
                format!("the backend runs at most {most} workers of {} slots", options.worker.slots)
            }
            _ => {
                let slots = counted(options.slots_max.into(), "slot");
                let each = options.worker.slots.max(1);
                // What is left over makes no worker.
                let rest = if options.slots_max.is_multiple_of(each) {
                    String::new()
                } else {
                    format!(", and a worker has {each}")
                };
                format!("slotmanager.number-of-slots.max allows {slots}{rest}")
            }
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
