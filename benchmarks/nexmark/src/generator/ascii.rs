//! Bytes that are ASCII as text.
//!
//! What the generator puts together in rooms of bytes becomes text here. `str::from_utf8` would do, but it looks at words
//! one after the other and took a seventh of the time of an event; whether bytes are ASCII is found out for many at once.

/// What is looked at at once.
const STRIDE: usize = 64;

/// The size of a room for so many bytes.
pub(super) const fn room(bytes: usize) -> usize {
    bytes.next_multiple_of(STRIDE)
}

/// The first `length` bytes of `room` as text; nothing, if they or those behind them are not ASCII, or are fewer. The
/// room should have the size that [`room`] says: its bytes are looked at in long strides, as the last few would take
/// longer one by one than all before them.
#[inline(always)]
pub(super) fn text(room: &[u8], length: usize) -> &str {
    let looked_at = room.get(..self::room(length)).unwrap_or(room);
    if looked_at.is_ascii() {
        // SAFETY: ASCII is UTF-8, and these bytes are ASCII.
        let text = unsafe { str::from_utf8_unchecked(looked_at) };
        text.get(..length).unwrap_or_default()
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::text;

    proptest! {
        #[test]
        fn ascii_is_read_as_by_the_safe_twin(bytes in prop::collection::vec(0u8..128, 0..200)) {
            for length in 0..=bytes.len() {
                prop_assert_eq!(text(&bytes, length), str::from_utf8(&bytes[..length]).unwrap());
            }
            prop_assert_eq!(text(&bytes, bytes.len() + 1), "");
        }
    }

    #[test]
    fn other_bytes_are_no_text() {
        assert_eq!(text(&[b'a', 0x80], 1), "");
        assert_eq!(text("é".as_bytes(), 2), "");
    }
}
