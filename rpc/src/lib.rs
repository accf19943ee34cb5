//! One typed, multiplexed, two-way connection over any byte stream.
//!
//! Both ends may send messages, make calls and answer them, at any time and many at once; the two directions carry types
//! of their own. A connection notices by itself that its peer is gone or silent, never lets its user wait to send, and
//! ends exactly once, with a reason.
//!
//! A [`session`] outlives its connections: what is said in it arrives exactly once, or both ends know that it is over.
//!
//! This crate does not know what the messages mean, does not dial again after a loss, and does not fence: that is for
//! those who hold a connection or a session. It trusts nothing that it reads.
//!
//! # Layout
//! - [`Connection`]: starts both halves over a stream
//! - [`Sender`], [`Incoming`], [`Event`], [`Responder`]: what its user holds
//! - [`Options`], [`Timeout`]: bounds and waits
//! - [`CloseReason`], [`SendError`], [`CallError`]: how things end
//! - [`session`]: numbers, confirmations and repeats over one connection after the other
//! - [`frame`]: the bytes, and a decoder without I/O
//! - `tls`: cryptography, by the feature of that name
//! - [`carrier`]: byte streams, in memory, over Unix sockets, and over HTTP on the REST port

pub mod carrier;
mod close;
mod connection;
mod error;
pub mod frame;
mod incoming;
mod options;
mod sender;
pub mod session;
#[cfg(feature = "tls")]
pub mod tls;

pub use close::CloseReason;
pub use connection::Connection;
pub use error::{CallError, SendError};
pub use incoming::{Event, Incoming, Responder};
pub use options::{Options, Timeout};
pub use sender::Sender;
