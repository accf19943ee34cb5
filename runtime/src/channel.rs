//! Channels from one task to another.
//!
//! A consumer has a [`gate`](gate::InputGate) per input with a queue per channel; a producer has a [`writer`] per edge
//! with a partial batch per channel. Each channel has a few credits, one per batch in flight, so queues are bounded and
//! a slow consumer holds its producers back.
//!
//! **Batches adapt.** A partial batch is sent as soon as its receiver has nothing left of this channel, and fills up
//! while the receiver is busy. There is no flush timer: an idle pipeline has the latency of a hand-over, and a loaded
//! one has full batches.

mod body;
pub mod gate;
pub mod merge;
pub mod partition;
mod size;
pub mod writer;

pub use partition::Partitioner;

/// Batches of one channel that may be on their way or waiting at the receiver.
///
/// They come back in twos, so that a sender has two to go on with while word of the other two travels; more would only
/// lengthen the queue in front of a slow receiver.
pub const CREDITS: u32 = 4;

/// Credits that a sender hears of at a time. A remote one may so miss the return of all but the last of them.
pub(crate) const CREDITS_TOGETHER: u32 = CREDITS / 2;
