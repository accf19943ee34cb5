//! Where workers come from.
//!
//! - [`standalone`]: nowhere; workers are started by people or other tools and register by themselves
//! - [`process`]: child processes of this host
//! - `contract` (feature `testing`): what every backend must do, run against each
//!
//! Pods are a backend of their own crate, `flott-kubernetes`.

use std::{fmt, future::Future, pin::Pin};

use flott_core::id::WorkerId;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::options::WorkerShape;

pub mod process;
pub mod standalone;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

/// What is asked of a backend: one worker, named by the asker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// The name under which the worker will register.
    pub worker: WorkerId,
    /// Slots.
    pub slots: u32,
    /// Memory of the whole worker in bytes.
    pub memory: u64,
    /// Thousandths of a core of the whole worker.
    pub cpu_millicores: u32,
}

impl WorkerSpec {
    /// A worker of this name and shape.
    pub const fn new(worker: WorkerId, shape: WorkerShape) -> Self {
        Self { worker, slots: shape.slots, memory: shape.memory, cpu_millicores: shape.cpu_millicores }
    }

    /// Its size without its name.
    pub const fn shape(&self) -> WorkerShape {
        WorkerShape { slots: self.slots, memory: self.memory, cpu_millicores: self.cpu_millicores }
    }
}

/// A worker that a backend knows to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendWorker {
    /// What was asked for.
    pub spec: WorkerSpec,
}

/// What a backend can do at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it can start workers.
    pub starts: bool,
    /// Most workers that it runs at a time.
    pub workers_max: Option<u32>,
}

/// Something happened to a worker of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendEvent {
    /// The worker runs; it has not necessarily registered. May be repeated, and may come after its `Lost`.
    Started(WorkerId),
    /// The worker is kept and does not run yet: something holds it up. Replaces what was said of it before, and holds
    /// until its `Started`, `Lost` or `Rejected`.
    Delayed {
        /// Which.
        worker: WorkerId,
        /// What kind of obstacle.
        rejection: Rejection,
        /// The obstacle in a line.
        message: String,
    },
    /// Somebody has asked for the end of a worker that runs. It ends in its own time, and its `Lost` follows; it may take leave
    /// before that, and does not know why itself. May be left out.
    Leaving {
        /// Which.
        worker: WorkerId,
        /// How it will have ended.
        reason: LossReason,
    },
    /// The worker is gone. Said at least once for every worker that was `Started`, stopped ones included.
    Lost {
        /// Which.
        worker: WorkerId,
        /// How it ended.
        reason: LossReason,
    },
    /// The worker will not be started. Nothing of it is left; asking again, under any name, is allowed.
    Rejected {
        /// Which.
        worker: WorkerId,
        /// What kind of obstacle.
        rejection: Rejection,
        /// The obstacle in a line.
        message: String,
    },
}

/// How a worker ended, as far as its backend can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LossReason {
    /// It ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// Which.
        signal: i32,
    },
    /// It used more memory than it may.
    OutOfMemory,
    /// The backend needed the room, or its machine.
    Evicted(String),
    /// Something of a higher priority needed the room.
    Preempted(String),
    /// Its machine is gone, or cannot be reached.
    NodeLost(String),
    /// Somebody else removed it.
    Deleted,
    /// Its machine would not run it, or not for longer.
    Failed(String),
    /// It ended after [`Backend::stop_worker`], and nothing else is known to have ended it.
    Stopped,
    /// It is not there any more; how it ended is not known.
    Vanished,
}

impl LossReason {
    /// Whether a worker that is told to stop may end like this, so that it says nothing more of its end.
    pub const fn may_be_of_a_stop(&self) -> bool {
        match self {
            Self::OutOfMemory | Self::Evicted(_) | Self::Preempted(_) | Self::NodeLost(_) => false,
            Self::Exited { .. }
            | Self::Killed { .. }
            | Self::Deleted
            | Self::Failed(_)
            | Self::Stopped
            | Self::Vanished => true,
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Killed { signal } => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "killed by signal {signal} ({name})"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            Self::OutOfMemory => f.write_str("killed because it was out of memory"),
            Self::Evicted(why) => write!(f, "evicted: {why}"),
            Self::Preempted(why) => write!(f, "preempted: {why}"),
            Self::NodeLost(why) => write!(f, "lost with its node: {why}"),
            Self::Deleted => f.write_str("deleted by somebody"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Stopped => f.write_str("stopped as asked"),
            Self::Vanished => f.write_str("gone, nothing is known of its end"),
        }
    }
}

/// Why a backend will not start a worker, or has not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// A bound on workers, processes, memory or money is reached.
    Quota,
    /// There is no machine with room for it.
    Unschedulable,
    /// The worker's image or executable is missing or unfit.
    Image,
    /// Starting it failed.
    Spawn,
    /// A queue has not let it in.
    Queued,
    /// A rule of the cluster forbids a worker like this.
    Admission,
    /// The cluster does not take the worker's description.
    Invalid,
    /// Something else has its name.
    Conflict,
    /// This process may not start workers: its credentials or its rights do not reach.
    Access,
    /// Whoever starts workers does not answer.
    Unreachable,
    /// The backend starts no workers at all.
    Unsupported,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "quota",
            Self::Unschedulable => "unschedulable",
            Self::Image => "image",
            Self::Spawn => "spawn",
            Self::Queued => "queued",
            Self::Admission => "admission",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Access => "access",
            Self::Unreachable => "unreachable",
            Self::Unsupported => "unsupported",
        })
    }
}

/// A backend could not say which workers exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot list the workers of backend {backend}: {message}")]
pub struct ListError {
    /// Which backend.
    pub backend: &'static str,
    /// Why not.
    pub message: String,
}

/// A boxed future, since backends are used as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that workers run in.
///
/// The fault contract:
/// - `start_worker` is idempotent per name: while a worker of that name exists or is being started, another call does
///   nothing. A name is not used again after its worker is gone. It does not block; how it went arrives as an event.
/// - `stop_worker` is always allowed: for names never heard of, for workers that are gone, and twice. A worker that
///   is still being started ends too. It does not block.
/// - Events may be late, repeated, and out of order between workers. For one worker `Started`, when it is said at all,
///   precedes its first `Lost` or `Rejected`. Any number of `Delayed` may precede them. After `start_worker` at least one of `Started`, `Lost` and `Rejected`
///   arrives, unless the JobManager dies before; every worker that was listed or `Started` has a `Lost` in the end.
/// - `list` says what exists now with this cluster's mark, whoever started it: also workers of a JobManager that has
///   died, which go on running. What it lists is watched from then on.
/// - Dropping the backend stops no worker.
pub trait Backend: Send + Sync + 'static {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Starts a worker.
    fn start_worker(&self, spec: WorkerSpec);

    /// Stops a worker: gently first, and then for sure.
    fn stop_worker(&self, worker: &WorkerId);

    /// The stream of events. There is one; `None` when it was taken before.
    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>>;

    /// What exists now.
    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>>;
}
