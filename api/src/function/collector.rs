//! Where the results of a user function go.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Timestamp},
    error::TaskResult,
    output::Output,
};

/// Takes the results of a function, and passes them on in batches.
pub struct Collector<'a, T> {
    batch: &'a mut Batch<T>,
    out: &'a mut dyn Output<T>,
    timestamp: Option<Timestamp>,
    failed: Option<Box<Failure>>,
    passed: bool,
}

impl<'a, T> Collector<'a, T> {
    pub(crate) fn new(batch: &'a mut Batch<T>, out: &'a mut dyn Output<T>) -> Self {
        Self { batch, out, timestamp: None, failed: None, passed: false }
    }

    /// Gives out a result. It has the timestamp of the record that it was made from.
    #[inline]
    pub fn emit(&mut self, record: T) {
        self.batch.push_with(record, self.timestamp);
        if self.batch.records.len() >= BATCH_RECORDS {
            self.flush();
        }
    }

    /// Gives out results.
    pub fn emit_all(&mut self, records: impl IntoIterator<Item = T>) {
        records.into_iter().for_each(|record| self.emit(record));
    }

    /// The timestamp of the record at hand.
    #[inline]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// Sets the timestamp of what is given out from now on. A batch has timestamps for all records or for none.
    #[inline]
    pub(crate) fn set_timestamp(&mut self, timestamp: Option<Timestamp>) {
        if timestamp.is_some() != self.timestamp.is_some() && !self.batch.is_empty() {
            self.flush();
        }
        self.timestamp = timestamp;
    }

    #[inline(never)]
    fn flush(&mut self) {
        self.passed = true;
        if self.failed.is_none()
            && let Err(failure) = self.out.collect(self.batch)
        {
            self.failed = Some(failure);
        }
        self.batch.clear();
    }

    /// Whether a batch has been passed on.
    pub(crate) fn has_passed(&self) -> bool {
        self.passed
    }

    /// Passes on what is left, and says how all passing on went.
    pub(crate) fn finish(&mut self) -> TaskResult {
        if !self.batch.is_empty() {
            self.flush();
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}
