//! Why a message was not sent, or a call not answered.

use std::time::Duration;

use flott_core::codec::CodecError;

use crate::CloseReason;

/// A message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is closed, or was closed by this very message when it did not fit the queue.
    #[error("message cannot be sent: {0}")]
    Closed(CloseReason),
    /// The message is longer than a frame may be. The connection stays.
    #[error("message of {bytes} bytes is too long for a frame, which has at most {max}")]
    TooLong {
        /// Length of its frame.
        bytes: usize,
        /// The longest frame.
        max: usize,
    },
    /// The message cannot be encoded. The connection stays.
    #[error("message cannot be encoded: {0}")]
    Encode(CodecError),
}

/// A call was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The connection closed before the reply came; whether the peer acted on the request is unknown.
    #[error("no reply: {0}")]
    Closed(CloseReason),
    /// The reply took too long; whether the peer acted on the request is unknown.
    #[error("no reply in time: waited {after:?} for {name}")]
    TimedOut {
        /// What was waited for.
        name: &'static str,
        /// For how long.
        after: Duration,
    },
    /// The peer refused the request.
    #[error("request refused: {0}")]
    Refused(String),
    /// Too many calls wait for replies already.
    #[error("{max} calls wait for replies already, which is as many as may")]
    TooMany {
        /// How many may wait.
        max: usize,
    },
}
