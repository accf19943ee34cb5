//! Windows in whole jobs, against the naive model.

mod join;
#[path = "../model/windows.rs"]
mod model;

use std::time::Duration;

use flott::{
    Accumulator, Aggregate, ContinuousEventTimeTrigger, CountEvictor, CountTrigger, CumulativeEventTimeWindows, Data,
    DeltaTrigger, Environment, EventTimeSessionWindows, GlobalWindows, OutputTag, SlidingEventTimeWindows, Stream,
    TimeWindow, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WatermarkGenerator, WatermarkStrategy, Window,
    WindowAssigner,
};
use proptest::prelude::*;

use self::model::{Firing, Record, Shape, Step};
use super::{check, env, run_error, sorted};

/// Key, time and value.
type Row = (u8, i64, i64);

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

/// What windows come to, with nothing late.
fn expected(shape: Shape, rows: &[Row]) -> Vec<Firing> {
    let records = rows.iter().map(|(key, at, value)| Step::Record(Record { key: *key, at: *at, value: *value }));
    let steps: Vec<_> = records.chain([Step::Watermark(i64::MAX)]).collect();
    model::outcome(shape, 0, &steps).timeless().0
}

/// Gathers values.
#[derive(Clone)]
struct Values;

impl Aggregate for Values {
    type In = Row;
    type Accumulator = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<i64>, row: Row) {
        values.push(row.2);
    }

    fn result(&self, values: &Vec<i64>) -> Vec<i64> {
        let mut values = values.clone();
        values.sort_unstable();
        values
    }

    fn merge(&self, into: &mut Vec<i64>, mut other: Vec<i64>) {
        into.append(&mut other);
    }
}

