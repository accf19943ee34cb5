//! Asynchronous calls: many records at once.
//!
//! The futures are driven by the task itself, in `poll_due`, so that they need no lock, and are gone when the task is. It
//! asks whenever it waits, and after each batch; so they go on whatever the task waits for.
//!
//! A barrier passes the calls that are under way. What a snapshot has of them is their records, in order, with the watermarks
//! between them: a task that starts from it calls for them once more, before anything else.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    iter,
    sync::Arc,
    task::{Context, Poll},
};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::Spread,
    task::TaskInfo,
};
use futures::{StreamExt, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};

use self::queue::{CallNo, Given, Place, Queue};
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
    /// Records whose results have not been given.
    asked: BTreeMap<CallNo, (T, Option<Timestamp>)>,
    held: VecDeque<Held<T>>,
    out: Batch<R::Item>,
}

/// What a snapshot has of calls under way.
#[derive(Serialize, Deserialize)]
enum Stored<T> {
    Record(T, Option<Timestamp>),
    Watermark(Timestamp),
}

/// What a snapshot's elements are called.
const UNDER_WAY: &str = "calls under way";

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
    T: Clone,
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
            asked: BTreeMap::new(),
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
                    self.asked.insert(place.call(), (record.clone(), timestamp));
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
                Some(Given::Results(call, results, timestamp)) => {
                    self.asked.remove(&call);
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
    T: Data,
    R: IntoIterator + Send,
    R::Item: Send,
    M: Fn(Place, Option<Timestamp>, T) -> Fut + Send,
    Fut: Future<Output = Answer<R>> + Send,
{
    fn restore(&mut self, from: &Restored) -> TaskResult {
        let held = &mut self.held;
        let same = from.own_elements(UNDER_WAY, |stored| {
            held.push_back(match stored {
                Stored::Record(record, timestamp) => Held::Record(record, timestamp),
                Stored::Watermark(watermark) => Held::Event(Event::Watermark(watermark)),
            });
        })?;
        if !same {
            // Records of several subtasks stand behind each other: those of one are not late by the watermark of another.
            held.retain(|held| matches!(held, Held::Record(..)));
        }
        Ok(())
    }

    fn open(&mut self, _: &Arc<TaskInfo>) -> TaskResult {
        self.begin();
        Ok(())
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        let mut events = self.queue.events().peekable();
        let mut asked = self.asked.iter().peekable();
        let stored = iter::from_fn(|| {
            loop {
                let call = asked.peek().map(|(call, _)| **call);
                match events.next_if(|(_, before)| call.is_none_or(|call| *before <= call)) {
                    Some((Event::Watermark(watermark), _)) => return Some(Stored::Watermark(watermark)),
                    // Who is idle says so again.
                    Some((Event::Idle | Event::Active | Event::Barrier(_) | Event::End, _)) => {}
                    None => return asked.next().map(|(_, (record, timestamp))| Stored::Record(record, *timestamp)),
                }
            }
        });
        // There is room when a barrier comes, except at the very beginning.
        let held = self.held.iter().filter_map(|held| match held {
            Held::Record(record, timestamp) => Some(Stored::Record(record, *timestamp)),
            Held::Event(Event::Watermark(watermark)) => Some(Stored::Watermark(*watermark)),
            Held::Event(Event::Idle | Event::Active | Event::Barrier(_) | Event::End) => None,
        });
        into.own_elements(UNDER_WAY, Spread::Split, stored.chain(held))
    }

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

    fn keeps_work(&self) -> bool {
        true
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
