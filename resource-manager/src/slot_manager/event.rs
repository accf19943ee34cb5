//! What the slot manager is told, and what it wants done.

use flott_core::{
    failure::Failure,
    id::{JobId, WorkerId, WorkerKey},
    message::{FromWorker, Registration, ToWorker},
    view::PendingReason,
};

use crate::{
    backend::{BackendEvent, BackendWorker, WorkerSpec},
    declaration::Declaration,
    ports::ConnectionNumber,
};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A job says what it needs.
    Declared(Declaration),
    /// A worker introduced itself; it has not done so in this life before.
    Registered {
        /// Who.
        registration: Box<Registration>,
        /// On which connection.
        connection: ConnectionNumber,
    },
    /// A worker is on another connection, and nothing that was said has been lost.
    Resumed {
        /// Who.
        worker: WorkerKey,
        /// The connection.
        connection: ConnectionNumber,
    },
    /// A worker said something.
    FromWorker {
        /// Who.
        worker: WorkerKey,
        /// What.
        message: Box<FromWorker>,
    },
    /// A connection is gone.
    ConnectionLost {
        /// Whose.
        worker: WorkerKey,
        /// Which.
        connection: ConnectionNumber,
        /// How.
        reason: String,
    },
    /// The backend said something.
    Backend(BackendEvent),
    /// The backend has workers that were started before this slot manager began.
    Found(Vec<BackendWorker>),
    /// All started workers shall end, and none be started any more.
    StopWorkers {
        /// Why.
        reason: String,
    },
    /// Nothing but time has passed.
    Tick,
}

/// Something shall be done. Actions are carried out in order; each may fail or be lost.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send to a worker.
    Send {
        /// To whom.
        to: WorkerKey,
        /// What.
        message: ToWorker,
    },
    /// Close a worker's connections.
    Disconnect {
        /// Whose.
        worker: WorkerKey,
        /// Why.
        reason: String,
    },
    /// Ask the backend for a worker.
    StartWorker(WorkerSpec),
    /// Have the backend stop a worker.
    StopWorker {
        /// Which.
        worker: WorkerId,
        /// Why.
        reason: String,
    },
    /// Tell why a job waits; empty when it does not any more.
    Pending {
        /// The job.
        job: JobId,
        /// Why.
        reasons: Vec<PendingReason>,
    },
    /// Tell that a worker is gone.
    WorkerLost {
        /// Who.
        worker: WorkerKey,
        /// How.
        failure: Failure,
    },
}
