//! What travels between records, in order with them.

use flott_core::checkpoint::Barrier;
use serde::{Deserialize, Serialize};

use crate::batch::Timestamp;

/// An event in a stream. Events are never held back in a partial batch: what was emitted before one goes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// No record with a timestamp at or below this follows.
    Watermark(Timestamp),
    /// This input gives nothing for now; its watermark does not count until it is active again.
    Idle,
    /// This input gives records again.
    Active,
    /// A snapshot cuts the stream here.
    Barrier(Barrier),
    /// Nothing follows.
    End,
}
