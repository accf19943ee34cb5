//! Channels between processes.
//!
//! The producer's process dials the consumer's, once for all channels that go that way; records flow from the dialler,
//! credits flow back. Within a connection a channel is a number that the dialler gives when it opens the channel by
//! its [`ChannelId`](flott_core::message::ChannelId), which names the attempts at both ends: what an older attempt
//! sends finds nobody. A receiver grants credits when its task is there, so nothing arrives before it can be held.
//!
//! - [`frame`]: the format, and a decoder that trusts nothing
//! - [`outgoing`]: the dialling side
//! - [`incoming`]: the listening side
//! - [`exchange`]: both for one process, and the meeting point of local channels

pub mod exchange;
pub mod frame;
pub mod incoming;
pub mod outgoing;

pub use exchange::Exchange;
pub use frame::Frame;

#[cfg(test)]
mod tests;
