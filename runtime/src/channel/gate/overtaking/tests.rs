use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use flott_core::{
    checkpoint::{Barrier, Overtaking},
    id::SubtaskIndex,
    job_graph::ShipStrategy,
    key_group::{KeyGroupAssignment, MaxParallelism},
};

use crate::{
    batch::Batch,
    channel::gate::{Claims, GateItem, InputGate, LocalSender, Origin},
    event::Event,
    snapshot::in_flight::Item,
    testing::{Sleeper, Streams, barrier, edge, task_that_gives},
    time::{Clock, ManualClock},
};

const NOW: Overtaking = Overtaking::Now;

struct Stand {
    gate: InputGate<u64>,
    senders: Vec<LocalSender<u64>>,
    streams: Arc<Streams>,
    info: Arc<crate::task::TaskInfo>,
}

/// A gate with a channel for each of `ships`.
fn stand(ships: &[ShipStrategy], clock: Clock) -> Stand {
    let streams = Arc::<Streams>::default();
    let info = task_that_gives(&streams, clock);
    let origin = |(from, ship): (u32, &ShipStrategy)| Origin { edge: edge(*ship), from: SubtaskIndex(from) };
    let origins: Vec<_> = (0..).zip(ships).map(origin).collect();
    let router = KeyGroupAssignment::new(MaxParallelism::new(128).unwrap(), 1).unwrap().router();
    let (subtask, edges) = (SubtaskIndex(0), Vec::new());
    let claims = Claims { edges, subtask, parallelism: 1, router, ignore_unclaimed: false };
    let gate = InputGate::wired(origins, Vec::new(), claims, info.clone()).unwrap();
    let senders = (0..ships.len() as u32).map(|channel| gate.local_sender(channel)).collect();
    Stand { gate, senders, streams, info }
}

fn hash(channels: usize) -> Stand {
    stand(&vec![ShipStrategy::Hash; channels], Clock::System)
}

impl Stand {
    #[track_caller]
    fn send(&self, channel: usize, record: u64) {
        assert!(self.senders[channel].try_send(&mut Batch::from(vec![record]), None));
    }

    fn say(&self, channel: usize, event: Event) {
        self.senders[channel].send_event(event);
    }

    fn announced(&mut self) -> Option<Barrier> {
        match self.gate.poll_announced(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(barrier) => Some(barrier.unwrap()),
            Poll::Pending => None,
        }
    }

    /// What a task does about the barrier that is announced.
    #[track_caller]
    fn cut(&mut self) {
        let barrier = self.announced().expect("a barrier is there");
        assert!(self.gate.may_overtake(barrier));
        self.info.snapshots.begin(self.info.attempt, barrier);
        self.gate.overtake(barrier).unwrap();
    }

    fn is_whole(&self) -> bool {
        self.info.snapshots.has_all_streams()
    }

    fn drain(&mut self) -> Vec<Result<u64, Event>> {
        let mut items = Vec::new();
        while let Poll::Ready(item) = self.gate.poll_next(&mut Context::from_waker(Waker::noop())) {
            items.push(match item.unwrap() {
                GateItem::Batch(batch) => Ok(batch.records[0]),
                GateItem::Event(event) => Err(event),
            });
            if items.last() == Some(&Err(Event::End)) {
                break;
            }
        }
        items
    }
}

#[test]
fn what_is_queued_before_the_barrier_is_under_way_and_is_processed_all_the_same() {
    let mut stand = hash(1);
    stand.send(0, 1);
    stand.say(0, Event::Watermark(5));
    stand.send(0, 2);
    assert_eq!(stand.announced(), None);
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    stand.send(0, 3);
    stand.cut();
    assert!(stand.is_whole());
    assert_eq!(stand.streams.take(), [(0, 0, vec![Ok(vec![1]), Err(Item::Watermark(5)), Ok(vec![2])])]);
    assert_eq!(stand.drain(), [Ok(1), Err(Event::Watermark(5)), Ok(2), Ok(3)], "the barrier has come already");
    assert_eq!(stand.streams.take(), []);
}

#[test]
fn what_comes_until_the_barrier_of_its_channel_is_under_way_too() {
    let mut stand = hash(2);
    stand.send(1, 10);
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    stand.send(0, 1);
    stand.cut();
    assert!(!stand.is_whole());
    assert_eq!(stand.drain(), [Ok(1), Ok(10)], "copies are taken of what is processed");
    stand.send(1, 11);
    stand.say(1, Event::Watermark(7));
    stand.say(1, Event::Barrier(barrier(1, NOW)));
    stand.send(1, 12);
    assert_eq!(stand.announced(), None, "it was taken");
    assert!(stand.is_whole());
    let expected = vec![Ok(vec![10]), Ok(vec![11]), Err(Item::Watermark(7))];
    assert_eq!(stand.streams.take(), [(1, 0, expected)]);
    assert_eq!(stand.drain(), [Ok(11), Ok(12)], "of its watermark the other channel knows nothing");
}

