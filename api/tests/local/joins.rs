//! Joins of two streams, against naive models.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    Context, Environment, FunctionResult, JoinContext, KeyedStream, OutputTag, ProcessFunction, ProcessJoinFunction,
    Stream, TimeDelta, WatermarkStrategy, testing::Harness2,
};
use proptest::prelude::*;

use super::{PARALLELISMS, check, env, run, run_error, script::script, sorted, versions::valid};

/// A key, a time, a number.
type Row = (u64, i64, u64);

/// How much later than they should records come.
const DISORDER: i64 = 50;

/// `count` records of `keys` keys, about one in a millisecond, out of order.
fn rows(count: u64, keys: u64, seed: u64) -> Vec<Row> {
    let draw = |n: u64| (n + 1).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    (0..count).map(|n| (draw(n) % keys, n as i64 + (draw(n + count) % DISORDER as u64) as i64, n)).collect()
}

fn keyed(env: &Environment, rows: &[Row]) -> KeyedStream<u64, Row> {
    env.configure("pipeline.auto-watermark-interval", "0 ms");
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(DISORDER as u64));
    env.from_collection(rows)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|row: &Row| row.1))
        .key_by(|row| row.0)
}

fn near(left: &[Row], right: &[Row], lower: i64, upper: i64) -> Vec<(u64, u64)> {
    let of = |row: &Row| {
        let (key, at, number) = *row;
        right
            .iter()
            .filter(move |other| other.0 == key && (lower..=upper).contains(&(other.1 - at)))
            .map(move |other| (number, other.2))
    };
    left.iter().flat_map(of).collect()
}

#[test]
fn records_near_each_other_are_joined() {
    let (left, right) = (rows(4_000, 17, 1), rows(3_000, 17, 2));
    for (lower, upper) in [(-20, 10), (5, 30), (-30, -5), (0, 0)] {
        check(
            |env| {
                keyed(env, &left)
                    .interval_join(&keyed(env, &right))
                    .between(TimeDelta::from_millis(lower), TimeDelta::from_millis(upper))
                    .map(|left, right| (left.2, right.2))
            },
            near(&left, &right, lower, upper),
        );
    }
    check(
        |env| {
            keyed(env, &left)
                .interval_join(&keyed(env, &right))
                .between(-TimeDelta::from(Duration::from_millis(20)), Duration::from_millis(10))
                .lower_bound_exclusive()
                .upper_bound_exclusive()
                .map(|left, right| (left.2, right.2))
        },
        near(&left, &right, -19, 9),
    );
}

const FAR: OutputTag<u64> = OutputTag::new("far");

/// Gives pairs with their timestamps, and those that are furthest apart to a side output.
#[derive(Clone)]
struct Stamps(i64);

impl ProcessJoinFunction for Stamps {
    type Left = Row;
    type Right = Row;
    type Out = (i64, i64, i64);

    fn process(&mut self, left: &Row, right: &Row, ctx: &mut JoinContext<'_, Self::Out>) -> FunctionResult {
        let (left_at, right_at) = (ctx.left_timestamp(), ctx.right_timestamp());
        assert_eq!((left.1, right.1), (left_at, right_at));
        ctx.emit((left_at, right_at, ctx.timestamp().ok_or("a pair has a timestamp")?));
        if right_at - left_at == self.0 {
            ctx.emit_to(&FAR, left.2)?;
        }
        ctx.add_to("pairs", 1);
        Ok(())
    }
}

#[test]
fn a_function_of_pairs_has_their_timestamps_and_side_outputs() {
    let (left, right) = (rows(500, 5, 3), rows(500, 5, 4));
    let pairs = near(&left, &right, -10, 10);
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let joined = keyed(&env, &left)
            .interval_join(&keyed(&env, &right))
            .between(TimeDelta::from_millis(-10), TimeDelta::from_millis(10))
            .process(Stamps(10));
        let (stamps, far) = (joined.collect(), joined.side_output(&FAR).collect());
        let result = run(&env);
        let stamps = result.collected(&stamps).unwrap();
        assert_eq!(stamps.len(), pairs.len());
        assert!(stamps.iter().all(|(left, right, at)| at == left.max(right)));
        assert_eq!(result.collected(&far).unwrap().len(), near(&left, &right, 10, 10).len());
        assert_eq!(result.counter("pairs"), pairs.len() as i64);
    }
}

const LATE: OutputTag<Row> = OutputTag::new("late");

