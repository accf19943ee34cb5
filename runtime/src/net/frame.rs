//! The format of data connections.
//!
//! A frame is `length: u32 | kind: u8 | channel: u32 | count: u32 | body`, little-endian; `length` counts what follows
//! it. The top bit of `count` says that the body begins with a timestamp per record.
//!
//! A connection begins with the dialler's [`Hello`], answered by one byte, [`WELCOME`].

use bytes::{Buf, Bytes, BytesMut};
use flott_core::id::{JobId, JobSecret, ProcessId};

use crate::channel::credit_parts;

/// Bytes before the body.
pub const HEADER_BYTES: usize = 13;
/// Largest frame. A single record that encodes to more cannot be sent.
pub const FRAME_BYTES_MAX: usize = 256 << 20;
/// The answer to a [`Hello`] that is accepted.
pub const WELCOME: u8 = 1;
/// First bytes of a connection; the last one is the version of the format.
const MAGIC: [u8; 8] = *b"flottdx\x02";
/// Bytes of a [`Hello`].
pub const HELLO_BYTES: usize = 8 + 16 * 3;
const STAMPED: u32 = 1 << 31;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Dialler: the body is an encoded `ChannelId`.
    Open,
    /// Dialler: records.
    Data,
    /// Dialler: the body is an encoded event.
    Event,
    /// Listener: batches may be sent that take `count` more parts of credits.
    Credit,
    /// Dialler: the sender is gone, after the end or without it; the number means nothing from now on.
    Close,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Data => 2,
            Self::Event => 3,
            Self::Credit => 4,
            Self::Close => 5,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Open,
            2 => Self::Data,
            3 => Self::Event,
            4 => Self::Credit,
            5 => Self::Close,
            _ => return None,
        })
    }
}

/// A frame as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// What it is.
    pub kind: Kind,
    /// The channel's number on this connection.
    pub channel: u32,
    /// Records or credits.
    pub count: u32,
    /// Whether the body begins with timestamps.
    pub timestamps: bool,
    /// What the kind says.
    pub body: Bytes,
}

/// Encoded records.
#[derive(Debug, Clone)]
pub struct Frame {
    /// How many.
    pub count: u32,
    /// Whether the body begins with timestamps.
    pub timestamps: bool,
    /// The records.
    pub body: Bytes,
}

impl Frame {
    /// Parts of a credit that it takes.
    pub(crate) fn credit_parts(&self) -> u32 {
        credit_parts(self.count, self.body.len())
    }
}

/// What came is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is impossible.
    #[error("a frame of {0} bytes is not between 9 and {FRAME_BYTES_MAX}")]
    Length(usize),
    /// The kind is unknown.
    #[error("frame kind {0} is unknown")]
    Kind(u8),
}

/// Takes the first whole frame off `buffer`, if there is one.
pub fn take(buffer: &mut BytesMut) -> Result<Option<RawFrame>, FrameError> {
    if buffer.len() < HEADER_BYTES {
        return Ok(None);
    }
    let number = |at: usize| u32::from_le_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]);
    let length = number(0) as usize;
    if !(HEADER_BYTES - 4..=FRAME_BYTES_MAX).contains(&length) {
        return Err(FrameError::Length(length));
    }
    let kind = Kind::of(buffer[4]).ok_or(FrameError::Kind(buffer[4]))?;
    let (channel, count) = (number(5), number(9));
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    let body = buffer.split_to(length + 4 - HEADER_BYTES).freeze();
    Ok(Some(RawFrame { kind, channel, count: count & !STAMPED, timestamps: count & STAMPED != 0, body }))
}

/// Bytes that are missing to complete the first frame of `buffer`, as far as is known.
pub fn missing(buffer: &BytesMut) -> usize {
    match buffer.get(..4) {
        Some(length) => {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            (length.min(FRAME_BYTES_MAX) + 4).saturating_sub(buffer.len())
        }
        None => HEADER_BYTES,
    }
}

/// The header of a frame whose body follows in the same buffer; [`finish`] sets the length.
pub fn begin(kind: Kind, channel: u32, count: u32, timestamps: bool, capacity: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + capacity);
    bytes.extend_from_slice(&[0; 4]);
    bytes.push(kind.code());
    bytes.extend_from_slice(&channel.to_le_bytes());
    bytes.extend_from_slice(&(count | if timestamps { STAMPED } else { 0 }).to_le_bytes());
    bytes
}

/// Sets the length. Fails on a frame that is too large.
pub fn finish(mut bytes: Vec<u8>) -> Result<Bytes, FrameError> {
    let length = bytes.len() - 4;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::Length(length));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes.into())
}

/// Who dials, and whom it means to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The job of both ends.
    pub job: JobId,
    /// Proof of belonging to it.
    pub secret: JobSecret,
    /// The life of the process that is meant.
    pub to: ProcessId,
}

impl Hello {
    /// As sent.
    pub fn to_bytes(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(self.job.as_bytes());
        bytes[24..40].copy_from_slice(self.secret.as_bytes());
        bytes[40..].copy_from_slice(self.to.as_bytes());
        bytes
    }

    /// Whether `bytes` are this very greeting. The secret is compared without telling by time where it differs.
    pub fn matches(&self, bytes: &[u8; HELLO_BYTES]) -> bool {
        self.to_bytes().iter().zip(bytes).fold(0, |differs, (own, other)| differs | (own ^ other)) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(body in proptest::collection::vec(any::<u8>(), 0..200), channel: u32, count in 0..STAMPED, timestamps: bool, cut in 0usize..220) {
            let mut bytes = begin(Kind::Data, channel, count, timestamps, body.len());
            bytes.extend_from_slice(&body);
            let whole = finish(bytes).unwrap();
            let cut = cut.min(whole.len());
            let mut buffer = BytesMut::from(&whole[..cut]);
            if cut < whole.len() {
                prop_assert_eq!(take(&mut buffer), Ok(None));
                if cut >= 4 {
                    prop_assert_eq!(missing(&buffer), whole.len() - cut);
                }
                buffer.extend_from_slice(&whole[cut..]);
            }
            let expected = RawFrame { kind: Kind::Data, channel, count, timestamps, body: body.into() };
            prop_assert_eq!(take(&mut buffer), Ok(Some(expected)));
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
    }

    #[test]
    fn impossible_lengths_are_refused_before_they_are_waited_for() {
        let mut buffer = BytesMut::from(&[0xff; HEADER_BYTES][..]);
        assert_eq!(take(&mut buffer), Err(FrameError::Length(0xffff_ffff)));
    }
}
