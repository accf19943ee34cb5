//! Connections between workers and the JobManager, and the sessions that outlive them.
//!
//! The numbers and what is kept are the real ones, [`Ledger`]; what carries them is pretended. Connections break at any
//! moment, each end notices in its own time, and what was on its way is lost.

use flott_core::{
    id::{LeaderEpoch, MessageNumber, WorkerKey},
    message::{FromWorker, Opening, ToWorker, Welcome, WorkerToJob},
};
use flott_resource_manager::{ConnectionNumber, slot_manager::Event as ManagerEvent};
use flott_rpc::session::{Arrival, Ledger};

use super::{
    check::{Broken, Invariant},
    world::{Happening, World},
};

/// Messages that may be unconfirmed. More is a fault: nobody confirms.
const UNCONFIRMED_MAX: usize = 1 << 16;

/// Longest time that a message waits in the mailbox of a JobMaster, in milliseconds.
const MAILBOX_MS: u64 = 2000;
/// Longest times until something comes once more, in milliseconds: soon, or when what it was about is long over.
const AGAIN_MS: [u64; 3] = [300, 3000, 10_000];
/// How many of a thousand workers that dial go to a deposed JobManager while it is there.
const LATE_NEWS: u32 = 300;

/// A control connection. Messages each way stay in order.
#[derive(Debug)]
pub struct Connection {
    pub worker: WorkerKey,
    /// With which JobManager.
    pub leader: LeaderEpoch,
    /// Whether the JobManager, and the worker, take it for open.
    pub open_here: bool,
    pub open_there: bool,
    last_to_worker: u64,
    last_from_worker: u64,
    /// Nothing arrives before.
    pub stalled_until: u64,
}

/// What goes over a connection: an opening each way, then messages.
#[derive(Debug, Clone)]
pub enum Wire<O, M> {
    Open(O),
    Message { number: MessageNumber, received: MessageNumber, message: M },
    Received(MessageNumber),
}

/// Over which connection, and what.
type Sent<O, M> = (u64, Wire<O, M>);

/// One end of a session.
#[derive(Debug)]
pub struct Session<M> {
    ledger: Ledger<M>,
    /// The connection over which it goes on, once that is open.
    connection: Option<u64>,
    /// The JobManager's end: whether the slot manager knows of the worker.
    registered: bool,
}

impl<M: Clone> Session<M> {
    pub fn new() -> Self {
        Self { ledger: Ledger::new(UNCONFIRMED_MAX, usize::MAX), connection: None, registered: false }
    }

    /// What is to be sent now, and over which connection; a fault if nobody confirms.
    fn say<O>(&mut self, message: M) -> Result<Option<Sent<O, M>>, Broken> {
        let number = Invariant::I7.held(self.ledger.push(message.clone(), 1))?;
        let Some(connection) = self.connection else { return Ok(None) };
        self.ledger.told();
        Ok(Some((connection, Wire::Message { number, received: self.ledger.received(), message })))
    }

    fn resume<O>(&mut self, connection: u64, peer: MessageNumber) -> Result<Vec<Wire<O, M>>, Broken> {
        Invariant::I7.held(self.ledger.resume(peer))?;
        self.connection = Some(connection);
        self.ledger.told();
        let received = self.ledger.received();
        let again = self.ledger.unconfirmed();
        Ok(again.map(|(number, message)| Wire::Message { number, received, message: message.clone() }).collect())
    }

    fn arrive(&mut self, number: MessageNumber, received: MessageNumber) -> Result<bool, Broken> {
        Invariant::I7.held(self.ledger.confirmed(received))?;
        let arrival = Invariant::I7.held(self.ledger.arrive(number))?;
        Ok(arrival == Arrival::New)
    }
}

impl World {
    fn delay(&mut self) -> u64 {
        if !self.plan_has_faults() {
            return 1;
        }
        if self.random.per_mille(10) { self.random.within(20..=500) } else { self.random.within(0..=10) }
    }

