//! Which windows share slices: a record sets no timers then, and is kept once, however many windows it is in.

use std::time::Duration;

use flott::{
    AlignedWindows, CountTrigger, Data, EventTimeSessionWindows, EventTimeTrigger, FunctionResult,
    ProcessWindowFunction, ProcessingTimeTrigger, SlidingEventTimeWindows, SlidingProcessingTimeWindows, Stream,
    TimeDomain, TimeEvictor, TimeWindow, WindowAssigner, WindowContext, WindowedStream, testing::Harness,
};

type Row = (u8, i64);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sliding(rows: Stream<Row>) -> WindowedStream<u8, Row, SlidingEventTimeWindows> {
    rows.key_by(|row| row.0).window(SlidingEventTimeWindows::of(ms(1_000), ms(10)))
}

/// Entries of keys and timers that there are for a record.
fn kept<Out: Data>(build: impl FnOnce(Stream<Row>) -> Stream<Out>) -> (usize, usize) {
    let mut harness = Harness::new(build);
    harness.push_at((1, 7), 12_345).unwrap();
    let size = harness.state_size();
    (size.keys, size.timers)
}

#[track_caller]
fn shares<Out: Data>(build: impl FnOnce(Stream<Row>) -> Stream<Out>) {
    assert_eq!(kept(build), (1, 0));
}

#[track_caller]
fn has_timers<Out: Data>(build: impl FnOnce(Stream<Row>) -> Stream<Out>) {
    let (_, timers) = kept(build);
    assert!(timers > 0, "no timers");
}

/// Gives what it is given.
#[derive(Clone)]
struct Same;

impl ProcessWindowFunction for Same {
    type Key = u8;
    type Window = TimeWindow;
    type In = Row;
    type Out = Row;

    fn process(
        &mut self,
        _: &u8,
        _: &TimeWindow,
        rows: &[Row],
        ctx: &mut WindowContext<'_, u8, TimeWindow, Row>,
    ) -> FunctionResult {
        rows.iter().for_each(|row| ctx.emit(*row));
        Ok(())
    }
}

fn sum(sum: &mut Row, row: Row) {
    sum.1 += row.1;
}

#[test]
fn windows_that_fold_their_records_share_slices() {
    shares(|rows| sliding(rows).sum(|row| row.1));
    shares(|rows| sliding(rows).reduce_process(sum, Same));
    shares(|rows| sliding(rows).trigger(EventTimeTrigger::create()).reduce(sum));
    shares(|rows| sliding(rows).allowed_lateness(ms(500)).sum(|row| row.1));
    shares(|rows| sliding(rows).allowed_lateness(Duration::MAX).reduce_process(sum, Same));
    let by_clock =
        |rows: Stream<Row>| rows.key_by(|row| row.0).window(SlidingProcessingTimeWindows::of(ms(1_000), ms(10)));
    shares(|rows| by_clock(rows).sum(|row| row.1));
    shares(|rows| by_clock(rows).trigger(ProcessingTimeTrigger::create()).reduce_process(sum, Same));
    // It means nothing there.
    shares(|rows| by_clock(rows).allowed_lateness(ms(5)).reduce(sum));
}

#[test]
fn others_are_kept_each_by_itself() {
    has_timers(|rows| sliding(rows).apply(|_, _, rows, out| out.emit_all(rows.iter().copied())));
    has_timers(|rows| sliding(rows).evictor(TimeEvictor::of(ms(5))).reduce(sum));
    has_timers(|rows| sliding(rows).trigger(CountTrigger::of(2)).reduce(sum));
    has_timers(|rows| sliding(rows).trigger(ProcessingTimeTrigger::create()).reduce(sum));
    has_timers(|rows| rows.key_by(|row| row.0).window(EventTimeSessionWindows::with_gap(ms(10))).reduce(sum));
}

/// Sliding windows that fire for each second record, unless another trigger is set.
#[derive(Clone)]
struct InPairs(SlidingEventTimeWindows);

impl WindowAssigner<Row> for InPairs {
    type Window = TimeWindow;
    type Trigger = CountTrigger;

    fn time_domain(&self) -> TimeDomain {
        TimeDomain::Event
    }

    fn default_trigger(&self) -> CountTrigger {
        CountTrigger::of(2)
    }

    fn assign(&mut self, row: &Row, at: i64, windows: &mut Vec<TimeWindow>) -> FunctionResult {
        self.0.assign(row, at, windows)
    }

    fn aligned(&self) -> Option<AlignedWindows> {
        WindowAssigner::<Row>::aligned(&self.0)
    }
}

#[test]
fn an_assigner_that_says_how_its_windows_lie_has_its_own_trigger() {
    let windows = || InPairs(SlidingEventTimeWindows::of(ms(20), ms(10)));
    let mut harness = Harness::new(|rows: Stream<Row>| rows.key_by(|row| row.0).window(windows()).reduce(sum));
    harness.batch_at([((1, 1), 15), ((1, 2), 16), ((1, 4), 17)]).unwrap();
    assert_eq!(harness.take(), [(1, 3), (1, 3)]);
    harness.end().unwrap();
    assert_eq!(harness.take(), []);
    let mut harness = Harness::new(|rows: Stream<Row>| {
        rows.key_by(|row| row.0).window(windows()).trigger(EventTimeTrigger::create()).reduce(sum)
    });
    harness.batch_at([((1, 1), 15), ((1, 2), 16), ((1, 4), 17)]).unwrap();
    assert_eq!((harness.take(), harness.state_size().timers), (vec![], 0));
    harness.end().unwrap();
    assert_eq!(harness.take(), [(1, 7), (1, 7)]);
}
