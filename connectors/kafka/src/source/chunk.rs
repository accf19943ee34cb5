//! The bytes of an answer: batches of records, of which some belong to transactions that were aborted.

use std::collections::{BTreeMap, HashSet};

use bytes::{Buf, Bytes};
use kafka_protocol::{
    messages::fetch_response::AbortedTransaction,
    records::{Record, RecordBatchDecoder},
};

use crate::error::{KafkaError, KafkaResult};

/// What an answer has brought.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Bytes,
    aborted: Aborted,
}

/// The head of a batch, as far as it is needed before the batch is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Bytes of the whole batch.
    length: usize,
    first: i64,
    /// One behind its last offset, whether there is a record or not.
    end: i64,
    is_transactional: bool,
    is_control: bool,
    producer_id: i64,
}

/// Bytes from the beginning of a batch to its records.
const HEAD_BYTES: usize = 61;
/// Bytes before those that the length of a batch counts.
const LENGTH_BYTES: usize = 12;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

impl Head {
    /// `None` where no whole batch is left: brokers cut the last one off anywhere.
    fn read(bytes: &Bytes) -> KafkaResult<Option<Self>> {
        let malformed =
            |problem: &str| KafkaError::Malformed { what: "a batch of records".into(), problem: problem.into() };
        let mut head = &bytes[..];
        if head.len() < LENGTH_BYTES {
            return Ok(None);
        }
        let first = head.get_i64();
        let length = usize::try_from(head.get_i32()).map_err(|_| malformed("its length is negative"))? + LENGTH_BYTES;
        if bytes.len() < length {
            return Ok(None);
        }
        if length < HEAD_BYTES {
            return Err(malformed("it is too short"));
        }
        head.advance(4 + 1 + 4);
        let attributes = head.get_i16();
        let last = head.get_i32();
        head.advance(8 + 8);
        let producer_id = head.get_i64();
        head.advance(2 + 4);
        let count = usize::try_from(head.get_i32()).map_err(|_| malformed("it has a negative number of records"))?;
        // A record takes a few bytes at least, but for what compression makes of it.
        const COMPRESSED: i16 = 0b111;
        if attributes & COMPRESSED == 0 && count > length {
            return Err(malformed("it has more records than bytes"));
        }
        let end = i64::from(last).checked_add(first).and_then(|last| last.checked_add(1));
        let end = end.filter(|end| *end > first).ok_or_else(|| malformed("its offsets make no sense"))?;
        let (is_transactional, is_control) = (attributes & TRANSACTIONAL != 0, attributes & CONTROL != 0);
        Ok(Some(Self { length, first, end, is_transactional, is_control, producer_id }))
    }
}

/// A decoded batch.
#[derive(Debug)]
pub(super) struct Decoded {
    pub records: Vec<Record>,
    /// One behind the last offset.
    pub end: i64,
}

impl Chunk {
    /// `aborted` as the broker has it; none where uncommitted records are read too.
    pub fn new(bytes: Bytes, aborted: Vec<AbortedTransaction>) -> Self {
        Self { bytes, aborted: Aborted::new(aborted) }
    }

    /// One behind the last offset that is in it; `None` if there is no whole batch.
    pub fn end(&self) -> KafkaResult<Option<i64>> {
        let (mut bytes, mut end) = (self.bytes.clone(), None);
        while let Some(head) = Head::read(&bytes)? {
            end = Some(head.end);
            bytes.advance(head.length);
        }
        Ok(end)
    }

    /// The records of the next batch; none of one that is not to be read.
    pub fn next(&mut self) -> KafkaResult<Option<Decoded>> {
        let Some(head) = Head::read(&self.bytes)? else { return Ok(None) };
        let mut batch = self.bytes.split_to(head.length);
        let end = head.end;
        if !head.is_control && self.aborted.hides(&head) {
            return Ok(Some(Decoded { records: Vec::new(), end }));
        }
        let decoded = RecordBatchDecoder::decode(&mut batch).map_err(|problem| KafkaError::Malformed {
            what: "a batch of records".into(),
            problem: problem.to_string(),
        })?;
        let mut records = decoded.records;
        if head.is_control {
            self.aborted.control(&head, &records);
            records.clear();
        }
        Ok(Some(Decoded { records, end }))
    }
}

/// Which producers' records are of aborted transactions, from where one is to where its end is noted.
#[derive(Debug)]
struct Aborted {
    /// Of transactions that have not begun at the offset at hand, by their first offsets.
    to_come: BTreeMap<(i64, i64), ()>,
    now: HashSet<i64>,
}

impl Aborted {
    fn new(aborted: Vec<AbortedTransaction>) -> Self {
        let to_come = aborted.into_iter().map(|of| ((of.first_offset, of.producer_id.0), ())).collect();
        Self { to_come, now: HashSet::new() }
    }

    fn hides(&mut self, head: &Head) -> bool {
        while let Some(entry) = self.to_come.first_entry()
            && entry.key().0 < head.end
        {
            let ((_, producer_id), ()) = entry.remove_entry();
            self.now.insert(producer_id);
        }
        head.is_transactional && self.now.contains(&head.producer_id)
    }

    /// A transaction has ended, one way or the other.
    fn control(&mut self, head: &Head, records: &[Record]) {
        // Version and kind: 0 is an abort.
        let is_abort =
            records.iter().any(|record| record.key.as_deref().is_some_and(|key| key.get(2..4) == Some(&[0, 0])));
        if is_abort {
            self.to_come.retain(|(first, producer_id), ()| *producer_id != head.producer_id || *first > head.first);
            self.now.remove(&head.producer_id);
        }
    }
}

#[cfg(test)]
mod tests;
