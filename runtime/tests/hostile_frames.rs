//! The checks of the fuzz target on frames that are right, and on such frames damaged at random.

use flott_core::{
    codec,
    id::{AttemptNumber, EdgeIndex, SubtaskIndex},
    message::ChannelId,
};
use flott_runtime::{
    event::Event,
    net::frame::{self, Kind},
};
use proptest::prelude::*;

#[path = "../../fuzz/entry/exchange.rs"]
mod exchange;

/// A byte for the fuzz target, and what a peer says: it opens a channel, sends two batches and ends.
fn conversation() -> Vec<u8> {
    let end = (SubtaskIndex(0), AttemptNumber(0));
    let id = ChannelId { edge: EdgeIndex(0), producer: end, consumer: end };
    let mut bytes = vec![2];
    let mut say = |kind, count, timestamps, body: Vec<u8>| {
        let mut frame = frame::begin(kind, 0, count, timestamps, body.len());
        frame.extend_from_slice(&body);
        bytes.extend_from_slice(&frame::finish(frame).unwrap());
    };
    say(Kind::Open, 0, false, codec::to_vec(&id).unwrap());
    say(Kind::Data, 2, false, codec::to_vec(&[(1_u64, 2_u64), (3, 4)]).unwrap());
    say(
        Kind::Data,
        2,
        true,
        codec::to_vec(&(5_i64, 6_i64, ("a", Some(vec![1_i16])), ("b", None::<Vec<i16>>))).unwrap(),
    );
    say(Kind::Event, 0, false, codec::to_vec(&Event::End).unwrap());
    say(Kind::Close, 0, false, Vec::new());
    bytes
}

#[test]
fn a_right_conversation_is_taken() {
    exchange::run(&conversation());
}

proptest! {
    #[test]
    fn hostile_frames_are_refused_without_a_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0..400_usize,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        exchange::run(&noise);
        let mut bytes = conversation();
        bytes.truncate(cut.max(1));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        bytes.extend_from_slice(&noise);
        exchange::run(&bytes);
    }
}
