//! The one unsafe line of texts: two words are the bytes of a string again, without another look at each of them. That look
//! would cost more than all else that is done with a short text.

#![expect(unsafe_code, reason = "see the module's documentation")]

use std::{ptr, slice};

use super::{SHORT_BYTES_MAX, Short};

/// The text in `short`.
#[inline(always)]
pub(super) fn text_of(short: &Short) -> &str {
    let length = (u64::from_le(short.high) >> 56) as usize;
    let bytes = ptr::from_ref(short).cast();
    // SAFETY: `Short` is 16 bytes without a gap, more than the length may be. `Text` alone makes them, with the bytes and the length
    // of a string, or of a part between boundaries of characters.
    unsafe { str::from_utf8_unchecked(slice::from_raw_parts(bytes, length.min(SHORT_BYTES_MAX))) }
}
