//! Connections between workers and the JobManager.

use flott_core::{
    id::WorkerKey,
    message::{FromWorker, ToWorker},
};
use flott_resource_manager::{ConnectionNumber, slot_manager::Event as ManagerEvent};

use super::world::{Happening, World};

/// A control connection. Messages to the worker stay in order; those from it may overtake each other, as they do where
/// one becomes two in the JobManager's mailboxes.
#[derive(Debug)]
pub struct Connection {
    pub worker: WorkerKey,
    /// Whether the JobManager, and the worker, take it for open.
    pub open_here: bool,
    pub open_there: bool,
    last_to_worker: u64,
    last_from_worker: u64,
    /// Nothing arrives before.
    pub stalled_until: u64,
}

impl World {
    fn delay(&mut self) -> u64 {
        if !self.plan_has_faults() {
            return 1;
        }
        if self.random.per_mille(10) { self.random.within(20..=500) } else { self.random.within(0..=10) }
    }

    /// A worker dials and introduces itself.
    pub(super) fn dial(&mut self, worker: &WorkerKey) {
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        if machine.connection.is_some() || machine.is_mute {
            return;
        }
        self.connections_ever += 1;
        let number = self.connections_ever;
        machine.connection = Some(number);
        let registration = machine.registration();
        let connection = Connection {
            worker: worker.clone(),
            open_here: true,
            open_there: true,
            last_to_worker: self.now,
            last_from_worker: self.now,
            stalled_until: 0,
        };
        self.connections.insert(number, connection);
        self.worker_sends(number, FromWorker::Register(registration));
    }

    /// A worker says something.
    pub(super) fn worker_sends(&mut self, number: u64, message: FromWorker) {
        let mut delay = self.delay();
        let first = matches!(message, FromWorker::Register(_));
        let faults = self.plan.faults.clone();
        let faulty = self.has_faults() && !first;
        let overtaken = faulty && self.random.per_mille(faults.overtaken);
        let repeated = faulty && self.random.per_mille(faults.repeated);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let earliest = connection.stalled_until.max(connection.last_from_worker);
        let mut at = (self.now + delay).max(earliest);
        if overtaken {
            delay = self.random.within(1..=200);
            at += delay;
        } else {
            connection.last_from_worker = at;
        }
        if repeated {
            let again = at + self.random.within(0..=300);
            self.at(again, Happening::FromWorker(number, Box::new(message.clone())));
        }
        self.at(at, Happening::FromWorker(number, Box::new(message)));
    }

    /// The JobManager says something, on the newest connection to that life.
    pub(super) fn send_to_worker(&mut self, worker: &WorkerKey, message: ToWorker) {
        let delay = self.delay();
        let Some(number) = self.links.get(worker).copied() else { return };
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let at = (self.now + delay).max(connection.last_to_worker).max(connection.stalled_until);
        connection.last_to_worker = at;
        self.at(at, Happening::ToWorker(number, Box::new(message)));
    }

    /// A connection breaks; both sides notice, in their time.
    pub(super) fn break_connection(&mut self, number: u64, here_in: u64, there_in: u64) {
        self.at(self.now + here_in, Happening::ClosedHere(number));
        self.at(self.now + there_in, Happening::ClosedThere(number));
    }

    /// The JobManager closes the connections of a life, after what was sent before.
    pub(super) fn disconnect(&mut self, worker: &WorkerKey) {
        let Some(number) = self.links.remove(worker) else { return };
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.open_here = false;
        let at = connection.last_to_worker.max(connection.stalled_until).max(self.now + 1);
        self.at(at, Happening::ClosedThere(number));
    }

    pub(super) fn closed_here(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number).filter(|connection| connection.open_here) else {
            return;
        };
        connection.open_here = false;
        let worker = connection.worker.clone();
        self.forget_closed(number);
        if self.links.get(&worker) == Some(&number) {
            self.links.remove(&worker);
        }
        let connection = ConnectionNumber(number);
        self.manage(ManagerEvent::ConnectionLost { worker, connection, reason: "reset by peer".into() });
    }

    pub(super) fn closed_there(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number).filter(|connection| connection.open_there) else {
            return;
        };
        connection.open_there = false;
        let worker = connection.worker.clone();
        self.forget_closed(number);
        self.worker_disconnected(&worker, number);
    }

    fn forget_closed(&mut self, number: u64) {
        if self.connections.get(&number).is_some_and(|connection| !connection.open_here && !connection.open_there) {
            self.connections.remove(&number);
        }
    }
}
