//! Aligned windows that fold their records, with all that they can do, against the naive model; started over from snapshots at
//! any place.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flott::{
    CumulativeEventTimeWindows, CumulativeProcessingTimeWindows, FunctionResult, OutputTag, ProcessWindowFunction,
    SlidingEventTimeWindows, SlidingProcessingTimeWindows, Stream, TimeWindow, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows, ValueState, WindowAssigner, WindowContext, WindowOpen, WindowValueState,
    testing::{Harness, HarnessOptions, Snapshot},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use serde::{Deserialize, Serialize};

use crate::{
    model::{self, Record, Shape},
    values::Values,
};

/// Key, time and a value that no other row has.
type Row = (u8, i64, i64);

const LATE: OutputTag<Row> = OutputTag::new("late");
const ASIDE: OutputTag<Call> = OutputTag::new("aside");

/// What a function was called with; no values where a window is over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Call {
    key: u8,
    window: (i64, i64),
    values: Option<Vec<i64>>,
    /// Results that the window has given so far.
    of_window: u32,
    /// Results that windows of the key have given so far. Those that end with time all do so at once, and are not counted.
    of_key: u32,
}

/// Says what it is called with.
#[derive(Clone, Default)]
struct Calls {
    of_window: WindowValueState<TimeWindow, u32>,
    of_key: ValueState<u32>,
}

impl ProcessWindowFunction for Calls {
    type Key = u8;
    type Window = TimeWindow;
    type In = Vec<i64>;
    type Out = Call;

    fn open(&mut self, ctx: &mut WindowOpen<'_, u8, TimeWindow>) -> FunctionResult {
        self.of_window = ctx.window_value("results")?;
        self.of_key = ctx.value("results")?;
        Ok(())
    }

    fn process(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        elements: &[Vec<i64>],
        ctx: &mut WindowContext<'_, u8, TimeWindow, Call>,
    ) -> FunctionResult {
        let of_window = self.of_window.get_or_insert_with(ctx, || 0)?;
        *of_window += 1;
        let of_window = *of_window;
        let mut of_key = 0;
        if window.end != i64::MAX {
            let results = self.of_key.get_or_insert_with(ctx, || 0)?;
            *results += 1;
            of_key = *results;
        }
        let [values] = elements else { return Err("not one result".into()) };
        let values = Some(values.clone());
        let call = Call { key: *key, window: (window.start, window.end), values, of_window, of_key };
        ctx.emit_to(&ASIDE, call.clone())?;
        ctx.emit(call);
        Ok(())
    }

    fn clear(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        ctx: &mut WindowContext<'_, u8, TimeWindow, Call>,
    ) -> FunctionResult {
        let of_window = self.of_window.get(ctx)?.copied().unwrap_or(0);
        ctx.emit(Call { key: *key, window: (window.start, window.end), values: None, of_window, of_key: 0 });
        Ok(())
    }
}

/// What happens to a stream of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Record(Record),
    /// Time has come so far: the watermark, or the clock.
    Time(i64),
    /// Everything starts over from a snapshot, with so many subtasks.
    Restart(u32),
}

/// Steps in which time goes on. Records are given as how far they are ahead of it.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..4, -40i64..25).prop_map(|(key, at)| Step::Record(Record { key, at, value: 0 })),
        2 => (0i64..15).prop_map(Step::Time),
        1 => (1u32..4).prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

/// When it begins: anywhere, or at an end of time.
fn start() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -50i64..50,
        1 => (1i64..5).prop_map(|after| i64::MIN + after),
        1 => (0i64..300).prop_map(|before| i64::MAX - before),
        1 => any::<i64>().prop_map(|at| at.max(i64::MIN + 1)),
    ]
}

/// `steps` in event time from `now` on, but not to its end: a final watermark is not kept by a snapshot.
fn by_watermark(steps: &[Step], mut now: i64) -> Vec<Step> {
    let mut said = i64::MIN;
    let mut placed = Vec::new();
    for (step, value) in steps.iter().zip(0..) {
        match *step {
            Step::Record(Record { key, at, .. }) => {
                placed.push(Step::Record(Record { key, at: now.saturating_add(at), value }));
            }
            Step::Time(on) => {
                now = now.saturating_add(on).min(i64::MAX - 1);
                // One that says nothing new does not travel.
                if said < now {
                    said = now;
                    placed.push(Step::Time(now));
                }
            }
            Step::Restart(subtasks) => placed.push(Step::Restart(subtasks)),
        }
    }
    placed
}

