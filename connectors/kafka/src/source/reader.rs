//! Reads one partition.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    vec,
};

use flott::{BATCH_RECORDS, Batch, Failure, ReadStatus, SplitReader, TaskResult};
use kafka_protocol::records::Record;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Deserialise, KafkaRecord, KafkaSplit, Part, chunk::Chunk, fetch::Fetcher};
use crate::{error::KafkaResult, wire::spawn};

/// Bytes of values that a batch may have.
const BATCH_BYTES: usize = 64 << 10;

pub(super) struct PartitionReader<T> {
    topic: Arc<str>,
    partition: i32,
    /// The next offset that is not read.
    next: i64,
    stop: Option<i64>,
    deserialise: Arc<Deserialise<T>>,
    chunks: mpsc::Receiver<KafkaResult<Chunk>>,
    fetching: AbortHandle,
    chunk: Option<Chunk>,
    records: vec::IntoIter<Record>,
    /// Where the batch ends that `records` are of.
    end: i64,
}

impl<T> PartitionReader<T> {
    /// Begins to fetch.
    pub fn open(fetcher: Fetcher, stop: Option<i64>, deserialise: Arc<Deserialise<T>>) -> Self {
        let (topic, partition, next) = (fetcher.topic.as_str().into(), fetcher.partition, fetcher.next);
        let (into, chunks) = mpsc::channel(1);
        let fetching = spawn(fetcher.run(into)).abort_handle();
        let (chunk, records) = (None, Vec::new().into_iter());
        Self { topic, partition, next, stop, deserialise, chunks, fetching, chunk, records, end: next }
    }

    fn is_at_end(&self) -> bool {
        self.stop.is_some_and(|stop| self.next >= stop)
    }

    fn take(&mut self, record: Record, batch: &mut Batch<T>) -> TaskResult {
        let (offset, timestamp) = (record.offset, record.timestamp);
        let record = KafkaRecord::new(&self.topic, self.partition, record);
        let made = (self.deserialise)(&record).map_err(|error| {
            let place = format!("{}-{} at offset {offset}", self.topic, self.partition);
            Box::new(Failure::user(format!("the record of {place} cannot be read: {error}")).fatal())
        })?;
        if let Some(made) = made {
            batch.records.push(made);
            batch.timestamps.push(timestamp);
        }
        self.next = offset + 1;
        Ok(())
    }
}

impl<T: Send> SplitReader<T, KafkaSplit> for PartitionReader<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let mut bytes = 0;
        loop {
            if self.is_at_end() {
                return Poll::Ready(Ok(ReadStatus::Ended));
            }
            if let Some(record) = self.records.next() {
                if record.offset < self.next {
                    continue;
                }
                if self.stop.is_some_and(|stop| record.offset >= stop) {
                    self.next = record.offset;
                    continue;
                }
                bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
                self.take(record, batch)?;
                if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                    if batch.is_empty() {
                        bytes = 0;
                        continue;
                    }
                    let status = if self.is_at_end() { ReadStatus::Ended } else { ReadStatus::More };
                    return Poll::Ready(Ok(status));
                }
                continue;
            }
            self.next = self.next.max(self.end);
            if let Some(chunk) = &mut self.chunk {
                match chunk.next()? {
                    Some(decoded) => (self.records, self.end) = (decoded.records.into_iter(), decoded.end),
                    None => self.chunk = None,
                }
                continue;
            }
            if !batch.is_empty() {
                return Poll::Ready(Ok(ReadStatus::More));
            }
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => self.chunk = Some(chunk?),
                None => return Poll::Ready(Err(Box::new(Failure::internal("nobody fetches the partition any more")))),
            }
        }
    }

    fn remaining(&self) -> KafkaSplit {
        let Self { topic, partition, next, stop, .. } = self;
        KafkaSplit(Part::Partition { topic: topic.to_string(), partition: *partition, next: *next, stop: *stop })
    }
}

impl<T> Drop for PartitionReader<T> {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}
