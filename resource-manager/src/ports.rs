//! What the ResourceManager calls. Whoever holds the connections and the JobMasters implements these.

use flott_core::{
    failure::Failure,
    id::{JobId, WorkerKey},
    message::ToWorker,
    view::PendingReason,
};

/// A control connection, numbered by whoever accepts connections: later ones have greater numbers. It tells the loss of
/// a connection that was replaced already from the loss of the one in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionNumber(pub u64);

/// Carries messages to workers.
///
/// Neither method blocks or calls back into the ResourceManager on the same stack. A message arrives once, at the latest
/// when the worker is connected again, or the session is over: then the loss of its connection is never followed by a
/// resumption. Messages to one worker stay in order.
pub trait WorkerPort: Send + Sync + 'static {
    /// Sends in the session with that life of the worker, if there is one.
    fn send(&self, to: &WorkerKey, message: ToWorker);

    /// Ends the session with that life of the worker, after what was sent to it has left if it is connected. The loss need
    /// not be reported, and harms nothing when it is.
    fn disconnect(&self, worker: &WorkerKey, reason: &str);
}

/// Is told what concerns jobs.
///
/// Neither method blocks or calls back into the ResourceManager on the same stack.
pub trait ResourceListener: Send + Sync + 'static {
    /// Why a job waits; replaces what was said before, and is empty when its needs are met. Only said when it changes.
    fn pending(&self, job: JobId, reasons: Vec<PendingReason>);

    /// A worker is gone, and everything on it. Said once per life: a life that was given up is refused when it
    /// registers again, as after a network has healed.
    fn worker_lost(&self, worker: &WorkerKey, failure: &Failure);
}
