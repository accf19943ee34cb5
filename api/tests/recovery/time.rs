//! Event time across a restart.

use std::time::Duration;

use flott::{
    Failure, SlidingEventTimeWindows, Stream, Timestamp, TumblingEventTimeWindows, WatermarkGenerator,
    WatermarkStrategy, WindowAssigner,
    testing::{Emitted, Harness, HarnessOptions},
};
use proptest::prelude::*;

use crate::script::{CASES, LATE, Record, Step, single};

const WINDOW: Duration = Duration::from_millis(10);

/// A watermark behind every number that can be divided by four, at its timestamp.
#[derive(Clone)]
struct Marks;

impl WatermarkGenerator<Record> for Marks {
    fn on_record(&mut self, record: &Record, timestamp: Timestamp) -> Option<Timestamp> {
        (record.1 % 4 == 0).then_some(timestamp)
    }

    fn on_periodic(&mut self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

fn sums(records: &Stream<Record>) -> Stream<(u8, i64)> {
    let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(WINDOW));
    windows.side_output_late_data(&LATE).sum(|record| record.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn watermarks_in_the_middle_of_a_stream_do_not_go_back(script in single(), delay in 0u64..15) {
        let delay = Duration::from_millis(delay);
        // Here the stream has watermarks of its own alone.
        let mut script = script;
        script.steps.retain(|step| !matches!(step, Step::Watermark(_)));
        script.check(|records| {
            sums(&records.assign_timestamps_and_watermarks(WatermarkStrategy::for_bounded_out_of_orderness(delay)))
        })?;
        script.check(|records| {
            sums(&records.assign_timestamps_and_watermarks(WatermarkStrategy::for_generator(Marks)))
        })?;
    }
}

fn tumbling() -> impl WindowAssigner<Record, Window = flott::TimeWindow> {
    TumblingEventTimeWindows::of(WINDOW)
}

/// A harness whose window up to 10 has fired, and one that goes on from there.
fn gone_on(build: impl Fn(Stream<Record>) -> Stream<(u8, i64)>, subtasks: u32) -> Harness<Record, (u8, i64)> {
    let mut harness = Harness::with(HarnessOptions::new().side(&LATE), &build);
    harness.push_all_at([((1, 1), 5), ((1, 2), 12)]).unwrap();
    harness.watermark(9).unwrap();
    assert_eq!(harness.take(), [(1, 1)]);
    let snapshot = harness.snapshot().unwrap();
    Harness::with(HarnessOptions::new().parallelism(subtasks).side(&LATE).from_snapshot(&snapshot), &build)
}

#[test]
fn what_was_late_before_is_late_before_the_first_watermark() {
    // By slices, and one by one.
    type Build = fn(Stream<Record>) -> Stream<(u8, i64)>;
    let builds: [Build; 2] = [
        |records| sums(&records),
        |records| {
            let windows = records.key_by(|record| record.0).window(tumbling()).side_output_late_data(&LATE);
            windows.apply(|key, _, records, out| out.emit((*key, records.iter().map(|record| record.1).sum())))
        },
    ];
    for build in builds {
        for subtasks in [1, 3] {
            let mut harness = gone_on(build, subtasks);
            harness.push_all_at([((1, 4), 6), ((1, 8), 13)]).unwrap();
            assert_eq!(harness.side(&LATE), [(1, 4)]);
            harness.end().unwrap();
            assert_eq!(harness.take(), [(1, 10)]);
        }
    }
}

#[test]
fn watermarks_from_before_are_not_passed_on() {
    let mut harness = gone_on(|records| sums(&records), 1);
    harness.watermark(3).unwrap();
    harness.watermark(9).unwrap();
    assert_eq!(harness.take_events(), []);
    harness.watermark(10).unwrap();
    assert_eq!(harness.take_events(), [Emitted::Watermark(10)]);
}

#[test]
fn a_stream_says_its_watermark_again() {
    let build = |records: Stream<Record>| {
        let delay = Duration::from_millis(3);
        records.assign_timestamps_and_watermarks(WatermarkStrategy::for_bounded_out_of_orderness(delay))
    };
    let mut harness = Harness::new(build);
    harness.push_at((1, 1), 10).unwrap();
    assert_eq!(harness.take_events().last(), Some(&Emitted::Watermark(6)));
    let snapshot = harness.snapshot().unwrap();
    let mut harness = Harness::with(HarnessOptions::new().from_snapshot(&snapshot), build);
    harness.settle().unwrap();
    assert_eq!(harness.take_events(), [Emitted::Watermark(6)]);
}

#[test]
fn windows_of_another_size_do_not_take_over_slices() {
    let build = |size| {
        move |records: Stream<Record>| {
            let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(size));
            windows.sum(|record| record.1)
        }
    };
    let mut harness = Harness::new(build(WINDOW));
    harness.push_at((1, 1), 5).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut harness = Harness::with(HarnessOptions::new().from_snapshot(&snapshot), build(WINDOW * 2));
    let failure = harness.push_at((1, 1), 6).unwrap_err();
    assert!(failure.message.contains("another kind, size or offset"), "{failure}");
}

/// Windows of 10 ms every 5 ms, with an allowed lateness.
fn sliding(lateness: u64) -> impl Fn(Stream<Record>) -> Stream<(i64, i64)> {
    let ms = Duration::from_millis;
    move |records| {
        let windows = records.key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(10), ms(5)));
        let windows = windows.allowed_lateness(ms(lateness));
        windows.reduce_with(|sum, record| sum.1 += record.1, |_, window, sum, out| out.emit((window.end, sum.1)))
    }
}

/// What comes of a record that is late when windows go on with another allowed lateness.
fn with_another_lateness(before: u64, after: u64) -> Result<Vec<(i64, i64)>, Failure> {
    let mut harness = Harness::new(sliding(before));
    harness.push_at((1, 1), 6)?;
    harness.push_at((1, 2), 11)?;
    harness.watermark(12)?;
    assert_eq!(harness.take(), [(10, 1)]);
    let snapshot = harness.snapshot()?;
    let mut harness = Harness::with(HarnessOptions::new().from_snapshot(&snapshot), sliding(after));
    harness.push_at((1, 4), 7)?;
    harness.end()?;
    let mut results = harness.take();
    results.sort_unstable();
    Ok(results)
}

#[test]
fn windows_go_on_with_another_lateness() {
    assert_eq!(with_another_lateness(20, 20).unwrap(), [(10, 5), (15, 7), (20, 2)]);
    assert_eq!(with_another_lateness(20, 40).unwrap(), [(10, 5), (15, 7), (20, 2)]);
    // The first window is over.
    assert_eq!(with_another_lateness(20, 0).unwrap(), [(15, 7), (20, 2)]);
    assert_eq!(with_another_lateness(20, 2).unwrap(), [(15, 7), (20, 2)]);
}

#[test]
fn windows_that_took_no_late_records_cannot_begin_to() {
    let failure = with_another_lateness(0, 20).unwrap_err();
    assert!(failure.message.contains("took no late records"), "{failure}");
}
