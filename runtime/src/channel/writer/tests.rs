use std::task::{Context, Poll, Waker};

use flott_core::key_group::{KeyGroupAssignment, MaxParallelism};

use super::{ChannelWriter, Target};
use crate::{
    batch::{BATCH_BYTES, BATCH_RECORDS, Batch, Data},
    channel::{
        CREDITS, Partitioner,
        gate::{GateItem, InputGate},
    },
    event::Event,
    output::Output,
    state::KeyHash,
    testing::{Sleeper, task},
};

/// What one receiver got: batches as they came.
type Got<T> = Vec<Result<Vec<T>, Event>>;

struct Edge<T> {
    writer: ChannelWriter<T>,
    gates: Vec<InputGate<T>>,
}

impl<T: Data> Edge<T> {
    fn new(channels: usize, partitioner: Partitioner<T>) -> Self {
        let gates: Vec<_> = (0..channels).map(|_| InputGate::new(1, task())).collect();
        let targets = gates.iter().map(|gate| Target::Local(gate.local_sender(0))).collect();
        let router = KeyGroupAssignment::new(MaxParallelism::new(128).unwrap(), channels as u32).unwrap().router();
        Self { writer: ChannelWriter::new(targets, partitioner, router, task()), gates }
    }

    fn collect(&mut self, records: impl IntoIterator<Item = T>) {
        self.writer.collect(&mut Batch::from(records.into_iter().collect::<Vec<_>>())).unwrap();
    }

    fn settle(&mut self) -> bool {
        self.settle_for(Waker::noop())
    }

    fn settle_for(&mut self, waker: &Waker) -> bool {
        self.writer.poll_settle(&mut Context::from_waker(waker)).map(Result::unwrap).is_ready()
    }

    fn drain(&mut self, channel: usize) -> Got<T> {
        let mut got = Vec::new();
        while let Poll::Ready(item) = self.gates[channel].poll_next(&mut Context::from_waker(Waker::noop())) {
            match item.unwrap() {
                GateItem::Batch(batch) => got.push(Ok(batch.records)),
                GateItem::Event(event) => got.push(Err(event)),
            }
            if matches!(got.last(), Some(Err(Event::End))) {
                break;
            }
        }
        got
    }

    /// Ends the edge and gives all records of each channel.
    fn finish(mut self) -> Vec<Vec<T>> {
        self.writer.event(Event::End).unwrap();
        let mut all: Vec<Vec<T>> = self.gates.iter().map(|_| Vec::new()).collect();
        let mut ended = 0;
        while ended < all.len() {
            for (channel, records) in all.iter_mut().enumerate() {
                for item in self.drain(channel) {
                    match item {
                        Ok(batch) => records.extend(batch),
                        Err(event) => {
                            assert_eq!(event, Event::End);
                            ended += 1;
                        }
                    }
                }
            }
            self.settle();
        }
        assert!(self.settle());
        all
    }
}

#[test]
fn a_full_batch_is_moved() {
    let mut edge = Edge::new(1, Partitioner::single());
    let mut batch = Batch::from((0..BATCH_RECORDS as u64).collect::<Vec<_>>());
    let place = batch.records.as_ptr();
    edge.writer.collect(&mut batch).unwrap();
    assert!(batch.is_empty());
    assert_eq!(edge.drain(0)[0].as_ref().unwrap().as_ptr(), place);
}

#[test]
fn a_batch_that_is_begun_goes_to_a_receiver_that_starves() {
    let mut edge = Edge::new(2, Partitioner::round_robin());
    edge.collect(0..10_u64);
    assert!(edge.settle(), "nothing is held back");
    assert_eq!(edge.drain(0), [], "more input may be there");
    assert!(edge.settle());
    assert_eq!(edge.drain(0), [Ok(vec![0, 2, 4, 6, 8])]);
    assert_eq!(edge.drain(1), [Ok(vec![1, 3, 5, 7, 9])]);
}

