use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    messages::ProducerId,
    records::{Compression, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};
use proptest::prelude::*;

use super::*;

/// A batch of `count` records from `first` on.
fn batch(first: i64, count: i64, producer_id: i64, control: Option<i16>) -> Bytes {
    let records: Vec<Record> = (0..count)
        .map(|place| Record {
            transactional: producer_id >= 0,
            control: control.is_some(),
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset: first + place,
            sequence: place as i32,
            timestamp: 0,
            key: control.map(|kind| {
                let mut key = BytesMut::new();
                key.put_i16(0);
                key.put_i16(kind);
                key.freeze()
            }),
            value: Some(Bytes::from(format!("{}", first + place))),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(
        &mut bytes,
        &records,
        &RecordEncodeOptions { version: 2, compression: Compression::None },
    )
    .unwrap();
    bytes.freeze()
}

const ABORT: Option<i16> = Some(0);
const COMMIT: Option<i16> = Some(1);

#[track_caller]
fn check(batches: &[Bytes], aborted: &[(i64, i64)], expected: &[i64]) {
    let aborted = aborted.iter().map(|(producer_id, first)| {
        AbortedTransaction::default().with_producer_id(ProducerId(*producer_id)).with_first_offset(*first)
    });
    let mut chunk = Chunk::new(batches.concat().into(), aborted.collect());
    let mut found = Vec::new();
    while let Some(decoded) = chunk.next().unwrap() {
        found.extend(decoded.records.iter().map(|record| record.offset));
    }
    assert_eq!(found, expected);
}

#[test]
fn records_of_aborted_transactions_are_passed_over() {
    let one = [
        batch(0, 2, 7, None),
        batch(2, 2, 8, None),
        batch(4, 1, 7, ABORT),
        batch(5, 1, 8, COMMIT),
        batch(6, 1, -1, None),
    ];
    check(&one, &[(7, 0)], &[2, 3, 6]);
    check(&one, &[], &[0, 1, 2, 3, 6]);
    // The same producer goes on with a transaction that is committed.
    let again = [batch(0, 1, 7, None), batch(1, 1, 7, ABORT), batch(2, 1, 7, None), batch(3, 1, 7, COMMIT)];
    check(&again, &[(7, 0)], &[2]);
    // And has others aborted behind it.
    let twice = [again.concat().into(), batch(4, 1, 7, None), batch(5, 1, 7, ABORT), batch(6, 1, 7, None)];
    check(&twice, &[(7, 0), (7, 4)], &[2, 6]);
    // What is aborted has begun before what was fetched.
    check(&[batch(10, 1, 7, None), batch(11, 1, 7, ABORT), batch(12, 1, 7, None)], &[(7, 3)], &[12]);
}

#[test]
fn what_is_cut_off_is_left_for_the_next_answer() {
    let whole = [batch(0, 3, -1, None), batch(3, 3, -1, None)].concat();
    let first = batch(0, 3, -1, None).len();
    for length in 0..=whole.len() {
        let mut chunk = Chunk::new(Bytes::copy_from_slice(&whole[..length]), Vec::new());
        let expected = if length == whole.len() { Some(6) } else { (length >= first).then_some(3) };
        assert_eq!(chunk.end().unwrap(), expected);
        let mut end = None;
        while let Some(decoded) = chunk.next().unwrap() {
            end = Some(decoded.end);
        }
        assert_eq!(end, expected);
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0i32..200) {
        if bytes.len() > 16 {
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
        }
        let mut chunk = Chunk::new(bytes.into(), Vec::new());
        let _ = chunk.end();
        while let Ok(Some(_)) = chunk.next() {}
    }

    #[test]
    fn flipped_bits_are_found(at in 12usize..61, bit in 0u8..8) {
        let mut bytes = batch(0, 3, -1, None).to_vec();
        bytes[at] ^= 1 << bit;
        let mut chunk = Chunk::new(bytes.into(), Vec::new());
        // The leader's epoch is not covered by the checksum.
        if !(12..16).contains(&at) {
            prop_assert!(!matches!(chunk.next(), Ok(Some(decoded)) if !decoded.records.is_empty()));
        }
    }
}
