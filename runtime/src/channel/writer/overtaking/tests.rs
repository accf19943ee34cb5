use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use flott_core::{
    checkpoint::{Barrier, Overtaking, SnapshotKind},
    job_graph::ShipStrategy,
    key_group::{KeyGroupAssignment, MaxParallelism},
};

use super::Exit;
use crate::{
    batch::Batch,
    channel::{
        CREDITS, Partitioner,
        gate::{GateItem, InputGate},
        writer::{ChannelWriter, Target},
    },
    event::Event,
    output::Output,
    snapshot::in_flight::Item,
    task::TaskInfo,
    testing::{Streams, barrier, edge, task, task_that_gives},
    time::{Clock, ManualClock},
};

const NOW: Overtaking = Overtaking::Now;
const LATER: Overtaking = Overtaking::After { ms: 1_000_000 };

struct Stand {
    writer: ChannelWriter<u64>,
    gate: InputGate<u64>,
    streams: Arc<Streams>,
    info: Arc<TaskInfo>,
}

/// A writer with one channel.
fn stand(ship: ShipStrategy, clock: Clock) -> Stand {
    let streams = Arc::<Streams>::default();
    let info = task_that_gives(&streams, clock);
    let gate = InputGate::new(1, task());
    let router = KeyGroupAssignment::new(MaxParallelism::new(128).unwrap(), 1).unwrap().router();
    let targets = vec![Target::Local(gate.local_sender(0))];
    let writer = ChannelWriter::new(targets, Partitioner::single(), router, info.clone());
    let writer = writer.overtaken(Exit { edge: edge(ship), consumers: 1 });
    Stand { writer, gate, streams, info }
}

impl Stand {
    /// Gives batches of one record, each sent or held back.
    fn give(&mut self, records: std::ops::Range<u64>) {
        for record in records {
            self.writer.collect(&mut Batch::from(vec![record])).unwrap();
            // An event cuts batches.
            self.writer.event(Event::Watermark(record as i64)).unwrap();
        }
    }

    fn cut(&mut self, barrier: Barrier) {
        self.info.snapshots.begin(self.info.attempt, barrier);
        self.writer.event(Event::Barrier(barrier)).unwrap();
    }

    fn settle(&mut self) -> bool {
        self.writer.poll_settle(&mut Context::from_waker(Waker::noop())).map(Result::unwrap).is_ready()
    }

    fn drain(&mut self) -> Vec<Result<u64, Event>> {
        let mut got = Vec::new();
        while let Poll::Ready(item) = self.gate.poll_next(&mut Context::from_waker(Waker::noop())) {
            match item.unwrap() {
                GateItem::Batch(batch) => got.push(Ok(batch.records[0])),
                GateItem::Event(Event::Watermark(_)) => {}
                GateItem::Event(event) => got.push(Err(event)),
            }
        }
        got
    }
}

const SENT: u64 = CREDITS as u64;

#[test]
fn a_barrier_overtakes_what_is_held_back_and_the_snapshot_has_that() {
    let mut stand = stand(ShipStrategy::Rebalance, Clock::System);
    stand.give(0..SENT + 2);
    assert!(!stand.settle());
    stand.cut(barrier(1, NOW));
    assert!(stand.info.snapshots.has_all_streams());
    let mark = |record: u64| Err(Item::Watermark(record as i64));
    let held = vec![Ok(vec![SENT]), mark(SENT), Ok(vec![SENT + 1]), mark(SENT + 1)];
    assert_eq!(stand.streams.take(), [(0, 0, held)]);
    let sent = (0..SENT).map(Ok).chain([Err(Event::Barrier(barrier(1, NOW)))]).collect::<Vec<_>>();
    assert_eq!(stand.drain(), sent, "the barrier comes without credit");
    assert!(stand.settle());
    assert_eq!(stand.drain(), [Ok(SENT), Ok(SENT + 1)], "what it has overtaken comes behind it");
}

#[test]
fn nothing_is_under_way_where_nothing_is_held_back() {
    let mut stand = stand(ShipStrategy::Hash, Clock::System);
    stand.give(0..2);
    stand.cut(barrier(1, NOW));
    assert_eq!(stand.streams.take(), []);
    assert_eq!(stand.drain(), [Ok(0), Ok(1), Err(Event::Barrier(barrier(1, NOW)))]);
    assert!(stand.settle());
}

#[test]
fn where_none_overtakes_a_barrier_stays_in_its_place() {
    let mut stand = stand(ShipStrategy::Forward, Clock::System);
    stand.give(0..SENT + 1);
    stand.cut(barrier(1, NOW));
    assert_eq!(stand.drain(), (0..SENT).map(Ok).collect::<Vec<_>>());
    assert!(stand.settle());
    assert_eq!(stand.drain(), [Ok(SENT), Err(Event::Barrier(barrier(1, NOW)))]);
    assert_eq!(stand.streams.take(), []);
}

#[test]
fn a_patient_barrier_that_gets_through_leaves_nothing_under_way() {
    let mut stand = stand(ShipStrategy::Hash, Clock::Manual(ManualClock::at(0)));
    stand.give(0..SENT + 1);
    stand.cut(barrier(1, LATER));
    assert!(!stand.settle() && !stand.info.snapshots.has_all_streams(), "it may have to overtake");
    stand.drain();
    assert!(stand.settle() && stand.info.snapshots.has_all_streams());
    assert_eq!(stand.drain(), [Ok(SENT), Err(Event::Barrier(barrier(1, LATER)))]);
    assert_eq!(stand.streams.take(), []);
}

#[test]
fn a_patient_barrier_overtakes_when_its_time_is_up() {
    let clock = ManualClock::at(0);
    let mut stand = stand(ShipStrategy::Hash, Clock::Manual(clock.clone()));
    stand.give(0..SENT + 1);
    stand.cut(barrier(1, LATER));
    assert!(!stand.settle());
    clock.advance(Duration::from_secs(1_000));
    assert!(!stand.settle() && stand.info.snapshots.has_all_streams());
    assert_eq!(stand.streams.take(), [(0, 0, vec![Ok(vec![SENT]), Err(Item::Watermark(SENT as i64))])]);
    let sent = (0..SENT).map(Ok).chain([Err(Event::Barrier(barrier(1, NOW)))]).collect::<Vec<_>>();
    assert_eq!(stand.drain(), sent);
    assert!(stand.settle());
    assert_eq!(stand.drain(), [Ok(SENT)]);
}

#[test]
fn a_savepoint_is_not_overtaken_and_a_checkpoint_that_was_given_up_is_forgotten() {
    let mut stand = stand(ShipStrategy::Hash, Clock::Manual(ManualClock::at(0)));
    let savepoint = Barrier { kind: SnapshotKind::Savepoint, ..barrier(2, Overtaking::Never) };
    stand.give(0..SENT + 1);
    stand.cut(barrier(1, LATER));
    stand.cut(savepoint);
    stand.give(SENT + 1..SENT + 2);
    stand.cut(barrier(3, NOW));
    let behind = vec![Ok(vec![SENT + 1]), Err(Item::Watermark(SENT as i64 + 1))];
    assert_eq!(stand.streams.take(), [(0, 0, behind)], "what is before the savepoint arrives before this one too");
    stand.drain();
    assert!(stand.settle());
    let (savepoint, checkpoint) = (Err(Event::Barrier(savepoint)), Err(Event::Barrier(barrier(3, NOW))));
    assert_eq!(stand.drain(), [Ok(SENT), savepoint, checkpoint, Ok(SENT + 1)]);
}
