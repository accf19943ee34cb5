//! The states of jobs and of subtasks, with Flink's names.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every state, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in REST answers and listings.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

states! {
    /// The state of a job.
    JobStatus {
        /// Accepted; its JobMaster is not running yet.
        Initializing = "INITIALIZING",
        /// Known to its JobMaster, nothing deployed; waits for slots.
        Created = "CREATED",
        /// Tasks are deployed or running.
        Running = "RUNNING",
        /// A failure ends the job; tasks are being cancelled.
        Failing = "FAILING",
        /// Ended by a failure. Terminal.
        Failed = "FAILED",
        /// Asked to cancel; tasks are being cancelled.
        Cancelling = "CANCELLING",
        /// Cancelled. Terminal.
        Canceled = "CANCELED",
        /// Done, its results committed. Terminal.
        Finished = "FINISHED",
        /// Failed, and will be deployed again after its strategy's delay.
        Restarting = "RESTARTING",
        /// Its JobManager gave it up without ending it; another may go on.
        Suspended = "SUSPENDED",
        /// A new JobMaster is matching running tasks with what it knows.
        Reconciling = "RECONCILING",
    }
}

impl JobStatus {
    /// Whether the job has ended for good.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }
}

states! {
    /// The state of one attempt at a subtask.
    ExecutionState {
        /// Not scheduled yet.
        Created = "CREATED",
        /// Waits for a slot.
        Scheduled = "SCHEDULED",
        /// Sent to its TaskManager.
        Deploying = "DEPLOYING",
        /// On its job process, opening channels and state.
        Initializing = "INITIALIZING",
        /// Processing records.
        Running = "RUNNING",
        /// Done. Terminal.
        Finished = "FINISHED",
        /// Told to stop.
        Canceling = "CANCELING",
        /// Stopped on request. Terminal.
        Canceled = "CANCELED",
        /// Ended by a failure. Terminal.
        Failed = "FAILED",
        /// Found running by a new JobMaster.
        Reconciling = "RECONCILING",
    }
}

impl ExecutionState {
    /// Whether the attempt has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Canceled | Self::Failed)
    }
}
