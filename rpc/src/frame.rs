//! The bytes of a connection.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of all that follows, little-endian |
//! | 1 | kind |
//! | 8 | id, little-endian; only for requests and replies |
//! | … | body, in the codec of `flott-core` |
//! | 4 | CRC-32 of all before it, little-endian |

mod decoder;

use bytes::Bytes;
use flott_core::codec::{self, CodecError};
use serde::Serialize;

pub use decoder::{FrameDecoder, FrameError};

const LENGTH_BYTES: usize = 4;
const ID_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message that wants no reply.
    Notify,
    /// A call; its id is chosen by the caller.
    Request(u64),
    /// The reply to the call of that id.
    Reply(u64),
    /// The call of that id was refused; the body is a string.
    ReplyError(u64),
    /// Proof of life that asks for one; no body.
    Ping,
    /// The answer to a ping; no body.
    Pong,
    /// The last frame; the body is a string, the reason.
    Close,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Notify => 1,
            Self::Request(_) => 2,
            Self::Reply(_) => 3,
            Self::ReplyError(_) => 4,
            Self::Ping => 5,
            Self::Pong => 6,
            Self::Close => 7,
        }
    }

    fn id(self) -> Option<u64> {
        match self {
            Self::Request(id) | Self::Reply(id) | Self::ReplyError(id) => Some(id),
            Self::Notify | Self::Ping | Self::Pong | Self::Close => None,
        }
    }
}

/// One whole frame whose checksum was right. The body is not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Its body, encoded.
    pub body: Bytes,
}

/// A frame with `body` encoded in it.
///
/// # Errors
/// When `body` cannot be encoded.
pub fn encode<T: Serialize + ?Sized>(kind: Kind, body: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = head(kind);
    codec::encode(body, &mut bytes)?;
    Ok(seal(bytes))
}

/// A frame without a body.
pub fn encode_empty(kind: Kind) -> Vec<u8> {
    seal(head(kind))
}

fn head(kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&[0; LENGTH_BYTES]);
    bytes.push(kind.tag());
    if let Some(id) = kind.id() {
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    // Past 4 GiB the length saturates; such a frame is longer than any bound on frames, and refused before it is sent.
    let length = u32::try_from(bytes.len() - LENGTH_BYTES + CHECKSUM_BYTES).unwrap_or(u32::MAX);
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}
