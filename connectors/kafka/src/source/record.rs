//! What is read.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use kafka_protocol::records::Record;
use serde::{Deserialize, Serialize};

/// A record as Kafka has it.
#[derive(Debug, Clone)]
pub struct KafkaRecord {
    topic: Arc<str>,
    partition: i32,
    record: Record,
}

impl KafkaRecord {
    pub(super) fn new(topic: &Arc<str>, partition: i32, record: Record) -> Self {
        Self { topic: topic.clone(), partition, record }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset in the partition.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    /// When it was made or, if the topic is set up so, stored: milliseconds since the epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.record.timestamp
    }

    /// The key, if there is one.
    pub fn key(&self) -> Option<&Bytes> {
        self.record.key.as_ref()
    }

    /// The value; `None` is what deletes a key of a compacted topic.
    pub fn value(&self) -> Option<&Bytes> {
        self.record.value.as_ref()
    }

    /// The value, or nothing where there is none.
    pub fn bytes(&self) -> &[u8] {
        self.record.value.as_deref().unwrap_or_default()
    }

    /// Headers, in order. Of several with one name the last is given.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.record.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers().find(|(of, _)| *of == name).and_then(|(_, value)| value)
    }
}

/// Offsets of partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets(BTreeMap<String, BTreeMap<i32, i64>>);

impl Offsets {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With that of one more partition.
    #[must_use]
    pub fn with(mut self, topic: impl Into<String>, partition: i32, offset: i64) -> Self {
        self.set(topic.into(), partition, offset);
        self
    }

    pub(super) fn set(&mut self, topic: String, partition: i32, offset: i64) {
        self.0.entry(topic).or_default().insert(partition, offset);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of `newer` count.
    pub(super) fn update(&mut self, newer: &Self) {
        for (topic, partitions) in &newer.0 {
            self.0.entry(topic.clone()).or_default().extend(partitions);
        }
    }

    /// That of a partition.
    pub fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(topic)?.get(&partition).copied()
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = (&str, &BTreeMap<i32, i64>)> {
        self.0.iter().map(|(topic, partitions)| (topic.as_str(), partitions))
    }
}
