//! Entries of tables, encoded.

use flott_core::{
    codec::{self, CodecError},
    failure::Failure,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::TaskResult;

/// Appends an entry, or a key, to `bytes`.
#[inline]
pub(crate) fn encode<T: Serialize>(entry: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    codec::encode(entry, bytes)
}

/// An entry cannot be encoded.
#[cold]
pub(crate) fn unencodable(error: CodecError) -> Box<Failure> {
    Box::new(Failure::user("keyed state cannot be encoded").caused_by(&error))
}

/// Has `put` take each of `count` entries or keys, as [`encode`] appended them.
pub(crate) fn decode<T: DeserializeOwned>(count: usize, mut bytes: &[u8], mut put: impl FnMut(T)) -> TaskResult {
    let broken = |error: CodecError| Box::new(Failure::user("keyed state cannot be decoded").caused_by(&error));
    for _ in 0..count {
        put(codec::decode_prefix(&mut bytes).map_err(broken)?);
    }
    nothing_left(bytes)
}

/// Has `put` take the bytes of the key and of the value of each of `count` entries, as [`encode`] appended them.
#[cfg(feature = "disk")]
pub(crate) fn decode_parts<K: DeserializeOwned, V: DeserializeOwned>(
    count: usize,
    mut bytes: &[u8],
    mut put: impl FnMut(&[u8], &[u8]) -> TaskResult,
) -> TaskResult {
    let broken = |error: CodecError| Box::new(Failure::user("keyed state cannot be decoded").caused_by(&error));
    for _ in 0..count {
        let entry = bytes;
        codec::decode_prefix::<K>(&mut bytes).map_err(broken)?;
        let (key, value) = entry.split_at(entry.len() - bytes.len());
        codec::decode_prefix::<V>(&mut bytes).map_err(broken)?;
        put(key, &value[..value.len() - bytes.len()])?;
    }
    nothing_left(bytes)
}

fn nothing_left(bytes: &[u8]) -> TaskResult {
    if bytes.is_empty() {
        return Ok(());
    }
    Err(Box::new(Failure::user(format!("{} bytes follow the last entry of a keyed state", bytes.len()))))
}
