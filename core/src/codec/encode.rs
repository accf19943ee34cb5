//! The writing half.
//!
//! Appending field by field to a `Vec` costs a load, a check and a store of its length for each field: a chain through
//! memory that made a `(u64, u64)` take four nanoseconds. So the serializer here ([`window`]) writes into the vector's
//! spare room, a slice that is passed on and given back by value and stays in registers; a value that does not fit is
//! written again after the vector has grown.

mod uninit;
mod window;

use serde::ser::Serialize;

use super::error::CodecError;

/// Why nothing was written.
enum Stop {
    /// The window was too small.
    Full,
    /// The value cannot be encoded.
    Failed(CodecError),
}

/// Appends `values`; on an error `out` ends with those before the one that failed.
#[inline(always)]
pub(super) fn append<T: Serialize>(mut values: &[T], out: &mut Vec<u8>) -> Result<(), CodecError> {
    loop {
        let (done, result) = uninit::append_within_capacity(values, out);
        match result {
            Ok(()) => return Ok(()),
            Err(Stop::Full) => grow(out),
            Err(Stop::Failed(error)) => return Err(error),
        }
        values = values.get(done..).unwrap_or_default();
    }
}

/// Doubling the window bounds what is written in vain by what is written at last.
#[cold]
#[inline(never)]
fn grow(out: &mut Vec<u8>) {
    let window = out.capacity() - out.len();
    out.reserve((window * 2).max(64));
}
