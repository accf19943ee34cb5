//! The generator as a source.
//!
//! A reader that has read one split may be given another, and then events of the second must not come long before the
//! end of the first: to event time they would be late. So a split is a block of events in a row, and blocks are handed
//! out in their order: what one reader reads is in order, as far as the events are, and readers are at most some blocks
//! apart.
//!
//! With a rate, a block would take its reader seconds, in which event time stands still for all who wait for the other
//! readers. There each reader has one split for the whole time, and readers make runs of events in turn.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use flott::{Batch, RateLimiter, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};
use serde::{Deserialize, Serialize};

use crate::{event::Event, generator::Generator};

/// Events in one batch. With their strings they take up a part of the second cache.
const BATCH_EVENTS: u64 = 256;
/// Events that one reader makes before it is the turn of the next.
const RUN_EVENTS: u64 = 64;
/// Most events of a block. It takes some milliseconds, and asking for the next a tenth of one.
const BLOCK_EVENTS_MAX: u64 = 1 << 16;
const BLOCK_EVENTS_MIN: u64 = 1 << 10;
/// Blocks that each reader has to get, where there are events for so many.
const BLOCKS_PER_READER: u64 = 8;
/// Splits that a source may have at most.
const SPLITS_MAX: u64 = 1 << 20;

/// Events of a generator.
#[derive(Debug, Clone)]
pub struct NexmarkSource {
    generator: Generator,
    rate: Option<f64>,
}

impl NexmarkSource {
    /// All events of `generator`, as fast as they can be made.
    pub fn new(generator: Generator) -> Self {
        Self { generator, rate: None }
    }

    /// At most so many events per second, all readers together. A rate that is not a positive number is none.
    #[must_use]
    pub fn rate(mut self, events_per_second: f64) -> Self {
        self.rate = (events_per_second.is_finite() && events_per_second > 0.0).then_some(events_per_second);
        self
    }
}

/// Runs of events in a range of positions: the first at `from`, and further ones each `stride` runs later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    from: u64,
    to: u64,
    stride: u64,
}

impl Source for NexmarkSource {
    type Item = Event;
    type Split = Split;

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Split>> {
        let (count, readers) = (self.generator.options().count, u64::from(parallelism.max(1)));
        if self.rate.is_some() {
            return Ok((0..readers)
                .map(|reader| Split { from: reader * RUN_EVENTS, to: count, stride: readers })
                .collect());
        }
        let block = (count / (readers * BLOCKS_PER_READER)).clamp(BLOCK_EVENTS_MIN, BLOCK_EVENTS_MAX);
        let block = block.max(count.div_ceil(SPLITS_MAX)).next_multiple_of(RUN_EVENTS);
        let blocks = 0..count.div_ceil(block);
        let split =
            |number: u64| Split { from: number * block, to: count.min((number + 1).saturating_mul(block)), stride: 1 };
        Ok(blocks.map(split).collect())
    }

    fn open(&self, split: Split, task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Event, Split>>> {
        let Split { from, to, stride } = split;
        let readers = f64::from(task.parallelism.max(1));
        // A rate that is measured is to be kept on average, whatever stood still.
        let limiter = self.rate.map(|rate| RateLimiter::new(rate / readers).arrears(Duration::MAX));
        Ok(Box::new(Reader { generator: self.generator.clone(), next: from, to, stride: stride.max(1), limiter }))
    }
}

struct Reader {
    generator: Generator,
    next: u64,
    to: u64,
    stride: u64,
    limiter: Option<RateLimiter>,
}

impl Reader {
    /// Where the reader is after the run that it is in.
    fn next_run(&self) -> u64 {
        let run = self.next / RUN_EVENTS;
        run.saturating_add(self.stride).saturating_mul(RUN_EVENTS)
    }