#[test]
fn late_records_go_to_the_side_output_of_their_side() {
    // Watermarks that say too much: what is behind them is late, if both sides have come so far.
    let strategy = || WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &Row| row.1);
    let rows: Vec<Row> = rows(5_000, 3, 5).into_iter().map(|row| (row.0, row.1 % 3_000, row.2)).collect();
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        env.configure("pipeline.auto-watermark-interval", "0 ms");
        let stream = env.from_collection(rows.clone()).assign_timestamps_and_watermarks(strategy());
        // The other side's records are never late, and near to everything.
        let last: Vec<Row> = (0..3).map(|key| (key, i64::MAX - 1, 0)).collect();
        let last = env.from_collection(last).assign_timestamps_and_watermarks(strategy());
        let joined = stream
            .key_by(|row| row.0)
            .interval_join(&last.key_by(|row| row.0))
            .between(TimeDelta::MIN, TimeDelta::MAX)
            .side_output_left_late_data(&LATE)
            .map(|left, _| left.2);
        let (in_time, late) = (joined.collect(), joined.side_output(&LATE).map(|row| row.2).collect());
        let result = run(&env);
        let mut numbers = result.collected(&in_time).unwrap();
        numbers.extend(result.collected(&late).unwrap());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..5_000).collect::<Vec<_>>());
    }
}

#[test]
fn late_records_that_no_side_output_takes_are_counted() {
    type Keyed = KeyedStream<u64, Row>;
    #[track_caller]
    fn check(join: impl FnOnce(Keyed, Keyed) -> Stream<u64>, late: i64) {
        let by_key = |rows: &Stream<Row>| rows.key_by(|row| row.0);
        let mut harness = Harness2::new(|left, right| join(by_key(&left), by_key(&right)));
        harness.watermark(10).unwrap();
        harness.left().push_at((1, 10, 0), 10).unwrap();
        harness.right().push_at((1, 9, 0), 9).unwrap();
        harness.left().push_at((1, 11, 7), 11).unwrap();
        harness.right().push_at((1, 11, 0), 11).unwrap();
        harness.end().unwrap();
        assert_eq!(harness.take(), [7]);
        assert_eq!(harness.counter("numLateRecordsDropped"), late);
    }
    let zero = TimeDelta::ZERO;
    check(|left, right| left.interval_join(&right).between(zero, zero).map(|left, _| left.2), 2);
    // A late version counts for what comes after it.
    check(|left, right| left.temporal_join(&right).inner(|left, _| left.2), 1);
}

/// Counts what it is given, and adds it up.
#[derive(Clone)]
struct Tally;

impl ProcessFunction for Tally {
    type In = i64;
    type Out = ();

    fn process(&mut self, number: i64, ctx: &mut Context<'_, ()>) -> FunctionResult {
        ctx.add_to("count", 1);
        ctx.add_to("sum", number);
        Ok(())
    }
}

#[test]
fn a_hot_key_is_joined_with_all_of_its_other_side() {
    const MANY: i64 = 700;
    let all = |env: &Environment| -> KeyedStream<u64, Row> {
        let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &Row| row.1);
        let rows = env.sequence(0, MANY as u64 - 1).map(|n| (7, 5, n));
        rows.assign_timestamps_and_watermarks(strategy).key_by(|row| row.0)
    };
    for parallelism in [1, 2] {
        let env = env(parallelism);
        // What takes the pairs is another task: it is given more than fits into its queue.
        all(&env)
            .interval_join(&all(&env))
            .between(TimeDelta::ZERO, TimeDelta::ZERO)
            .map(|left, right| left.2 as i64 * MANY + right.2 as i64)
            .disable_chaining()
            .process(Tally)
            .discard();
        let result = run(&env);
        let count = MANY * MANY;
        assert_eq!((result.counter("count"), result.counter("sum")), (count, count * (count - 1) / 2));
    }
}

#[test]
fn bounds_that_cross_are_an_error() {
    let env = env(1);
    let stream = keyed(&env, &[]);
    stream.interval_join(&stream).between(TimeDelta::from_secs(1), TimeDelta::ZERO).map(|left, _| left.0).discard();
    let error = run_error(&env);
    assert!(error.contains("lower bound 1000 ms of an interval join is above its upper bound 0 ms"), "{error}");
}

