//! Timestamps and watermarks that are given in the middle of a stream.

use std::time::Duration;

use flott::{
    Collector, Context, FunctionResult, KeyedContext, KeyedProcessFunction, OutputTag, ProcessFunction, Stream, Timer,
    WatermarkGenerator, WatermarkStrategy,
    testing::{Emitted, Harness, Harness2},
};
use proptest::prelude::*;

use Emitted::{Active, End, Idle, Watermark as W};

fn r(at: i64) -> Emitted<i64> {
    Emitted::Record(at, Some(at))
}

/// A strategy for records that are their own timestamps.
fn bounded(delay: u64) -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(delay)).with_timestamp_assigner(|at| *at)
}

fn assigned(strategy: WatermarkStrategy<i64>) -> Harness<i64, i64> {
    Harness::new(|records: Stream<i64>| records.assign_timestamps_and_watermarks(strategy))
}

/// A watermark behind each even record; each time it is asked, one that follows the clock.
#[derive(Clone)]
struct Even {
    by_clock: bool,
}

impl WatermarkGenerator<i64> for Even {
    fn on_record(&mut self, record: &i64, timestamp: i64) -> Option<i64> {
        (record % 2 == 0).then_some(timestamp)
    }

    fn on_periodic(&mut self, now: i64) -> Option<i64> {
        self.by_clock.then_some(now)
    }
}

fn even(by_clock: bool) -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_generator(Even { by_clock }).with_timestamp_assigner(|at| *at)
}

#[test]
fn a_stream_that_has_nothing_else_to_do_gives_its_watermark_at_once() {
    let mut harness = assigned(bounded(10));
    harness.push_all([100, 95, 120]).unwrap();
    assert_eq!(harness.take_events(), [r(100), W(89), r(95), r(120), W(109)]);
    // What comes before the assigner has other watermarks; only the last counts.
    harness.watermark(500).unwrap();
    assert!(harness.take_events().is_empty());
    harness.batch([121, 150, 130]).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take_events(), [r(121), r(150), r(130), W(139), W(i64::MAX), End]);
}

#[test]
fn times_have_ends() {
    let mut harness = assigned(bounded(10));
    harness.push_all([i64::MIN, i64::MAX, 0, i64::MIN]).unwrap();
    harness.end().unwrap();
    let expected = [r(i64::MIN), r(i64::MAX), W(i64::MAX - 11), r(0), r(i64::MIN), W(i64::MAX), End];
    assert_eq!(harness.take_events(), expected);
    // A generator may say that all is over; late records still pass.
    let mut harness =
        assigned(WatermarkStrategy::for_generator(Even { by_clock: false }).with_timestamp_assigner(|_| i64::MAX));
    harness.push_all([2, 3]).unwrap();
    harness.end().unwrap();
    let record = |n| Emitted::Record(n, Some(i64::MAX));
    assert_eq!(harness.take_events(), [record(2), W(i64::MAX), record(3), End]);
}

#[test]
fn monotonous_timestamps_and_none() {
    let mut harness = assigned(WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at| *at));
    harness.push_all([5, 5, 6]).unwrap();
    assert_eq!(harness.take_events(), [r(5), W(4), r(5), r(6), W(5)]);
    let mut harness = assigned(WatermarkStrategy::no_watermarks());
    harness.push(5).unwrap();
    harness.push_at(6, 60).unwrap();
    harness.end().unwrap();
    let record = |n, at| Emitted::Record(n, at);
    assert_eq!(harness.take_events(), [record(5, None), record(6, Some(60)), W(i64::MAX), End]);
}

#[test]
fn records_must_have_timestamps_or_be_given_some() {
    let strategy = || WatermarkStrategy::for_bounded_out_of_orderness(Duration::ZERO);
    let mut harness = assigned(strategy());
    harness.push_at(1, 10).unwrap();
    assert_eq!(harness.take_events(), [Emitted::Record(1, Some(10)), W(9)]);
    let failure = harness.push(2).unwrap_err();
    assert!(failure.message.contains("timestamp assigner"), "{failure}");
    assert_eq!(failure.location.operator.as_deref(), Some("Timestamps/Watermarks"));
}

#[test]
fn a_generator_gives_watermarks_right_behind_records_within_a_batch() {
    let mut harness = assigned(even(false));
    harness.batch([1, 4, 3, 2, 8]).unwrap();
    assert_eq!(harness.take_events(), [r(1), r(4), W(4), r(3), r(2), r(8), W(8)]);
}

