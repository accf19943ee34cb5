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

/// Has `put` take each of `count` entries or keys, as [`encode`] appended them.
pub(crate) fn decode<T: DeserializeOwned>(count: usize, mut bytes: &[u8], mut put: impl FnMut(T)) -> TaskResult {
    let broken = |error: CodecError| Box::new(Failure::user("keyed state cannot be decoded").caused_by(&error));
    for _ in 0..count {
        put(codec::decode_prefix(&mut bytes).map_err(broken)?);
    }
    if bytes.is_empty() {
        return Ok(());
    }
    Err(Box::new(Failure::user(format!("{} bytes follow the last entry of a keyed state", bytes.len()))))
}
