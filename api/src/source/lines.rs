//! Bytes into lines.

use std::{borrow::Cow, ops::ControlFlow, str};

use flott_core::failure::Failure;
use flott_runtime::error::TaskResult;
use memchr::{memchr, memchr_iter, memrchr};

/// Bytes that a line may have.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// Bytes of lines that are checked to be UTF-8 and then cut, so that the second pass finds them in the first cache. What
/// is left of them when a batch is full is checked again for the next, which is why they are not more.
const WINDOW_BYTES: usize = 4 << 10;

/// A line without its end as text. What is not UTF-8 is replaced by U+FFFD, as Flink does: one bad byte in a large input
/// should not stop a job.
fn lossy(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))
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
    /// Gives whole lines to `each`, without their ends, and the number of bytes that a line takes up with its end; until
    /// `each` says to stop, or none is left.
    pub fn take(&mut self, mut each: impl FnMut(&str, usize) -> ControlFlow<()>) -> ControlFlow<()> {
        while let Some(end) = self.window() {
            let window = &self.bytes[self.start..end];
            // Line by line, the check would cost more than all else: it is fast on long runs of ASCII.
            let text = str::from_utf8(window).ok();
            let mut start = 0;
            for end in memchr_iter(b'\n', window) {
                let taken = end + 1 - start;
                let flow = match text {
                    Some(text) => {
                        let line = &text[start..end];
                        each(line.strip_suffix('\r').unwrap_or(line), taken)
                    }
                    None => each(&lossy(&window[start..end]), taken),
                };
                start = end + 1;
                if flow.is_break() {
                    self.start += start;
                    return flow;
                }
            }
            self.start = end;
        }
        ControlFlow::Continue(())
    }

    /// Where about [`WINDOW_BYTES`] of whole lines end, or else the first line; `None` without a line end.
    fn window(&mut self) -> Option<usize> {
        let bytes = &self.bytes[self.start..];
        let near = bytes.len().min(WINDOW_BYTES);
        let end = if self.searched < near { memrchr(b'\n', &bytes[..near]) } else { None };
        let from = self.searched.max(near);
        match end.or_else(|| memchr(b'\n', &bytes[from..]).map(|at| from + at)) {
            Some(at) => {
                self.searched = 0;
                Some(self.start + at + 1)
            }
            None => {
                self.searched = bytes.len();
                None
            }
        }
    }

    /// What is left after the last line end, if anything is.
    pub fn rest(&mut self) -> Option<Cow<'_, str>> {
        let rest = &self.bytes[self.start..];
        self.start = self.bytes.len();
        self.searched = 0;
        (!rest.is_empty()).then(|| lossy(rest))
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

    /// All lines of `bytes`, which arrive in `pieces` and are given out `stop` at a time; and the bytes they took up.
    fn lines_of(bytes: &[u8], pieces: &[usize], stop: usize) -> (Vec<String>, usize) {
        let mut buffer = LineBuffer::default();
        let (mut lines, mut bytes_taken) = (Vec::new(), 0);
        let (mut rest, mut pieces) = (bytes, pieces.iter().cycle());
        while !rest.is_empty() {
            let piece = pieces.next().map_or(rest.len(), |piece| (*piece).min(rest.len()));
            buffer.refill(piece).unwrap().extend_from_slice(&rest[..piece]);
            rest = &rest[piece..];
            let mut given = 0;
            while buffer
                .take(|line, taken| {
                    lines.push(line.to_owned());
                    bytes_taken += taken;
                    given += 1;
                    if given % stop == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .is_break()
            {}
        }
        if let Some(line) = buffer.rest() {
            bytes_taken += line.len();
            lines.push(line.into_owned());
        }
        (lines, bytes_taken)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_bytes_arrive(
            text in "([abä]|\n|\r\n){0,60}",
            pieces in prop::collection::vec(1usize..9, 1..9),
            stop in 1usize..5,
        ) {
            let expected: Vec<_> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(lines_of(text.as_bytes(), &pieces, stop).0, expected);
        }

        #[test]
        fn windows_end_between_lines(lengths in prop::collection::vec(0usize..3 * WINDOW_BYTES, 1..12), stop in 1usize..5) {
            let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            prop_assert_eq!(lines_of(text.as_bytes(), &[text.len()], stop), (lines.clone(), text.len()));
            prop_assert_eq!(lines_of(text.as_bytes(), &[1000], stop), (lines, text.len()));
        }

        #[test]
        fn bad_bytes_spoil_no_other_line(bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..200)) {
            let expected: Vec<String> = match bytes.strip_suffix(b"\n").unwrap_or(&bytes) {
                [] if bytes.is_empty() => Vec::new(),
                bytes => bytes.split(|byte| *byte == b'\n').map(|line| lossy(line).into_owned()).collect(),
            };
            prop_assert_eq!(lines_of(&bytes, &[7, 50], 3).0, expected);
        }
    }

    #[test]
    fn bad_bytes_are_replaced_and_carriage_returns_dropped() {
        assert_eq!(lines_of(b"a\xffb\r\n\r\nc\r", &[20], 1).0, ["a\u{fffd}b", "", "c"]);
    }
}