#[test]
fn a_task_that_takes_nothing_is_woken_for_the_barrier() {
    let mut stand = hash(2);
    let (sleeper, waker) = Sleeper::new();
    stand.send(0, 1);
    assert!(stand.gate.poll_announced(&mut Context::from_waker(&waker)).is_pending());
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    assert_eq!(sleeper.woken(), 1);
    stand.cut();
    assert!(stand.gate.poll_announced(&mut Context::from_waker(&waker)).is_pending());
    stand.say(1, Event::Barrier(barrier(1, NOW)));
    assert_eq!(sleeper.woken(), 1, "the rest of the cut is there");
    assert_eq!(stand.announced(), None);
    assert!(stand.is_whole());
}

#[test]
fn the_end_of_a_channel_is_as_good_as_its_barrier() {
    let mut stand = hash(2);
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    stand.cut();
    stand.send(1, 10);
    stand.say(1, Event::End);
    assert_eq!(stand.announced(), None);
    assert!(stand.is_whole());
    assert_eq!(stand.streams.take(), [(1, 0, vec![Ok(vec![10])])]);
    stand.say(0, Event::End);
    assert_eq!(stand.drain(), [Ok(10), Err(Event::End)]);
}

#[test]
fn streams_that_cannot_be_overtaken_are_taken_to_their_barrier() {
    let mut stand = stand(&[ShipStrategy::Hash, ShipStrategy::Forward], Clock::System);
    stand.send(0, 1);
    stand.send(1, 10);
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    stand.say(1, Event::Barrier(barrier(1, NOW)));
    stand.send(1, 11);
    let announced = stand.announced().unwrap();
    assert!(!stand.gate.may_overtake(announced), "10 is not taken yet");
    assert_eq!(stand.drain(), [Ok(1), Ok(10), Err(Event::Barrier(barrier(1, NOW))), Ok(11)]);
}

#[test]
fn a_patient_barrier_stays_in_its_place_until_its_time_is_up() {
    let clock = ManualClock::at(0);
    let mut stand = stand(&[ShipStrategy::Hash; 2], Clock::Manual(clock.clone()));
    stand.send(0, 1);
    stand.say(0, Event::Barrier(barrier(1, Overtaking::After { ms: 1_000_000 })));
    assert_eq!(stand.announced(), None);
    assert_eq!(stand.drain(), [Ok(1)], "the channel waits for the other one");
    stand.send(0, 2);
    stand.send(1, 10);
    clock.advance(Duration::from_secs(1_000));
    assert_eq!(stand.announced(), Some(barrier(1, NOW)));
    stand.cut();
    assert_eq!(stand.drain(), [Ok(2), Ok(10)]);
    stand.say(1, Event::Barrier(barrier(1, NOW)));
    assert_eq!(stand.announced(), None);
    assert_eq!(stand.streams.take(), [(1, 0, vec![Ok(vec![10])])]);
}

#[test]
fn a_savepoint_is_not_overtaken() {
    let mut stand = hash(2);
    let savepoint = Barrier { kind: flott_core::checkpoint::SnapshotKind::Savepoint, ..barrier(1, Overtaking::Never) };
    stand.say(0, Event::Barrier(savepoint));
    stand.say(0, Event::Barrier(barrier(2, NOW)));
    let announced = stand.announced().unwrap();
    assert!(!stand.gate.may_overtake(announced), "it is queued before");
    assert_eq!(stand.drain(), []);
    assert!(!stand.gate.may_overtake(announced), "it waits for the other channel");
    stand.say(1, Event::Barrier(savepoint));
    assert!(matches!(
        stand.gate.poll_next(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(Ok(GateItem::Event(Event::Barrier(barrier)))) if barrier == savepoint
    ));
    assert!(stand.gate.may_overtake(announced));
    stand.cut();
}

#[test]
fn a_newer_checkpoint_gives_up_what_an_older_one_waits_for() {
    let mut stand = hash(2);
    stand.say(0, Event::Barrier(barrier(1, NOW)));
    stand.cut();
    stand.send(1, 10);
    stand.say(1, Event::Barrier(barrier(2, NOW)));
    stand.cut();
    assert_eq!(stand.streams.take(), [(1, 0, vec![Ok(vec![10])])]);
    assert!(!stand.is_whole());
    stand.say(0, Event::Barrier(barrier(2, NOW)));
    assert_eq!(stand.announced(), None);
    assert!(stand.is_whole());
}
