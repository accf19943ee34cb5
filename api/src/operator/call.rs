//! Asynchronous calls: many records at once.
//!
//! The futures are driven by the task itself, in `poll_due`, so that they need no lock, and are gone when the task is. It
//! asks whenever it waits, and after each batch; so they go on whatever the task waits for.

use std::{
    collections::VecDeque,
    future::Future,
    task::{Context, Poll},
};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
};
use futures::{StreamExt, stream::FuturesUnordered};

use self::queue::{Given, Place, Queue};
use crate::function::Collector;

mod queue;
#[cfg(test)]
mod tests;

/// What a call has come to.
pub(crate) struct Answer<R> {
    place: Place,
    timestamp: Option<Timestamp>,
    results: TaskResult<R>,
}

/// What came while there was no room.
enum Held<T> {
    Record(T, Option<Timestamp>),
    Event(Event),
}

/// Calls a function for each record; `call` makes the future of a call.
pub(crate) struct Call<T, R: IntoIterator, M, Fut> {
    call: M,
    capacity: usize,
    running: FuturesUnordered<Fut>,
    queue: Queue<R>,
    held: VecDeque<Held<T>>,
    out: Batch<R::Item>,
}

/// The future of a call: it knows whose result it brings.
pub(crate) async fn answer<R>(
    place: Place,
    timestamp: Option<Timestamp>,
    results: impl Future<Output = TaskResult<R>>,
) -> Answer<R> {
    Answer { place, timestamp, results: results.await }
}

impl<T, R, M, Fut> Call<T, R, M, Fut>
where
    R: IntoIterator,
    M: Fn(Place, Option<Timestamp>, T) -> Fut,
    Fut: Future<Output = Answer<R>>,
{
    pub fn new(ordered: bool, capacity: usize, call: M) -> Self {
        Self {
            call,
            capacity,
            running: FuturesUnordered::new(),
            queue: Queue::new(ordered),
            held: VecDeque::new(),
            out: Batch::default(),
        }
    }

    /// Begins calls as far as there is room.
    fn begin(&mut self) {
        while let Some(held) = self.held.front() {
            if matches!(held, Held::Record(..)) && self.queue.records() >= self.capacity {
                return;
            }
            match self.held.pop_front() {
                Some(Held::Record(record, timestamp)) => {
                    let place = self.queue.begin();
                    self.running.push((self.call)(place, timestamp, record));
                }
                Some(Held::Event(event)) => self.queue.event(event),
                None => return,
            }
        }
    }

    /// Gives some of what may be given.
    fn give(&mut self, out: &mut dyn Output<R::Item>) -> TaskResult<Drained> {
        let mut given = 0;
        let mut event = None;
        let mut collector = Collector::new(&mut self.out, out);
        while given < BATCH_RECORDS && event.is_none() {
            match self.queue.give() {
                Some(Given::Results(results, timestamp)) => {
                    collector.set_timestamp(timestamp);
                    collector.emit_all(results);
                    given += 1;
                }
                Some(Given::Event(next)) => event = Some(next),
                None => break,
            }
        }
        collector.finish()?;
        let done = given > 0 || event.is_some();
        if let Some(event) = event {
            out.event(event)?;
        }
        self.begin();
        Ok(match done {
            true => Drained::Some,
            false if self.held.is_empty() => Drained::All,
            false => Drained::Waiting,
        })
    }
}

impl<T, R, M, Fut> Operator<T, R::Item> for Call<T, R, M, Fut>
where
    T: Send,
    R: IntoIterator + Send,
    R::Item: Send,
    M: Fn(Place, Option<Timestamp>, T) -> Fut + Send,
    Fut: Future<Output = Answer<R>> + Send,
{
    fn process(&mut self, input: &mut Batch<T>, _: &mut dyn Output<R::Item>) -> TaskResult {
        let mut timestamps = input.timestamps.drain(..);
        self.held.extend(input.records.drain(..).map(|record| Held::Record(record, timestamps.next())));
        drop(timestamps);
        self.begin();
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<R::Item>) -> TaskResult {
        if self.queue.is_empty() && self.held.is_empty() {
            return out.event(event);
        }
        self.held.push_back(Held::Event(event));
        self.begin();
        Ok(())
    }

    fn resume(&mut self, out: &mut dyn Output<R::Item>) -> TaskResult<Drained> {
        self.give(out)
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        while let Poll::Ready(Some(Answer { place, timestamp, results })) = self.running.poll_next_unpin(cx) {
            self.queue.answer(place, results?, timestamp);
        }
        if self.queue.may_give() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn drain(&mut self, out: &mut dyn Output<R::Item>) -> TaskResult<Drained> {
        let given = self.give(out)?;
        Ok(if self.queue.is_empty() { given } else { given.and(Drained::Waiting) })
    }
}
