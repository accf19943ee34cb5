//! Windows of all kinds.

use std::time::Duration;

use flott::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger,
    CumulativeEventTimeWindows, Data, DeltaTrigger, EventTimeSessionWindows, FunctionResult, GlobalWindows,
    ProcessWindowFunction, ProcessingTimeSessionWindows, PurgingTrigger, SlidingEventTimeWindows,
    SlidingProcessingTimeWindows, TimeEvictor, TimeWindow, TumblingEventTimeWindows, TumblingProcessingTimeWindows,
    Window, WindowAssigner, WindowContext, WindowListState, WindowMapState, WindowOpen, WindowValueState,
    testing::{HarnessOptions, Snapshot},
};
use proptest::prelude::*;

use crate::script::{CASES, LATE, Record, punctual, script};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Key, end of the window, and its numbers in order.
type Gathered = (u8, i64, Vec<i64>);

fn gathered<W: Window>(key: &u8, window: &W, records: &[Record]) -> Gathered {
    let mut numbers: Vec<_> = records.iter().map(|record| record.1).collect();
    numbers.sort_unstable();
    (*key, window.max_timestamp(), numbers)
}

/// Counts the firings of each window, and those of all windows of a key, gives the largest of what a window has, and what that
/// was each time, with how often it was that.
#[derive(Clone)]
struct Firings<In> {
    window: WindowValueState<TimeWindow, u32>,
    largest: WindowListState<TimeWindow, Option<In>>,
    often: WindowMapState<TimeWindow, Option<In>, u32>,
    key: flott::ValueState<u32>,
}

impl<In> Default for Firings<In> {
    fn default() -> Self {
        Self {
            window: WindowValueState::default(),
            largest: WindowListState::default(),
            often: WindowMapState::default(),
            key: flott::ValueState::default(),
        }
    }
}

impl<In: Data + Ord> ProcessWindowFunction for Firings<In> {
    type Key = u8;
    type Window = TimeWindow;
    type In = In;
    type Out = (u8, i64, Vec<Option<In>>, u32, u32, u32);

    fn open(&mut self, ctx: &mut WindowOpen<'_, u8, TimeWindow>) -> FunctionResult {
        self.window = ctx.window_value("firings")?;
        self.largest = ctx.window_list("largest")?;
        self.often = ctx.window_map("often")?;
        self.key = ctx.value("all")?;
        Ok(())
    }

    fn process(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        elements: &[In],
        ctx: &mut WindowContext<'_, u8, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        let of_window = self.window.get_or_insert_with(ctx, || 0)?;
        *of_window += 1;
        let of_window = *of_window;
        let of_key = self.key.get_or_insert_with(ctx, || 0)?;
        *of_key += 1;
        let of_key = *of_key;
        let largest = elements.iter().max().cloned();
        let often = self.often.get_or_insert_with(ctx, &largest, || 0)?;
        *often += 1;
        let often = *often;
        self.largest.add(ctx, largest)?;
        let largest = self.largest.get(ctx)?.to_vec();
        ctx.emit((*key, window.end, largest, often, of_window, of_key));
        Ok(())
    }
}

/// Sums of slices.
fn sums<A: WindowAssigner<Record>>(
    assigner: A,
    lateness: u64,
    script: &crate::script::Script,
) -> Result<(), TestCaseError> {
    script.check_all_goes(|records| {
        let windows = records.key_by(|record| record.0).window(assigner.clone()).allowed_lateness(ms(lateness));
        let windows = windows.side_output_late_data(&LATE);
        windows.aggregate_with(Sum, |key, window, sum, out| out.emit((*key, window.max_timestamp(), sum)))
    })
}

#[derive(Clone)]
struct Sum;

impl flott::Aggregate for Sum {
    type In = Record;
    type Accumulator = i64;
    type Out = i64;
    fn create(&self) -> i64 {
        0
    }
    fn add(&self, sum: &mut i64, record: Record) {
        *sum += record.1;
    }
    fn result(&self, sum: &i64) -> i64 {
        *sum
    }
    fn merge(&self, into: &mut i64, other: i64) {
        *into += other;
    }
}

