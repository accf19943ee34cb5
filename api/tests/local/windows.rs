//! Windows in whole jobs, against the naive model.

mod join;
#[path = "../model/windows.rs"]
mod model;
mod refused;
mod special;
#[path = "../model/values.rs"]
mod values;

use std::time::Duration;

use flott::{
    Aggregate, CumulativeEventTimeWindows, Environment, EventTimeSessionWindows, SlidingEventTimeWindows, Stream,
    TimeWindow, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WatermarkStrategy, WindowAssigner,
};
use proptest::prelude::*;

use self::{
    model::Shape,
    values::{Row, Values, aggregated, expected, gap_of, gathered},
};
use super::{PARALLELISMS, batch, check, env, sorted};

/// How much later than others a record may come.
const DISORDER: i64 = 40;

/// Rows of 7 keys, out of order, all at even times: so sessions with an odd gap never touch.
fn rows(count: i64) -> Vec<Row> {
    (0..count).map(|n| ((n % 7) as u8, n / 2 * 6 + (n * 7919) % 20 * 2 - 400, n)).collect()
}

fn source(env: &Environment, rows: &[Row]) -> Stream<Row> {
    env.configure("pipeline.auto-watermark-interval", "0 ms");
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(millis(DISORDER as u64));
    let strategy = strategy.with_timestamp_assigner(|row: &Row| row.1);
    env.from_collection(rows.to_vec()).assign_timestamps_and_watermarks(strategy)
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Checks windows of all parallelisms against the model, aggregated as records come and as a whole.
#[track_caller]
fn check_windows<A: WindowAssigner<Row, Window = TimeWindow>>(assigner: &A, shape: Shape, rows: &[Row]) {
    let expected = expected(shape, rows);
    let keyed = |env: &Environment| source(env, rows).key_by(|row| row.0);
    check(|env| aggregated(&keyed(env), assigner), expected.clone());
    check(|env| gathered(&keyed(env), assigner), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn windows_have_what_falls_into_them(count in 1i64..2_000, size in 1i64..90, slide in 1i64..90, offset in -90i64..90) {
        let (rows, tumbling, sliding) = (rows(count), offset % size, offset % slide);
        let windows = TumblingEventTimeWindows::of(millis(size as u64)).offset_ms(tumbling);
        check_windows(&windows, Shape::Sliding { size, slide: size, offset: tumbling }, &rows);
        let windows = SlidingEventTimeWindows::of(millis(size as u64), millis(slide as u64)).offset_ms(sliding);
        check_windows(&windows, Shape::Sliding { size, slide, offset: sliding }, &rows);
        let windows = CumulativeEventTimeWindows::of(millis(4 * size as u64), millis(size as u64)).offset_ms(tumbling);
        check_windows(&windows, Shape::Cumulating { size: 4 * size, step: size, offset: tumbling }, &rows);
        let gap = 2 * (size / 2) + 1;
        let windows = EventTimeSessionWindows::with_gap(millis(gap as u64));
        check_windows(&windows, Shape::Session { gap }, &rows);
        let windows = EventTimeSessionWindows::with_dynamic_gap(|row: &Row| millis(gap_of(row.2) as u64));
        check_windows(&windows, Shape::OwnGaps { gap: |record| gap_of(record.value) }, &rows);
    }
}

#[test]
fn results_have_the_last_timestamp_of_their_window() {
    let rows = rows(500);
    // Windows of windows: the results of the first fall into the second.
    let expected = expected(Shape::Sliding { size: 50, slide: 50, offset: 0 }, &rows);
    let mut counts = std::collections::BTreeMap::new();
    expected.iter().for_each(|firing| *counts.entry((firing.end - 1).div_euclid(200)).or_insert(0) += 1);
    check(
        |env| {
            source(env, &rows)
                .key_by(|row| row.0)
                .window(TumblingEventTimeWindows::of(millis(50)))
                .count()
                .window_all(TumblingEventTimeWindows::of(millis(200)))
                .count()
        },
        counts.into_values().collect(),
    );
}

#[test]
fn shorthands_agree_with_what_they_are_short_for() {
    let rows = rows(1_000);
    let expected = expected(Shape::Sliding { size: 250, slide: 250, offset: 0 }, &rows);
    let of = |number: fn(&[i64]) -> i64| {
        expected.iter().map(|firing| (firing.key, number(&firing.values))).collect::<Vec<_>>()
    };
    let windows =
        |env: &Environment| source(env, &rows).key_by(|row| row.0).window(TumblingEventTimeWindows::of(millis(250)));
    check(|env| windows(env).sum(|row| row.2), of(|values| values.iter().sum()));
    check(|env| windows(env).min(|row| row.2), of(|values| values[0]));
    check(|env| windows(env).max(|row| row.2), of(|values| values[values.len() - 1]));
    check(|env| windows(env).count().map(|(key, count)| (key, count as i64)), of(|values| values.len() as i64));
    check(
        |env| windows(env).reduce(|sum, row| sum.2 += row.2).map(|row| (row.0, row.2)),
        of(|values| values.iter().sum()),
    );
    check(
        |env| windows(env).reduce_with(|sum, row| sum.2 += row.2, |key, _, sum, out| out.emit((*key, sum.2))),
        of(|values| values.iter().sum()),
    );
}

#[test]
fn windows_of_the_whole_stream_have_all_keys() {
    let rows = rows(1_000);
    let together: Vec<Row> = rows.iter().map(|(_, at, value)| (0, *at, *value)).collect();
    let expected = expected(Shape::Sliding { size: 250, slide: 250, offset: 0 }, &together);
    let values: Vec<_> = expected.into_iter().map(|firing| (firing.start, firing.values)).collect();
    let windows = |env: &Environment| source(env, &rows).window_all(TumblingEventTimeWindows::of(millis(250)));
    check(
        |env| windows(env).aggregate_with(Values, |window, values, out| out.emit((window.start, values))),
        values.clone(),
    );
    check(
        |env| {
            windows(env).apply(|window, rows, out| {
                let mut values: Vec<i64> = rows.iter().map(|row| row.2).collect();
                values.sort_unstable();
                out.emit((window.start, values));
            })
        },
        values.clone(),
    );
    let counts = values.iter().map(|(_, values)| values.len() as u64).collect();
    check(|env| windows(env).count(), counts);
}

#[test]
fn batch_mode_gives_the_same() {
    let rows = rows(500);
    let expected = expected(Shape::Session { gap: 21 }, &rows);
    for parallelism in PARALLELISMS {
        let env = batch(parallelism);
        let rows = source(&env, &rows).key_by(|row| row.0);
        let windows = aggregated(&rows, &EventTimeSessionWindows::with_gap(millis(21)));
        assert_eq!(sorted(&windows, &env), expected);
    }
}

#[test]
fn processing_time_windows_that_are_open_at_the_end_fire_then() {
    let env = env(2);
    env.set_clock(flott::Clock::Manual(flott::ManualClock::at(12)));
    let counts = env
        .sequence(1, 100)
        .key_by(|n| n % 4)
        .window(TumblingProcessingTimeWindows::of(millis(10)))
        .aggregate_with(Count, |key, window, count, out| out.emit((*key, window.start, count)));
    assert_eq!(sorted(&counts, &env), (0..4).map(|key| (key, 10, 25)).collect::<Vec<_>>());
}

#[derive(Clone)]
struct Count;

impl Aggregate for Count {
    type In = u64;
    type Accumulator = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: u64) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}
