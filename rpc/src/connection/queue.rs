//! Frames that wait to be written, in order.
//!
//! Short ones are copied behind each other, to go out in one write. What is long and kept by others as well is not copied: thousands of
//! peers that are told much at once would double it.

use bytes::Bytes;

/// Frames, or pieces of frames.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    copied: Vec<u8>,
    /// What is not copied, each behind so many bytes of what is.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
}

impl Queue {
    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.copied.len() + self.shared_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a copy.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Appends without a copy.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.shared_bytes += bytes.len();
        self.shared.push((self.copied.len(), bytes));
    }

    /// What is to be written, one after the other; none of it is empty.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let begins = [0].into_iter().chain(self.shared.iter().map(|(behind, _)| *behind));
        let ends = self.shared.iter().map(|(behind, _)| *behind).chain([self.copied.len()]);
        let copied = begins.zip(ends).map(|(begin, end)| self.copied.get(begin..end).unwrap_or_default());
        let shared = self.shared.iter().map(|(_, bytes)| &bytes[..]).chain([&[][..]]);
        copied.zip(shared).flat_map(|(copied, shared)| [copied, shared]).filter(|piece| !piece.is_empty())
    }
}

impl From<Vec<u8>> for Queue {
    fn from(copied: Vec<u8>) -> Self {
        Self { copied, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(queue: &Queue, expected: &[&str]) {
        let pieces: Vec<_> = queue.pieces().map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        assert_eq!(pieces, expected);
        assert_eq!(queue.len(), expected.concat().len());
        assert_eq!(queue.is_empty(), expected.is_empty());
    }

    #[test]
    fn copies_are_joined_and_what_is_shared_keeps_its_place() {
        let mut queue = Queue::default();
        check(&queue, &[]);
        let kept = Bytes::from_static(b"kept");
        queue.share(kept.clone());
        queue.copy(b"a");
        queue.copy(b"b");
        queue.share(Bytes::from_static(b"long"));
        queue.share(Bytes::from_static(b"longer"));
        check(&queue, &["kept", "ab", "long", "longer"]);
        queue.copy(b"c");
        check(&queue, &["kept", "ab", "long", "longer", "c"]);
        assert_eq!(queue.pieces().next().map(<[u8]>::as_ptr), Some(kept.as_ptr()));
        check(&Queue::from(b"ping".to_vec()), &["ping"]);
    }
}