/// `steps` by the clock from `now` on: records have the time at which they come.
fn by_clock(steps: &[Step], mut now: i64) -> Vec<Step> {
    let place = |(step, value): (&Step, i64)| match *step {
        Step::Record(Record { key, .. }) => Step::Record(Record { key, at: now, value }),
        Step::Time(on) => {
            now = now.saturating_add(on);
            Step::Time(now)
        }
        restart => restart,
    };
    steps.iter().zip(0..).map(place).collect()
}

/// What comes out at each step, in order within it: calls, and late rows.
type Outcome = (Vec<(usize, Call)>, Vec<(usize, Row)>);

fn last_of((_, end): (i64, i64)) -> i64 {
    if end == i64::MAX { end } else { end - 1 }
}

/// What `steps` come to, the last of which has all time pass. `reached` says up to when windows are over at a time.
fn expected(shape: Shape, lateness: i64, steps: &[Step], reached: fn(i64) -> i64) -> Outcome {
    let mut now = i64::MIN;
    let mut plain = Vec::new();
    for step in steps {
        match *step {
            Step::Record(record) => plain.push(model::Step::Record(record)),
            Step::Time(at) => {
                now = reached(at).max(now);
                plain.push(model::Step::Watermark(now));
            }
            // Nothing happens.
            Step::Restart(_) => plain.push(model::Step::Watermark(now)),
        }
    }
    plain.push(model::Step::Watermark(i64::MAX));
    let outcome = model::outcome(shape, lateness, &plain);
    let mut firings = outcome.firings;
    firings.sort_by_key(|(step, firing)| (*step, last_of((firing.start, firing.end)), firing.start));
    let (mut of_window, mut of_key) = (BTreeMap::<(u8, (i64, i64)), u32>::new(), BTreeMap::<u8, u32>::new());
    let mut calls = Vec::new();
    for (step, firing) in firings {
        let window = (firing.start, firing.end);
        let results = of_window.entry((firing.key, window)).or_default();
        *results += 1;
        let results_of_key = of_key.entry(firing.key).or_default();
        *results_of_key += u32::from(firing.end != i64::MAX);
        let counted = if firing.end == i64::MAX { 0 } else { *results_of_key };
        let call = Call { key: firing.key, window, values: Some(firing.values), of_window: *results, of_key: counted };
        calls.push((step, call));
    }
    for ((key, window), of_window) in of_window {
        let over = last_of(window).saturating_add(lateness);
        let passes = |step: &model::Step| matches!(step, model::Step::Watermark(at) if over <= *at);
        let step = plain.iter().position(passes).unwrap();
        calls.push((step, Call { key, window, values: None, of_window, of_key: 0 }));
    }
    calls.sort();
    let late = outcome.late.into_iter().map(|(step, record)| (step, (record.key, record.at, record.value))).collect();
    (calls, late)
}

/// Runs `steps` and has all time pass, which must leave nothing but what the function keeps for keys.
fn run(
    steps: &[Step],
    options: impl Fn() -> HarnessOptions,
    build: impl Fn(Stream<Row>) -> Stream<Call>,
    time: impl Fn(&mut Harness<Row, Call>, i64),
) -> Outcome {
    let options = |subtasks: u32, from: Option<&Snapshot>| {
        let options = options().parallelism(subtasks).side(&LATE).side(&ASIDE);
        from.into_iter().fold(options, HarnessOptions::from_snapshot)
    };
    let mut harness = Harness::with(options(1, None), &build);
    let (mut calls, mut late) = (Vec::new(), Vec::new());
    let mut seen = |harness: &mut Harness<Row, Call>, step: usize| {
        let mut results = Vec::new();
        for (call, at) in harness.take_timestamped() {
            assert_eq!(at, Some(last_of(call.window)), "a result has the last timestamp of its window");
            results.push(call);
        }
        let mut aside = harness.side(&ASIDE);
        aside.sort();
        let mut given: Vec<_> = results.iter().filter(|call| call.values.is_some()).cloned().collect();
        given.sort();
        assert_eq!(aside, given);
        calls.extend(results.into_iter().map(|call| (step, call)));
        late.extend(harness.side(&LATE).into_iter().map(|row| (step, row)));
    };
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Record(Record { key, at, value }) => harness.push_at((key, at, value), at).unwrap(),
            Step::Time(at) => time(&mut harness, at),
            Step::Restart(subtasks) => {
                let snapshot = harness.snapshot().unwrap();
                seen(&mut harness, number);
                harness = Harness::with(options(subtasks, Some(&snapshot)), &build);
            }
        }
        seen(&mut harness, number);
    }
    harness.end().unwrap();
    let kept = harness.state_size();
    seen(&mut harness, steps.len());
    let keys: BTreeSet<_> = calls.iter().filter(|(_, call)| call.of_key > 0).map(|(_, call)| call.key).collect();
    assert_eq!((kept.keys, kept.timers), (keys.len(), 0), "something is kept longer than its window");
    calls.sort();
    late.sort();
    (calls, late)
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

