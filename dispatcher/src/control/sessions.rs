//! Sessions with workers: one per life of a worker, over one connection after the other.
//!
//! A session begins when a worker that has none with this leadership opens a connection, and outlives that connection once
//! the worker is registered. It ends when the ResourceManager gives the worker up, or when it cannot go on: its connection
//! is closed then, is never resumed, and so the ResourceManager gives the worker up as well.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{LeaderEpoch, MessageNumber, WorkerKey},
    message::{FromWorker, Opening, ToWorker, Welcome},
};
use flott_resource_manager::ConnectionNumber;
use flott_rpc::{
    Options,
    session::{Link, Packet, Session, SessionError},
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

#[derive(Debug)]
struct Entry {
    session: Session<ToWorker, FromWorker>,
    /// The connection in use, or the last one.
    connection: ConnectionNumber,
    /// Held by whoever serves a connection, so that what came over an earlier one is passed on before.
    turn: Arc<Turn<()>>,
    /// Whether the ResourceManager knows of the worker, and will say when it is given up.
    registered: bool,
}

/// All sessions of a JobManager.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: BTreeMap<WorkerKey, Entry>,
    connections_ever: u64,
}

/// What becomes of an opening.
#[derive(Debug)]
pub(super) enum Opened {
    /// A session begins over this connection, whose turn it is.
    Begun(ConnectionNumber, OwnedMutexGuard<()>),
    /// There is a session to resume, when it is this connection's turn.
    Waits(Arc<Turn<()>>),
    /// The worker has been told that its session is over.
    Over,
}

impl Sessions {
    /// A worker has opened a connection.
    pub(super) fn open(&mut self, leader: LeaderEpoch, opening: &Opening, link: &Link, options: &Options) -> Opened {
        let resumes = opening.session == Some(leader);
        match self.entries.get(&opening.worker) {
            Some(entry) if resumes => {
                // Whoever serves the earlier one comes to an end.
                if let Some(earlier) = entry.session.link() {
                    earlier.close("replaced by a newer connection");
                }
                return Opened::Waits(entry.turn.clone());
            }
            // It may not have heard that a session began, in which nothing was said.
            Some(entry) if !entry.registered => {}
            Some(_) => return self.over(link, "the worker has a session, and does not know of it"),
            None if resumes && opening.received > MessageNumber::default() => {
                return self.over(link, "the worker was given up");
            }
            // One that was given up before it heard anything is refused when it registers.
            None => {}
        }
        let mut session = Session::new(options);
        let begun = Packet::open(&Welcome::Begun { leader })
            .map_err(SessionError::Encode)
            .and_then(|welcome| session.resume(link.clone(), Some(welcome), MessageNumber::default()));
        let turn = Arc::new(Turn::new(()));
        let (Ok(()), Ok(held)) = (begun, turn.clone().try_lock_owned()) else {
            return self.over(link, "no session can begin");
        };
        let connection = self.next_connection();
        let entry = Entry { session, connection, turn, registered: false };
        if let Some(earlier) = self.entries.insert(opening.worker.clone(), entry) {
            close(&earlier, "replaced by a newer connection");
        }
        Opened::Begun(connection, held)
    }

    /// It is the turn of a connection that resumes a session; `None` if there is none to resume any more.
    pub(super) fn resume(&mut self, opening: &Opening, link: &Link) -> Option<ConnectionNumber> {
        let connection = self.next_connection();
        let Some(entry) = self.entries.get_mut(&opening.worker) else {
            self.over(link, "the worker was given up");
            return None;
        };
        let received = entry.session.received();
        let resumed = Packet::open(&Welcome::Resumed { received })
            .map_err(SessionError::Encode)
            .and_then(|welcome| entry.session.resume(link.clone(), Some(welcome), opening.received));
        match resumed {
            Ok(()) => {
                entry.connection = connection;
                Some(connection)
            }
            Err(error) => {
                self.give_up(&opening.worker, &error);
                self.over(link, &error.to_string());
                None
            }
        }
    }

    fn over(&self, link: &Link, reason: &str) -> Opened {
        let told = Packet::open(&Welcome::Over { reason: reason.to_owned() }).map_err(|error| error.to_string());
        if let Err(error) = told.and_then(|packet| link.send(packet).map_err(|error| error.to_string())) {
            tracing::debug!(error, "a worker was not told that its session is over");
        }
        link.close(reason);
        Opened::Over
    }

    /// Takes in what came over a connection. `None` if the connection is not its session's any more.
    pub(super) fn receive(
        &mut self,
        worker: &WorkerKey,
        connection: ConnectionNumber,
        packet: Packet,
    ) -> Option<Option<FromWorker>> {
        let entry = self.entries.get_mut(worker).filter(|entry| entry.connection == connection)?;
        let received = entry.session.receive(packet).and_then(|message| match &message {
            Some(FromWorker::Register(registration)) => {
                let named = (&registration.worker, registration.instance) == (&worker.worker, worker.instance);
                let problem = if entry.registered { "it registers twice" } else { "it registers as somebody else" };
                let first = named && !std::mem::replace(&mut entry.registered, named);
                if first { Ok(message) } else { Err(SessionError::Violation(problem.to_owned())) }
            }
            _ if entry.registered => Ok(message),
            Some(_) => Err(SessionError::Violation("it does not register first".to_owned())),
            None => Ok(None),
        });
        match received {
            Ok(message) => {
                // The worker's own heartbeats confirm what it hears; this is how it learns what was heard of it.
                if let Some(FromWorker::Heartbeat(_)) = message {
                    entry.session.tell_received();
                }
                Some(message)
            }
            Err(error) => {
                self.give_up(worker, &error);
                None
            }
        }
    }

    /// Says something to a worker, now or when it is connected again.
    pub(super) fn send(&mut self, to: &WorkerKey, message: &ToWorker) {
        let Some(entry) = self.entries.get_mut(to) else {
            tracing::debug!(worker = %to, "a message to a worker that has no session is dropped");
            return;
        };
        // One message that is missing would be a hole in all that follows, so the session ends with it.
        if let Err(error) = entry.session.send(message) {
            self.give_up(to, &error);
        }
    }

    fn give_up(&mut self, worker: &WorkerKey, error: &SessionError) {
        tracing::error!(%worker, %error, "the session with a worker is given up, and the worker with it");
        self.end(worker, &error.to_string());
    }

    /// A connection is closed: its session waits for the next one, unless nobody would end it.
    pub(super) fn disconnected(&mut self, worker: &WorkerKey, connection: ConnectionNumber) {
        let Some(entry) = self.entries.get_mut(worker).filter(|entry| entry.connection == connection) else { return };
        if entry.registered {
            entry.session.detach();
        } else {
            self.entries.remove(worker);
        }
    }

    /// A session is over.
    pub(super) fn end(&mut self, worker: &WorkerKey, reason: &str) {
        if let Some(entry) = self.entries.remove(worker) {
            close(&entry, reason);
        }
    }

    fn next_connection(&mut self) -> ConnectionNumber {
        self.connections_ever += 1;
        ConnectionNumber(self.connections_ever)
    }
}

fn close(entry: &Entry, reason: &str) {
    if let Some(link) = entry.session.link() {
        link.close(reason);
    }
}
