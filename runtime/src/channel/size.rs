//! How many records a batch should have, so that it is neither large in bytes nor small for what handing it over costs.

use crate::batch::{BATCH_BYTES, BATCH_RECORDS, Batch, Data};

use super::body;
use crate::error::TaskResult;

/// Bytes that the partial batches of one writer may take together. With many channels each of them gets less, so that a
/// task with a thousand consumers does not hold a thousand full batches, nor each consumer four of each producer's.
const WRITER_BYTES: usize = 8 << 20;
/// Least bytes of a full batch, however many channels there are: less would be all overhead.
const BATCH_BYTES_MIN: usize = 1024;
/// Batches from one sample to the next where nothing is encoded anyway. Sampling costs as much as sending one record to
/// another process.
const SAMPLE_EVERY: u32 = 64;

/// The size of batches, learned from the records.
pub(super) struct BatchSize {
    bytes_max: usize,
    record_bytes: usize,
    limit: usize,
    seen: u32,
    scratch: Vec<u8>,
}

impl BatchSize {
    /// For a writer with this many channels.
    pub fn new(channels: usize) -> Self {
        let bytes_max = (WRITER_BYTES / channels.max(1)).clamp(BATCH_BYTES_MIN, BATCH_BYTES);
        Self { bytes_max, record_bytes: 0, limit: BATCH_RECORDS, seen: 0, scratch: Vec::new() }
    }

    /// Records after which a batch is full.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that `records` records will probably take, with some to spare.
    pub fn bytes(&self, records: usize) -> usize {
        records * self.record_bytes + records * self.record_bytes / 16 + 64
    }

    /// Looks at a batch that goes into the writer; at one record in many batches, that is.
    pub fn sample<T: Data>(&mut self, batch: &Batch<T>) -> TaskResult {
        if self.seen.is_multiple_of(SAMPLE_EVERY)
            && let Some(record) = batch.records.get(batch.len() / 2)
        {
            let bytes = body::bytes_of(record, &mut self.scratch)?;
            self.learn(1, bytes);
            // The sample may have been large.
            self.scratch.shrink_to(BATCH_BYTES);
        }
        self.seen = self.seen.wrapping_add(1);
        Ok(())
    }

    /// So many records took so many bytes.
    pub fn learn(&mut self, records: usize, bytes: usize) {
        let mean = bytes / records.max(1);
        // Records that grow all at once must not have to be large for long before batches get shorter.
        let smooth = if mean > 4 * self.record_bytes { mean } else { (3 * self.record_bytes + mean) / 4 };
        self.record_bytes = smooth.max(1);
        self.limit = (self.bytes_max / self.record_bytes).clamp(1, BATCH_RECORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(channels: usize, frames: &[(usize, usize)], expected: usize) {
        let mut size = BatchSize::new(channels);
        for &(records, bytes) in frames {
            size.learn(records, bytes);
        }
        assert_eq!(size.limit(), expected);
    }

    #[test]
    fn small_records_fill_a_batch_by_number() {
        check(1, &[], BATCH_RECORDS);
        check(1, &[(1000, 16_000)], BATCH_RECORDS);
        check(1, &[(1000, 0)], BATCH_RECORDS);
    }

    #[test]
    fn large_records_fill_a_batch_by_bytes() {
        check(1, &[(10, 10_240)], BATCH_BYTES / 1024);
        check(1, &[(1, BATCH_BYTES * 10)], 1);
    }

    #[test]
    fn records_that_grow_are_noticed_at_once_and_those_that_shrink_soon() {
        check(1, &[(1000, 16_000), (1, 1 << 20)], 1);
        check(1, &[(1, 1 << 20), (1000, 16_000)], 1);
        let mut frames = vec![(1, 1 << 20)];
        frames.extend([(1000, 16_000); 60]);
        check(1, &frames, BATCH_RECORDS);
    }

    #[test]
    fn many_channels_share_the_bytes_of_a_writer() {
        check(1024, &[(1, 64)], 8 * 1024 / 64);
        check(100_000, &[(1, 64)], BATCH_BYTES_MIN / 64);
    }

    #[test]
    fn one_record_in_many_batches_is_looked_at() {
        let mut size = BatchSize::new(1);
        size.sample(&Batch::from(vec!["a".repeat(1020); 3])).unwrap();
        assert_eq!(size.limit(), BATCH_BYTES / 1024);
        size.sample(&Batch::from(vec!["a".repeat(10_000); 3])).unwrap();
        assert_eq!(size.limit(), BATCH_BYTES / 1024);
        assert!(size.bytes(10) >= 10_240);
    }
}