#[test]
fn a_generator_is_asked_in_intervals_of_processing_time() {
    let mut harness = assigned(even(true));
    harness.advance(Duration::from_millis(500)).unwrap();
    assert_eq!(harness.take_events(), [W(0), W(200), W(400)]);
    harness.push(1).unwrap();
    // The record lets it be asked as well.
    assert_eq!(harness.take_events(), [r(1), W(500)]);
    harness.advance(Duration::from_millis(200)).unwrap();
    assert_eq!(harness.take_events(), [W(600)]);
}

#[test]
fn a_stream_without_records_is_idle_until_one_comes() {
    let mut harness = assigned(bounded(0).with_idleness(Duration::from_millis(100)));
    harness.advance(Duration::from_millis(99)).unwrap();
    assert!(harness.take_events().is_empty());
    harness.push(10).unwrap();
    harness.advance(Duration::from_millis(99)).unwrap();
    assert_eq!(harness.take_events(), [r(10), W(9)]);
    harness.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(harness.take_events(), [Idle]);
    harness.advance(Duration::from_secs(10)).unwrap();
    assert!(harness.take_events().is_empty());
    harness.push(20).unwrap();
    assert_eq!(harness.take_events(), [Active, r(20), W(19)]);
    harness.advance(Duration::from_millis(100)).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take_events(), [Idle, W(i64::MAX), End]);
}

#[test]
fn a_generator_is_not_asked_while_its_stream_is_idle() {
    let mut harness = assigned(even(true).with_idleness(Duration::from_millis(300)));
    harness.advance(Duration::from_secs(1)).unwrap();
    // At 263 it is looked at for the first time, and asked as well.
    assert_eq!(harness.take_events(), [W(0), W(200), W(263), Idle]);
    harness.push(1).unwrap();
    assert_eq!(harness.take_events(), [Active, W(1_000), r(1)]);
}

#[test]
fn idleness_before_and_of_the_assigner_are_one() {
    let mut harness = assigned(bounded(0).with_idleness(Duration::from_millis(100)));
    harness.push(10).unwrap();
    harness.idle().unwrap();
    assert_eq!(harness.take_events(), [r(10), W(9), Idle]);
    // By now it is idle twice over, and says nothing before it is neither.
    harness.advance(Duration::from_millis(100)).unwrap();
    harness.active().unwrap();
    assert!(harness.take_events().is_empty());
    harness.push(11).unwrap();
    assert_eq!(harness.take_events(), [Active, r(11), W(10)]);
    harness.idle().unwrap();
    harness.active().unwrap();
    assert_eq!(harness.take_events(), [Idle, Active]);
}

#[test]
fn others_do_not_wait_for_an_idle_stream() {
    let mut harness = Harness2::new(|left: Stream<i64>, right: Stream<i64>| {
        let strategy = bounded(0).with_idleness(Duration::from_millis(100));
        let left = left.assign_timestamps_and_watermarks(strategy);
        left.union([&right.assign_timestamps_and_watermarks(bounded(0))])
    });
    harness.left().push(10).unwrap();
    harness.right().push(50).unwrap();
    assert_eq!(harness.take_events(), [r(10), r(50), W(9)]);
    harness.advance(Duration::from_millis(100)).unwrap();
    assert_eq!(harness.take_events(), [W(49)]);
    harness.right().push(60).unwrap();
    assert_eq!(harness.take_events(), [r(60), W(59)]);
    // It comes back behind the others: their watermark stands until it has caught up.
    harness.left().push(20).unwrap();
    harness.right().push(70).unwrap();
    assert_eq!(harness.take_events(), [r(20), r(70)]);
    harness.left().push(65).unwrap();
    assert_eq!(harness.take_events(), [r(65), W(64)]);
    harness.left().end().unwrap();
    assert_eq!(harness.take_events(), [W(69)]);
    harness.end().unwrap();
    assert_eq!(harness.take_events(), [W(i64::MAX), End]);
}

/// A watermark behind each record.
#[derive(Clone)]
struct BehindEach;

impl WatermarkGenerator<i64> for BehindEach {
    fn on_record(&mut self, _: &i64, timestamp: i64) -> Option<i64> {
        Some(timestamp)
    }
}

fn behind_each() -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_generator(BehindEach).with_timestamp_assigner(|at| *at)
}

/// Gives at the end what it was given before.
#[derive(Clone, Default)]
struct AtTheEnd(Vec<i64>);

impl ProcessFunction for AtTheEnd {
    type In = i64;
    type Out = i64;

    fn process(&mut self, record: i64, _: &mut Context<'_, i64>) -> FunctionResult {
        self.0.push(record);
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, i64>) -> FunctionResult {
        self.0.drain(..).for_each(|record| ctx.emit(record));
        Ok(())
    }
}