    /// Appends at most `most` events.
    fn take(&mut self, most: u64, events: &mut Vec<Event>) {
        if self.stride == 1 {
            let to = self.to.min(self.next.saturating_add(most));
            self.generator.append(self.next, to, events);
            self.next = to;
            return;
        }
        let mut left = most;
        while left > 0 && self.next < self.to {
            let next_run = self.next_run();
            let end = (self.next / RUN_EVENTS + 1).saturating_mul(RUN_EVENTS).min(self.to);
            let count = left.min(end - self.next);
            self.generator.append(self.next, self.next + count, events);
            left -= count;
            self.next = if self.next + count < end { self.next + count } else { next_run };
        }
    }
}

impl SplitReader<Event, Split> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<Event>) -> Poll<TaskResult<ReadStatus>> {
        if self.next >= self.to {
            return Poll::Ready(Ok(ReadStatus::Ended));
        }
        let most = match &mut self.limiter {
            Some(limiter) => ready!(limiter.poll_due(cx, BATCH_EVENTS)),
            None => BATCH_EVENTS,
        };
        self.take(most, &mut batch.records);
        Poll::Ready(Ok(if self.next >= self.to { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> Split {
        Split { from: self.next, to: self.to, stride: self.stride }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;
    use crate::generator::Options;

    fn read(generator: &Generator, split: &Split) -> Vec<Event> {
        let Split { from, to, stride } = *split;
        let mut reader = Reader { generator: generator.clone(), next: from, to, stride, limiter: None };
        let mut events = Vec::new();
        loop {
            let mut batch = Batch::default();
            let poll = reader.poll_read(&mut Context::from_waker(Waker::noop()), &mut batch);
            assert!(batch.len() as u64 <= BATCH_EVENTS);
            events.append(&mut batch.records);
            if matches!(poll, Poll::Ready(Ok(ReadStatus::Ended))) {
                return events;
            }
        }
    }

    /// Who reads what in which order does not matter to the events.
    fn check(count: u64, parallelism: u32, rate: Option<f64>) -> Vec<Vec<Event>> {
        let generator = Generator::new(Options { count, out_of_order_ms: 3, ..Options::default() }).unwrap();
        let source = NexmarkSource { generator: generator.clone(), rate };
        let splits = source.enumerate(parallelism).unwrap();
        let read: Vec<Vec<Event>> = splits.iter().map(|split| read(&generator, split)).collect();
        let sorted = |events: &mut dyn Iterator<Item = &Event>| {
            let mut events: Vec<String> = events.map(|event| format!("{event:?}")).collect();
            events.sort_unstable();
            events
        };
        assert!(sorted(&mut read.iter().flatten()) == sorted(&mut generator.events().iter()), "{count}, {splits:?}");
        read
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn splits_have_all_events(count in 0u64..6000, parallelism in 1u32..7) {
            check(count, parallelism, None);
            check(count, parallelism, Some(1.0));
        }
    }

    #[test]
    fn blocks_are_in_the_order_of_time() {
        let blocks = check(20_000, 2, None);
        assert_eq!(blocks.len(), 16);
        let all = blocks.concat();
        let mut latest = i64::MIN;
        for event in all {
            latest = latest.max(event.timestamp());
            assert!(event.timestamp() >= latest - 3);
        }
    }

    #[test]
    fn paced_readers_advance_together() {
        let read = check(20_000, 3, Some(1.0));
        assert_eq!(read.len(), 3);
        for place in 0..6_000 {
            let times = read.iter().map(|events| events[place].timestamp());
            // Three runs of 64 events, ten of which happen in a millisecond.
            assert!(times.clone().max().unwrap() - times.min().unwrap() <= 20 + 3);
        }
    }

    #[test]
    fn there_are_not_too_many_splits() {
        let generator = Generator::new(Options { count: u64::MAX, ..Options::default() }).unwrap();
        let splits = NexmarkSource::new(generator).enumerate(4).unwrap();
        assert!(splits.len() as u64 <= SPLITS_MAX);
        assert_eq!(splits.last().unwrap().to, u64::MAX);
    }
}
