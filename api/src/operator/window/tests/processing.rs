//! Windows in processing time.

use std::time::Duration;

use flott_runtime::time::{Clock, ManualClock};

use super::{Bench, Fired, Firing, Record, folding};
use crate::window::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, EventTimeSessionWindows, ProcessingTimeSessionWindows,
    ProcessingTimeTrigger, SlidingProcessingTimeWindows, TumblingProcessingTimeWindows,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn record(key: u8, value: i64) -> Record {
    // Its timestamp says nothing here.
    Record { key, at: -1_000_000, value }
}

fn fired(key: u8, start: i64, end: i64, values: &[i64]) -> Fired {
    (Firing { key, start, end, values: values.to_vec() }, end - 1)
}

macro_rules! drive {
    ($clock:ident, $bench:ident, $assigner:expr) => {
        let $clock = ManualClock::at(0);
        let clock = Clock::Manual($clock.clone());
        let mut $bench = Bench::new($assigner, ProcessingTimeTrigger::create(), folding(), 0, clock);
        let mut $bench = |now: i64, records: &[Record]| {
            $clock.set(now);
            let mut fired = $bench.records(records);
            fired.sort();
            (fired, $bench.kept())
        };
    };
}

#[test]
fn tumbling_windows_fire_when_the_clock_says_so() {
    drive!(clock, at, TumblingProcessingTimeWindows::of(ms(10)).offset_ms(3));
    assert_eq!(at(5, &[record(1, 1), record(2, 2)]), (vec![], (2, 2, 2)));
    assert_eq!(at(11, &[record(1, 3)]), (vec![], (2, 2, 2)));
    assert_eq!(at(12, &[]), (vec![], (2, 2, 2)));
    // The same millisecond goes on.
    assert_eq!(at(12, &[record(1, 4)]), (vec![], (2, 2, 2)));
    assert_eq!(at(13, &[]), (vec![fired(1, 3, 13, &[1, 3, 4]), fired(2, 3, 13, &[2])], (0, 0, 0)));
    assert_eq!(at(13, &[record(1, 5)]), (vec![], (1, 1, 1)));
    assert_eq!(at(1_000, &[]), (vec![fired(1, 13, 23, &[5])], (0, 0, 0)));
}

#[test]
fn sliding_windows_fire_one_after_the_other() {
    drive!(clock, at, SlidingProcessingTimeWindows::of(ms(10), ms(5)));
    assert_eq!(at(7, &[record(1, 1)]), (vec![], (1, 2, 2)));
    assert_eq!(at(10, &[]), (vec![fired(1, 0, 10, &[1])], (1, 1, 1)));
    assert_eq!(at(15, &[]), (vec![fired(1, 5, 15, &[1])], (0, 0, 0)));
}

#[test]
fn sessions_last_as_long_as_something_happens() {
    drive!(clock, at, ProcessingTimeSessionWindows::with_gap(ms(10)));
    assert_eq!(at(0, &[record(1, 1)]), (vec![], (1, 1, 1)));
    assert_eq!(at(8, &[record(1, 2)]), (vec![], (1, 1, 1)));
    // The timer that was set for the first record comes, and is set again.
    assert_eq!(at(12, &[]), (vec![], (1, 1, 1)));
    assert_eq!(at(16, &[record(1, 3)]), (vec![], (1, 1, 1)));
    assert_eq!(at(25, &[]), (vec![], (1, 1, 1)));
    assert_eq!(at(26, &[]), (vec![fired(1, 0, 26, &[1, 2, 3])], (0, 0, 0)));
}

#[test]
fn sessions_last_as_long_as_their_records_say() {
    drive!(clock, at, ProcessingTimeSessionWindows::with_dynamic_gap(|record: &(u8, i64)| ms(record.1 as u64)));
    assert_eq!(at(0, &[record(1, 10)]), (vec![], (1, 1, 1)));
    // One that says less does not shorten it, one that says more makes it longer.
    assert_eq!(at(5, &[record(1, 2), record(2, 3)]), (vec![], (2, 2, 2)));
    assert_eq!(at(8, &[record(1, 20)]), (vec![fired(2, 5, 8, &[3])], (1, 1, 1)));
    assert_eq!(at(27, &[]), (vec![], (1, 1, 1)));
    assert_eq!(at(28, &[]), (vec![fired(1, 0, 28, &[2, 10, 20])], (0, 0, 0)));
}

#[test]
fn sessions_that_have_grown_leave_no_timer_in_the_other_kind_of_time() {
    let clock = ManualClock::at(0);
    let (gap, trigger) = (EventTimeSessionWindows::with_gap(ms(10)), ContinuousProcessingTimeTrigger::of(ms(1_000)));
    let mut bench = Bench::new(gap, trigger, folding(), 0, Clock::Manual(clock.clone()));
    for session in 0..10 {
        let begin = session * 100;
        // It grows at its end, at its beginning, and by one that is bridged.
        for at in [20, 25, 15, 40, 32] {
            bench.records(&[Record { key: 0, at: begin + at, value: at }]);
        }
        assert_eq!(bench.kept(), (1, 1, 2));
        assert_eq!(bench.watermark(begin + 49), []);
        assert_eq!(bench.kept(), (0, 0, 0));
    }
    let (gap, trigger) = (ProcessingTimeSessionWindows::with_gap(ms(10)), ContinuousEventTimeTrigger::of(ms(1_000)));
    let mut bench = Bench::new(gap, trigger, folding(), 0, Clock::Manual(clock.clone()));
    for session in 1..10 {
        for at in [20, 25, 30] {
            clock.set(session * 100 + at);
            bench.records(&[record(0, at)]);
        }
        assert_eq!(bench.kept(), (1, 1, 2));
        clock.set(session * 100 + 40);
        bench.records(&[]);
        assert_eq!(bench.kept(), (0, 0, 0));
    }
}

#[test]
fn what_is_left_at_the_end_of_the_input_fires_then() {
    let clock = ManualClock::at(0);
    let windows = ProcessingTimeSessionWindows::with_gap(ms(10));
    let mut bench = Bench::new(windows, ProcessingTimeTrigger::create(), folding(), 0, Clock::Manual(clock.clone()));
    bench.records(&[record(1, 1), record(2, 2)]);
    clock.set(5);
    bench.records(&[record(1, 3)]);
    bench.driver.end().unwrap();
    let mut left: Vec<_> = bench.driver.out.records().into_iter().map(|(fired, _)| fired).collect();
    left.sort();
    assert_eq!(left, [fired(1, 0, 15, &[1, 3]), fired(2, 0, 10, &[2])]);
    assert_eq!(bench.kept(), (0, 0, 0));
}
