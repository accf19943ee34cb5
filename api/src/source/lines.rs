//! Bytes into lines.

use std::{borrow::Cow, ops::Range};

use flott_core::failure::Failure;
use flott_runtime::error::TaskResult;

/// Bytes that a line may have.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// The place of the first line end in `bytes`.
///
/// Whole blocks are asked first whether they hold one, which the compiler turns into a few vector instructions.
pub(super) fn find_line_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 64;
    let mut blocks = bytes.chunks_exact(BLOCK);
    let mut start = 0;
    for block in blocks.by_ref() {
        if block.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            return block.iter().position(|byte| *byte == b'\n').map(|at| start + at);
        }
        start += BLOCK;
    }
    blocks.remainder().iter().position(|byte| *byte == b'\n').map(|at| start + at)
}

/// A line without its end as text. What is not UTF-8 is replaced by U+FFFD, as Flink does: one bad byte in a large input
/// should not stop a job.
pub(super) fn text(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line)
}

/// Bytes that have been read and not yet given out as lines.
#[derive(Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    start: usize,
    /// Bytes from `start` that are known to hold no line end.
    searched: usize,
}

impl LineBuffer {
    /// The next whole line as a range of the buffer, without its end, and the number of bytes that it takes up with it.
    pub fn next(&mut self) -> Option<(Range<usize>, usize)> {
        let from = self.start + self.searched;
        match find_line_end(&self.bytes[from..]) {
            Some(at) => {
                let line = self.start..from + at;
                let taken = line.len() + 1;
                self.start = line.end + 1;
                self.searched = 0;
                Some((line, taken))
            }
            None => {
                self.searched = self.bytes.len() - self.start;
                None
            }
        }
    }

    /// What is left after the last line end, if anything is.
    pub fn rest(&mut self) -> Option<Range<usize>> {
        let rest = self.start..self.bytes.len();
        self.start = self.bytes.len();
        self.searched = 0;
        (!rest.is_empty()).then_some(rest)
    }

    pub fn get(&self, line: Range<usize>) -> &[u8] {
        &self.bytes[line]
    }

    /// Makes room for `room` more bytes behind those that are left, and gives the vector to append them to.
    ///
    /// # Errors
    /// When what is left is a line of more than [`LINE_BYTES_MAX`].
    pub fn refill(&mut self, room: usize) -> TaskResult<&mut Vec<u8>> {
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.len() > LINE_BYTES_MAX {
            let message = format!("a line has more than {} MiB; is this a text?", LINE_BYTES_MAX >> 20);
            return Err(Box::new(Failure::user(message).fatal()));
        }
        self.bytes.reserve(room);
        Ok(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn line_ends_are_found_where_they_are(bytes in prop::collection::vec(prop_oneof![9 => 0u8..255, 1 => Just(b'\n')], 0..400)) {
            prop_assert_eq!(find_line_end(&bytes), bytes.iter().position(|byte| *byte == b'\n'));
        }

        #[test]
        fn lines_do_not_depend_on_how_bytes_arrive(text in "[ab\n]{0,60}", pieces in prop::collection::vec(1usize..9, 1..9)) {
            let mut buffer = LineBuffer::default();
            let mut lines = Vec::new();
            let (mut rest, mut pieces) = (text.as_bytes(), pieces.iter().cycle());
            while !rest.is_empty() {
                let piece = (*pieces.next().unwrap()).min(rest.len());
                buffer.refill(piece).unwrap().extend_from_slice(&rest[..piece]);
                rest = &rest[piece..];
                while let Some((line, _)) = buffer.next() {
                    lines.push(String::from_utf8(buffer.get(line).to_vec()).unwrap());
                }
            }
            if let Some(line) = buffer.rest() {
                lines.push(String::from_utf8(buffer.get(line).to_vec()).unwrap());
            }
            prop_assert_eq!(lines, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bad_bytes_are_replaced_and_carriage_returns_dropped() {
        assert_eq!(text(b"a\xffb\r"), "a\u{fffd}b");
        assert_eq!(text(b"\r"), "");
    }
}
