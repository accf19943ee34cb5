//! Who may talk to a cluster.

use crate::config::option::{key, section};

section! {
    "Security",
    "A cluster listens on loopback unless it is told otherwise, and then it wants a token.";

    /// Token that every request and every TaskManager must show. Unset, a cluster that listens on loopback asks for
    /// none.
    TOKEN: Option<String> = key("security.token").secret();

    /// Token that opens `/metrics`, and nothing else: for whoever collects metrics and must not be able to run programs.
    /// `security.token` opens it too. It is asked for only where there is a `security.token`.
    METRICS_TOKEN: Option<String> = key("security.metrics-token").secret();

    /// Listen beyond loopback without a token. Everyone who reaches the port can then run programs as this user.
    INSECURE: bool = key("security.insecure").default("false");
}
