//! The command line as a client of a cluster.

use std::time::Duration;

use crate::config::option::{key, section};

section! {
    "Client",
    "How long a client waits for a cluster.";

    /// How long a client waits for an answer.
    TIMEOUT: Duration = key("client.timeout").default("1 min").range("1 ms", "1 d");
}
