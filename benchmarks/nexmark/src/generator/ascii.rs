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
    pub fn put_text(&mut self, at: usize, text: &str) -> usize {
        let places = self.0.iter_mut().skip(at);
        at + places.zip(text.bytes()).map(|(place, byte)| *place = byte & 0x7F).count()
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
    }
}
