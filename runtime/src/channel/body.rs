//! Batches as the bodies of frames: the timestamps, if there are any, then the records.

use flott_core::{codec, failure::Failure};

use crate::{
    batch::{Batch, Data},
    error::TaskResult,
    net::Frame,
};

/// Appends the first `count` records of `batch` to `body`.
pub(super) fn encode<T: Data>(batch: &Batch<T>, count: usize, body: &mut Vec<u8>) -> TaskResult {
    for timestamp in batch.timestamps.iter().take(count) {
        body.extend_from_slice(&timestamp.to_le_bytes());
    }
    codec::encode_batch(&batch.records[..count], body).map_err(unserialisable)
}

/// How many of the first records of `batch` take up `bytes` together; at least one.
pub(super) fn count_within<T: Data>(batch: &Batch<T>, bytes: usize) -> TaskResult<usize> {
    let mut scratch = Vec::new();
    for (count, record) in batch.records.iter().enumerate() {
        codec::encode(record, &mut scratch).map_err(unserialisable)?;
        if scratch.len() + 8 * count > bytes {
            return Ok(count.max(1));
        }
    }
    Ok(batch.len())
}

/// Bytes of one record.
pub(super) fn bytes_of<T: Data>(record: &T, scratch: &mut Vec<u8>) -> TaskResult<usize> {
    scratch.clear();
    codec::encode(record, scratch).map_err(unserialisable)?;
    Ok(scratch.len())
}

fn unserialisable(error: codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user("a record cannot be serialised").because(error).fatal())
}

/// Appends the records of `frame` to an empty `batch`.
pub(crate) fn decode<T: Data>(frame: &Frame, batch: &mut Batch<T>) -> TaskResult {
    let refused = |error: &dyn std::fmt::Display| {
        Box::new(Failure::internal("a frame of records from another process cannot be read").because(error))
    };
    let count = frame.count as usize;
    let mut body: &[u8] = &frame.body;
    if frame.timestamps {
        let bytes = count.checked_mul(8).filter(|bytes| *bytes <= body.len());
        let Some((stamps, records)) = bytes.map(|bytes| body.split_at(bytes)) else {
            return Err(refused(&"it is shorter than its timestamps"));
        };
        let (stamps, _) = stamps.as_chunks::<8>();
        batch.timestamps.extend(stamps.iter().map(|stamp| i64::from_le_bytes(*stamp)));
        body = records;
    }
    codec::decode_batch_into(body, count, &mut batch.records).map_err(|error| refused(&error))
}
