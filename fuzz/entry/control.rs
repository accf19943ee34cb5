//! Any bytes as control messages: decoding never panics, and what it takes means the same when it is encoded again.

use flott_core::{
    codec,
    message::{FromWorker, HostToWorker, Opening, ToWorker, Welcome, WorkerToHost},
};
use serde::{Serialize, de::DeserializeOwned};

/// Decodes `data` as each of the messages that come over a connection.
pub fn run(data: &[u8]) {
    decode::<FromWorker>(data);
    decode::<ToWorker>(data);
    decode::<HostToWorker>(data);
    decode::<WorkerToHost>(data);
    decode::<Opening>(data);
    decode::<Welcome>(data);
}

fn decode<T: DeserializeOwned + Serialize>(data: &[u8]) {
    let Ok(message) = codec::decode::<T>(data) else { return };
    // Bytes are compared, as a message may hold a number that is not equal to itself.
    let written = codec::to_vec(&message).expect("what was decoded can be encoded");
    let again: T = codec::decode(&written).expect("what was encoded can be decoded");
    assert_eq!(codec::to_vec(&again).expect("encoded before"), written, "encoding changes a message");
}
