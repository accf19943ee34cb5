//! The unsafe lines of keyed state: telling the processor that a place in memory will be read.
//!
//! A hint that changes nothing but time. Without it a table too large for the nearest caches makes each record wait for
//! its own entry. The safe way to have an entry loaded is to compare its key, which costs as much as the look-up itself;
//! on processors other than x86-64 nothing is done at all.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "see the module's documentation"))]

/// Has the beginning of `place` loaded into the first cache, two lines of it at most, and does not wait for it.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn prefetch<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let first = std::ptr::from_ref(place).cast::<i8>();
    // SAFETY: a prefetch neither reads nor writes for the program, and cannot fault; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(first) }
    if size_of::<T>() > LINE {
        // SAFETY: as above; `wrapping_add` asks nothing of its result.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(LINE)) }
    }
}

/// Bytes that are loaded at once.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Does nothing: there is no stable intrinsic.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch<T>(_: &T) {}
