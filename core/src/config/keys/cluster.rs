//! The cluster: its backend, its name, and how its processes watch one another.

use std::time::Duration;

use crate::config::{
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// What starts and stops workers.
    ClusterBackend {
        /// Child processes of this host.
        Process = "process",
        /// Nothing: workers register by themselves.
        Standalone = "standalone",
        /// Pods.
        Kubernetes = "kubernetes",
    }
}

section! {
    "Cluster",
    "Where workers come from, and how a lost process is noticed.";

    /// What starts workers: child processes of this host (`process`), nobody, so that they register by themselves
    /// (`standalone`), or pods (`kubernetes`).
    BACKEND: ClusterBackend = key("cluster.backend").default("process");

    /// Name of the cluster, part of the names of what it starts. Unset, it takes a random one.
    ID: Option<String> = key("cluster.id");

    /// How often connected processes tell one another that they live. Shorter than `heartbeat.timeout`.
    HEARTBEAT_INTERVAL: Duration = key("heartbeat.interval").default("2 s").range("10 ms", "1 h");

    /// How long a TaskManager whose connection has broken may take to come back. Within it nothing is lost and its tasks
    /// run on; after it the TaskManager is lost.
    CONNECTION_GRACE: Duration = key("cluster.connection-grace").default("300 ms").range("0 ms", "1 h");

    /// Silence after which a process counts as lost. A connection that drops is noticed at once.
    HEARTBEAT_TIMEOUT: Duration = key("heartbeat.timeout").default("8 s").range("20 ms", "1 d");
}
