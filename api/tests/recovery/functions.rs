//! Process functions, and folds by key.

use flott::{
    Aggregate, BroadcastOpen, BroadcastProcessFunction, BroadcastState, BroadcastStates, Context, ExecutionMode,
    FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ListOperatorState, ListState, MapState, OpenContext,
    ProcessFunction, StateTtl, TimeDomain, Timer, ValueState, WatermarkStrategy,
    testing::{Harness2, HarnessOptions},
};
use proptest::prelude::*;
use std::time::Duration;

use crate::script::{CASES, LATE, Record, script, single};

/// Remembers numbers until a timer of each kind of time has come.
#[derive(Clone, Default)]
struct Remembering {
    numbers: ListState<i64>,
    seen: ValueState<u64>,
    by_time: MapState<i64, i64>,
    fading: ValueState<i64>,
}

impl KeyedProcessFunction for Remembering {
    type Key = u8;
    type In = Record;
    type Out = (u8, String, Vec<i64>);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.numbers = ctx.list("numbers")?;
        self.seen = ctx.value("seen")?;
        self.by_time = ctx.map("by-time")?;
        self.fading = ctx.state("fading").ttl(StateTtl::new(Duration::from_millis(20))).value()?;
        Ok(())
    }

    fn process(&mut self, (key, number): Record, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        let at = ctx.timestamp().ok_or("no timestamp")?;
        if at <= ctx.watermark() {
            ctx.emit_to(&LATE, (key, number))?;
        }
        self.numbers.add(ctx, number)?;
        self.by_time.insert(ctx, &at, number)?;
        *self.seen.get_or_insert_with(ctx, || 0)? += 1;
        let last = self.fading.get(ctx)?.copied().unwrap_or_default();
        self.fading.set(ctx, number)?;
        ctx.emit((key, "last".to_owned(), vec![last, number]));
        ctx.register_event_time_timer(at + 10)?;
        let now = ctx.processing_time();
        ctx.register_processing_time_timer(now + 25)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        let key = *ctx.key()?;
        let what = format!("{:?} {}", timer.domain, timer.at);
        match timer.domain {
            TimeDomain::Event => {
                let number = self.by_time.remove(ctx, &(timer.at - 10))?;
                ctx.emit((key, what, number.into_iter().collect()));
            }
            TimeDomain::Processing => {
                let mut numbers = self.numbers.take(ctx)?;
                numbers.sort_unstable();
                numbers.extend(self.seen.take(ctx)?.map(|seen| seen as i64));
                ctx.emit((key, what, numbers));
            }
        }
        Ok(())
    }
}

/// Passes records on three at a time.
#[derive(Clone, Default)]
struct ByThree(ListOperatorState<Record>);

impl ProcessFunction for ByThree {
    type In = Record;
    type Out = Record;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = ctx.operator_list("waiting")?;
        Ok(())
    }

    fn process(&mut self, record: Record, ctx: &mut Context<'_, Record>) -> FunctionResult {
        self.0.add(ctx, record)?;
        if self.0.get(ctx)?.len() == 3 {
            for record in self.0.take(ctx)? {
                ctx.emit(record);
            }
        }
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, Record>) -> FunctionResult {
        for record in self.0.take(ctx)? {
            ctx.emit(record);
        }
        Ok(())
    }
}

/// Adds up in a field, to give less.
#[derive(Clone, Default)]
struct Sparing {
    sum: i64,
    records: u32,
}

impl ProcessFunction for Sparing {
    type In = Record;
    type Out = i64;

    fn process(&mut self, (_, number): Record, ctx: &mut Context<'_, i64>) -> FunctionResult {
        self.sum += number;
        self.records += 1;
        if self.records == 5 {
            self.before_snapshot(ctx)?;
        }
        Ok(())
    }

    fn before_snapshot(&mut self, ctx: &mut Context<'_, i64>) -> FunctionResult {
        if std::mem::take(&mut self.records) > 0 {
            ctx.emit(std::mem::take(&mut self.sum));
        }
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, i64>) -> FunctionResult {
        self.before_snapshot(ctx)
    }
}

#[derive(Clone)]
struct Span;

impl Aggregate for Span {
    type In = Record;
    type Accumulator = (i64, i64);
    type Out = i64;
    fn create(&self) -> (i64, i64) {
        (i64::MAX, i64::MIN)
    }
    fn add(&self, span: &mut (i64, i64), (_, number): Record) {
        *span = (span.0.min(number), span.1.max(number));
    }
    fn result(&self, span: &(i64, i64)) -> i64 {
        span.1 - span.0
    }
    fn merge(&self, into: &mut (i64, i64), other: (i64, i64)) {
        *into = (into.0.min(other.0), into.1.max(other.1));
    }
}

/// Says of each record how many settings were known by then.
#[derive(Clone, Default)]
struct Settings(BroadcastState<u8, i64>);

impl BroadcastProcessFunction for Settings {
    type In = Record;
    type Broadcast = Record;
    type Out = (Record, Option<i64>);

    fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
        self.0 = ctx.broadcast_state("settings")?;
        Ok(())
    }

    fn process(
        &mut self,
        record: Record,
        states: &BroadcastStates,
        ctx: &mut Context<'_, Self::Out>,
    ) -> FunctionResult {
        let setting = self.0.get(states, &record.0)?.copied();
        ctx.emit((record, setting));
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        (key, value): Record,
        states: &mut BroadcastStates,
        _: &mut Context<'_, Self::Out>,
    ) -> FunctionResult {
        Ok(self.0.insert(states, &key, value)?)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn keyed_functions_have_their_states_and_timers(script in script()) {
        script.check(|records| records.key_by(|record| record.0).process(Remembering::default()))?;
    }

    #[test]
    fn lists_of_functions_are_spread_over_the_subtasks(script in script()) {
        // What is left at the end has no timestamps; which that is, is not the point.
        script.check_all_goes(|records| {
            records.process(ByThree::default()).assign_timestamps_and_watermarks(
                WatermarkStrategy::no_watermarks().with_timestamp_assigner(|record: &Record| record.1),
            )
        })?;
    }

    #[test]
    fn what_is_in_fields_is_given_before_a_snapshot(script in script()) {
        // How it is put together depends on where it is cut; the sum does not.
        let outcome = script.check(|records| {
            let sums = records.process(Sparing::default()).key_by(|_| ()).aggregate(Total).map(|((), sum)| sum);
            sums.process(Last::default()).parallelism(1)
        })?;
        prop_assert!(outcome.results.len() <= 1);
    }

    #[test]
    fn running_results_go_on(script in script()) {
        script.check(|records| records.key_by(|record| record.0).aggregate(Span))?;
        script.check(|records| records.key_by(|record| record.0).reduce(|a, b| a.1 += b.1))?;
        script.check(|records| records.key_by(|record| record.0).sum(|record| record.1))?;
    }

    #[test]
    fn final_results_of_batch_jobs_too(script in single()) {
        let options = |subtasks, from: Option<&_>| {
            let options = HarnessOptions::new().parallelism(subtasks).mode(ExecutionMode::Batch).side(&LATE);
            from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot))
        };
        script.check_with(options, |records| records.key_by(|record| record.0).aggregate(Span))?;
    }
}

#[derive(Clone)]
struct Total;

impl Aggregate for Total {
    type In = i64;
    type Accumulator = i64;
    type Out = i64;
    fn create(&self) -> i64 {
        0
    }
    fn add(&self, sum: &mut i64, number: i64) {
        *sum += number;
    }
    fn result(&self, sum: &i64) -> i64 {
        *sum
    }
    fn merge(&self, into: &mut i64, other: i64) {
        *into += other;
    }
}

/// Gives the greatest at the end.
#[derive(Clone, Default)]
struct Last(ListOperatorState<i64>);

impl ProcessFunction for Last {
    type In = i64;
    type Out = i64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = ctx.operator_list("last")?;
        Ok(())
    }

    fn process(&mut self, number: i64, ctx: &mut Context<'_, i64>) -> FunctionResult {
        Ok(self.0.add(ctx, number)?)
    }

    fn finish(&mut self, ctx: &mut Context<'_, i64>) -> FunctionResult {
        if let Some(last) = self.0.take(ctx)?.into_iter().max() {
            ctx.emit(last);
        }
        Ok(())
    }
}

#[test]
fn broadcast_maps_are_the_same_on_more_subtasks() {
    let build = |records: flott::Stream<Record>, settings: flott::Stream<Record>| {
        records.connect_broadcast(&settings).process(Settings::default())
    };
    let mut harness = Harness2::with(HarnessOptions::new().parallelism(2), build);
    harness.right().push_all([(1, 10), (2, 20)]).unwrap();
    harness.left().push((1, 1)).unwrap();
    let snapshot = harness.snapshot().unwrap();
    assert_eq!(harness.take(), [((1, 1), Some(10))]);
    for subtasks in [1, 2, 5] {
        let mut harness = Harness2::with(HarnessOptions::new().parallelism(subtasks).from_snapshot(&snapshot), build);
        harness.left().push_all((0..10).map(|number| (2, number))).unwrap();
        harness.end().unwrap();
        assert!(harness.take().iter().all(|(_, setting)| *setting == Some(20)));
    }
}

#[test]
fn timers_in_processing_time_fire_without_another_record() {
    let build = |records: flott::Stream<Record>| records.key_by(|record| record.0).process(Remembering::default());
    let mut harness = flott::testing::Harness::new(build);
    harness.push_at((1, 7), 0).unwrap();
    harness.advance(Duration::from_millis(24)).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut harness = flott::testing::Harness::with(HarnessOptions::new().from_snapshot(&snapshot), build);
    assert_eq!(harness.now(), 24);
    harness.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(harness.take(), [(1, "Processing 25".to_owned(), vec![7, 1])]);
}

#[test]
fn a_snapshot_of_another_pipeline_is_refused() {
    let mut harness = flott::testing::Harness::new(|records: flott::Stream<Record>| {
        records.key_by(|record| record.0).process(Remembering::default()).uid("remembering")
    });
    harness.push_at((1, 7), 0).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let options = HarnessOptions::new().from_snapshot(&snapshot);
    let mut other =
        flott::testing::Harness::with(options, |records: flott::Stream<Record>| records.map(|record| record));
    let failure = other.push((1, 1)).unwrap_err();
    assert!(failure.message.contains("which the pipeline does not have"), "{failure}");
    let options = HarnessOptions::new().from_snapshot(&snapshot);
    let mut other = flott::testing::Harness::with(options, |records: flott::Stream<Record>| {
        records.key_by(|record| record.0).sum(|record| record.1).uid("remembering")
    });
    let failure = other.push((1, 1)).unwrap_err();
    assert!(failure.message.contains("does not ask for any more"), "{failure}");
}
