//! A busy task, which is never without input: when its watermarks are due.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::*;
use crate::{
    output::{Chained, Lull},
    testing::{named_operator, task_with},
    time::{Clock, ManualClock, WatermarkGenerator},
};

/// Remembers watermarks, and how many records came before each.
#[derive(Default)]
struct Seen {
    records: usize,
    watermarks: Vec<(usize, Timestamp)>,
}

struct Sees(Arc<parking_lot::Mutex<Seen>>);

impl Output<i64> for Sees {
    fn collect(&mut self, batch: &mut Batch<i64>) -> TaskResult {
        self.0.lock().records += batch.len();
        batch.clear();
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        let mut seen = self.0.lock();
        let records = seen.records;
        if let Event::Watermark(watermark) = event {
            seen.watermarks.push((records, watermark));
        }
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(flott_core::id::OperatorId, bytes::Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// An assigner behind which everything is seen, in a task with a clock and an interval.
struct Busy {
    out: Box<dyn Output<i64>>,
    seen: Arc<parking_lot::Mutex<Seen>>,
    clock: ManualClock,
}

impl Busy {
    fn new(strategy: WatermarkStrategy<i64>, interval: &str) -> Self {
        let clock = ManualClock::at(0);
        let task = task_with(Clock::Manual(clock.clone()), &[("pipeline.auto-watermark-interval", interval)]);
        let seen = Arc::<parking_lot::Mutex<Seen>>::default();
        let strategy = strategy.with_timestamp_assigner(|at| *at);
        let assign = AssignWatermarks::new(strategy, task.clone());
        let chained = Chained::open(named_operator("assign"), assign, Box::new(Sees(seen.clone())), &task);
        Self { out: Box::new(chained.unwrap()), seen, clock }
    }

    /// A batch comes, and the next is there already.
    fn batch(&mut self, records: impl IntoIterator<Item = i64>) {
        self.out.collect(&mut Batch::from(records.into_iter().collect::<Vec<_>>())).unwrap();
        while self.out.resume().unwrap() == Drained::Some {}
    }

    #[track_caller]
    fn check(&self, expected: &[(usize, Timestamp)]) {
        assert_eq!(self.seen.lock().watermarks, expected);
    }
}

fn bounded() -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::ZERO)
}

#[test]
fn a_watermark_is_due_after_some_batches() {
    let mut busy = Busy::new(bounded(), "200 ms");
    (1..=40).for_each(|at| busy.batch([at]));
    busy.check(&[(16, 15), (32, 31)]);
    busy.out.quiet(Lull::Dry).unwrap();
    busy.check(&[(16, 15), (32, 31), (40, 39)]);
    // The count begins anew.
    (41..=56).for_each(|at| busy.batch([at]));
    busy.check(&[(16, 15), (32, 31), (40, 39), (56, 55)]);
}

#[test]
fn a_watermark_is_due_after_the_interval() {
    let mut busy = Busy::new(bounded(), "200 ms");
    busy.batch([1]);
    busy.clock.set(199);
    busy.batch([2]);
    busy.check(&[]);
    busy.clock.set(200);
    busy.batch([3]);
    busy.batch([4]);
    busy.check(&[(3, 2)]);
    busy.clock.set(399);
    busy.batch([5]);
    busy.check(&[(3, 2)]);
    // However far the clock jumps.
    busy.clock.set(i64::MAX);
    busy.batch([6]);
    busy.batch([7]);
    busy.check(&[(3, 2), (6, 5)]);
}

#[test]
fn without_an_interval_each_batch_has_one() {
    let mut busy = Busy::new(bounded(), "0 ms");
    busy.batch([1, 5]);
    busy.batch([3]);
    busy.batch([7]);
    busy.check(&[(2, 4), (4, 6)]);
}

#[test]
fn a_generator_is_asked_when_a_watermark_is_due() {
    #[derive(Clone, Default)]
    struct Asked(i64);
    impl WatermarkGenerator<i64> for Asked {
        fn on_record(&mut self, record: &i64, _: Timestamp) -> Option<Timestamp> {
            self.0 = *record;
            (record % 10 == 0).then_some(*record)
        }
        fn on_periodic(&mut self, now: Timestamp) -> Option<Timestamp> {
            Some(self.0 - 100 + now)
        }
    }
    let mut busy = Busy::new(WatermarkStrategy::for_generator(Asked::default()), "200 ms");
    busy.batch([5, 10, 15]);
    busy.check(&[(2, 10)]);
    busy.clock.set(200);
    // It is asked before the records of the batch.
    busy.batch([16]);
    busy.check(&[(2, 10), (3, 115)]);
}
