//! Any bytes as frames of a connection: decoding never panics, and does not depend on how the bytes arrive.

use flott_rpc::frame::{self, Frame, FrameDecoder, FrameError, Kind};

/// Longest frame that the decoder takes here, in bytes.
const FRAME_BYTES_MAX: usize = 4096;

/// Decodes `data`, and frames that are made of `data`: no mutation finds a checksum.
pub fn run(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let chunk = usize::from(first) + 1;
    let whole = decode(rest, rest.len().max(1));
    assert_eq!(decode(rest, chunk), whole, "frames depend on how the bytes arrive");

    let (mut bytes, mut sent) = (Vec::new(), 0);
    for piece in rest.chunks(chunk) {
        let kind = kind(piece);
        let frame = frame::encode(kind, piece).expect("bytes can be encoded");
        bytes.extend_from_slice(&frame);
        sent += 1;
    }
    let (frames, error) = decode(&bytes, chunk);
    assert_eq!((frames.len(), error), (sent, None), "frames that were written are read");

    // One wrong bit somewhere: what is before it arrives, and of the frame that holds it nothing.
    if !bytes.is_empty() {
        let at = rest
            .iter()
            .fold(0_usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
            % bytes.len();
        bytes[at] ^= 1 << (first % 8);
        let (damaged, _) = decode(&bytes, chunk);
        assert!(
            damaged.len() < sent && damaged == frames[..damaged.len()],
            "a damaged frame was taken"
        );
    }
}

fn kind(piece: &[u8]) -> Kind {
    let id = piece.iter().fold(0, |id, &byte| id << 8 | u64::from(byte));
    match piece[0] % 7 {
        0 => Kind::Notify,
        1 => Kind::Request(id),
        2 => Kind::Reply(id),
        3 => Kind::ReplyError(id),
        4 => Kind::Ping,
        5 => Kind::Pong,
        _ => Kind::Close,
    }
}

/// All frames of `bytes`, fed in chunks, and the error after them if there is one.
fn decode(bytes: &[u8], chunk: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut frames = Vec::new();
    for piece in bytes.chunks(chunk) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
