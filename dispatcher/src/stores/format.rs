//! Records as bytes: a version first, then the record.

use flott_core::codec;
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// The version of all records.
pub(super) const FORMAT: u8 = 1;

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORMAT];
    codec::encode(value, &mut bytes).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    codec::decode(payload(what, bytes)?).map_err(|error| damaged(what, error))
}

/// What stands behind the version.
pub(super) fn payload<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, payload)) => Ok(payload),
        Some((version, _)) => Err(damaged(what, format!("format version {version} is not {FORMAT}"))),
        None => Err(damaged(what, "it is empty")),
    }
}

pub(super) fn damaged(what: &str, cause: impl ToString) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() }
}
