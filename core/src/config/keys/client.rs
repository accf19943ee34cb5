//! The command line as a client of a cluster.

use std::time::Duration;

use crate::config::option::{key, section};

section! {
    "Client",
    "How long a client waits for a cluster.";

    /// How long a client waits for an answer.
    TIMEOUT: Duration = key("client.timeout").default("1 min").range("1 ms", "1 d");

    /// How often an attached client tells the cluster that it lives.
    HEARTBEAT_INTERVAL: Duration = key("client.heartbeat.interval").default("30 s").range("10 ms", "1 h");

    /// Silence of an attached client after which its job is cancelled.
    HEARTBEAT_TIMEOUT: Duration = key("client.heartbeat.timeout").default("3 min").range("20 ms", "1 d");
}
