//! Windows and aggregations that are larger than the memory for their state, where that is on disk.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    CumulativeEventTimeWindows, Data, EventTimeSessionWindows, SlidingEventTimeWindows, Stream,
    TumblingEventTimeWindows,
    testing::{Harness, HarnessOptions, Snapshot},
};

use crate::script::on_backends;

/// Key, number, and something that takes up room.
type Record = (u32, u64, String);

const KEYS: u32 = 4_000;

fn options(parallelism: u32, from: Option<&Snapshot>) -> HarnessOptions {
    on_backends(HarnessOptions::new(), parallelism, from)
}

/// Records of all keys at this time.
fn records(round: u64) -> impl Iterator<Item = (Record, i64)> {
    (0..KEYS).map(move |key| {
        let at = (round * 10 + u64::from(key) % 10) as i64;
        ((key, round + u64::from(key), format!("{key:>100}")), at)
    })
}

fn longest(held: &mut Record, record: Record) {
    held.1 += record.1;
    held.2 = held.2.split_off(held.2.len().min(1)) + &record.2[..1];
}

/// What comes out, with what is in a result how often, where each round is on the next of `parallelisms`.
fn run<Out: Data + Ord>(
    parallelisms: &[u32],
    build: impl Fn(Stream<Record>) -> Stream<Out>,
) -> BTreeMap<(Out, Option<i64>), usize> {
    let mut results = BTreeMap::new();
    let mut count = |given: Vec<(Out, Option<i64>)>| {
        given.into_iter().for_each(|result| *results.entry(result).or_default() += 1);
    };
    let mut harness = Harness::with(options(parallelisms[0], None), &build);
    for round in 0..8 {
        if round > 0 {
            let snapshot = harness.snapshot().unwrap();
            count(harness.take_timestamped());
            let parallelism = parallelisms[round as usize % parallelisms.len()];
            harness = Harness::with(options(parallelism, Some(&snapshot)), &build);
            // What a source knows of time when it begins anew.
            harness.watermark(round as i64 * 10 - 21).unwrap();
        }
        harness.batch_at(records(round)).unwrap();
        harness.watermark(round as i64 * 10 - 11).unwrap();
        // These are late for some windows, and for none with a lateness.
        harness.batch_at(records(round.saturating_sub(1)).step_by(3)).unwrap();
    }
    harness.end().unwrap();
    count(harness.take_timestamped());
    results
}

fn check<Out: Data + Ord + std::fmt::Debug>(build: impl Fn(Stream<Record>) -> Stream<Out>) {
    let in_memory = run(&[2], &build);
    assert!(in_memory.len() > KEYS as usize);
    let moved = run(&[1, 3, 2, 1], &build);
    // Not by `assert_eq!`, which would print all of them.
    let other = in_memory.iter().find(|(result, count)| moved.get(result) != Some(count));
    assert_eq!(other, None, "of {} results in memory", in_memory.len());
    assert_eq!(in_memory.len(), moved.len());
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn running_results() {
    check(|records| records.key_by(|record| record.0).reduce(longest));
}

#[test]
fn slices_of_tumbling_windows() {
    check(|records| records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(20))).reduce(longest));
}

#[test]
fn slices_of_sliding_windows() {
    check(|records| {
        records.key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(30), ms(10))).reduce(longest)
    });
}

#[test]
fn slices_of_sliding_windows_that_are_kept_for_late_records() {
    check(|records| {
        let windows = records.key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(20), ms(10)));
        windows.allowed_lateness(ms(25)).sum(|record| record.1)
    });
}

#[test]
fn slices_of_cumulating_windows() {
    check(|records| {
        records.key_by(|record| record.0).window(CumulativeEventTimeWindows::of(ms(40), ms(10))).reduce(longest)
    });
}

#[test]
fn sessions() {
    check(|records| {
        let sessions = records.key_by(|record| record.0 / 2).window(EventTimeSessionWindows::with_gap(ms(4)));
        sessions.sum(|record| record.1)
    });
}

#[test]
fn windows_that_keep_their_records() {
    check(|records| {
        let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(20)));
        windows.apply(|key, window, records, out| {
            let mut numbers: Vec<_> = records.iter().map(|record| record.1).collect();
            numbers.sort_unstable();
            out.emit((*key, window.end, numbers));
        })
    });
}
