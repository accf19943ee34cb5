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

/// A frame whose body ends in bytes that were encoded before, and are not copied.
#[derive(Debug)]
pub(crate) struct Tailed {
    pub(crate) front: Vec<u8>,
    pub(crate) tail: Bytes,
    pub(crate) checksum: [u8; CHECKSUM_BYTES],
}

impl Tailed {
    /// Length of the whole.
    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.tail.len() + self.checksum.len()
    }
}

/// A frame whose body is `front`, encoded, and then `tail`.
///
/// # Errors
/// When `front` cannot be encoded.
pub(crate) fn encode_tailed<T: Serialize + ?Sized>(kind: Kind, front: &T, tail: Bytes) -> Result<Tailed, CodecError> {
    let mut front_bytes = head(kind);
    codec::encode(front, &mut front_bytes)?;
    let length = front_bytes.len() + tail.len();
    set_length(&mut front_bytes, length);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&front_bytes);
    hasher.update(&tail);
    Ok(Tailed { front: front_bytes, tail, checksum: hasher.finalize().to_le_bytes() })
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
    let length = bytes.len();
    set_length(&mut bytes, length);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Writes the length of a frame that has `bytes` before its checksum. Past 4 GiB it saturates; such a frame is longer than any
/// bound on frames, and refused before it is sent.
fn set_length(front: &mut [u8], bytes: usize) {
    let length = u32::try_from(bytes - LENGTH_BYTES + CHECKSUM_BYTES).unwrap_or(u32::MAX);
    front[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}