#[test]
fn batches_fill_up_while_the_receiver_is_busy() {
    let mut edge = Edge::new(1, Partitioner::single());
    let (sleeper, waker) = Sleeper::new();
    for record in 0..5_u64 {
        edge.collect([record]);
        edge.settle_for(&waker);
        edge.settle_for(&waker);
    }
    assert_eq!(sleeper.woken(), 0);
    assert_eq!(edge.drain(0), [Ok(vec![0])]);
    assert_eq!(sleeper.woken(), 1, "the receiver starves");
    edge.settle_for(&waker);
    assert_eq!(edge.drain(0), [Ok(vec![1, 2, 3, 4])]);
}

#[test]
fn what_is_held_back_goes_in_order() {
    let mut edge = Edge::new(1, Partitioner::single());
    let (sleeper, waker) = Sleeper::new();
    let full = |number: u64| vec![number; BATCH_RECORDS];
    for number in 0..u64::from(CREDITS) + 2 {
        edge.collect(full(number));
        edge.writer.event(Event::Watermark(number as i64)).unwrap();
    }
    edge.collect([99]);
    edge.writer.event(Event::End).unwrap();
    assert!(!edge.settle_for(&waker));
    let mut got = Vec::new();
    while got.last() != Some(&Err(Event::End)) {
        got.extend(edge.drain(0).into_iter().map(|item| item.map(|records| records[0])));
        assert!(sleeper.woken() > 0 || got.last() == Some(&Err(Event::End)));
        edge.settle_for(&waker);
    }
    let numbers = (0..u64::from(CREDITS) + 2).flat_map(|number| [Ok(number), Err(Event::Watermark(number as i64))]);
    let expected: Vec<_> = numbers.chain([Ok(99), Err(Event::End)]).collect();
    assert_eq!(got, expected);
    assert!(edge.settle());
}

#[test]
fn a_slow_receiver_holds_back_its_sender_only_when_its_credit_is_used_up() {
    let mut edge = Edge::new(2, Partitioner::custom(|record: &u64, _| (*record % 2) as u32));
    for _ in 0..CREDITS {
        edge.collect(vec![0; BATCH_RECORDS]);
        assert!(edge.settle());
    }
    edge.collect(vec![0; BATCH_RECORDS]);
    assert!(!edge.settle());
    edge.collect([1]);
    edge.settle();
    edge.settle();
    assert_eq!(edge.drain(1), [Ok(vec![1])], "the other channel is not held back");
    assert_eq!(edge.drain(0).len(), CREDITS as usize);
    assert!(edge.settle());
}

#[test]
fn large_records_go_in_small_batches() {
    let mut edge = Edge::new(1, Partitioner::single());
    let record = "x".repeat(BATCH_BYTES / 2 - 4);
    edge.collect(vec![record; 7]);
    edge.writer.event(Event::End).unwrap();
    let mut batches = Vec::new();
    while batches.last() != Some(&Err(Event::End)) {
        batches.extend(edge.drain(0).into_iter().map(|item| item.map(|records| records.len())));
        edge.settle();
    }
    assert_eq!(batches, [Ok(2), Ok(2), Ok(2), Ok(1), Err(Event::End)]);
}

#[test]
fn records_of_a_key_go_one_way_and_none_is_lost() {
    for channels in [1, 2, 3, 7] {
        let mut edge = Edge::new(channels, Partitioner::hash(|record: &u64| record % 100));
        for start in 0..20 {
            // Batches of all lengths, and many more than there is credit for: the receivers read now and then.
            edge.collect(start * 100..start * 100 + 5 * start);
        }
        let all = edge.finish();
        let mut seen: Vec<_> = all.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..20).flat_map(|start| start * 100..start * 100 + 5 * start).collect::<Vec<_>>());
        for key in 0..100 {
            let with_key = all.iter().filter(|records| records.iter().any(|record| record % 100 == key));
            assert!(with_key.count() <= 1, "key {key} is on several of {channels} channels");
        }
        if channels > 1 {
            assert!(all.iter().all(|records| !records.is_empty()));
        }
    }
}

#[test]
fn everyone_gets_what_is_broadcast() {
    let mut edge = Edge::new(3, Partitioner::broadcast());
    edge.collect(0..10_u64);
    edge.collect(10..2_000);
    assert_eq!(edge.writer.common.info.figures.read().records_out, 2_000, "each record counts once");
    let expected: Vec<_> = (0..2_000).collect();
    assert_eq!(edge.finish(), vec![expected; 3]);
}

