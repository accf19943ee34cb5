//! Windows that fold their records as they come, and give the result to a process function.

use std::{marker::PhantomData, time::Duration};

use flott::{
    Aggregate, Data, EventTimeSessionWindows, FunctionResult, Key, ProcessWindowFunction, SlidingEventTimeWindows,
    Stream, TimeWindow, TumblingEventTimeWindows, ValueState, WindowContext, WindowOpen, WindowValueState,
    testing::{Emitted, Harness, HarnessOptions},
};

/// Key and value.
type Row = (u8, i64);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a function was called with, and how often for the window and for the key; no elements where a window is over.
type Call<K, In> = (K, (i64, i64), Vec<In>, u32, u32);

/// Says what it is called with.
#[derive(Clone)]
struct Calls<K, In> {
    of_window: Option<WindowValueState<TimeWindow, u32>>,
    of_key: ValueState<u32>,
    called: PhantomData<fn() -> (K, In)>,
}

impl<K, In> Calls<K, In> {
    /// Counts calls of each window and of each key.
    fn counted() -> Self {
        Self { of_window: Some(WindowValueState::default()), ..Self::by_key() }
    }

    /// Counts those of each key: windows that merge have no state of their own.
    fn by_key() -> Self {
        Self { of_window: None, of_key: ValueState::default(), called: PhantomData }
    }
}

impl<K: Key, In: Data> ProcessWindowFunction for Calls<K, In> {
    type Key = K;
    type Window = TimeWindow;
    type In = In;
    type Out = Call<K, In>;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, TimeWindow>) -> FunctionResult {
        self.of_key = ctx.value("calls")?;
        if let Some(of_window) = &mut self.of_window {
            *of_window = ctx.window_value("calls")?;
        }
        Ok(())
    }

    fn process(
        &mut self,
        key: &K,
        window: &TimeWindow,
        elements: &[In],
        ctx: &mut WindowContext<'_, K, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        let mut number = 0;
        if let Some(of_window) = &mut self.of_window {
            let calls = of_window.get_or_insert_with(ctx, || 0)?;
            *calls += 1;
            number = *calls;
        }
        let calls = self.of_key.get_or_insert_with(ctx, || 0)?;
        *calls += 1;
        let calls = *calls;
        ctx.emit((key.clone(), (window.start, window.end), elements.to_vec(), number, calls));
        Ok(())
    }

    fn clear(
        &mut self,
        key: &K,
        window: &TimeWindow,
        ctx: &mut WindowContext<'_, K, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        let number = self.of_window.as_mut().map_or(Ok(None), |of_window| of_window.take(ctx))?;
        ctx.emit((key.clone(), (window.start, window.end), Vec::new(), number.unwrap_or(0), 0));
        Ok(())
    }
}

/// The sum and how many there are.
#[derive(Clone)]
struct Mean;

impl Aggregate for Mean {
    type In = Row;
    type Accumulator = (i64, u32);
    type Out = (i64, u32);
    fn create(&self) -> (i64, u32) {
        (0, 0)
    }
    fn add(&self, mean: &mut (i64, u32), row: Row) {
        *mean = (mean.0 + row.1, mean.1 + 1);
    }
    fn result(&self, mean: &(i64, u32)) -> (i64, u32) {
        *mean
    }
    fn merge(&self, into: &mut (i64, u32), other: (i64, u32)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
}

fn sum(sum: &mut Row, row: Row) {
    sum.1 += row.1;
}

/// Takes what has come out, in order; each result must have the last timestamp of its window.
#[track_caller]
fn taken<K: Data + Ord, In: Data + Ord>(harness: &mut Harness<Row, Call<K, In>>) -> Vec<Call<K, In>> {
    let mut calls = Vec::new();
    for emitted in harness.take_events() {
        if let Emitted::Record(call, at) = emitted {
            assert_eq!(at, Some(call.1.1 - 1));
            calls.push(call);
        }
    }
    calls.sort();
    calls
}

#[test]
fn a_process_function_is_given_what_a_window_was_reduced_to() {
    let mut harness = Harness::new(|rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(TumblingEventTimeWindows::of(ms(10)));
        windows.allowed_lateness(ms(5)).reduce_process(sum, Calls::counted())
    });
    harness.batch_at([((1, 5), 1), ((1, 7), 2), ((2, 1), 3), ((1, 9), 11)]).unwrap();
    assert_eq!(taken(&mut harness), []);
    harness.watermark(9).unwrap();
    assert_eq!(
        taken(&mut harness),
        [(1, (0, 10), vec![(1, 12)], 1, 1), (2, (0, 10), vec![(2, 1)], 1, 1)],
        "one element each, and the window it is of"
    );
    harness.push_at((1, 2), 4).unwrap();
    assert_eq!(taken(&mut harness), [(1, (0, 10), vec![(1, 14)], 2, 2)]);
    harness.watermark(14).unwrap();
    assert_eq!(taken(&mut harness), [(1, (0, 10), vec![], 2, 0), (2, (0, 10), vec![], 1, 0)]);
    harness.end().unwrap();
    assert_eq!(taken(&mut harness), [(1, (10, 20), vec![], 1, 0), (1, (10, 20), vec![(1, 9)], 1, 3)]);
}

