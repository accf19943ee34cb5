//! Pieces of a text on their way.

use std::{
    io::{self, Write},
    mem,
    time::Duration,
};

use axum::body::{Body, Bytes};
use flate2::{Compression, write::GzEncoder};
use futures::stream;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Receiver, Sender},
    task::spawn_blocking,
    time::timeout,
};

/// Pieces that wait to be sent.
const WAITING: usize = 4;
/// How long a reader may take for one.
const SLOWEST: Duration = Duration::from_secs(30);
/// Compressed bytes that are sent at a time.
const COMPRESSED: usize = 16 << 10;

enum Piece {
    Text(Bytes),
    /// There is no more. Without it the text is not whole.
    End,
}

/// Whether an answer may be compressed, by the header `Accept-Encoding`.
pub fn takes_gzip(accepted: Option<&str>) -> bool {
    accepted.into_iter().flat_map(|accepted| accepted.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            part.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
        });
        name.eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// A body that `write` writes, on a thread of its own; it says whether all was taken. A text that is broken off is an error of the
/// connection, not a shorter text.
pub fn body<W>(gzip: bool, write: W) -> Body
where
    W: FnOnce(&mut dyn FnMut(String) -> bool) -> bool + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    let runtime = Handle::current();
    spawn_blocking(move || {
        let mut way = Way { sender, runtime };
        let is_whole = if gzip {
            let mut encoder = GzEncoder::new(Vec::with_capacity(2 * COMPRESSED), Compression::fast());
            let mut sink =
                |text: String| encoder.write_all(text.as_bytes()).is_ok() && way.send_full(encoder.get_mut());
            write(&mut sink) && encoder.finish().is_ok_and(|rest| way.send(Piece::Text(rest.into())))
        } else {
            write(&mut |text: String| way.send(Piece::Text(text.into())))
        };
        if is_whole {
            way.send(Piece::End);
        }
    });
    Body::from_stream(stream::unfold(Some(receiver), next))
}

struct Way {
    sender: Sender<Piece>,
    runtime: Handle,
}

impl Way {
    fn send(&mut self, piece: Piece) -> bool {
        self.runtime.block_on(timeout(SLOWEST, self.sender.send(piece))).is_ok_and(|sent| sent.is_ok())
    }

    /// Sends what was compressed, once it is worth it.
    fn send_full(&mut self, compressed: &mut Vec<u8>) -> bool {
        compressed.len() < COMPRESSED || self.send(Piece::Text(mem::take(compressed).into()))
    }
}

async fn next(receiver: Option<Receiver<Piece>>) -> Option<(io::Result<Bytes>, Option<Receiver<Piece>>)> {
    let mut receiver = receiver?;
    match receiver.recv().await {
        Some(Piece::Text(text)) => Some((Ok(text), Some(receiver))),
        Some(Piece::End) => None,
        None => Some((Err(io::Error::other("the text was broken off")), None)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, expected) in
            [("gzip", true), ("deflate, GZIP;q=0.5", true), ("gzip;q=0", false), ("", false), ("gzipped", false)]
        {
            assert_eq!(takes_gzip(Some(accepted)), expected, "{accepted}");
        }
        assert!(!takes_gzip(None));
    }

    fn write_lines(lines: usize) -> impl FnOnce(&mut dyn FnMut(String) -> bool) -> bool + Send + 'static {
        move |sink| (0..lines).all(|line| sink(format!("line {line}\n").repeat(1000)))
    }

    #[tokio::test]
    async fn both_ways_the_whole_text_arrives() {
        let plain = to_bytes(body(false, write_lines(100)), usize::MAX).await.unwrap();
        let compressed = to_bytes(body(true, write_lines(100)), usize::MAX).await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*compressed).read_to_string(&mut text).unwrap();
        assert!(
            plain == text.as_bytes() && compressed.len() * 20 < plain.len(),
            "{} {}",
            plain.len(),
            compressed.len()
        );
    }

    #[tokio::test]
    async fn a_text_that_is_broken_off_is_an_error() {
        let broken = body(false, |sink| !sink("line\n".to_owned()));
        assert!(to_bytes(broken, usize::MAX).await.is_err());
    }
}