#[test]
fn joins_in_event_time_need_timestamps() {
    for temporal in [false, true] {
        let env = env(1);
        let keyed = env.sequence(1, 5).key_by(|n| *n);
        if temporal {
            keyed.temporal_join(&keyed).inner(|left, _| left).discard();
        } else {
            keyed.interval_join(&keyed).between(TimeDelta::ZERO, TimeDelta::ZERO).map(|left, _| *left).discard();
        }
        let error = run_error(&env);
        let (join, advice) =
            (if temporal { "temporal join" } else { "interval join" }, "assign_timestamps_and_watermarks");
        assert!(error.contains(join) && error.contains(advice), "{error}");
    }
}

/// Versions of rows: which of two with the same time comes later depends on their ways.
fn versions(count: u64, keys: u64, seed: u64) -> Vec<Row> {
    let (mut versions, mut known) = (rows(count, keys, seed), BTreeSet::new());
    versions.retain(|version| known.insert((version.0, version.1)));
    versions
}

/// The numbers of left records with those of the versions that are valid for them, of which each fifth is a delete.
fn told(left: &[Row], versions: &[Row]) -> Vec<(u64, Option<u64>)> {
    let version = |row: &Row| valid(versions, &row.0, row.1).filter(|number| number % 5 != 0);
    left.iter().map(|row| (row.2, version(row))).collect()
}

#[test]
fn records_are_joined_with_the_version_of_their_time() {
    let (left, versions) = (rows(4_000, 11, 6), versions(1_000, 13, 7));
    let joined = told(&left, &versions);
    check(
        |env| {
            keyed(env, &left)
                .temporal_join(&keyed(env, &versions))
                .deleted_when(|version| version.2 % 5 == 0)
                .left_outer(|left, version| (left.2, version.map(|version| version.2)))
        },
        joined.clone(),
    );
    check(
        |env| {
            keyed(env, &left)
                .temporal_join(&keyed(env, &versions))
                .deleted_when(|version| version.2 % 5 == 0)
                .inner(|left, version| (left.2, version.2))
        },
        joined.into_iter().filter_map(|(left, version)| Some((left, version?))).collect(),
    );
}

#[test]
fn in_processing_time_records_are_joined_with_the_last_version_known() {
    let env = env(1);
    let (left, left_cue) = script(&env, vec![vec![(1u64, 0u64)], vec![(1, 1), (2, 2)], vec![(1, 3)]]);
    let (versions, versions_cue) = script(&env, vec![vec![(1u64, 10u64)], vec![(1, 0)]]);
    // Each step sets off the next: left, version, left, delete, left, end.
    let (on_version, on_left) = (left_cue.clone(), (left_cue.clone(), versions_cue));
    left_cue.give(1);
    let joined = left
        .key_by(|row| row.0)
        .temporal_join(&versions.key_by(|row| row.0))
        .in_processing_time()
        .deleted_when(move |version| {
            on_version.give(1);
            version.1 == 0
        })
        .left_outer(move |left, version| {
            match left.1 {
                0 | 2 => on_left.1.give(1),
                3 => {
                    on_left.0.give(1);
                    on_left.1.give(1);
                }
                _ => {}
            }
            (left.1, version.map(|version| version.1))
        });
    assert_eq!(sorted(&joined, &env), [(0, None), (1, Some(10)), (2, None), (3, None)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn joins_do_not_depend_on_parallelism_or_order(
        counts in (0u64..1_500, 0u64..1_500),
        keys in 1u64..20,
        seed in any::<u64>(),
        (lower, upper) in (-60i64..60, 0i64..40),
        sources in (1u32..4, 1u32..4),
    ) {
        let (left, right, versions) = (rows(counts.0, keys, seed), rows(counts.1, keys, !seed), versions(counts.1, keys, !seed));
        let upper = lower + upper;
        let mut expected = near(&left, &right, lower, upper);
        expected.sort_unstable();
        let mut told = told(&left, &versions);
        told.sort_unstable();
        for parallelism in PARALLELISMS {
            let env = env(parallelism);
            let joined = keyed(&env, &left)
                .interval_join(&keyed(&env, &right))
                .between(TimeDelta::from_millis(lower), TimeDelta::from_millis(upper))
                .map(|left, right| (left.2, right.2))
                .parallelism(sources.0);
            prop_assert_eq!(&sorted(&joined, &env), &expected);
            let env = super::env(parallelism);
            let joined = keyed(&env, &left)
                .temporal_join(&keyed(&env, &versions))
                .deleted_when(|version| version.2 % 5 == 0)
                .left_outer(|left, version| (left.2, version.map(|version| version.2)))
                .parallelism(sources.1);
            prop_assert_eq!(&sorted(&joined, &env), &told);
        }
    }
}