fn check_by_watermark<A>(assigner: A, shape: Shape, lateness: i64, steps: &[Step]) -> TestCaseResult
where
    A: WindowAssigner<Row, Window = TimeWindow>,
{
    let build = |rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(assigner.clone()).allowed_lateness(ms(lateness));
        windows.side_output_late_data(&LATE).aggregate_process(Values, Calls::default())
    };
    let outcome = run(steps, HarnessOptions::new, build, |harness, at| harness.watermark(at).unwrap());
    prop_assert_eq!(outcome, expected(shape, lateness, steps, |watermark| watermark), "{:?}", shape);
    Ok(())
}

fn check_by_clock<A>(assigner: A, shape: Shape, start: i64, steps: &[Step]) -> TestCaseResult
where
    A: WindowAssigner<Row, Window = TimeWindow>,
{
    let build = |rows: Stream<Row>| {
        // Lateness means nothing here, and nothing is late.
        let windows = rows.key_by(|row| row.0).window(assigner.clone()).allowed_lateness(ms(7));
        windows.side_output_late_data(&LATE).aggregate_process(Values, Calls::default())
    };
    let options = || HarnessOptions::new().start_at(start);
    let outcome = run(steps, options, build, |harness, at| harness.set_time(at).unwrap());
    // The millisecond that the clock shows is not over.
    prop_assert_eq!(outcome, expected(shape, 0, steps, |now| now.saturating_sub(1)), "{:?}", shape);
    Ok(())
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0), 4 => 1i64..30, 1 => Just(i64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tumbling_by_watermark(steps in steps(), start in start(), size in 1i64..30, offset in -30i64..30, lateness in lateness()) {
        let (steps, offset) = (by_watermark(&steps, start), offset % size);
        let windows = TumblingEventTimeWindows::of(ms(size)).offset_ms(offset);
        check_by_watermark(windows, Shape::Sliding { size, slide: size, offset }, lateness, &steps)?;
    }

    #[test]
    fn sliding_by_watermark(
        steps in steps(), start in start(), size in 1i64..40, slide in 1i64..15, offset in -15i64..15, lateness in lateness(),
    ) {
        let (steps, offset) = (by_watermark(&steps, start), offset % slide);
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset);
        check_by_watermark(windows, Shape::Sliding { size, slide, offset }, lateness, &steps)?;
    }

    #[test]
    fn cumulating_by_watermark(
        steps in steps(), start in start(), step in 1i64..9, many in 1i64..6, offset in -40i64..40, lateness in lateness(),
    ) {
        let size = step * many;
        let (steps, offset) = (by_watermark(&steps, start), offset % size);
        let windows = CumulativeEventTimeWindows::of(ms(size), ms(step)).offset_ms(offset);
        check_by_watermark(windows, Shape::Cumulating { size, step, offset }, lateness, &steps)?;
    }

    #[test]
    fn tumbling_by_the_clock(steps in steps(), start in start(), size in 1i64..30, offset in -30i64..30) {
        let (steps, offset) = (by_clock(&steps, start), offset % size);
        let windows = TumblingProcessingTimeWindows::of(ms(size)).offset_ms(offset);
        check_by_clock(windows, Shape::Sliding { size, slide: size, offset }, start, &steps)?;
    }

    #[test]
    fn sliding_by_the_clock(steps in steps(), start in start(), size in 1i64..40, slide in 1i64..15, offset in -15i64..15) {
        let (steps, offset) = (by_clock(&steps, start), offset % slide);
        let windows = SlidingProcessingTimeWindows::of(ms(size), ms(slide)).offset_ms(offset);
        check_by_clock(windows, Shape::Sliding { size, slide, offset }, start, &steps)?;
    }

    #[test]
    fn cumulating_by_the_clock(steps in steps(), start in start(), step in 1i64..9, many in 1i64..6, offset in -40i64..40) {
        let size = step * many;
        let (steps, offset) = (by_clock(&steps, start), offset % size);
        let windows = CumulativeProcessingTimeWindows::of(ms(size), ms(step)).offset_ms(offset);
        check_by_clock(windows, Shape::Cumulating { size, step, offset }, start, &steps)?;
    }
}
