//! Records on the move. Everything in the runtime works a batch at a time: one virtual call per operator and batch,
//! tight typed loops inside.

mod leaving;

use serde::{Serialize, de::DeserializeOwned};

pub use leaving::Leaving;

use crate::state::KeyHash;

/// What can be a record: it can be copied to several consumers and sent to another process.
pub trait Data: Clone + Send + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Send + Serialize + DeserializeOwned + 'static> Data for T {}

/// What can be a key. Its hash is [`flott_core::key_group::stable_hash`], so equal keys must serialise equally.
pub trait Key: Data + Eq {}
impl<T: Data + Eq> Key for T {}

/// Milliseconds since the epoch of event time.
pub type Timestamp = i64;

/// Most records that a source or operator puts into one batch.
///
/// Handing a batch over costs some microseconds (two locks, a wake-up, between processes a share of two system calls):
/// a thousand records make that a few nanoseconds each. A thousand small records are also few enough that a batch stays
/// in a core's first or second cache on its way through a chain.
pub const BATCH_RECORDS: usize = 1024;

/// Bytes that a batch should not exceed by much once encoded, which bounds what large records take up: a channel holds a
/// handful of batches. Beyond this size the cost of a hand-over has long been lost in that of copying.
pub const BATCH_BYTES: usize = 32 * 1024;

/// Records in order, with a timestamp each or none at all.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// The records.
    pub records: Vec<T>,
    /// As many timestamps as records, or none.
    pub timestamps: Vec<Timestamp>,
    /// As many hashes of the records' keys as records, or none. An edge by key puts them there for the operator behind it
    /// where that is in the same process; everyone else may forget them.
    hashes: Vec<KeyHash>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { records: Vec::new(), timestamps: Vec::new(), hashes: Vec::new() }
    }
}

impl<T> Batch<T> {
    /// An empty batch with room for `records`.
    pub fn with_capacity(records: usize) -> Self {
        Self { records: Vec::with_capacity(records), ..Self::default() }
    }

    /// Records with their timestamps, of which there are as many.
    pub fn stamped(records: Vec<T>, timestamps: Vec<Timestamp>) -> Self {
        debug_assert_eq!(timestamps.len(), records.len());
        Self { records, timestamps, hashes: Vec::new() }
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether records have timestamps. An empty batch has none.
    pub fn has_timestamps(&self) -> bool {
        !self.timestamps.is_empty()
    }

    /// Removes all records, keeps the allocation.
    pub fn clear(&mut self) {
        self.records.clear();
        self.timestamps.clear();
        self.hashes.clear();
    }

    /// The records, and the hashes of their keys if these came along with them.
    pub fn keyed(&mut self) -> (&mut Vec<T>, Option<&mut Vec<KeyHash>>) {
        let carried = self.hashes.len() == self.records.len();
        (&mut self.records, carried.then_some(&mut self.hashes))
    }

    /// The records and hashes of a batch that is being filled with both.
    pub(crate) fn hashed(&mut self) -> (&mut Vec<T>, &mut Vec<KeyHash>) {
        (&mut self.records, &mut self.hashes)
    }

    /// Leaves the records without hashes of their keys.
    pub(crate) fn forget_hashes(&mut self) {
        self.hashes.clear();
    }

    /// Adds a record without a timestamp. The batch must not have timestamps.
    #[inline]
    pub fn push(&mut self, record: T) {
        debug_assert!(self.timestamps.is_empty(), "a batch has timestamps for all records or for none");
        self.records.push(record);
    }

    /// Adds a record with the timestamp it may have. All records of a batch are alike in having one.
    #[inline]
    pub fn push_with(&mut self, record: T, timestamp: Option<Timestamp>) {
        if let Some(timestamp) = timestamp {
            debug_assert_eq!(self.timestamps.len(), self.records.len());
            self.timestamps.push(timestamp);
        }
        self.records.push(record);
    }

    /// The timestamp of record `index`, if records have any.
    #[inline]
    pub fn timestamp(&self, index: usize) -> Option<Timestamp> {
        self.timestamps.get(index).copied()
    }

    /// Moves all records of `other` to the end of this one.
    pub fn append(&mut self, other: &mut Self) {
        debug_assert!(self.is_empty() || other.is_empty() || self.has_timestamps() == other.has_timestamps());
        self.records.append(&mut other.records);
        self.timestamps.append(&mut other.timestamps);
        self.hashes.append(&mut other.hashes);
    }
}

impl<T> From<Vec<T>> for Batch<T> {
    fn from(records: Vec<T>) -> Self {
        Self { records, ..Self::default() }
    }
}
