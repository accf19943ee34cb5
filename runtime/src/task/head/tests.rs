//! A task of which one channel waits for a barrier that has come by another.

use std::{pin::pin, task::Waker, time::Duration};

use flott_core::checkpoint::Overtaking;
use parking_lot::Mutex;

use super::*;
use crate::{
    batch::Batch,
    output::Chained,
    testing::{Streams, barrier, named_operator, task_that_gives},
    time::{AssignWatermarks, Clock, ManualClock, WatermarkStrategy},
};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Result<i64, Event>>>>);

impl Output<i64> for Seen {
    fn collect(&mut self, batch: &mut Batch<i64>) -> TaskResult {
        self.0.lock().extend(batch.records.drain(..).map(Ok));
        batch.clear();
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        if !matches!(event, Event::Watermark(_)) {
            self.0.lock().push(Err(event));
        }
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

#[test]
fn who_waits_for_a_barrier_with_records_behind_it_is_not_idle() {
    let clock = ManualClock::at(0);
    let info = task_that_gives(&Arc::<Streams>::default(), Clock::Manual(clock.clone()));
    let gate = InputGate::new(2, info.clone());
    let senders = [gate.local_sender(0), gate.local_sender(1)];
    let seen = Seen::default();
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at: &i64| *at);
    let assign = AssignWatermarks::new(strategy.with_idleness(Duration::from_secs(5)), info.clone());
    let out = Chained::open(named_operator("assign"), assign, Box::new(seen.clone()), &info).unwrap();
    let mut task = pin!(OneInputHead { gate, out: Box::new(out), info }.drive());
    let mut pass = |by: u64| {
        for _ in 0..by {
            clock.advance(Duration::from_secs(1));
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    };
    let barrier = Event::Barrier(barrier(1, Overtaking::Never));
    senders[0].send_event(barrier);
    assert!(senders[0].try_send(&mut Batch::from(vec![1]), None));
    pass(60);
    assert_eq!(*seen.0.lock(), []);
    senders[1].send_event(barrier);
    pass(1);
    assert_eq!(*seen.0.lock(), [Err(barrier), Ok(1)]);
    pass(60);
    assert_eq!(*seen.0.lock(), [Err(barrier), Ok(1), Err(Event::Idle)]);
}
