//! Channels from one task to another.
//!
//! A consumer has a [`gate`](gate::InputGate) per input with a queue per channel; a producer has a [`writer`] per edge
//! with a partial batch per channel. Each channel has a few credits, one per batch in flight, so queues are bounded and
//! a slow consumer holds its producers back.
//!
//! **Batches adapt.** A partial batch is sent as soon as its receiver has nothing left of this channel, and fills up
//! while the receiver is busy. There is no flush timer: an idle pipeline has the latency of a hand-over, and a loaded
//! one has full batches.

pub(crate) mod align;
mod body;
pub mod gate;
pub mod merge;
pub mod partition;
mod size;
pub mod writer;

#[cfg(test)]
pub(crate) use body::decode;
pub use partition::Partitioner;

use crate::batch::{BATCH_BYTES, BATCH_RECORDS};

/// Batches of one channel that may be on their way or waiting at the receiver.
///
/// They come back in twos, so that a sender has two to go on with while word of the other two travels; more would only
/// lengthen the queue in front of a slow receiver.
pub const CREDITS: u32 = 4;

/// Credits that a sender hears of at a time. A remote one may so miss the return of all but the last of them.
pub(crate) const CREDITS_TOGETHER: u32 = CREDITS / 2;

/// Parts of a credit between processes, where a batch takes only as many as it is large. In a calm stream, whose batches are
/// small, word of credits would else be every third message, each with system calls and wake-ups of its own.
pub(crate) const CREDIT_PARTS: u32 = 8;

/// Parts of a credit that a batch of so many records in so many bytes takes: all of them if it is full by either.
pub(crate) fn credit_parts(records: u32, bytes: usize) -> u32 {
    let parts = CREDIT_PARTS as usize;
    let full = (records as usize * parts / BATCH_RECORDS).max(bytes / (BATCH_BYTES / parts));
    1 + full.min(parts - 1) as u32
}
