//! Bytes in, frames out; no I/O.

use bytes::{Buf, BytesMut};

use super::{CHECKSUM_BYTES, Frame, ID_BYTES, Kind, LENGTH_BYTES};

/// The bytes are not frames. Where the next frame would begin is unknown then, so the stream is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length that is longer than agreed, or too short for a head.
    #[error("frame of {bytes} bytes, expected at most {max}")]
    TooLong {
        /// What the frame claims, head and checksum included.
        bytes: usize,
        /// The longest.
        max: usize,
    },
    /// The frame ends inside its head.
    #[error("frame of {bytes} bytes is too short for its head and checksum")]
    TooShort {
        /// What the frame claims.
        bytes: usize,
    },
    /// The content was changed on its way.
    #[error("frame checksum is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// What the frame says.
        found: u32,
        /// What its content gives.
        expected: u32,
    },
    /// No kind has this number.
    #[error("unknown frame kind {0}")]
    Kind(u8),
}

/// Puts frames together from bytes as they come. After an error it yields that error for ever.
#[derive(Debug)]
pub struct FrameDecoder {
    frame_bytes_max: usize,
    buffer: BytesMut,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// Accepts frames of up to `frame_bytes_max` bytes, head and checksum included.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, buffer: BytesMut::new(), failed: None }
    }

    /// Adds what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where to read to directly, as an alternative to [`FrameDecoder::feed`]: append to it only. It grows with what
    /// arrives, not with what a frame claims.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame; nothing if more bytes are needed for it.
    ///
    /// # Errors
    /// When what was fed is not a sequence of frames.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.take_frame().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
        })
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = (u32::from_le_bytes(*length) as usize).saturating_add(LENGTH_BYTES);
        if bytes > self.frame_bytes_max {
            return Err(FrameError::TooLong { bytes, max: self.frame_bytes_max });
        }
        if bytes < LENGTH_BYTES + 1 + CHECKSUM_BYTES {
            return Err(FrameError::TooShort { bytes });
        }
        if self.buffer.len() < bytes {
            return Ok(None);
        }
        let mut content = self.buffer.split_to(bytes);
        let mut trailer = content.split_off(bytes - CHECKSUM_BYTES);
        let (found, expected) = (trailer.get_u32_le(), crc32fast::hash(&content));
        if found != expected {
            return Err(FrameError::Checksum { found, expected });
        }
        content.advance(LENGTH_BYTES);
        let kind = kind(&mut content).map_err(|tag| tag.map_or(FrameError::TooShort { bytes }, FrameError::Kind))?;
        Ok(Some(Frame { kind, body: content.freeze() }))
    }
}

/// Takes kind and id off the front; fails with an unknown kind, or with nothing when the content ends too early.
fn kind(content: &mut BytesMut) -> Result<Kind, Option<u8>> {
    let tag = content.try_get_u8().map_err(|_| None)?;
    let mut id = || {
        if content.len() < ID_BYTES { Err(None) } else { Ok(content.get_u64_le()) }
    };
    Ok(match tag {
        1 => Kind::Notify,
        2 => Kind::Request(id()?),
        3 => Kind::Reply(id()?),
        4 => Kind::ReplyError(id()?),
        5 => Kind::Ping,
        6 => Kind::Pong,
        7 => Kind::Close,
        unknown => return Err(Some(unknown)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{encode, encode_empty};

    const MAX: usize = 1 << 20;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Notify),
            any::<u64>().prop_map(Kind::Request),
            any::<u64>().prop_map(Kind::Reply),
            any::<u64>().prop_map(Kind::ReplyError),
            Just(Kind::Ping),
            Just(Kind::Pong),
            Just(Kind::Close),
        ]
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: FrameError) {
        let mut decoder = FrameDecoder::new(MAX);
        decoder.feed(bytes);
        assert_eq!(decoder.next_frame(), Err(expected.clone()));
        decoder.feed(&encode_empty(Kind::Ping));
        assert_eq!(decoder.next_frame(), Err(expected), "an error is final");
    }

    #[test]
    fn layout_is_as_documented() {
        let frame = encode(Kind::Request(7), "a").unwrap();
        assert_eq!(frame[..18], [18, 0, 0, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'a']);
        assert_eq!(frame[18..], crc32fast::hash(&frame[..18]).to_le_bytes());
    }

    #[test]
    fn wrong_frames_are_refused_by_name() {
        check_refused(&u32::MAX.to_le_bytes(), FrameError::TooLong { bytes: u32::MAX as usize + 4, max: MAX });
        check_refused(&[4, 0, 0, 0], FrameError::TooShort { bytes: 8 });
        let mut changed = encode(Kind::Notify, &5u64).unwrap();
        changed[6] ^= 1;
        let found = u32::from_le_bytes(*changed.last_chunk().unwrap());
        let expected = crc32fast::hash(&changed[..changed.len() - 4]);
        check_refused(&changed, FrameError::Checksum { found, expected });
        let sealed = |content: &[u8]| {
            let mut bytes = (content.len() as u32 + 4).to_le_bytes().to_vec();
            bytes.extend_from_slice(content);
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            bytes
        };
        check_refused(&sealed(&[9]), FrameError::Kind(9));
        check_refused(&sealed(&[2, 1, 2, 3]), FrameError::TooShort { bytes: 12 });
    }

    proptest! {
        #[test]
        fn frames_come_back_however_the_bytes_are_cut(
            frames in prop::collection::vec((kinds(), any::<Vec<u8>>()), 0..8),
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, body)| encode(*kind, body).unwrap()).collect();
            let (mut decoder, mut rest, mut seen) = (FrameDecoder::new(MAX), bytes.as_slice(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                decoder.feed(piece);
                rest = after;
                while let Some(frame) = decoder.next_frame().unwrap() {
                    seen.push((frame.kind, flott_core::codec::decode::<Vec<u8>>(&frame.body).unwrap()));
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(decoder.buffer.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![0u8..10, any::<u8>()], 0..100)) {
            let mut decoder = FrameDecoder::new(64);
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }

        #[test]
        fn one_changed_bit_is_noticed(body in any::<Vec<u8>>(), bit in any::<prop::sample::Index>()) {
            let mut bytes = encode(Kind::Reply(3), &body).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut decoder = FrameDecoder::new(MAX);
            decoder.feed(&bytes);
            prop_assert!(!matches!(decoder.next_frame(), Ok(Some(_))));
        }
    }
}
