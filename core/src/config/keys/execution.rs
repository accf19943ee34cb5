//! How a job is run, and by whom.

use crate::config::{
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// When results are given.
    RuntimeMode {
        /// As they come.
        Streaming = "STREAMING",
        /// Once, at the end of bounded input.
        Batch = "BATCH",
        /// Batch if all sources are bounded, else streaming.
        Automatic = "AUTOMATIC",
    }
}

section! {
    "Execution",
    "How a job is run, and where.";

    /// Results as they come (`STREAMING`), once at the end of bounded input (`BATCH`), or by whether all sources are
    /// bounded (`AUTOMATIC`).
    RUNTIME_MODE: RuntimeMode = key("execution.runtime-mode").default("STREAMING");

    /// Whether the client stays until the job ends and the exit code tells how. The command line's `-d` is the
    /// contrary.
    ATTACHED: bool = key("execution.attached").default("true");

    /// Where a job runs when the command line has no `-m`: `local`, `cluster` (one of its own), `HOST:PORT` of a running
    /// one, `kubernetes-session` (that of `kubernetes.cluster-id`) or `kubernetes-application` (a cluster of its own
    /// there). Unset, it is the configured or running session, else `local`.
    TARGET: Option<String> = key("execution.target");
}
