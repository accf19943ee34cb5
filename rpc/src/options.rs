//! Bounds and waits.

use std::time::Duration;

/// Bounds and waits of one connection. Both ends should have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A ping is sent when nothing else was for this long. Well below the peer's `idle_timeout`.
    pub ping_interval: Duration,
    /// The connection closes when nothing is heard for this long, or when the peer takes no byte of what is being
    /// written for this long.
    pub idle_timeout: Duration,
    /// For how long a closing connection tries to bring its last frames out and waits for the peer to close as well.
    pub close_timeout: Duration,
    /// The longest frame that is sent or accepted, in bytes, its head and checksum included.
    pub frame_bytes_max: usize,
    /// How many bytes wait for a peer that does not read before the connection closes. A frame that waits alone may be
    /// longer.
    pub queue_bytes_max: usize,
    /// How many bytes of events wait for this end's user before the connection stops reading, which the peer notices by
    /// its own queue.
    pub incoming_bytes_max: usize,
    /// How many calls may wait for their replies; more are refused.
    pub calls_max: usize,
    /// How many of the peer's requests may be unanswered; more are refused in a reply.
    pub requests_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(8),
            close_timeout: Duration::from_secs(1),
            frame_bytes_max: 64 << 20,
            queue_bytes_max: 64 << 20,
            incoming_bytes_max: 64 << 20,
            calls_max: 4096,
            requests_max: 4096,
        }
    }
}

/// How long a call waits for its reply, under a name for the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    /// What is waited for: `"the answer to a slot offer"`.
    pub name: &'static str,
    /// For how long.
    pub after: Duration,
}

impl Timeout {
    /// Waits for `name` no longer than `after`.
    pub const fn new(name: &'static str, after: Duration) -> Self {
        Self { name, after }
    }
}