#[test]
fn a_process_function_is_given_what_a_window_was_aggregated_to() {
    let mut harness = Harness::new(|rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(SlidingEventTimeWindows::of(ms(10), ms(5)));
        windows.aggregate_process(Mean, Calls::counted())
    });
    harness.batch_at([((1, 4), 6), ((1, 6), 7), ((1, 8), 12)]).unwrap();
    harness.end().unwrap();
    let expected = [((0, 10), (10, 2), 1), ((5, 15), (18, 3), 2), ((10, 20), (8, 1), 3)];
    let expected = expected
        .into_iter()
        .flat_map(|(window, mean, number)| [(1, window, vec![], 1, 0), (1, window, vec![mean], 1, number)]);
    assert_eq!(taken(&mut harness), expected.collect::<Vec<_>>());
}

#[test]
fn a_process_function_is_given_sessions_that_have_merged() {
    let windows = || EventTimeSessionWindows::with_gap(ms(10));
    let rows = [((1, 1), 100), ((1, 2), 115), ((1, 4), 108), ((1, 8), 140)];
    let mut harness = Harness::new(|rows: Stream<Row>| {
        rows.key_by(|row| row.0).window(windows()).reduce_process(sum, Calls::by_key())
    });
    harness.batch_at(rows).unwrap();
    harness.watermark(130).unwrap();
    assert_eq!(taken(&mut harness), [(1, (100, 125), vec![], 0, 0), (1, (100, 125), vec![(1, 7)], 0, 1)]);
    harness.end().unwrap();
    assert_eq!(taken(&mut harness), [(1, (140, 150), vec![], 0, 0), (1, (140, 150), vec![(1, 8)], 0, 2)]);
    let mut harness = Harness::new(|rows: Stream<Row>| {
        rows.key_by(|row| row.0).window(windows()).aggregate_process(Mean, Calls::by_key())
    });
    harness.batch_at(rows).unwrap();
    harness.watermark(130).unwrap();
    assert_eq!(taken(&mut harness), [(1, (100, 125), vec![], 0, 0), (1, (100, 125), vec![(7, 3)], 0, 1)]);
}

#[test]
fn a_process_function_is_given_what_windows_of_all_records_come_to() {
    let rows = [((1, 5), 1), ((2, 7), 2), ((3, 9), 11)];
    let mut harness = Harness::new(|rows: Stream<Row>| {
        rows.window_all(TumblingEventTimeWindows::of(ms(10))).reduce_process(sum, Calls::counted())
    });
    harness.batch_at(rows).unwrap();
    harness.watermark(9).unwrap();
    assert_eq!(taken(&mut harness), [((), (0, 10), vec![], 1, 0), ((), (0, 10), vec![(1, 12)], 1, 1)]);
    harness.end().unwrap();
    assert_eq!(taken(&mut harness), [((), (10, 20), vec![], 1, 0), ((), (10, 20), vec![(3, 9)], 1, 2)]);
    let mut harness = Harness::new(|rows: Stream<Row>| {
        rows.window_all(TumblingEventTimeWindows::of(ms(10))).aggregate_process(Mean, Calls::counted())
    });
    harness.batch_at(rows).unwrap();
    harness.end().unwrap();
    let expected = [((0, 10), (12, 2), 1), ((10, 20), (9, 1), 2)];
    let expected = expected
        .into_iter()
        .flat_map(|(window, mean, number)| [((), window, vec![], 1, 0), ((), window, vec![mean], 1, number)]);
    assert_eq!(taken(&mut harness), expected.collect::<Vec<_>>());
}

#[test]
fn what_was_folded_and_state_per_window_come_through_a_snapshot() {
    let build = |rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(TumblingEventTimeWindows::of(ms(10)));
        windows.allowed_lateness(ms(5)).aggregate_process(Mean, Calls::counted())
    };
    let mut harness = Harness::new(build);
    harness.batch_at([((1, 5), 1), ((1, 9), 11)]).unwrap();
    harness.watermark(9).unwrap();
    assert_eq!(taken(&mut harness), [(1, (0, 10), vec![(5, 1)], 1, 1)]);
    let snapshot = harness.snapshot().unwrap();
    let mut harness = Harness::with(HarnessOptions::new().parallelism(2).from_snapshot(&snapshot), build);
    harness.batch_at([((1, 7), 2), ((1, 1), 12)]).unwrap();
    assert_eq!(taken(&mut harness), [(1, (0, 10), vec![(12, 2)], 2, 2)]);
    harness.end().unwrap();
    let expected = [(1, (0, 10), vec![], 2, 0), (1, (10, 20), vec![], 1, 0), (1, (10, 20), vec![(10, 2)], 1, 3)];
    assert_eq!(taken(&mut harness), expected);
}
