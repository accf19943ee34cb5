//! Records as bytes: a version first, then the record.
//!
//! What follows the version does not say what it is made of, but for what is JSON. So each layout has a version of its own, and a build
//! reads one alone: it refuses a store of another as it finds it, by the leader's epoch that it reads first or by the log as a whole.
//! Within a version JSON may get fields that have a default; `layout` tells of whatever else changes.

use flott_core::codec;
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// The version of all records. 1 was several layouts, one after the other.
pub(super) const FORMAT: u8 = 2;

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
        Some((&found, _)) => Err(StoreError::OtherFormat { what: what.to_owned(), found }),
        None => Err(damaged(what, "it is empty")),
    }
}

pub(super) fn damaged(what: &str, cause: impl ToString) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), cause: cause.to_string() }
}
