//! Operators of two streams.

use std::{fmt::Debug, time::Duration};

use flott::{
    Data, Failure, FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen, OutputTag, SlidingEventTimeWindows,
    Stream, TimeDelta, Timer, ValueState,
    testing::{Harness2, HarnessOptions},
};
use proptest::prelude::*;

use crate::script::{CASES, Cut, LATE, Record, Step, cuts, steps};

const LATE_RIGHT: OutputTag<Record> = OutputTag::new("late-right");

/// Which side each batch is for.
#[derive(Debug, Clone)]
struct Script {
    steps: Vec<(bool, Step)>,
    parallelism: u32,
    cuts: Vec<Cut>,
}

fn script() -> impl Strategy<Value = Script> {
    (steps(), prop::collection::vec(any::<bool>(), 30), 1u32..4, cuts(1..4)).prop_map(
        |(steps, left, parallelism, cuts)| Script { steps: left.into_iter().zip(steps).collect(), parallelism, cuts },
    )
}

type Outcome<Out> = (Vec<(Out, Option<i64>)>, Vec<Record>, usize);

impl Script {
    fn run<Out: Data + Ord>(
        &self,
        cuts: &[Cut],
        build: impl Fn(Stream<Record>, Stream<Record>) -> Stream<Out>,
    ) -> Result<Outcome<Out>, Failure> {
        let options = |subtasks| HarnessOptions::new().parallelism(subtasks).side(&LATE).side(&LATE_RIGHT);
        let mut harness = Harness2::with(options(self.parallelism), &build);
        let (mut results, mut late, mut watermark) = (Vec::new(), Vec::new(), None);
        for (place, (left, step)) in self.steps.iter().enumerate() {
            for cut in cuts.iter().filter(|cut| cut.before == place) {
                let snapshot = harness.snapshot()?;
                results.extend(harness.take_timestamped());
                late.extend(harness.side(&LATE).into_iter().chain(harness.side(&LATE_RIGHT)));
                harness = Harness2::with(options(cut.parallelism).from_snapshot(&snapshot), &build);
                watermark.map_or(Ok(()), |watermark: i64| harness.watermark(watermark.saturating_sub(7)))?;
            }
            match step {
                Step::Batch(records) if *left => harness.left().batch_at(records.iter().copied())?,
                Step::Batch(records) => harness.right().batch_at(records.iter().copied())?,
                Step::Watermark(at) => {
                    watermark = Some(*at);
                    harness.watermark(*at)?;
                }
                Step::Clock(ms) => harness.advance(Duration::from_millis(*ms))?,
            }
        }
        harness.watermark(1_000_000)?;
        harness.advance(Duration::from_secs(10))?;
        let left = harness.snapshot()?.keyed_entries();
        harness.end()?;
        results.extend(harness.take_timestamped());
        late.extend(harness.side(&LATE).into_iter().chain(harness.side(&LATE_RIGHT)));
        results.sort();
        late.sort();
        Ok((results, late, left))
    }

    fn check<Out: Data + Ord + Debug>(
        &self,
        build: impl Fn(Stream<Record>, Stream<Record>) -> Stream<Out>,
    ) -> Result<usize, TestCaseError> {
        let failed = |failure: Failure| TestCaseError::fail(failure.to_string());
        let whole = self.run(&[], &build).map_err(failed)?;
        let cut = self.run(&self.cuts, &build).map_err(failed)?;
        prop_assert_eq!(&cut, &whole);
        Ok(whole.2)
    }
}

/// The latest of each side, with timers that forget it.
#[derive(Clone, Default)]
struct Meeting {
    left: ValueState<i64>,
    right: ValueState<i64>,
}

impl KeyedCoProcessFunction for Meeting {
    type Key = u8;
    type Left = Record;
    type Right = Record;
    type Out = (u8, Option<i64>, Option<i64>);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.left = ctx.value("left")?;
        self.right = ctx.value("right")?;
        Ok(())
    }

    fn process_left(&mut self, (key, number): Record, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        self.left.set(ctx, number)?;
        let other = self.right.get(ctx)?.copied();
        ctx.emit((key, Some(number), other));
        let at = ctx.timestamp().ok_or("no timestamp")?;
        ctx.register_event_time_timer(at + 5).map(drop)
    }

    fn process_right(&mut self, (key, number): Record, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        self.right.set(ctx, number)?;
        let other = self.left.get(ctx)?.copied();
        ctx.emit((key, other, Some(number)));
        let at = ctx.processing_time() + 9;
        ctx.register_processing_time_timer(at).map(drop)
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        let key = *ctx.key()?;
        let (left, right) = (self.left.take(ctx)?, self.right.take(ctx)?);
        ctx.emit((key, left, right));
        Ok(())
    }
}

fn of_key(record: &Record) -> u8 {
    record.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn functions_of_two_streams(script in script()) {
        let left = script.check(|left, right| {
            left.key_by(of_key).connect(&right.key_by(of_key)).process(Meeting::default())
        })?;
        prop_assert_eq!(left, 0);
    }

    #[test]
    fn interval_joins(script in script(), lower in -20i64..10, width in 0i64..20) {
        let left = script.check(|left, right| {
            let pairs = left.key_by(of_key).interval_join(&right.key_by(of_key)).between(TimeDelta::from_millis(lower), TimeDelta::from_millis(lower + width));
            let pairs = pairs.side_output_left_late_data(&LATE).side_output_right_late_data(&LATE_RIGHT);
            pairs.map(|left, right| (left.0, left.1, right.1))
        })?;
        prop_assert_eq!(left, 0);
    }

    #[test]
    fn temporal_joins(script in script(), deletes in 2i64..9) {
        script.check(|left, right| {
            let joined = left.key_by(of_key).temporal_join(&right.key_by(of_key));
            let joined = joined.deleted_when(move |version| version.1 % deletes == 0).side_output_late_data(&LATE);
            joined.left_outer(|left, version| (left, version.map(|version| version.1)))
        })?;
        script.check(|left, right| {
            let joined = left.key_by(of_key).temporal_join(&right.key_by(of_key)).in_processing_time();
            joined.left_outer(|left, version| (left, version.map(|version| version.1)))
        })?;
    }

    #[test]
    fn joins_of_windows(script in script(), size in 1u64..30, slide in 1u64..15) {
        let windows = || SlidingEventTimeWindows::of(Duration::from_millis(size), Duration::from_millis(slide));
        let left = script.check(|left, right| {
            let pairs = left.join(&right).where_key(of_key).equal_to(of_key).window(windows());
            pairs.apply(|left, right| (left.0, left.1, right.1))
        })?;
        prop_assert_eq!(left, 0);
        script.check(|left, right| {
            let pairs = left.co_group(&right).where_key(of_key).equal_to(of_key).window(windows());
            pairs.apply(|left, right, out| out.emit((left.len(), right.len())))
        })?;
    }
}
