//! Windows that cannot be.

use std::time::Duration;

use flott::{
    CumulativeEventTimeWindows, Data, DeltaTrigger, Environment, EventTimeSessionWindows, SlidingEventTimeWindows,
    Stream, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};

use super::{
    super::{env, run_error},
    Row, millis, source,
};

/// Checks that a plan is refused.
#[track_caller]
fn check_refused<T: Data>(build: impl FnOnce(&Environment) -> Stream<T>, expected: &str) {
    let env = env(1);
    build(&env).discard();
    let error = run_error(&env);
    assert!(error.contains(expected), "{error}");
}

#[test]
fn windows_that_cannot_be_are_errors_of_the_plan() {
    #[track_caller]
    fn check(windows: impl WindowAssigner<Row>, expected: &str) {
        check_refused(|env| source(env, &[]).key_by(|row| row.0).window(windows).count(), expected);
    }
    check(SlidingEventTimeWindows::of(millis(0), millis(1)), "the size must be at least one millisecond");
    check(SlidingEventTimeWindows::of(millis(1), millis(0)), "the slide must be at least one millisecond");
    check(SlidingEventTimeWindows::of(millis(1), Duration::from_micros(999)), "the slide must be");
    check(SlidingEventTimeWindows::of(millis(10), millis(5)).offset_ms(-5), "the offset must be less than 5 ms");
    check(SlidingEventTimeWindows::of(Duration::MAX, millis(5)), "each record would be in");
    check(CumulativeEventTimeWindows::of(millis(10), millis(3)), "a whole number of steps");
    check(CumulativeEventTimeWindows::of(millis(10), millis(0)), "the step must be at least one millisecond");
    check(EventTimeSessionWindows::with_gap(millis(0)), "the gap must be at least one millisecond");
    check_refused(|env| env.sequence(1, 2).count_window_all(0).count(), "it must count to at least 1");
    check_refused(|env| env.sequence(1, 2).count_window_all_sliding(0, 1).count(), "its size must be at least 1");
    check_refused(
        |env| {
            let windows = EventTimeSessionWindows::with_gap(millis(5));
            let trigger = DeltaTrigger::of(1.0, |_: &Row, _: &Row| 0.0);
            source(env, &[]).key_by(|row| row.0).window(windows).trigger(trigger).count()
        },
        "DeltaTrigger(1) is not possible: it cannot be used where windows merge",
    );
    check_refused(
        |env| source(env, &[]).window_all(TumblingProcessingTimeWindows::of(millis(10))).count().parallelism(2),
        "cannot run in parallel",
    );
}

#[test]
fn records_that_windows_cannot_take_fail_the_task() {
    check_refused(
        |env| env.sequence(1, 10).key_by(|n| *n).window(TumblingEventTimeWindows::of(millis(10))).count(),
        "assign_timestamps_and_watermarks",
    );
    check_refused(
        |env| {
            let gap = |row: &Row| millis(row.2 as u64);
            let windows = EventTimeSessionWindows::with_dynamic_gap(gap);
            source(env, &[(0, 0, 0)]).key_by(|row| row.0).window(windows).count()
        },
        "the gap of a session must be at least one millisecond",
    );
}
