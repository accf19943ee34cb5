//! Streams that are idle, and those of which nothing comes because their task is held up.

use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    task::Waker,
};

use flott_core::checkpoint::Overtaking;
use parking_lot::Mutex;

use super::*;
use crate::{
    batch::Batch,
    output::{Chained, Operator, Output},
    testing::{Sleeper, Streams, barrier, named_operator, task_that_gives},
    time::{AssignWatermarks, ManualClock, WatermarkStrategy},
};

const IDLENESS: Duration = Duration::from_secs(5);

/// Longer than the idleness.
const LONG: Duration = Duration::from_secs(10);

/// Where the clock moves, as it would meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    /// While records are worked on.
    Work,
    /// While receivers give no credit.
    Credit,
    /// While a barrier passes.
    Barrier,
}

/// The end of a chain, which takes long for one thing.
#[derive(Clone)]
struct End {
    slow: Slow,
    clock: ManualClock,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    records: usize,
    events: Vec<Event>,
    /// Polls before there is credit.
    polls: u32,
}

impl Output<i64> for End {
    fn collect(&mut self, batch: &mut Batch<i64>) -> TaskResult {
        let mut seen = self.seen.lock();
        seen.records += batch.len();
        seen.polls = if self.slow == Slow::Credit { 3 } else { 0 };
        batch.clear();
        if self.slow == Slow::Work {
            self.clock.advance(LONG);
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        match event {
            Event::Watermark(_) => {}
            Event::Barrier(_) if self.slow == Slow::Barrier => self.clock.advance(LONG),
            event => self.seen.lock().events.push(event),
        }
        Ok(())
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut seen = self.seen.lock();
        if seen.polls == 0 {
            return Poll::Ready(Ok(()));
        }
        seen.polls -= 1;
        self.clock.advance(LONG);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

/// Works long on records, and drops those below 0.
struct Filter(ManualClock);

impl Operator<i64, i64> for Filter {
    fn process(&mut self, input: &mut Batch<i64>, out: &mut dyn Output<i64>) -> TaskResult {
        if input.records.iter().any(|record| *record < 0) {
            self.0.advance(LONG);
        }
        input.records.retain(|record| *record >= 0);
        out.collect(input)
    }
}

enum Item {
    Batch(Vec<i64>),
    Event(Event),
}

/// A task with an assigner, and what is queued for it.
struct Driven {
    queue: Arc<Mutex<VecDeque<Item>>>,
    end: End,
    sleeper: Arc<Sleeper>,
    waker: Waker,
    task: Pin<Box<dyn Future<Output = TaskResult>>>,
}

impl Driven {
    fn new(slow: Slow) -> Self {
        let clock = ManualClock::at(0);
        let info = task_that_gives(&Arc::<Streams>::default(), Clock::Manual(clock.clone()));
        let end = End { slow, clock: clock.clone(), seen: Arc::default() };
        let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at: &i64| *at);
        let assign = AssignWatermarks::new(strategy.with_idleness(IDLENESS), info.clone());
        let assign = Chained::open(named_operator("assign"), assign, Box::new(end.clone()), &info).unwrap();
        let filter = Chained::open(named_operator("filter"), Filter(clock), Box::new(assign), &info).unwrap();
        let mut tail: Box<dyn Output<i64>> = Box::new(filter);
        let queue = Arc::<Mutex<VecDeque<Item>>>::default();
        let input = queue.clone();
        let task = async move {
            let mut turn = Turn::new(info);
            loop {
                let next = |_: &mut Box<dyn Output<i64>>, _: &mut Context<'_>| match input.lock().pop_front() {
                    Some(item) => Poll::Ready(Ok(item)),
                    None => Poll::Pending,
                };
                match turn.wait(&mut tail, next).await? {
                    Item::Batch(records) => {
                        tail.collect(&mut records.into())?;
                        turn.settle_between(&mut tail).await?;
                    }
                    Item::Event(event) => turn.event(&mut tail, event).await?,
                }
            }
        };
        let (sleeper, waker) = Sleeper::new();
        Self { queue, end, sleeper, waker, task: Box::pin(task) }
    }

    /// Drives the task until it waits for something else than itself.
    fn drive(&mut self) {
        for _ in 0..10_000 {
            assert!(pin!(&mut self.task).poll(&mut Context::from_waker(&self.waker)).is_pending());
            if self.sleeper.woken() == 0 {
                return;
            }
        }
        panic!("the task never waits");
    }

    /// Queues these, all at once, and drives the task over them.
    fn give(&mut self, items: impl IntoIterator<Item = Item>) {
        self.queue.lock().extend(items);
        self.drive();
    }

    /// Has time pass, through all times that are waited for.
    fn pass(&mut self, by: Duration) {
        let until = self.end.clock.now() + by.as_millis() as i64;
        for _ in 0..100 {
            let now = self.end.clock.now();
            let at = self.end.clock.awaited().filter(|at| (now..until).contains(at)).unwrap_or(until);
            self.end.clock.set(at);
            self.drive();
            if at == until {
                return;
            }
        }
        panic!("the clock never comes so far");
    }

    #[track_caller]
    fn check(&self, records: usize, events: &[Event]) {
        let seen = self.end.seen.lock();
        assert_eq!((seen.records, &seen.events[..]), (records, events));
    }
}

fn batches(count: usize) -> impl Iterator<Item = Item> {
    (0..count as i64).map(|record| Item::Batch(vec![record]))
}

/// Records are there all the time, and nothing of it is taken for idleness; when there are none any more, that is.
#[track_caller]
fn check_busy(slow: Slow) {
    let mut driven = Driven::new(slow);
    driven.give(batches(5));
    driven.check(5, &[]);
    driven.pass(IDLENESS - Duration::from_millis(1));
    driven.check(5, &[]);
    driven.pass(Duration::from_millis(1));
    driven.check(5, &[Event::Idle]);
    driven.give(batches(5));
    driven.check(10, &[Event::Idle, Event::Active]);
}

#[test]
fn who_works_for_longer_than_the_idleness_is_not_idle() {
    check_busy(Slow::Work);
}

#[test]
fn who_waits_for_credit_for_longer_than_the_idleness_is_not_idle() {
    check_busy(Slow::Credit);
}

#[test]
fn records_behind_a_barrier_that_is_slow_to_pass_are_not_too_late() {
    let mut driven = Driven::new(Slow::Barrier);
    driven.give(batches(1));
    driven.pass(Duration::from_secs(1));
    let barriers = (1..4).map(|checkpoint| Item::Event(Event::Barrier(barrier(checkpoint, Overtaking::Never))));
    driven.give(barriers.zip(batches(3)).flat_map(|(barrier, batch)| [barrier, batch]));
    driven.check(4, &[]);
}

#[test]
fn a_task_that_has_stood_still_looks_twice() {
    let mut driven = Driven::new(Slow::Work);
    driven.drive();
    driven.end.clock.advance(LONG);
    driven.drive();
    driven.check(0, &[]);
    // What had come meanwhile comes now.
    driven.give(batches(1));
    driven.check(1, &[]);
    driven.end.clock.advance(LONG);
    driven.drive();
    driven.check(1, &[]);
    driven.end.clock.advance(LONG);
    driven.drive();
    driven.check(1, &[Event::Idle]);
}

#[test]
fn a_busy_task_that_drops_all_that_comes_is_idle_behind_that() {
    let mut driven = Driven::new(Slow::Work);
    driven.drive();
    driven.give((0..5).map(|_| Item::Batch(vec![-1])));
    driven.check(0, &[Event::Idle]);
    // Some are left now and then.
    driven.give((0..5).map(|_| Item::Batch(vec![-1, 7])));
    driven.check(5, &[Event::Idle, Event::Active]);
    // The last that is left, and then only what is dropped: the input is never empty.
    let dropped = (0..20).map(|_| Item::Batch(vec![-1]));
    driven.give(std::iter::once(Item::Batch(vec![7])).chain(dropped));
    driven.check(6, &[Event::Idle, Event::Active, Event::Idle]);
}