/// Gives each record again by a timer at its time.
#[derive(Clone)]
struct ByTimer;

impl KeyedProcessFunction for ByTimer {
    type Key = i64;
    type In = i64;
    type Out = i64;

    fn process(&mut self, record: i64, ctx: &mut KeyedContext<'_, i64, i64>) -> FunctionResult {
        ctx.register_event_time_timer(record)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, i64, i64>) -> FunctionResult {
        ctx.emit(timer.at);
        Ok(())
    }
}

/// An assigner that lets records out one by one, behind operators that give many at once.
#[track_caller]
fn check_all_pass(build: impl FnOnce(Stream<i64>) -> Stream<i64>) {
    const RECORDS: i64 = 3_000;
    let mut harness = Harness::new(|records| build(records).assign_timestamps_and_watermarks(behind_each()));
    harness.push_all([0, RECORDS / 2]).unwrap();
    harness.end().unwrap();
    let expected = (0..RECORDS).flat_map(|at| [r(at), W(at)]).chain([W(i64::MAX), End]);
    assert_eq!(harness.take_events(), expected.collect::<Vec<_>>());
}

#[test]
fn whatever_an_operator_gives_at_once_passes_an_assigner_behind_it() {
    let many = |records: Stream<i64>| records.flat_map(|n, out: &mut Collector<'_, i64>| out.emit_all(n..n + 1_500));
    check_all_pass(many);
    check_all_pass(|records| many(records).key_by(|n| *n).process(ByTimer));
    // The last watermark is given before the end; a function may give more at the end nevertheless.
    let mut harness = Harness::new(|records: Stream<i64>| {
        records.process(AtTheEnd::default()).assign_timestamps_and_watermarks(behind_each())
    });
    harness.batch(0..3_000).unwrap();
    harness.end().unwrap();
    let expected = [W(i64::MAX)].into_iter().chain((0..3_000).map(r)).chain([End]);
    assert_eq!(harness.take_events(), expected.collect::<Vec<_>>());
}

/// Gives a record and many more to a side output.
#[derive(Clone)]
struct Aside;

const ASIDE: OutputTag<i64> = OutputTag::new("aside");

impl ProcessFunction for Aside {
    type In = i64;
    type Out = i64;

    fn process(&mut self, record: i64, ctx: &mut Context<'_, i64>) -> FunctionResult {
        ctx.emit(record);
        (0..3_000).try_for_each(|more| ctx.emit_to(&ASIDE, record + more))
    }

    fn finish(&mut self, ctx: &mut Context<'_, i64>) -> FunctionResult {
        ctx.emit_to(&ASIDE, 0)
    }
}

#[test]
fn side_outputs_wait_as_main_ones_do() {
    let mut harness = Harness::new(|records: Stream<i64>| {
        records.process(Aside).side_output(&ASIDE).assign_timestamps_and_watermarks(behind_each())
    });
    harness.batch([0, 3_000]).unwrap();
    harness.end().unwrap();
    let expected = (0..6_000).flat_map(|at| [r(at), W(at)]).chain([W(i64::MAX), r(0), End]);
    assert_eq!(harness.take_events(), expected.collect::<Vec<_>>());
}

#[test]
fn a_panic_names_the_operator_that_it_is_in() {
    let mut harness = Harness::new(|records: Stream<i64>| {
        let many = records.flat_map(|_, out: &mut Collector<'_, i64>| {
            out.emit_all(0..5_000);
            panic!("enough");
        });
        many.name("first").map(|n| n).name("second")
    });
    let failure = harness.push(1).unwrap_err();
    assert_eq!(failure.location.operator.as_deref(), Some("first"), "{failure}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn watermarks_are_what_the_greatest_timestamp_says(
        batches in prop::collection::vec(
            prop::collection::vec(prop_oneof![9 => -50i64..50, 1 => any::<i64>()], 1..5), 0..20),
        delay in prop_oneof![3 => 0u64..20, 1 => any::<u64>()],
    ) {
        let mut harness = assigned(bounded(delay));
        let (mut expected, mut max, mut given) = (Vec::new(), None::<i64>, i64::MIN);
        for batch in batches {
            harness.batch(batch.clone()).unwrap();
            max = max.max(batch.iter().copied().max());
            expected.extend(batch.into_iter().map(r));
            let delay = i64::try_from(delay).unwrap_or(i64::MAX);
            let watermark = max.map_or(i64::MIN, |max| max.saturating_sub(delay).saturating_sub(1));
            if watermark > given {
                given = watermark;
                expected.push(W(watermark));
            }
        }
        prop_assert_eq!(harness.take_events(), expected);
    }
}
