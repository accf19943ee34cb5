//! Workers come, break off, come back, and are lost.

use std::time::Duration;

use flott_core::{
    failure::Failure,
    id::WorkerKey,
    message::{Registration, SlotGrant, ToWorker},
    view::WorkerMetrics,
};

use super::{
    Action, SlotManager,
    deadlines::Due,
    departing::Departed,
    worker::{Link, Slot, SlotState, Worker, WorkerNumber},
};
use crate::{backend::WorkerSpec, ports::ConnectionNumber, time::Time};

/// Most slots that a worker may have; more is a mistake or malice.
const SLOTS_MAX: usize = 4096;
/// Longest name of a worker in bytes.
const NAME_MAX: usize = 256;
/// What a worker is told of a life that jobs were told is over.
const GIVEN_UP: &str = "this life of the worker was given up; it may come back as a new one";

impl SlotManager {
    pub(super) fn register(&mut self, now: Time, registration: Registration, connection: ConnectionNumber) {
        let key = WorkerKey { worker: registration.worker.clone(), instance: registration.instance };
        if let Some(reason) = self.unwanted(&registration) {
            self.refuse(key, reason, false);
            return;
        }
        if self.gone.contains(&registration.instance) {
            // Jobs were told that this life is over, and have made up their minds.
            self.refuse(key, GIVEN_UP.into(), true);
            return;
        }
        let known = self.by_name.get(&key.worker).and_then(|number| Some((*number, self.workers.get(number)?)));
        if let Some((number, known)) = known {
            if known.key.instance == key.instance {
                // A repeat on the connection in use was answered before.
                if connection > known.link.number() {
                    // What it was told before it may not have heard, or it would not begin again.
                    self.refuse(key, GIVEN_UP.into(), true);
                    self.lose(now, number, "it has registered twice in one life");
                }
                return;
            }
            if known.is_up() && registration.started_at < known.registration.started_at {
                self.refuse(key, "a worker of the same name that started later is registered".into(), false);
                return;
            }
            // The backend knows workers by name, and the name lives on: what was started is now the newer life.
            let started = self.workers.get_mut(&number).and_then(|worker| worker.started.take());
            self.lose(now, number, "a newer life of the worker has registered");
            self.admit(now, key, registration, connection, started);
            return;
        }
        let started = self.forget_request(&key.worker);
        self.admit(now, key, registration, connection, started);
    }

    fn unwanted(&self, registration: &Registration) -> Option<String> {
        let name = &registration.worker.0;
        if name.is_empty() || name.len() > NAME_MAX {
            return Some(format!("a worker's name must have 1 to {NAME_MAX} bytes, not {}", name.len()));
        }
        let slots = registration.slots.len();
        if slots == 0 || slots > SLOTS_MAX {
            return Some(format!("a worker must have 1 to {SLOTS_MAX} slots, not {slots}"));
        }
        self.stopping.contains_key(&registration.worker).then(|| "the worker is being stopped".into())
    }

    fn refuse(&mut self, worker: WorkerKey, reason: String, life_is_over: bool) {
        let message = ToWorker::Refused { reason: reason.clone(), life_is_over };
        self.actions.push(Action::Send { to: worker.clone(), message });
        self.actions.push(Action::Disconnect { worker, reason });
    }

    fn admit(
        &mut self,
        now: Time,
        key: WorkerKey,
        mut registration: Registration,
        connection: ConnectionNumber,
        started: Option<WorkerSpec>,
    ) {
        self.registered_ever += 1;
        let number = WorkerNumber(self.registered_ever);
        let allocated = std::mem::take(&mut registration.allocated);
        let slot = |profile: &_| Slot { profile: *profile, state: SlotState::Refused { until: now } };
        let slots: Vec<_> = registration.slots.iter().map(slot).collect();
        for slot in &slots {
            self.registered.add(slot.profile, 1);
            self.ungranted.add(slot.profile, 1);
        }
        self.by_name.insert(key.worker.clone(), number);
        let worker = Worker {
            key,
            registration,
            registered_at: now,
            link: Link::Up(connection),
            slots,
            granted: 0,
            idle_since: now,
            started,
            is_leaving: false,
            leaving: None,
            metrics: WorkerMetrics::default(),
        };
        self.workers.insert(number, worker);
        self.detector.heard(&number, now);
        self.deadlines.set(now + self.options.idle_timeout, Due::Idle(number));
        self.deadlines.set(now + self.options.stable_after, Due::Stable(number));
        self.send(number, ToWorker::Registered { leader: self.leader });
        self.open_slots(now, number);
        self.keep(now, number, &allocated);
        self.reconcile(now, number, &allocated, Duration::ZERO);
        self.changed = true;
    }

    /// The same life on another connection: as if nothing had been.
    pub(super) fn resume(&mut self, now: Time, key: WorkerKey, connection: ConnectionNumber) {
        let Some(number) = self.number_of(&key.worker, &key.instance) else {
            // It was given up just now.
            self.refuse(key, GIVEN_UP.into(), true);
            return;
        };
        let Some(worker) = self.workers.get_mut(&number).filter(|worker| connection > worker.link.number()) else {
            return;
        };
        worker.link = Link::Up(connection);
        self.detector.heard(&number, now);
        self.open_slots(now, number);
        self.changed = true;
    }

