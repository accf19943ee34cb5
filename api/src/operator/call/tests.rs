//! Calls that come back in any order, against a model.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Waker},
};

use flott_core::id::OperatorId;
use futures::{channel::oneshot, future::BoxFuture};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Record(u32, Option<Timestamp>),
    Event(Event),
}

/// What an operator has given.
#[derive(Default)]
struct List(Vec<Item>);

impl Output<u32> for List {
    fn collect(&mut self, batch: &mut Batch<u32>) -> TaskResult {
        let mut timestamps = batch.timestamps.drain(..);
        self.0.extend(batch.records.drain(..).map(|record| Item::Record(record, timestamps.next())));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.push(Item::Event(event));
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, bytes::Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// An operator whose calls come back when the test says so, each with its record as often as the record modulo 3.
struct Driven<M, Fut> {
    call: Call<u32, Vec<u32>, M, Fut>,
    under_way: Arc<Mutex<BTreeMap<u32, oneshot::Sender<()>>>>,
    list: List,
    /// Takes input.
    open: bool,
}

type Answered = BoxFuture<'static, Answer<Vec<u32>>>;

fn driven(ordered: bool, capacity: usize) -> Driven<impl Fn(Place, Option<Timestamp>, u32) -> Answered, Answered> {
    let under_way = Arc::<Mutex<BTreeMap<_, _>>>::default();
    let calls = under_way.clone();
    let call = Call::new(ordered, capacity, move |place, timestamp, record: u32| {
        let (sender, receiver) = oneshot::channel();
        calls.lock().insert(record, sender);
        let results =
            async move { receiver.await.map(|()| vec![record; record as usize % 3]).map_err(|_| unreachable!()) };
        Box::pin(answer(place, timestamp, results)) as Answered
    });
    Driven { call, under_way, list: List::default(), open: true }
}

impl<M, Fut> Driven<M, Fut>
where
    M: Fn(Place, Option<Timestamp>, u32) -> Fut + Send,
    Fut: Future<Output = Answer<Vec<u32>>> + Send,
{
    /// What a task does after each step.
    fn settle(&mut self) {
        loop {
            let due = self.call.poll_due(&mut Context::from_waker(Waker::noop())).is_ready();
            let resumed = self.call.resume(&mut self.list).unwrap();
            assert_eq!(due, resumed == Drained::Some);
            if !due {
                self.open = resumed == Drained::All;
                return;
            }
        }
    }
}

/// What may come out: items of each stretch in any order if it is not ordered, and stretches one after the other.
fn expected(items: &[Item], ordered: bool) -> Vec<Vec<Item>> {
    let results = |item: &Item| match *item {
        Item::Record(record, timestamp) => vec![Item::Record(record, timestamp); record as usize % 3],
        Item::Event(event) => vec![Item::Event(event)],
    };
    let mut stretches: Vec<Vec<Item>> = vec![Vec::new()];
    for item in items {
        if matches!(item, Item::Event(_)) || ordered {
            stretches.push(results(item));
            stretches.push(Vec::new());
        } else if let Some(stretch) = stretches.last_mut() {
            stretch.extend(results(item));
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

#[derive(Debug, Clone)]
enum Step {
    Records(u32),
    Watermark,
    /// One of the calls under way, by its place among them.
    Answer(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1u32..6).prop_map(Step::Records),
        2 => Just(Step::Watermark),
        6 => any::<usize>().prop_map(Step::Answer),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn results_stay_between_the_watermarks_of_their_records(
        steps in steps(), ordered: bool, capacity in 1usize..5, stamped: bool,
    ) {
        let mut driven = driven(ordered, capacity);
        let (mut items, mut next, mut watermark) = (Vec::new(), 0, 0);
        let answer = |driven: &mut Driven<_, _>, which: usize| {
            let mut under_way = driven.under_way.lock();
            let record = under_way.keys().nth(which % under_way.len().max(1)).copied();
            let sender = record.and_then(|record| under_way.remove(&record));
            drop(under_way);
            if let Some(sender) = sender {
                sender.send(()).unwrap();
            }
        };
        for step in steps {
            match step {
                Step::Answer(which) => answer(&mut driven, which),
                // The task feeds nothing in.
                _ if !driven.open => {}
                Step::Records(count) => {
                    let mut batch = Batch::default();
                    for record in next..next + count {
                        let timestamp = stamped.then_some(i64::from(record) * 7);
                        batch.push_with(record, timestamp);
                        items.push(Item::Record(record, timestamp));
                    }
                    next += count;
                    driven.call.process(&mut batch, &mut driven.list).unwrap();
                }
                Step::Watermark => {
                    watermark += 1;
                    let event = Event::Watermark(watermark);
                    // A watermark right behind one that waits takes its place.
                    if let Some(Item::Event(_)) = items.last()
                        && driven.list.0.last() != items.last()
                    {
                        items.pop();
                    }
                    items.push(Item::Event(event));
                    driven.call.event(event, &mut driven.list).unwrap();
                }
            }
            driven.settle();
            prop_assert!(driven.under_way.lock().len() <= capacity);
        }
        for _ in 0..1_000 {
            if driven.call.drain(&mut driven.list).unwrap() == Drained::All {
                break;
            }
            answer(&mut driven, 0);
            driven.settle();
        }
        prop_assert_eq!(driven.call.drain(&mut driven.list).unwrap(), Drained::All);
        let mut given = driven.list.0.into_iter();
        for stretch in expected(&items, ordered) {
            let mut came: Vec<_> = given.by_ref().take(stretch.len()).collect();
            came.sort_by_key(|item| match item {
                Item::Record(record, _) => *record,
                Item::Event(_) => 0,
            });
            prop_assert_eq!(came, stretch);
        }
        prop_assert_eq!(given.next(), None);
    }
}

#[test]
fn what_is_outdated_among_waiting_events_is_dropped() {
    let mut queue = Queue::<()>::new(true);
    let place = queue.begin();
    for event in [Event::Idle, Event::Watermark(1), Event::Active, Event::Watermark(2), Event::Idle] {
        queue.event(event);
    }
    let behind = queue.begin();
    queue.event(Event::Active);
    queue.answer(behind, (), None);
    queue.answer(place, (), Some(3));
    let given: Vec<_> = std::iter::from_fn(|| queue.give()).collect();
    let (first, last) = (Given::Results(0, (), Some(3)), Given::Results(1, (), None));
    let events = [Event::Watermark(2), Event::Idle].map(Given::Event);
    let [watermark, idle] = events;
    assert_eq!(given, [first, watermark, idle, last, Given::Event(Event::Active)]);
    assert!(queue.is_empty() && queue.records() == 0);
}
