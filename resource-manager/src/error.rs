//! What can go wrong with a request to the ResourceManager.

use std::time::Duration;

use flott_core::id::WorkerId;

/// Errors of the ResourceManager's handle and of its options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The service has ended; nothing can be asked of it any more.
    #[error("the resource manager has ended")]
    Ended,
    /// No such TaskManager is registered.
    #[error("no TaskManager {0} is registered")]
    UnknownWorker(WorkerId),
    /// The TaskManager did not answer.
    #[error("TaskManager {worker} did not answer within {}", humane(*.waited))]
    NoAnswer {
        /// Who was asked.
        worker: WorkerId,
        /// How long was waited.
        waited: Duration,
    },
    /// The TaskManager answered that it cannot.
    #[error("TaskManager {worker}: {reason}")]
    Refused {
        /// Who was asked.
        worker: WorkerId,
        /// Why not.
        reason: String,
    },
    /// Workers were told to stop and are still there.
    #[error("not all TaskManagers ended within {}", humane(*.waited))]
    NotStopped {
        /// How long was waited.
        waited: Duration,
    },
    /// Too many requests of this kind wait for answers.
    #[error("{limit} log requests wait for answers already, try again later")]
    Busy {
        /// How many may wait.
        limit: usize,
    },
    /// An option has a value that cannot work.
    #[error("{option} must be {wanted}, not {given}")]
    Option {
        /// Its configuration key, or its name where it has none.
        option: &'static str,
        /// What would be right.
        wanted: &'static str,
        /// What was given.
        given: String,
    },
}

fn humane(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
