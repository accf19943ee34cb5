//! What became of workers, told late.
//!
//! A worker that has taken leave does not know what for: it was told to end. Who has told it, its backend knows, and its word
//! may come a moment later. It is waited for, so that a failure tells it; what the worker had is gone at once.
//!
//! A worker that is given up, since nothing is heard of it, may have gone with its machine, which its backend learns much
//! later. Nobody waits for that, and it is told once more.

use std::time::Duration;

use flott_core::id::{WorkerId, WorkerKey};

use super::{
    Action, SlotManager,
    deadlines::Due,
    starting::Stopping,
    worker::{Worker, WorkerNumber},
};
use crate::{backend::LossReason, time::Time};

/// How long a backend's word is waited for.
const WORD_MAX: Duration = Duration::from_secs(1);

/// A worker that is gone, and what is said of that.
#[derive(Debug, Clone)]
pub(super) struct Departed {
    pub(super) key: WorkerKey,
    pub(super) host: String,
    pub(super) said: String,
}

impl SlotManager {
    /// A worker takes leave: it is gone now, and needs no grace.
    pub(super) fn goodbye(&mut self, now: Time, number: WorkerNumber, reason: &str) {
        let said = format!("it ended in order: {reason}");
        let is_explained = |worker: &Worker| worker.started.is_none() || worker.leaving.is_some();
        if self.workers.get(&number).is_none_or(is_explained) {
            return self.remove(now, number, &said);
        }
        let Some(worker) = self.take(now, number) else { return };
        let id = worker.key.worker.clone();
        self.actions.push(Action::Disconnect { worker: worker.key.clone(), reason: said.clone() });
        // To have it stopped would make its end one that was asked for here.
        self.stopping.insert(id.clone(), Stopping { told_at: now, departed: None });
        self.deadlines.set(now + WORD_MAX, Due::Departed(id.clone()));
        self.departed.insert(id, Departed { key: worker.key, host: worker.registration.host, said });
    }

    /// Somebody has asked for the end of a worker.
    pub(super) fn leaving(&mut self, now: Time, worker: &WorkerId, reason: &LossReason) {
        if self.departed.contains_key(worker) {
            self.explain(worker, Some(reason));
            self.stop_worker(now, worker.clone(), "it has taken leave");
        } else if let Some(number) = self.by_name.get(worker).copied()
            && let Some(worker) = self.workers.get_mut(&number)
        {
            worker.leaving = Some(reason.to_string());
            if !std::mem::replace(&mut worker.is_leaving, true) {
                self.close_slots(number);
            }
        }
    }

    /// Gives no slot of a worker any more, so that another one is started for whoever waits. What is held is held until it ends.
    fn close_slots(&mut self, number: WorkerNumber) {
        let Some(worker) = self.workers.get(&number) else { return };
        for (index, slot) in worker.indexed() {
            self.free.remove(number, index, slot.profile);
            if slot.state.grant().is_none() {
                self.ungranted.remove(slot.profile, 1);
            }
        }
        self.changed = true;
    }

    /// Tells jobs of a worker that has taken leave, if they were not told.
    pub(super) fn explain(&mut self, worker: &WorkerId, reason: Option<&LossReason>) {
        let Some(Departed { key, host, said }) = self.departed.remove(worker) else { return };
        let reason = match reason {
            None | Some(LossReason::Exited { code: 0 } | LossReason::Stopped | LossReason::Vanished) => said,
            Some(reason) => format!("{reason}; {said}"),
        };
        self.tell_lost(key, host, &reason);
    }

    /// Tells jobs once more of a worker that was given up, if more is known of its end than that it was stopped.
    pub(super) fn explain_late(&mut self, departed: Departed, reason: &LossReason) {
        if !reason.may_be_of_a_stop() {
            let Departed { key, host, said } = departed;
            self.tell_lost(key, host, &format!("{reason}; it was given up before: {said}"));
        }
    }

    /// The backend has had its time.
    pub(super) fn departed_due(&mut self, now: Time, worker: &WorkerId) {
        if self.departed.contains_key(worker) {
            self.explain(worker, None);
            self.stop_worker(now, worker.clone(), "it has taken leave");
        }
    }
}
