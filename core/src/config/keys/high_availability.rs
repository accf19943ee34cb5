//! Several JobManagers of one cluster.

use std::time::Duration;

use crate::config::{
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// How JobManagers agree on who leads.
    HighAvailabilityType {
        /// There is one JobManager.
        None = "none",
        /// By a file in the shared directory.
        Storage = "storage",
        /// By a Lease of Kubernetes.
        Kubernetes = "kubernetes",
    }
}

section! {
    "High availability",
    "Several JobManagers, of which one leads and the others stand by. See [high-availability.md](high-availability.md).";

    /// How JobManagers agree on who leads: not at all, since there is one (`none`), by a file in `high-availability.storageDir`
    /// (`storage`), or by a Lease object (`kubernetes`). Either way jobs are remembered in `high-availability.storageDir`.
    TYPE: HighAvailabilityType = key("high-availability.type").default("none");

    /// Directory that all JobManagers of the cluster share, in which jobs are remembered: a path that is mounted on all of them, or
    /// `s3://<bucket>/<path>`. Needed unless `high-availability.type` is `none`.
    STORAGE_DIR: Option<String> = key("high-availability.storageDir");

    /// Name of the cluster in that directory: JobManagers of one name are of one cluster. Unset, it is `kubernetes.cluster-id` or
    /// `cluster.id` or, without these, `default`.
    CLUSTER_ID: Option<String> = key("high-availability.cluster-id");

    /// How long a leader counts as such that does not say that it lives.
    LEASE_DURATION: Duration = key("high-availability.leader-election.lease-duration")
        .default("5 s")
        .range("50 ms", "1 h")
        .fallback(&["high-availability.kubernetes.leader-election.lease-duration"]);

    /// How long a leader that cannot renew its lease tries to, before it ends. Shorter than the lease.
    RENEW_DEADLINE: Duration = key("high-availability.leader-election.renew-deadline")
        .default("4 s")
        .range("20 ms", "1 h")
        .fallback(&["high-availability.kubernetes.leader-election.renew-deadline"]);

    /// How often a leader renews its lease, and others look whether it has.
    RETRY_PERIOD: Duration = key("high-availability.leader-election.retry-period")
        .default("1 s")
        .range("5 ms", "1 h")
        .fallback(&["high-availability.kubernetes.leader-election.retry-period"]);
}