fn lateness() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1u64..25]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn slices_of_tumbling_windows(script in script(), size in 1u64..20, lateness in lateness()) {
        sums(TumblingEventTimeWindows::of(ms(size)), lateness, &script)?;
    }

    #[test]
    fn slices_of_sliding_windows(script in script(), size in 1u64..40, slide in 1u64..15, lateness in lateness()) {
        sums(SlidingEventTimeWindows::of(ms(size), ms(slide)), lateness, &script)?;
    }

    #[test]
    fn slices_of_cumulating_windows(script in script(), step in 1u64..9, steps in 1u64..6, lateness in lateness()) {
        sums(CumulativeEventTimeWindows::of(ms(step * steps), ms(step)), lateness, &script)?;
    }

    #[test]
    fn windows_that_keep_their_records(script in script(), size in 1u64..30, slide in 1u64..15, lateness in 0u64..10) {
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(size), ms(slide)));
            let windows = windows.allowed_lateness(ms(lateness)).side_output_late_data(&LATE);
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
    }

    #[test]
    fn sessions(script in script(), gap in 1u64..12, lateness in 0u64..10) {
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(EventTimeSessionWindows::with_gap(ms(gap)));
            let windows = windows.allowed_lateness(ms(lateness)).side_output_late_data(&LATE);
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(EventTimeSessionWindows::with_gap(ms(gap)));
            windows.sum(|record| record.1)
        })?;
        script.check_all_goes(|records| {
            let gap = move |record: &Record| ms(1 + record.1 as u64 * 7919 % (2 * gap));
            let windows = records.key_by(|record| record.0).window(EventTimeSessionWindows::with_dynamic_gap(gap));
            windows.side_output_late_data(&LATE).sum(|record| record.1)
        })?;
    }

    #[test]
    fn states_of_windows(script in script(), size in 5u64..30, interval in 1u64..9, lateness in 0u64..9) {
        script.check(|records| {
            let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(size)));
            let windows = windows.trigger(ContinuousEventTimeTrigger::of(ms(interval))).allowed_lateness(ms(lateness));
            windows.process(Firings::default())
        })?;
        script.check(|records| {
            let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(size)));
            windows.allowed_lateness(ms(lateness)).reduce_process(|sum, record| sum.1 += record.1, Firings::default())
        })?;
        script.check(|records| {
            let windows = records.key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(size), ms(interval)));
            windows.allowed_lateness(ms(lateness)).aggregate_process(Sum, Firings::default())
        })?;
    }

    #[test]
    fn triggers_and_evictors(script in script(), size in 5u64..30, count in 1u64..5) {
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(size)));
            let windows = windows.trigger(CountTrigger::of(count)).evictor(CountEvictor::of(3));
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(ms(size)));
            let windows = windows.trigger(PurgingTrigger::of(ContinuousProcessingTimeTrigger::of(ms(count * 4))));
            windows.evictor(TimeEvictor::of(ms(6)).after())
                .apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
        let delta = |before: &Record, now: &Record| (now.1 - before.1) as f64;
        script.check(|records| {
            let windows = records.key_by(|record| record.0).window(GlobalWindows::create());
            windows.trigger(PurgingTrigger::of(DeltaTrigger::of(2.5, delta)))
                .apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
    }

    #[test]
    fn windows_that_count(script in script(), size in 1u64..6, slide in 1u64..4) {
        script.check(|records| records.key_by(|record| record.0).count_window(size).sum(|record| record.1))?;
        script.check(|records| {
            let windows = records.key_by(|record| record.0).count_window_sliding(size as usize, slide);
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
    }

    #[test]
    fn windows_in_processing_time(script in script(), size in 1u64..30, slide in 1u64..15) {
        script.check_all_goes(|records| {
            records.key_by(|record| record.0).window(TumblingProcessingTimeWindows::of(ms(size))).sum(|record| record.1)
        })?;
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(SlidingProcessingTimeWindows::of(ms(size), ms(slide)));
            windows.sum(|record| record.1)
        })?;
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(SlidingProcessingTimeWindows::of(ms(size), ms(slide)));
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
        script.check_all_goes(|records| {
            let windows = records.key_by(|record| record.0).window(ProcessingTimeSessionWindows::with_gap(ms(slide)));
            windows.apply(|key, window, records, out| out.emit(gathered(key, window, records)))
        })?;
    }

    #[test]
    fn barriers_overtake_nothing(script in punctual(), seed: u64, size in 1u64..20) {
        // Tasks are driven in an order that is drawn, so that records and barriers are under way together.
        let options = |subtasks, from: Option<&Snapshot>| {
            let options = HarnessOptions::new().parallelism(subtasks).interleaved(seed).side(&LATE);
            from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot))
        };
        script.check_with(options, |records| {
            let windows = records.rebalance().key_by(|record| record.0).window(SlidingEventTimeWindows::of(ms(size), ms(3)));
            windows.side_output_late_data(&LATE).sum(|record| record.1).key_by(|sum| sum.0)
                .window(EventTimeSessionWindows::with_gap(ms(4))).apply(|key, window, sums, out| {
                    let mut sums: Vec<_> = sums.iter().map(|sum| sum.1).collect();
                    sums.sort_unstable();
                    out.emit((*key, window.end, sums));
                })
        })?;
    }

    #[test]
    fn windows_of_all_records(script in script(), size in 1u64..20, slide in 1u64..15, count in 1u64..6) {
        script.check_all_goes(|records| {
            let windows = records.window_all(SlidingEventTimeWindows::of(ms(size), ms(slide)));
            windows.side_output_late_data(&LATE).sum(|record| record.1)
        })?;
        script.check(|records| records.count_window_all(count).sum(|record| record.1))?;
    }
}
