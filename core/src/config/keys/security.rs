//! Who may talk to a cluster.

use crate::config::option::{key, section};

section! {
    "Security",
    "A cluster listens on loopback unless it is told otherwise, and then it wants a token.";

    /// Token that every request and every TaskManager must show. Unset, a cluster that listens on loopback asks for
    /// none.
    TOKEN: Option<String> = key("security.token").secret();

    /// Listen beyond loopback without a token. Everyone who reaches the port can then run programs as this user.
    INSECURE: bool = key("security.insecure").default("false");
}
