//! Flott's one binary format: records between processes, control messages and state all use it.
//!
//! It is a serde format of our own, because the record path wants fixed widths: a `(u64, u64)` is two eight-byte copies,
//! where variable-length integers would cost a branch per byte.
//!
//! | data | bytes |
//! |---|---|
//! | integers, floats | little-endian, as wide as the type |
//! | `bool`; `char` | one byte, 0 or 1; its scalar value as `u32` |
//! | strings, bytes, sequences, maps | `u32` count (of bytes, elements or entries), then the content |
//! | `Option` | one byte, 0 or 1, then the value |
//! | enum | variant index as `u32`, then the variant's fields |
//! | struct, tuple, array | the fields, one after the other |
//! | unit | nothing |
//!
//! Nothing names a field or a type, so both ends must agree on the type: attributes that need names or a
//! self-describing format (`flatten`, `untagged`, `skip_serializing_if`) are refused with an error. A type may change
//! only where the protocol or snapshot that holds it carries a version.
//!
//! Input is not trusted: decoding never panics, allocates in proportion to the bytes that are there, and recurses at
//! most [`DEPTH_MAX`] levels deep. Encoding has the same depth limit, so what was written can be read.

mod decode;
mod encode;
mod error;
#[cfg(test)]
mod tests;

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

pub use error::{CodecError, CodecErrorKind};

/// How deep values may nest: each struct, tuple, sequence, map, newtype, `Some` and variant with fields is one level.
pub const DEPTH_MAX: u32 = 128;

/// How many elements without any bytes of their own, such as `()`, one decoding accepts in all its sequences together.
/// They are the only ones whose number the input's length does not bound.
pub const EMPTY_ELEMENTS_MAX: u32 = 1 << 20;

/// Appends `value` to `out`. On an error `out` is as long as it was before. The value's `Serialize` runs again when it
/// did not fit into the capacity of `out`; nothing is seen of its first run.
///
/// # Errors
/// When something holds more than `u32::MAX` elements or nests deeper than [`DEPTH_MAX`], when the type needs field
/// names, or when its own `Serialize` fails.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    encode::append(&[value], out)
}

/// The bytes of `value` in a vector of their own.
///
/// # Errors
/// As [`encode`].
#[inline]
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode(value, &mut out)?;
    Ok(out)
}

/// Appends all `values`, one after the other and without a count: whoever reads them must know how many there are.
///
/// # Errors
/// As [`encode`]; `out` is then as long as it was before the batch.
#[inline]
pub fn encode_batch<T: Serialize>(values: &[T], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    encode::append(values, out).inspect_err(|_| out.truncate(start))
}

/// Reads one value that takes up all of `bytes`; strings and byte slices in it may borrow from there.
///
/// # Errors
/// When the bytes are not an encoding of a `T`, or more follow it.
#[inline]
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, CodecError> {
    let mut input = decode::Input::new(bytes);
    let value = input.read()?;
    input.finish()?;
    Ok(value)
}

/// Reads one value from the front of `bytes` and moves `bytes` past it: for many records in one frame. On an error
/// `bytes` stays where it was.
///
/// # Errors
/// When no encoding of a `T` stands at the front; the error's offset counts from there.
#[inline]
pub fn decode_prefix<'de, T: Deserialize<'de>>(bytes: &mut &'de [u8]) -> Result<T, CodecError> {
    let mut input = decode::Input::new(bytes);
    let value = input.read()?;
    *bytes = input.rest();
    Ok(value)
}

/// Reads `count` values, as [`encode_batch`] wrote them, that take up all of `bytes`, and appends them to `out`. On an
/// error `out` is as long as it was before.
///
/// # Errors
/// When the bytes are not exactly `count` encodings of a `T`.
#[inline]
pub fn decode_batch_into<T: DeserializeOwned>(bytes: &[u8], count: usize, out: &mut Vec<T>) -> Result<(), CodecError> {
    let start = out.len();
    let mut input = decode::Input::new(bytes);
    match input.read_batch(count, out) {
        Ok(()) => Ok(()),
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}