    /// A worker dials and opens its session.
    pub(super) fn dial(&mut self, worker: &WorkerKey) {
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker) else {
            return;
        };
        if machine.connection.is_some() || machine.is_mute {
            return;
        }
        let deposed = self.deposed.as_ref().map(|deposed| deposed.leader);
        let deposed = deposed.filter(|deposed| machine.leader.is_none_or(|known| known <= *deposed));
        // Where to find the new one may not be known to it yet.
        let leader = deposed.filter(|_| self.random.per_mille(LATE_NEWS)).unwrap_or(self.jobmanager.leader);
        if self.jobmanager.is_down && leader == self.jobmanager.leader {
            let pause = self.random.within(1..=500);
            return self.at(self.now + pause, Happening::Dial(worker.clone()));
        }
        self.connections_ever += 1;
        let number = self.connections_ever;
        machine.connection = Some(number);
        let session = machine.leader.filter(|_| machine.session.is_some());
        let received = machine.session.as_ref().map(|session| session.ledger.received()).unwrap_or_default();
        let opening = Opening { worker: worker.clone(), session, received };
        let connection = Connection {
            worker: worker.clone(),
            leader,
            open_here: true,
            open_there: true,
            last_to_worker: self.now,
            last_from_worker: self.now,
            stalled_until: 0,
        };
        self.connections.insert(number, connection);
        self.carry_to_jobmanager(number, Wire::Open(opening));
    }

    fn carry_to_jobmanager(&mut self, number: u64, wire: Wire<Opening, FromWorker>) {
        let delay = self.delay();
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let at = (self.now + delay).max(connection.last_from_worker).max(connection.stalled_until);
        connection.last_from_worker = at;
        self.at(at, Happening::FromWorker(number, Box::new(wire)));
    }

    fn carry_to_worker(&mut self, number: u64, wire: Wire<Welcome, ToWorker>) {
        let delay = self.delay();
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let at = (self.now + delay).max(connection.last_to_worker).max(connection.stalled_until);
        connection.last_to_worker = at;
        self.at(at, Happening::ToWorker(number, Box::new(wire)));
    }

    /// A worker says something, now or when it is connected again.
    pub(super) fn worker_sends(&mut self, worker: &WorkerKey, message: FromWorker) {
        let machine = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == *worker);
        let Some(session) = machine.and_then(|machine| machine.session.as_mut()) else { return };
        match session.say(message) {
            Ok(Some((number, wire))) => self.carry_to_jobmanager(number, wire),
            Ok(None) => {}
            Err(fault) => self.faults_seen.push(fault),
        }
    }

    /// The JobManager says something to that life of a worker, now or when it is connected again.
    pub(super) fn send_to_worker(&mut self, worker: &WorkerKey, message: ToWorker) {
        let Some(session) = self.jobmanager.sessions.get_mut(worker) else { return };
        match session.say(message) {
            Ok(Some((number, wire))) => self.carry_to_worker(number, wire),
            Ok(None) => {}
            Err(fault) => self.faults_seen.push(fault),
        }
    }

    // ------------------------------------------------------------ what arrives

    pub(super) fn jobmanager_receives(&mut self, number: u64, wire: Wire<Opening, FromWorker>) -> Result<(), Broken> {
        let Some(connection) = self.connections.get(&number).filter(|connection| connection.open_here) else {
            return Ok(());
        };
        let worker = connection.worker.clone();
        match wire {
            Wire::Open(opening) => self.opened(number, &worker, &opening),
            Wire::Received(received) => match self.jobmanager.sessions.get_mut(&worker) {
                Some(session) => Invariant::I7.held(session.ledger.confirmed(received)),
                None => Ok(()),
            },
            Wire::Message { number: message_number, received, message } => {
                let session =
                    self.jobmanager.sessions.get_mut(&worker).filter(|session| session.connection == Some(number));
                let Some(session) = session else { return Ok(()) };
                if !session.arrive(message_number, received)? {
                    return Ok(());
                }
                match &message {
                    FromWorker::Register(_) => session.registered = true,
                    FromWorker::Heartbeat(_) => {
                        let received = session.ledger.received();
                        self.carry_to_worker(number, Wire::Received(received));
                    }
                    _ => {}
                }
                self.pass_on(worker, number, message);
                Ok(())
            }
        }
    }

    /// Whether something comes once more that was told just now; when, if it does.
    pub(super) fn again(&mut self) -> Option<u64> {
        if !self.has_faults() || !self.random.per_mille(self.plan.faults.repeated) {
            return None;
        }
        let most = self.random.choose(AGAIN_MS.into_iter())?;
        Some(self.now + self.random.within(1..=most))
    }

    /// Messages of a worker may overtake each other, as they do where one mailbox becomes two in the JobManager, and what
    /// JobMasters and slot manager hear twice must not harm them, however late. Only where records are counted, those of a job stay
    /// as a session has them, in order: they wait in the mailbox of the JobMaster, while others go ahead.
    fn pass_on(&mut self, worker: WorkerKey, connection: u64, message: FromWorker) {
        let (faults, leader) = (self.plan.faults.clone(), self.jobmanager.leader);
        let again = if may_repeat(&message) { self.again() } else { None };
        if let Some(mut again) = again {
            if let FromWorker::Job { job, .. } = &message {
                // Behind what waits in a mailbox.
                let waits = self.jobmanager.mailboxes.get(&(worker.clone(), *job)).copied().unwrap_or_default();
                again += waits.saturating_sub(self.now) + 1;
            }
            self.at(again, Happening::Said(leader, worker.clone(), connection, Box::new(message.clone())));
        }
        if let FromWorker::Job { job, .. } = &message
            && self.plan.durable
        {
            let late = if self.has_faults() && self.random.per_mille(faults.overtaken) {
                self.now + self.random.within(1..=MAILBOX_MS)
            } else {
                self.now
            };
            let until = self.jobmanager.mailboxes.entry((worker.clone(), *job)).or_default();
            let (at, is_waiting) = (late.max(*until), *until >= self.now);
            *until = at;
            if is_waiting || at > self.now {
                return self.at(at, Happening::Said(leader, worker, connection, Box::new(message)));
            }
            return self.worker_said(worker, connection, message);
        }
        let faulty = self.has_faults() && !matches!(message, FromWorker::Register(_));
        if faulty && self.random.per_mille(faults.overtaken) {
            let late = self.now + self.random.within(1..=200);
            self.at(late, Happening::Said(leader, worker, connection, Box::new(message)));
        } else {
            self.worker_said(worker, connection, message);
        }
    }

    fn opened(&mut self, number: u64, worker: &WorkerKey, opening: &Opening) -> Result<(), Broken> {
        let resumes = opening.session == Some(self.jobmanager.leader);
        if let Some(earlier) = self.jobmanager.sessions.get(worker).and_then(|session| session.connection) {
            self.closed_here(earlier);
        }
        match self.jobmanager.sessions.get_mut(worker) {
            Some(session) if resumes => {
                let welcome = Welcome::Resumed { received: session.ledger.received() };
                let again = session.resume(number, opening.received)?;
                self.carry_to_worker(number, Wire::Open(welcome));
                again.into_iter().for_each(|wire| self.carry_to_worker(number, wire));
                let (worker, connection) = (worker.clone(), ConnectionNumber(number));
                self.manage(ManagerEvent::Resumed { worker, connection });
            }
            Some(session) if session.registered => {
                return Err(Invariant::I7.broken(format!("{worker} does not know of its session")));
            }
            None if resumes && opening.received > MessageNumber::default() => {
                self.carry_to_worker(number, Wire::Open(Welcome::Over { reason: "the worker was given up".into() }));
            }
            Some(_) | None => {
                let mut session = Session::new();
                session.resume::<Welcome>(number, MessageNumber::default())?;
                self.jobmanager.sessions.insert(worker.clone(), session);
                self.carry_to_worker(number, Wire::Open(Welcome::Begun { leader: self.jobmanager.leader }));
            }
        }
        Ok(())
    }

    pub(super) fn worker_receives(&mut self, number: u64, wire: Wire<Welcome, ToWorker>) -> Result<(), Broken> {
        let Some(connection) = self.connections.get(&number).filter(|connection| connection.open_there) else {
            return Ok(());
        };
        let worker = connection.worker.clone();
        let Some(machine) = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == worker) else {
            return Ok(());
        };
        match (wire, &mut machine.session) {
            (Wire::Open(Welcome::Begun { leader }), session) => {
                Invariant::I7.held(machine.state.follows(leader))?;
                session.insert(Session::new()).resume::<Opening>(number, MessageNumber::default())?;
                machine.leader = Some(leader);
                let registration = machine.registration();
                self.worker_begins(&worker, registration);
            }
            (Wire::Open(Welcome::Resumed { received }), Some(session)) => {
                let again = session.resume(number, received)?;
                again.into_iter().for_each(|wire| self.carry_to_jobmanager(number, wire));
                self.worker_resumes(&worker);
            }
            (Wire::Open(Welcome::Over { .. }), _) => self.worker_is_over(&worker),
            (Wire::Message { number, received, message }, Some(session)) => {
                if session.arrive(number, received)? {
                    self.worker_hears(&worker, message);
                }
            }
            (Wire::Received(received), Some(session)) => {
                Invariant::I7.held(session.ledger.confirmed(received))?;
            }
            (wire, None) => return Err(Invariant::I7.broken(format!("{worker} has no session, and hears {wire:?}"))),
        }
        Ok(())
    }

    // ------------------------------------------------------------ ends of connections

    /// With which JobManager a connection is.
    pub(super) fn leader_of(&self, connection: u64) -> Option<LeaderEpoch> {
        self.connections.get(&connection).map(|connection| connection.leader)
    }

    /// A JobManager is gone with its ends of all connections, or only deposed. Workers notice in their time.
    pub(super) fn lose_connections(&mut self, leader: LeaderEpoch, notice_ms_max: u64, is_gone: bool) {
        let of_leader = self.connections.iter().filter(|(_, connection)| connection.leader == leader);
        for number in of_leader.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&number).filter(|_| is_gone) {
                connection.open_here = false;
            }
            self.forget_closed(number);
            let notice = self.random.within(0..=notice_ms_max);
            self.at(self.now + notice, Happening::ClosedThere(number));
        }
    }

    /// A connection breaks; both sides notice, in their time.
    pub(super) fn break_connection(&mut self, number: u64, here_in: u64, there_in: u64) {
        self.at(self.now + here_in, Happening::ClosedHere(number));
        self.at(self.now + there_in, Happening::ClosedThere(number));
    }

    /// The JobManager ends the session with a life, after what was sent before.
    pub(super) fn disconnect(&mut self, worker: &WorkerKey) {
        let Some(number) = self.jobmanager.sessions.remove(worker).and_then(|session| session.connection) else {
            return;
        };
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
        if let Some(session) =
            self.jobmanager.sessions.get_mut(&worker).filter(|session| session.connection == Some(number))
        {
            session.connection = None;
            if !session.registered {
                self.jobmanager.sessions.remove(&worker);
            }
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
        let machine = self.machines.get_mut(&worker.worker).filter(|machine| machine.key == worker);
        if let Some(session) = machine.and_then(|machine| machine.session.as_mut()) {
            session.connection = None;
        }
        self.worker_disconnected(&worker, number);
    }

    fn forget_closed(&mut self, number: u64) {
        if self.connections.get(&number).is_some_and(|connection| !connection.open_here && !connection.open_there) {
            self.connections.remove(&number);
        }
    }
}

/// Whether a message may be heard once more. What hands processes over from one JobMaster to the next is said once in a session
/// (`docs/dev/recovery.md`).
fn may_repeat(message: &FromWorker) -> bool {
    match message {
        FromWorker::Register(_) => false,
        FromWorker::Job { message, .. } => !matches!(message, WorkerToJob::Found(_) | WorkerToJob::Adopted(_)),
        _ => true,
    }
}
