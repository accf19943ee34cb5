//! Two streams whose records meet in windows.

use std::collections::{BTreeMap, BTreeSet};

use flott::{
    CountEvictor, CountTrigger, Environment, EventTimeSessionWindows, OutputTag, SlidingEventTimeWindows, StreamPair,
    TaggedUnion, TimeWindow, TumblingEventTimeWindows, WatermarkStrategy, WindowAssigner,
};

use super::{
    Row, check, expected, millis,
    model::{Firing, Shape},
    rows, source,
};

type Tagged = TaggedUnion<Row, Row>;

/// The rows of both sides; their values tell which is which: those of the left side are even.
fn sides() -> (Vec<Row>, Vec<Row>) {
    let both = rows(600);
    let left = both.iter().step_by(3).map(|(key, at, value)| (*key, *at, value * 2)).collect();
    let right = both.iter().skip(1).step_by(2).map(|(key, at, value)| (*key, *at + 10, value * 2 + 1)).collect();
    (left, right)
}

/// What windows of both sides together come to.
fn windows_of(shape: Shape) -> Vec<Firing> {
    let (left, right) = sides();
    expected(shape, &[left, right].concat())
}

fn split(values: &[i64]) -> (Vec<i64>, Vec<i64>) {
    values.iter().partition(|value| *value % 2 == 0)
}

fn pair<How>(
    env: &Environment,
    pair: impl Fn(&flott::Stream<Row>, &flott::Stream<Row>) -> StreamPair<How, Row, Row>,
) -> StreamPair<How, Row, Row> {
    let (left, right) = sides();
    pair(&source(env, &left), &source(env, &right))
}

#[track_caller]
fn check_pair<A: WindowAssigner<Tagged, Window = TimeWindow>>(assigner: &A, shape: Shape) {
    let windows = windows_of(shape);
    let joined: Vec<_> = windows
        .iter()
        .flat_map(|firing| {
            let (left, right) = split(&firing.values);
            left.into_iter().flat_map(move |left| right.clone().into_iter().map(move |right| (firing.key, left, right)))
        })
        .collect();
    assert!(!joined.is_empty());
    check(
        |env| {
            pair(env, |left, right| left.join(right))
                .where_key(|row| row.0)
                .equal_to(|row| row.0)
                .window(assigner.clone())
                .apply(|left, right| (left.0, left.2, right.2))
        },
        joined,
    );
    let grouped = windows
        .iter()
        .map(|firing| {
            let (left, right) = split(&firing.values);
            (firing.key, firing.start, left, right)
        })
        .collect();
    check(
        |env| {
            pair(env, |left, right| left.co_group(right))
                .where_key(|row| row.0)
                .equal_to(|row| row.0)
                .window(assigner.clone())
                .apply_with(|key, window, left, right, out| {
                    let values = |rows: &[Row]| rows.iter().map(|row| row.2).collect::<BTreeSet<_>>();
                    let sorted = |rows: &[Row]| values(rows).into_iter().collect::<Vec<_>>();
                    out.emit((*key, window.start, sorted(left), sorted(right)));
                })
        },
        grouped,
    );
}

#[test]
fn records_meet_where_key_and_window_are_the_same() {
    check_pair(&TumblingEventTimeWindows::of(millis(30)), Shape::Sliding { size: 30, slide: 30, offset: 0 });
    check_pair(&SlidingEventTimeWindows::of(millis(30), millis(20)), Shape::Sliding { size: 30, slide: 20, offset: 0 });
}

#[test]
fn sessions_go_on_with_records_of_either_side() {
    check_pair(&EventTimeSessionWindows::with_gap(millis(11)), Shape::Session { gap: 11 });
    let windows = EventTimeSessionWindows::with_dynamic_gap(|_: &Tagged| millis(7));
    check_pair(&windows, Shape::Session { gap: 7 });
}

#[test]
fn evictors_and_triggers_see_both_sides_as_one() {
    let env = super::super::env(1);
    let rows = |at: i64| (0..3).map(|n| (0u8, at + n, at + n)).collect::<Vec<Row>>();
    let counts = source(&env, &rows(0))
        .co_group(&source(&env, &rows(10)))
        .where_key(|row| row.0)
        .equal_to(|row| row.0)
        .window(TumblingEventTimeWindows::of(millis(1_000)))
        .trigger(CountTrigger::of(6))
        .evictor(CountEvictor::of(5))
        .apply(|left, right, out| out.emit(left.len() + right.len()));
    assert_eq!(super::sorted(&counts, &env), [5]);
}

const LATE: OutputTag<Tagged> = OutputTag::new("late");

#[test]
fn what_is_late_for_both_sides_goes_to_the_side_output() {
    let env = super::super::env(1);
    env.configure("pipeline.auto-watermark-interval", "0 ms");
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &Row| row.1);
    // The watermark is that of both.
    let rows: Vec<Row> = (0..5_000).map(|n| (0, n * 10, 0)).chain([(0, 5, 1)]).collect();
    let left = env.from_collection(rows.clone()).assign_timestamps_and_watermarks(strategy.clone());
    let right = env.from_collection(rows).assign_timestamps_and_watermarks(strategy);
    let joined = left
        .join(&right)
        .where_key(|row| row.0)
        .equal_to(|row| row.0)
        .window(TumblingEventTimeWindows::of(millis(10)))
        .side_output_late_data(&LATE)
        .apply(|left, right| left.2 + right.2);
    let late = joined.side_output(&LATE).collect();
    let joined = joined.collect();
    let result = env.execute("test").unwrap();
    let joined = result.collected(&joined).unwrap();
    let late = result.collected(&late).unwrap();
    let mut seen = BTreeMap::new();
    late.iter().for_each(|record| *seen.entry(*record).or_insert(0) += 1);
    // Whoever comes last is late.
    assert!(seen.keys().all(|record| matches!(record, TaggedUnion::Left((0, 5, 1)) | TaggedUnion::Right((0, 5, 1)))));
    assert!(!late.is_empty());
    assert_eq!(joined.iter().filter(|sum| **sum == 0).count(), 5_000);
}
