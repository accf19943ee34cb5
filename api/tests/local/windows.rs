//! Windows in whole jobs.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    Aggregate, Environment, SlidingEventTimeWindows, Stream, TumblingEventTimeWindows, TumblingProcessingTimeWindows,
    WatermarkStrategy,
};

use super::{check, env, run_error};

/// Key and time.
type Record = (u64, i64);

/// Records of 7 keys, out of order by up to 40.
fn records(count: u64) -> Vec<Record> {
    (0..count as i64).map(|n| ((n % 7) as u64, n / 2 * 5 + (n * 7919) % 40 - 1_000)).collect()
}

fn source(env: &Environment, records: &[Record]) -> Stream<Record> {
    env.configure("pipeline.auto-watermark-interval", "0 ms");
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(40));
    let strategy = strategy.with_timestamp_assigner(|record: &Record| record.1);
    env.from_collection(records.to_vec()).assign_timestamps_and_watermarks(strategy)
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How many records of a key each of its windows of `size` has that begin at `offset` and every `slide`.
fn counts(records: &[Record], size: i64, slide: i64, offset: i64) -> Vec<(u64, i64, u64)> {
    let mut counts = BTreeMap::new();
    for (key, at) in records {
        let starts = (-3_000..20_000).filter(|start| (start - offset).rem_euclid(slide) == 0);
        for start in starts.filter(|start| *start <= *at && *at < start + size) {
            *counts.entry((*key, start)).or_default() += 1;
        }
    }
    counts.into_iter().map(|((key, start), count)| (key, start, count)).collect()
}

#[derive(Clone)]
struct Count;

impl Aggregate for Count {
    type In = Record;
    type Accumulator = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: Record) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}

#[test]
fn tumbling_windows_have_what_falls_into_them() {
    let records = records(2_000);
    for offset in [0, 30, -99] {
        let windows = TumblingEventTimeWindows::of(millis(100)).offset_ms(offset);
        check(
            |env| {
                source(env, &records)
                    .key_by(|record| record.0)
                    .window(windows)
                    .aggregate_with(Count, |key, window, count, out| out.emit((*key, window.start, count)))
            },
            counts(&records, 100, 100, offset),
        );
    }
}

#[test]
fn sliding_windows_overlap_or_leave_gaps() {
    let records = records(500);
    for (size, slide) in [(100, 30), (50, 50), (30, 100)] {
        check(
            |env| {
                source(env, &records)
                    .key_by(|record| record.0)
                    .window(SlidingEventTimeWindows::of(millis(size), millis(slide)))
                    .aggregate_with(Count, |key, window, count, out| out.emit((*key, window.start, count)))
            },
            counts(&records, size as i64, slide as i64, 0),
        );
    }
}

#[test]
fn windows_of_the_whole_stream_have_all_keys() {
    let records = records(1_000);
    let mut expected = BTreeMap::new();
    records.iter().for_each(|(_, at)| *expected.entry(at.div_euclid(250)).or_insert(0) += 1);
    check(
        |env| source(env, &records).window_all(TumblingEventTimeWindows::of(millis(250))).count(),
        expected.into_values().collect(),
    );
}

#[test]
fn reductions_keep_records() {
    let records = records(1_000);
    let mut expected = BTreeMap::new();
    records.iter().for_each(|(key, at)| *expected.entry((*key, at.div_euclid(250))).or_insert(0) += at);
    let sums = expected.into_iter().map(|((key, _), sum)| (key, sum)).collect();
    check(
        |env| {
            source(env, &records)
                .key_by(|record| record.0)
                .window(TumblingEventTimeWindows::of(millis(250)))
                .reduce(|sum, record| sum.1 += record.1)
        },
        sums,
    );
}

#[test]
fn windows_that_cannot_be_are_errors_of_the_plan() {
    #[track_caller]
    fn check(windows: SlidingEventTimeWindows, expected: &str) {
        let env = env(1);
        source(&env, &[]).key_by(|record| record.0).window(windows).count().discard();
        let error = run_error(&env);
        assert!(error.contains(expected), "{error}");
    }
    check(SlidingEventTimeWindows::of(millis(0), millis(1)), "the size must be at least one millisecond");
    check(SlidingEventTimeWindows::of(millis(1), millis(0)), "the slide must be at least one millisecond");
    check(SlidingEventTimeWindows::of(millis(1), Duration::from_micros(999)), "the slide must be");
    check(SlidingEventTimeWindows::of(millis(10), millis(5)).offset_ms(-5), "the offset must be less than 5 ms");
    check(SlidingEventTimeWindows::of(Duration::MAX, millis(5)), "each record would be in");
    let env = env(1);
    source(&env, &[]).window_all(TumblingProcessingTimeWindows::of(millis(10))).count().parallelism(2).discard();
    let error = run_error(&env);
    assert!(error.contains("cannot run in parallel"), "{error}");
}

#[test]
fn records_without_timestamps_are_an_error_in_event_time() {
    let env = env(1);
    env.sequence(1, 10).key_by(|n| *n).window(TumblingEventTimeWindows::of(millis(10))).count().discard();
    let error = run_error(&env);
    assert!(error.contains("assign_timestamps_and_watermarks"), "{error}");
}
