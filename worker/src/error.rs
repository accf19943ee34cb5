//! Why a TaskManager could not start or had to end.

use std::{io, path::PathBuf, time::Duration};

/// Why a TaskManager could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is wrong.
    #[error("{0}")]
    Options(String),
    /// A directory cannot be used.
    #[error("directory {} cannot be used", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another TaskManager works in the same directory.
    #[error("work directory {} is in use by another TaskManager", .0.display())]
    InUse(PathBuf),
    /// No JobManager took it in.
    #[error("no JobManager within {} s: {last}", after.as_secs_f32())]
    NoJobManager {
        /// How long it tried.
        after: Duration,
        /// What the last try ended with.
        last: String,
    },
    /// Its task ended without a word.
    #[error("the TaskManager's task panicked or was dropped with its runtime")]
    Lost,
}

/// Why a TaskManager ended in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// [`stop`](crate::TaskManagerHandle::stop) was called, with this reason.
    Stopped(String),
    /// The JobManager told it to end.
    Shutdown(String),
    /// The JobManager does not want it.
    Refused(String),
}
