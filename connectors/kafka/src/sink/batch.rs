//! Records into the batches that brokers store.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    protocol::StrBytes,
    records::{Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};

use super::{Compression, KafkaMessage};
use crate::error::{KafkaError, KafkaResult};

/// Who writes a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author {
    pub producer_id: i64,
    pub epoch: i16,
    pub transactional: bool,
}

/// Takes messages from the front of `messages` into a batch of about `bytes_max`, numbered from `sequence` on. Gives the batch,
/// and how many it has.
pub(super) fn encode(
    messages: &mut VecDeque<KafkaMessage>,
    author: Author,
    sequence: i32,
    bytes_max: usize,
    compression: Compression,
) -> KafkaResult<(Bytes, i32)> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(message) = messages.front() {
        let size = message.size();
        if !records.is_empty() && bytes + size > bytes_max {
            break;
        }
        bytes += size;
        let Some(message) = messages.pop_front() else { break };
        records.push(record(message, author, sequence, records.len() as i32));
    }
    let options = RecordEncodeOptions { version: 2, compression: compression.code() };
    let mut batch = BytesMut::with_capacity(bytes + 128);
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|problem| KafkaError::Malformed { what: "a batch of records".into(), problem: problem.to_string() })?;
    Ok((batch.freeze(), records.len() as i32))
}

fn record(message: KafkaMessage, author: Author, sequence: i32, place: i32) -> Record {
    let headers: IndexMap<_, _> =
        message.headers.into_iter().map(|(name, value)| (StrBytes::from_string(name), Some(value))).collect();
    Record {
        transactional: author.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: author.producer_id,
        producer_epoch: author.epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(place),
        sequence: sequence + place,
        timestamp: message.timestamp_ms.unwrap_or_default(),
        key: message.key,
        value: message.value,
        headers,
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;
    use proptest::prelude::*;

    use super::*;

    const AUTHOR: Author = Author { producer_id: 7, epoch: 2, transactional: true };

    proptest! {
        #[test]
        fn batches_hold_all_messages_in_order(
            sizes in prop::collection::vec(0usize..300, 1..40),
            bytes_max in 1usize..2_000,
            compression in prop::sample::select(Compression::ALL),
        ) {
            let messages: Vec<KafkaMessage> =
                sizes.iter().enumerate().map(|(n, size)| KafkaMessage::new(vec![n as u8; *size]).key(vec![n as u8]).header("h", "v")).collect();
            let mut left: VecDeque<_> = messages.iter().cloned().collect();
            let (mut sequence, mut found) = (0, Vec::new());
            while !left.is_empty() {
                let (mut batch, count) = encode(&mut left, AUTHOR, sequence, bytes_max, compression).unwrap();
                prop_assert!(count > 0);
                let decoded = RecordBatchDecoder::decode(&mut batch).unwrap().records;
                for (place, record) in decoded.iter().enumerate() {
                    prop_assert_eq!(record.sequence, sequence + place as i32);
                    prop_assert!(record.transactional && record.producer_id == 7 && record.producer_epoch == 2);
                }
                sequence += count;
                found.extend(decoded.into_iter().map(|record| (record.key, record.value)));
            }
            let expected: Vec<_> = messages.into_iter().map(|message| (message.key, message.value)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
