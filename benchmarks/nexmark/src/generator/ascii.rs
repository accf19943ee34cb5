//! Rooms of bytes that are ASCII, and so text without a look at them.
//!
//! The strings of a bid are put together by copies of constant length and cut to theirs at the end. That the result is
//! text would have to be found out from bytes which have just been written in other pieces, for which the processor
//! waits: it took an eighth of the time of an event. So a room takes nothing but ASCII.

/// Bytes below 128.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ascii<const N: usize>([u8; N]);

impl<const N: usize> Ascii<N> {
    /// Zeros.
    pub const fn blank() -> Self {
        Self([0; N])
    }

    /// `bytes`, without the eighth bit of those that are not ASCII.
    #[inline(always)]
    pub const fn of(bytes: &[u8; N]) -> Self {
        let mut own = *bytes;
        let mut at = 0;
        while at < N {
            own[at] &= 0x7F;
            at += 1;
        }
        Self(own)
    }

    /// Copies `part` to `at`, if there is room for it. As its length is a constant, that is a few moves.
    #[inline(always)]
    pub fn put<const M: usize>(&mut self, at: usize, part: &Ascii<M>) {
        if let Some(place) = self.0.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *place = part.0;
        }
    }

    /// Copies as much of `text` as there is room for to `at`; gives where it ends.
    #[inline]
    pub fn put_text(&mut self, at: usize, text: &str) -> usize {
        let places = self.0.get_mut(at..).unwrap_or_default();
        at + places.iter_mut().zip(text.bytes()).map(|(place, byte)| *place = byte & 0x7F).count()
    }

    /// Fills at least `length` bytes from `at` on, if there are so many: eight at a time with what `next` gives, without
    /// the eighth bit of those that are not ASCII.
    #[inline(always)]
    pub fn put_words(&mut self, at: usize, length: usize, mut next: impl FnMut() -> u64) {
        let places = self.0.get_mut(at..).and_then(|rest| rest.get_mut(..length.next_multiple_of(8)));
        for eight in places.unwrap_or_default().as_chunks_mut().0 {
            *eight = (next() & 0x7F7F_7F7F_7F7F_7F7F).to_le_bytes();
        }
    }

    /// Cuts off the blanks at both ends of what lies between `start` and `end`; gives the new end.
    pub fn trim(&mut self, start: usize, end: usize) -> usize {
        let Some(text) = self.0.get(start..end) else { return end };
        let trimmed = text.trim_ascii_start();
        let (from, length) = (end - trimmed.len(), trimmed.trim_ascii_end().len());
        if from > start {
            self.0.copy_within(from..from + length, start);
        }
        start + length
    }

    /// The first `length` bytes, as far as there are so many.
    #[inline(always)]
    pub fn text(&self, length: usize) -> &str {
        let bytes = &self.0[..length.min(N)];
        debug_assert!(bytes.is_ascii());
        // SAFETY: ASCII is UTF-8, and nothing but ASCII gets into a room.
        unsafe { str::from_utf8_unchecked(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_put_in_the_safe_twin_reads_the_same(
            bytes: [u8; 16], part: [u8; 5], at in 0usize..20, text in "\\PC{0,9}", length in 0usize..20,
        ) {
            let mut room = Ascii::of(&bytes);
            room.put(at, &Ascii::of(&part));
            let end = room.put_text(at, &text);
            prop_assert!(end >= at && end - at <= text.len());
            prop_assert_eq!(room.text(length), str::from_utf8(&room.0[..length.min(16)]).unwrap());
        }
    }

    #[test]
    fn what_is_ascii_stays() {
        let mut room: Ascii<8> = Ascii::blank();
        let end = room.put_text(0, "ab");
        room.put(end, &Ascii::of(b"cde"));
        assert_eq!(room.text(5), "abcde");
        assert_eq!(room.put_text(5, "xyzzy"), 8);
        assert_eq!(room.text(9), "abcdexyz");
        room.put(6, &Ascii::of(b"---"));
        assert_eq!(room.text(8), "abcdexyz");
        let mut words = [u64::from_le_bytes(*b"abcd\xE5fgh"), u64::from_le_bytes(*b"ijklmnop")].into_iter();
        let mut room: Ascii<18> = Ascii::blank();
        room.put_words(1, 9, || words.next().unwrap());
        assert_eq!(room.text(17), "\0abcdefghijklmnop");
        room.put_words(3, 9, || 0);
        assert_eq!(room.text(17), "\0abcdefghijklmnop");
    }

    #[track_caller]
    fn check_trim(text: &[u8; 6], start: usize, end: usize, expected: &str) {
        let mut room = Ascii::of(text);
        let end = room.trim(start, end);
        assert_eq!(&room.text(end)[start..], expected);
    }

    #[test]
    fn blanks_at_both_ends_are_cut_off() {
        check_trim(b" a b  ", 0, 6, "a b");
        check_trim(b"xxab  ", 2, 5, "ab");
        check_trim(b"xx    ", 2, 6, "");
        check_trim(b"xx  ab", 2, 4, "");
    }
}