    /// Slots that a job had under an earlier leadership stay with it while it finds out which of them it uses, be they more than
    /// it needs: it gives the others back.
    fn keep(&mut self, now: Time, number: WorkerNumber, listed: &[SlotGrant]) {
        for grant in listed {
            let state = self.workers.get(&number).and_then(|worker| worker.slot(grant.slot)).map(|slot| &slot.state);
            let job = self.jobs.get(&grant.job).filter(|job| job.reconciling && job.epoch > grant.epoch);
            if state == Some(&SlotState::Free)
                && !self.allocations.contains_key(&grant.allocation)
                && let Some(job) = job
            {
                let grant = SlotGrant { epoch: job.epoch, ..grant.clone() };
                self.set_slot(now, number, grant.slot, SlotState::Held { grant, since: now });
            }
        }
    }

    /// Every slot that is nobody's can be given, now that the worker can be told.
    fn open_slots(&mut self, now: Time, number: WorkerNumber) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        let open =
            worker.indexed().filter(|(_, slot)| matches!(slot.state, SlotState::Free | SlotState::Refused { .. }));
        for index in open.map(|(index, _)| index).collect::<Vec<_>>() {
            self.set_slot(now, number, index, SlotState::Free);
        }
    }

    pub(super) fn connection_lost(&mut self, now: Time, key: &WorkerKey, connection: ConnectionNumber, reason: String) {
        let Some(number) = self.number_of(&key.worker, &key.instance) else {
            return;
        };
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        if !worker.is_up() || worker.link.number() != connection {
            return;
        }
        let until = now + self.options.connection_grace;
        worker.link = Link::Down { was: connection, until, reason };
        let free = worker.indexed().filter(|(_, slot)| slot.state == SlotState::Free);
        for (index, profile) in free.map(|(index, slot)| (index, slot.profile)).collect::<Vec<_>>() {
            self.free.remove(number, index, profile);
        }
        self.deadlines.set(until, Due::Grace(number));
    }

    pub(super) fn grace_over(&mut self, now: Time, number: WorkerNumber) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        if let Link::Down { until, reason, .. } = &worker.link
            && now >= *until
        {
            let reason = format!("its connection was lost: {reason}");
            self.lose(now, number, &reason);
        }
    }

    pub(super) fn lose_silent(&mut self, now: Time, number: WorkerNumber, silence: Duration) {
        self.lose(now, number, &format!("no heartbeat for {:.1} s", silence.as_secs_f64()));
    }

    /// A worker is lost. The one path that all kinds of loss take, but for workers that end in order.
    pub(super) fn lose(&mut self, now: Time, number: WorkerNumber, reason: &str) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        if worker.started.is_some() && now < worker.registered_at + self.options.stable_after {
            let cause = format!("{} was lost soon after it registered: {reason}", worker.key);
            self.start_failed(now, cause);
        }
        self.remove(now, number, reason);
    }

    /// Forgets a worker and everything on it, and says so. A started one is stopped, lest it live on unseen.
    pub(super) fn remove(&mut self, now: Time, number: WorkerNumber, reason: &str) {
        let Some(worker) = self.take(now, number) else {
            return;
        };
        // Why it leaves the backend has told; what the worker or its connection tells is what came of it.
        let is_explained = worker.leaving.is_some();
        let reason = worker.leaving.map_or_else(|| reason.to_owned(), |why| format!("{why}; {reason}"));
        self.tell_lost(worker.key.clone(), worker.registration.host.clone(), &reason);
        self.actions.push(Action::Disconnect { worker: worker.key.clone(), reason: reason.clone() });
        if worker.started.is_some() {
            let id = worker.key.worker.clone();
            self.stop_worker(now, id.clone(), &reason);
            if let Some(stopping) = self.stopping.get_mut(&id).filter(|_| !is_explained) {
                stopping.departed = Some(Departed { key: worker.key, host: worker.registration.host, said: reason });
            }
        }
    }

    /// Forgets a worker and everything on it.
    pub(super) fn take(&mut self, now: Time, number: WorkerNumber) -> Option<Worker> {
        let worker = self.workers.get(&number)?;
        let is_leaving = worker.is_leaving;
        let places: Vec<_> = worker.indexed().map(|(index, slot)| (index, slot.profile)).collect();
        for (index, profile) in places {
            // Out of every index, whatever it was.
            self.set_slot(now, number, index, SlotState::Refused { until: now });
            self.registered.remove(profile, 1);
            if !is_leaving {
                self.ungranted.remove(profile, 1);
            }
        }
        let worker = self.workers.remove(&number)?;
        self.detector.forget(&number);
        self.gone.note(worker.key.instance);
        if self.by_name.get(&worker.key.worker) == Some(&number) {
            self.by_name.remove(&worker.key.worker);
        }
        self.changed = true;
        Some(worker)
    }

    pub(super) fn tell_lost(&mut self, worker: WorkerKey, host: String, reason: &str) {
        let failure = Failure::lost_worker(worker.worker.clone(), host, reason);
        self.actions.push(Action::WorkerLost { worker, failure });
    }
}