#[test]
fn global_records_go_to_the_first_and_the_end_to_all() {
    let mut edge = Edge::new(3, Partitioner::single());
    edge.collect(0..10_u64);
    assert_eq!(edge.finish(), [(0..10).collect(), Vec::new(), Vec::new()]);
}

#[test]
fn random_records_reach_everyone() {
    let mut edge = Edge::new(4, Partitioner::random());
    edge.collect(0..1_000_u64);
    let all = edge.finish();
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 1_000);
    assert!(all.iter().all(|records| records.len() > 150), "{:?}", all.iter().map(Vec::len).collect::<Vec<_>>());
}

#[test]
fn a_channel_that_does_not_exist_fails_the_task() {
    for channels in [1, 2] {
        let mut edge = Edge::new(channels, Partitioner::custom(|_: &u64, channels| channels));
        let failure = edge.writer.collect(&mut Batch::from(vec![1])).unwrap_err();
        let expected = format!("the custom partitioner chose channel {channels}, but there are {channels}, from 0");
        assert_eq!(failure.message, expected);
    }
}

#[test]
fn timestamps_stay_with_their_records() {
    let mut edge = Edge::new(2, Partitioner::round_robin());
    let stamped = |records: std::ops::Range<i64>| {
        Batch::stamped(records.clone().collect::<Vec<_>>(), records.map(|record| record * 10).collect())
    };
    edge.writer.collect(&mut stamped(0..4)).unwrap();
    edge.collect([4, 5]);
    edge.writer.collect(&mut stamped(6..8)).unwrap();
    edge.writer.event(Event::Watermark(1)).unwrap();
    for (channel, gate) in (0..).zip(&mut edge.gates) {
        let mut next = || match gate.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(GateItem::Batch(batch))) => (batch.records, batch.timestamps),
            other => panic!("{other:?} is no batch"),
        };
        assert_eq!(next(), (vec![channel, channel + 2], vec![channel * 10, channel * 10 + 20]));
        assert_eq!(next(), (vec![channel + 4], vec![]));
        assert_eq!(next(), (vec![channel + 6], vec![channel * 10 + 60]));
    }
}

#[test]
fn hashes_of_keys_that_own_memory_come_along() {
    let mut edge = Edge::new(3, Partitioner::hash_ref(|record: &String| record));
    // Whatever stands in a batch from before is not believed.
    let mut batch = Batch::from((0..3_000).map(|number| number.to_string()).collect::<Vec<_>>());
    batch.hashed().1.push(KeyHash::of(&0));
    edge.writer.collect(&mut batch).unwrap();
    edge.collect((3_000..5_000).map(|number| number.to_string()));
    edge.writer.event(Event::Watermark(1)).unwrap();
    let mut seen = 0;
    for gate in &mut edge.gates {
        while let Poll::Ready(Ok(GateItem::Batch(mut batch))) = gate.poll_next(&mut Context::from_waker(Waker::noop()))
        {
            let (records, hashes) = batch.keyed();
            assert_eq!(*hashes.unwrap(), records.iter().map(KeyHash::of).collect::<Vec<_>>());
            seen += records.len();
        }
    }
    assert_eq!(seen, 5_000);
}

#[test]
fn hashes_of_numbers_are_worked_out_again() {
    let mut edge = Edge::new(2, Partitioner::hash(|record: &u64| *record));
    edge.collect(0..100);
    edge.writer.event(Event::Watermark(1)).unwrap();
    for gate in &mut edge.gates {
        let item = gate.poll_next(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(GateItem::Batch(mut batch))) = item else { panic!("{item:?} is no batch") };
        assert_eq!(batch.keyed().1, None);
    }
}

#[test]
fn a_receiver_that_is_gone_holds_its_sender_back_without_waking_it() {
    let mut edge = Edge::new(1, Partitioner::single());
    let (sleeper, waker) = Sleeper::new();
    edge.gates.clear();
    edge.collect(vec![0; BATCH_RECORDS]);
    assert!(!edge.settle_for(&waker));
    assert!(!edge.settle_for(&waker));
    assert_eq!(sleeper.woken(), 0);
}
