//! Operators that leave work, in chains and behind tees, and receivers that are slow to take what comes of it.

use std::{collections::VecDeque, pin::pin};

use parking_lot::Mutex;

use super::*;
use crate::{
    batch::Batch,
    output::{Chained, Operator, Output, Tee},
    testing::{Sleeper, named_operator, task},
};

/// What is fed in, or came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Record(i64),
    Event(Event),
}

use Item::Record as R;

fn w(at: i64) -> Item {
    Item::Event(Event::Watermark(at))
}

const IDLE: Item = Item::Event(Event::Idle);
const END: Item = Item::Event(Event::End);

/// The end of a chain; each batch keeps it busy for some polls.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    items: Vec<Item>,
    polls: u32,
    /// Batches since it was last ready, and the most there have been.
    waiting: usize,
    most: usize,
}

impl Output<i64> for Slow {
    fn collect(&mut self, batch: &mut Batch<i64>) -> TaskResult {
        let mut taken = self.0.lock();
        taken.items.extend(batch.records.drain(..).map(R));
        taken.polls = 3;
        taken.waiting += 1;
        taken.most = taken.most.max(taken.waiting);
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.lock().items.push(Item::Event(event));
        Ok(())
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut taken = self.0.lock();
        if taken.polls == 0 {
            taken.waiting = 0;
            return Poll::Ready(Ok(()));
        }
        taken.polls -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

/// Passes on a record, or the event behind records, in each step. Takes nothing before it is done.
#[derive(Default)]
struct OneByOne(VecDeque<Item>);

impl Operator<i64, i64> for OneByOne {
    fn process(&mut self, input: &mut Batch<i64>, _: &mut dyn Output<i64>) -> TaskResult {
        assert!(self.0.is_empty(), "a batch came before {:?} was done", self.0);
        self.0.extend(input.records.drain(..).map(R));
        Ok(())
    }

    fn event(&mut self, event: Event, _: &mut dyn Output<i64>) -> TaskResult {
        assert!(self.0.is_empty(), "{event:?} came before {:?} was done", self.0);
        self.0.push_back(Item::Event(event));
        Ok(())
    }

    fn resume(&mut self, out: &mut dyn Output<i64>) -> TaskResult<Drained> {
        match self.0.pop_front() {
            None => return Ok(Drained::All),
            Some(R(record)) => out.collect(&mut vec![record].into())?,
            Some(Item::Event(event)) => out.event(event)?,
        }
        Ok(Drained::Some)
    }

    fn drain(&mut self, _: &mut dyn Output<i64>) -> TaskResult<Drained> {
        assert!(self.0.is_empty(), "the end came before {:?} was done", self.0);
        Ok(Drained::All)
    }
}

/// Holds a watermark up for as many steps as records came before it, and gives one of them again in each.
#[derive(Default)]
struct Fires {
    kept: VecDeque<i64>,
    watermark: Option<Timestamp>,
}

impl Operator<i64, i64> for Fires {
    fn process(&mut self, input: &mut Batch<i64>, _: &mut dyn Output<i64>) -> TaskResult {
        assert_eq!(self.watermark, None);
        self.kept.extend(input.records.drain(..));
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<i64>) -> TaskResult {
        assert_eq!(self.watermark, None);
        match event {
            Event::Watermark(watermark) => self.watermark = Some(watermark),
            _ => out.event(event)?,
        }
        Ok(())
    }

    fn resume(&mut self, out: &mut dyn Output<i64>) -> TaskResult<Drained> {
        let Some(watermark) = self.watermark else { return Ok(Drained::All) };
        match self.kept.pop_front() {
            Some(record) => out.collect(&mut vec![record].into())?,
            None => {
                self.watermark = None;
                out.event(Event::Watermark(watermark))?;
            }
        }
        Ok(Drained::Some)
    }
}

/// Gives each record in a batch of its own with a watermark behind it, all at once; and at the end once more.
#[derive(Default)]
struct Hasty(Vec<i64>);

impl Hasty {
    fn give(record: i64, out: &mut dyn Output<i64>) -> TaskResult {
        out.collect(&mut vec![record].into())?;
        out.event(Event::Watermark(record))
    }
}

impl Operator<i64, i64> for Hasty {
    fn process(&mut self, input: &mut Batch<i64>, out: &mut dyn Output<i64>) -> TaskResult {
        self.0.extend(&input.records);
        input.records.drain(..).try_for_each(|record| Self::give(record, out))
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<i64>) -> TaskResult {
        out.event(Event::Idle)?;
        out.event(event)
    }

    fn finish(&mut self, out: &mut dyn Output<i64>) -> TaskResult {
        self.0.drain(..).try_for_each(|record| Self::give(record, out))
    }
}

fn before(operator: impl Operator<i64, i64> + 'static, next: Box<dyn Output<i64>>) -> Box<dyn Output<i64>> {
    Box::new(Chained::open(named_operator("operator"), operator, next, &task()).unwrap())
}

/// Drives `tail` as a task does, over a batch of `records` and a watermark behind them, to the end.
fn drive(mut tail: Box<dyn Output<i64>>, records: Vec<i64>, watermark: i64) {
    let info = task();
    let mut turn = Turn::new(info.clone());
    let task = async move {
        tail.collect(&mut records.into())?;
        turn.settle(&mut tail).await?;
        turn.event(&mut tail, Event::Watermark(watermark)).await?;
        turn.end(&mut tail).await
    };
    let (sleeper, waker) = Sleeper::new();
    let mut task = pin!(task);
    for _ in 0..10_000 {
        if let Poll::Ready(outcome) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            outcome.unwrap();
            assert_eq!(info.figures.read().watermark, Some(watermark));
            return;
        }
        assert!(sleeper.woken() > 0, "the task waits for nothing");
    }
    panic!("the task never ends");
}

/// What comes out of a chain that `build` puts before its end, and how many batches its end had to keep at most.
#[track_caller]
fn check(build: impl FnOnce(Box<dyn Output<i64>>) -> Box<dyn Output<i64>>, expected: &[Item], most: usize) {
    let end = Slow::default();
    drive(build(Box::new(end.clone())), vec![1, 2, 3], 9);
    let taken = end.0.lock();
    assert_eq!(taken.items, expected);
    assert_eq!(taken.most, most);
}

#[test]
fn two_operators_that_leave_work_take_turns_under_back_pressure() {
    let expected = [R(1), R(2), R(3), w(9), END];
    check(|end| before(OneByOne::default(), before(OneByOne::default(), end)), &expected, 1);
    check(|end| before(OneByOne::default(), before(Fires::default(), end)), &expected, 1);
    check(|end| before(Fires::default(), before(OneByOne::default(), end)), &expected, 1);
    check(|end| before(Fires::default(), before(Fires::default(), end)), &expected, 1);
}

#[test]
fn what_is_given_at_once_waits_for_what_is_set_off() {
    let expected = [R(1), w(1), R(2), w(2), R(3), w(3), IDLE, w(9), R(1), w(1), R(2), w(2), R(3), w(3), END];
    check(|end| before(Hasty::default(), before(OneByOne::default(), end)), &expected, 1);
    check(|end| before(Hasty::default(), before(Fires::default(), end)), &expected, 1);
    check(|end| before(Hasty::default(), before(OneByOne::default(), before(Fires::default(), end))), &expected, 1);
    // Nobody leaves work here: all of it is held back at the end.
    check(|end| before(Hasty::default(), end), &expected, 3);
}

#[test]
fn each_side_of_a_tee_is_waited_for() {
    let ends = [Slow::default(), Slow::default(), Slow::default()];
    let [first, second, third] = ends.clone();
    let inner = Tee::of(vec![before(Fires::default(), Box::new(second)), Box::new(third) as Box<dyn Output<i64>>]);
    let tail = Tee::of(vec![before(OneByOne::default(), Box::new(first)), before(Hasty::default(), inner)]);
    drive(tail, vec![1, 2], 9);
    let items = |end: &Slow| end.0.lock().items.clone();
    assert_eq!(items(&ends[0]), [R(1), R(2), w(9), END]);
    let hasty = [R(1), w(1), R(2), w(2), IDLE, w(9), R(1), w(1), R(2), w(2), END];
    assert_eq!(items(&ends[1]), hasty);
    assert_eq!(items(&ends[2]), hasty);
    assert_eq!(ends[0].0.lock().most, 1);
}

#[test]
fn an_end_that_nobody_drained_before_loses_nothing() {
    let end = Slow::default();
    let mut tail = before(Hasty::default(), before(OneByOne::default(), Box::new(end.clone())));
    tail.collect(&mut vec![1, 2].into()).unwrap();
    tail.event(Event::End).unwrap();
    assert_eq!(end.0.lock().items, [R(1), w(1), R(2), w(2), R(1), w(1), R(2), w(2), END]);
}
