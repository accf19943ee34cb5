//! What is written.

use bytes::Bytes;

/// A record as Kafka has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaMessage {
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl KafkaMessage {
    /// With a value and nothing else.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// Without a value: what deletes a key of a compacted topic.
    pub fn tombstone(key: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// With a key: records of one key go to one partition.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With a header; a second one of the same name takes the place of the first.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// To a topic other than the sink's.
    #[must_use]
    pub fn to_topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// To this partition, whatever the sink's partitioner says.
    #[must_use]
    pub fn to_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With a timestamp in milliseconds since the epoch. Without it the record's event time counts, or else the time at
    /// which it is written.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Bytes that it takes up, about.
    pub(crate) fn size(&self) -> usize {
        /// What a record has besides.
        const REST: usize = 24;
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        of(&self.key) + of(&self.value) + headers + REST
    }
}
