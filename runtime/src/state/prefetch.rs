//! The one unsafe line of keyed state: telling the processor that a place in memory will be read.
//!
//! A hint that changes nothing but time. Without it a table too large for the nearest caches makes each record wait for
//! its own entry. The safe way to have an entry loaded is to compare its key, which costs as much as the look-up itself;
//! on processors other than x86-64 nothing is done at all.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "see the module's documentation"))]

/// Has the beginning of `place` loaded into the first cache, and does not wait for it.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn prefetch<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch neither reads nor writes for the program, and cannot fault; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
}

/// Does nothing: there is no stable intrinsic.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch<T>(_: &T) {}