/// Checks windows of all parallelisms against the model, aggregated as records come and as a whole.
#[track_caller]
fn check_windows<A: WindowAssigner<Row, Window = TimeWindow>>(assigner: &A, shape: Shape, rows: &[Row]) {
    let expected = expected(shape, rows);
    let windows = |env: &Environment| source(env, rows).key_by(|row| row.0).window(assigner.clone());
    check(
        |env| {
            windows(env).aggregate_with(Values, |key, window, values, out| {
                out.emit(Firing { key: *key, start: window.start, end: window.end, values });
            })
        },
        expected.clone(),
    );
    check(
        |env| {
            windows(env).apply(|key, window, rows, out| {
                let mut values: Vec<i64> = rows.iter().map(|row| row.2).collect();
                values.sort_unstable();
                out.emit(Firing { key: *key, start: window.start, end: window.end, values });
            })
        },
        expected,
    );
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
fn counted_windows_need_no_time() {
    let rows = rows(300);
    let values = |shape| expected(shape, &rows).into_iter().map(|firing| (firing.key, firing.values)).collect();
    let keyed = |env: &Environment| env.from_collection(rows.clone()).key_by(|row| row.0);
    check(|env| keyed(env).count_window(10).aggregate(Values), values(Shape::Count { size: 10 }));
    check(
        |env| keyed(env).count_window_sliding(10, 4).aggregate(Values),
        values(Shape::CountSliding { size: 10, slide: 4 }),
    );
    let numbers = |env: &Environment| env.sequence(1, 100).parallelism(1);
    check(|env| numbers(env).count_window_all(40).count(), vec![40, 40]);
    check(
        |env| numbers(env).count_window_all_sliding(3, 50).apply(|_, numbers, out| out.emit(numbers.to_vec())),
        vec![vec![48, 49, 50], vec![98, 99, 100]],
    );
}

#[test]
fn global_windows_give_results_by_their_trigger() {
    check(
        |env| {
            env.sequence(1, 10)
                .parallelism(1)
                .key_by(|_| ())
                .window(GlobalWindows::create())
                .trigger(DeltaTrigger::of(3.0, |last: &u64, next: &u64| *next as f64 - *last as f64))
                .evictor(CountEvictor::of(2))
                .apply(|_, _, numbers, out| out.emit(numbers.to_vec()))
        },
        vec![vec![4, 5], vec![8, 9]],
    );
}

/// Each row says which watermark comes behind it.
#[derive(Clone)]
struct Told;

impl WatermarkGenerator<(Row, i64)> for Told {
    fn on_record(&mut self, (_, watermark): &(Row, i64), _: i64) -> Option<i64> {
        Some(*watermark)
    }
}

const LATE: OutputTag<(Row, i64)> = OutputTag::new("late");

#[test]
fn late_rows_fire_again_or_go_to_the_side() {
    // Ten milliseconds, five of lateness.
    let rows: Vec<(Row, i64)> =
        vec![((0, 1, 1), 0), ((0, 2, 2), 9), ((0, 3, 3), 13), ((0, 4, 4), 14), ((0, 5, 5), 14), ((0, 17, 6), 14)];
    let build = |env: &Environment| {
        let strategy = WatermarkStrategy::for_generator(Told).with_timestamp_assigner(|(row, _): &(Row, i64)| row.1);
        env.from_collection(rows.clone())
            .assign_timestamps_and_watermarks(strategy)
            .key_by(|(row, _)| row.0)
            .window(TumblingEventTimeWindows::of(millis(10)))
            .allowed_lateness(millis(5))
    };
    let env = env(1);
    let counts = build(&env).side_output_late_data(&LATE).count();
    let late = counts.side_output(&LATE).collect();
    let counts = counts.collect();
    let result = env.execute("test").unwrap();
    let mut counts = result.collected(&counts).unwrap();
    counts.sort();
    assert_eq!(counts, [(0, 1), (0, 2), (0, 3), (0, 4)]);
    assert_eq!(result.collected(&late).unwrap(), [((0, 5, 5), 14)]);

    let env = super::env(1);
    build(&env).count().discard();
    let result = env.execute("test").unwrap();
    assert_eq!(result.accumulator("numLateRecordsDropped"), Some(&Accumulator::LongCounter(1)));
}

#[test]
fn a_trigger_gives_results_before_the_end() {
    let rows: Vec<Row> = (0..30).map(|n| (0, n, n)).collect();
    let early = |env: &Environment| {
        source(env, &rows)
            .key_by(|row| row.0)
            .window(TumblingEventTimeWindows::of(millis(30)))
            .trigger(ContinuousEventTimeTrigger::of(millis(10)))
            .count()
            .map(|(_, count)| count)
    };
    // No watermark comes before all rows have.
    check(early, vec![30, 30, 30]);
    check(
        |env| {
            source(env, &rows)
                .parallelism(1)
                .key_by(|row| row.0)
                .window(TumblingEventTimeWindows::of(millis(30)))
                .trigger(CountTrigger::of(20))
                .count()
                .map(|(_, count)| count)
        },
        vec![20],
    );
}

/// Windows of odd and of even numbers, which are no spans of time.
#[test]
fn assigners_and_windows_can_be_the_users() {
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    enum Parity {
        Even,
        Odd,
    }
    impl Window for Parity {
        fn max_timestamp(&self) -> i64 {
            if *self == Self::Even { 1_000_000 } else { i64::MAX }
        }
    }
    #[derive(Clone)]
    struct ByParity;
    impl WindowAssigner<Row> for ByParity {
        type Window = Parity;
        type Trigger = flott::EventTimeTrigger;

        fn time_domain(&self) -> flott::TimeDomain {
            flott::TimeDomain::Event
        }

        fn default_trigger(&self) -> flott::EventTimeTrigger {
            flott::EventTimeTrigger::create()
        }

        fn assign(&mut self, row: &Row, _: i64, windows: &mut Vec<Parity>) -> flott::FunctionResult {
            windows.push(if row.2 % 2 == 0 { Parity::Even } else { Parity::Odd });
            Ok(())
        }
    }
    let rows = rows(1_000);
    check(
        |env| {
            source(env, &rows).window_all(ByParity).aggregate_with(Values, |window, values, out| {
                out.emit((window.clone(), values.len()));
            })
        },
        vec![(Parity::Even, 500), (Parity::Odd, 500)],
    );
}

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
