//! Operators that wait for something outside, in a chain.

use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    task::Waker,
};

use parking_lot::Mutex;

use super::*;
use crate::{
    batch::Batch,
    output::{Chained, Operator, Output},
    testing::{Sleeper, named_operator, task},
};

/// Answers that come from outside: how many, and who waits for them.
#[derive(Default)]
struct Answers(Mutex<(usize, Option<Waker>)>);

impl Answers {
    fn give(&self, answers: usize) {
        let mut state = self.0.lock();
        state.0 += answers;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

/// Passes on a record for each answer; takes no more while it has two of them.
struct Asks {
    answers: Arc<Answers>,
    asked: VecDeque<u32>,
}

impl Operator<u32, u32> for Asks {
    fn process(&mut self, input: &mut Batch<u32>, _: &mut dyn Output<u32>) -> TaskResult {
        assert!(self.asked.len() < 2, "it takes no more");
        self.asked.extend(input.records.drain(..));
        Ok(())
    }

    fn resume(&mut self, out: &mut dyn Output<u32>) -> TaskResult<Drained> {
        let mut state = self.answers.0.lock();
        if state.0 > 0
            && let Some(record) = self.asked.pop_front()
        {
            state.0 -= 1;
            out.collect(&mut vec![record].into())?;
            return Ok(Drained::Some);
        }
        Ok(if self.asked.len() < 2 { Drained::All } else { Drained::Waiting })
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut state = self.answers.0.lock();
        if state.0 > 0 && !self.asked.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }

    fn drain(&mut self, _: &mut dyn Output<u32>) -> TaskResult<Drained> {
        Ok(if self.asked.is_empty() { Drained::All } else { Drained::Waiting })
    }
}

/// What came out at the end of a chain.
#[derive(Clone, Default)]
struct Came(Arc<Mutex<(Vec<u32>, bool)>>);

impl Output<u32> for Came {
    fn collect(&mut self, batch: &mut Batch<u32>) -> TaskResult {
        self.0.lock().0.append(&mut batch.records);
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.lock().1 |= event == Event::End;
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

/// Two operators that ask, one behind the other, driven over records 1 to `records`.
struct Driven {
    answers: [Arc<Answers>; 2],
    came: Came,
    fed: Arc<Mutex<u32>>,
    sleeper: Arc<Sleeper>,
    waker: Waker,
    task: Pin<Box<dyn Future<Output = TaskResult<Prepared>>>>,
}

impl Driven {
    /// With `ends`, the input ends; else it only has no more.
    fn new(records: u32, ends: bool) -> Self {
        let answers = [Arc::<Answers>::default(), Arc::default()];
        let (came, fed) = (Came::default(), Arc::<Mutex<u32>>::default());
        let info = task();
        let mut tail: Box<dyn Output<u32>> = Box::new(came.clone());
        for answers in answers.iter().rev() {
            let asks = Asks { answers: answers.clone(), asked: VecDeque::new() };
            tail = Box::new(Chained::open(named_operator("asks"), asks, tail, &info).unwrap());
        }
        let count = fed.clone();
        let task = async move {
            let mut turn = Turn::new(info);
            loop {
                let mut fed = *count.lock();
                let input = |_: &mut Box<dyn Output<u32>>, _: &mut Context<'_>| match fed < records {
                    true => Poll::Ready(Ok(Some(fed + 1))),
                    false if ends => Poll::Ready(Ok(None)),
                    false => Poll::Pending,
                };
                match turn.wait(&mut tail, input).await? {
                    Some(record) => {
                        fed = record;
                        *count.lock() = fed;
                        tail.collect(&mut vec![record].into())?;
                        turn.settle(&mut tail).await?;
                    }
                    None => return turn.end(&mut tail).await,
                }
            }
        };
        let (sleeper, waker) = Sleeper::new();
        Self { answers, came, fed, sleeper, waker, task: Box::pin(task) }
    }

    /// Drives the task until it waits; whether it has ended.
    fn drive(&mut self) -> bool {
        loop {
            let ended = pin!(&mut self.task).poll(&mut Context::from_waker(&self.waker)).is_ready();
            if ended || self.sleeper.woken() == 0 {
                return ended;
            }
        }
    }

    /// Drives the task and checks how many records it has been fed, and how many came out.
    #[track_caller]
    fn check(&mut self, fed: u32, came: u32) {
        assert!(!self.drive());
        assert_eq!(*self.fed.lock(), fed);
        assert_eq!(self.came.0.lock().0, (1..=came).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_waited_for_is_given_while_there_is_no_input() {
    let mut driven = Driven::new(1, false);
    driven.check(1, 0);
    driven.answers[0].give(1);
    driven.check(1, 0);
    driven.answers[1].give(1);
    driven.check(1, 1);
}

#[test]
fn nothing_is_fed_in_while_an_operator_waits() {
    let mut driven = Driven::new(10, false);
    driven.check(2, 0);
    driven.answers[0].give(1);
    driven.check(3, 0);
    driven.answers[0].give(1);
    driven.check(3, 0);
    // The second is full now: the first gets answers, but has nowhere to put what it gives.
    driven.answers[0].give(2);
    driven.check(3, 0);
    driven.answers[1].give(1);
    driven.check(3, 1);
    driven.answers[1].give(2);
    driven.check(6, 3);
}

/// Gives each record in a batch of its own, all at once.
struct Each;

impl Operator<u32, u32> for Each {
    fn process(&mut self, input: &mut Batch<u32>, out: &mut dyn Output<u32>) -> TaskResult {
        input.records.drain(..).try_for_each(|record| out.collect(&mut vec![record].into()))
    }
}

#[test]
fn what_is_given_at_once_waits_as_well() {
    let (answers, came) = (Arc::<Answers>::default(), Came::default());
    let asks = Asks { answers: answers.clone(), asked: VecDeque::new() };
    let asks = Chained::open(named_operator("asks"), asks, Box::new(came.clone()), &task()).unwrap();
    let each = Chained::open(named_operator("each"), Each, Box::new(asks), &task()).unwrap();
    let mut tail: Box<dyn Output<u32>> = Box::new(each);
    let driven = async move {
        let mut turn = Turn::new(task());
        tail.collect(&mut vec![1, 2, 3, 4].into())?;
        turn.settle(&mut tail).await?;
        turn.end(&mut tail).await
    };
    let (_, waker) = Sleeper::new();
    let mut driven = pin!(driven);
    for answered in 0..=4 {
        assert_eq!(came.0.lock().0, (1..answered).collect::<Vec<_>>());
        let ended = driven.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        assert_eq!(ended, answered == 4);
        answers.give(1);
    }
    assert_eq!(*came.0.lock(), (vec![1, 2, 3, 4], true));
}

#[test]
fn the_end_waits_for_what_is_waited_for() {
    let mut driven = Driven::new(1, true);
    driven.check(1, 0);
    driven.answers[0].give(1);
    driven.check(1, 0);
    assert!(!driven.came.0.lock().1);
    driven.answers[1].give(1);
    assert!(driven.drive());
    assert_eq!(*driven.came.0.lock(), (vec![1], true));
}
