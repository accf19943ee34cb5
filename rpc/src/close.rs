//! Why a connection ended.

use std::time::Duration;

/// Why a connection ended. The first reason counts; what happens while it closes does not change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it on purpose; what it gave as its reason may be empty.
    #[error("the peer closed the connection{}{}", if .0.is_empty() { "" } else { ": " }, .0)]
    PeerClosed(String),
    /// The stream ended without a word: the peer's process or host is most likely gone.
    #[error("the connection ended without being closed by the peer")]
    PeerVanished,
    /// This end closed it on purpose.
    #[error("closed by this end")]
    Local,
    /// A wait was over.
    #[error("{wait} for {after:?}")]
    Timeout {
        /// What did not happen.
        wait: &'static str,
        /// For how long it did not.
        after: Duration,
    },
    /// The peer sent what no sound peer sends.
    #[error("protocol violated by the peer: {0}")]
    Protocol(String),
    /// The stream failed.
    #[error("connection failed: {0}")]
    Io(String),
    /// The peer does not read as fast as this end sends.
    #[error("the peer does not read: {waiting} bytes would wait for it, at most {max} may")]
    Overflow {
        /// Bytes that would have waited.
        waiting: usize,
        /// How many may.
        max: usize,
    },
}
