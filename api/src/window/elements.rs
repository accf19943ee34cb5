//! All records of a window.

use flott_runtime::batch::Timestamp;
use serde::{Deserialize, Serialize};

/// What a window has where it keeps its records, in the order in which they came: what an evictor takes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowElements<T> {
    records: Vec<T>,
    timestamps: Vec<Option<Timestamp>>,
}

impl<T> Default for WindowElements<T> {
    fn default() -> Self {
        Self { records: Vec::new(), timestamps: Vec::new() }
    }
}

impl<T> WindowElements<T> {
    pub(crate) fn push(&mut self, record: T, timestamp: Option<Timestamp>) {
        self.records.push(record);
        self.timestamps.push(timestamp);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.timestamps.append(&mut other.timestamps);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records.
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// The timestamp of each, if it has one.
    pub fn timestamps(&self) -> &[Option<Timestamp>] {
        &self.timestamps
    }

    /// Takes the first `count` out; all if there are no more.
    pub fn remove_first(&mut self, count: usize) {
        let count = count.min(self.len());
        self.records.drain(..count);
        self.timestamps.drain(..count);
    }

    /// Keeps those for which `keep` says so, of record and timestamp.
    pub fn retain(&mut self, mut keep: impl FnMut(&T, Option<Timestamp>) -> bool) {
        let kept: Vec<bool> =
            self.records.iter().zip(&self.timestamps).map(|(record, timestamp)| keep(record, *timestamp)).collect();
        let mut each = kept.iter();
        self.records.retain(|_| each.next().copied().unwrap_or(false));
        let mut each = kept.iter();
        self.timestamps.retain(|_| each.next().copied().unwrap_or(false));
    }
}
