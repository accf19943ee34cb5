//! Evictors against a model that keeps all records of each window, in the order in which they came; started over from snapshots at
//! any place.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    CountEvictor, CountTrigger, DeltaEvictor, Evictor, SlidingEventTimeWindows, SlidingProcessingTimeWindows, Stream,
    TimeEvictor, TimeWindow, WindowedStream,
    testing::{Harness, HarnessOptions},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use serde::{Deserialize, Serialize};

use crate::model::{Shape, windows_of};

/// Key, time and a value that no other row has.
type Row = (u8, i64, i64);

/// A key, the start of a window, and what the function is given for it, in order.
type Given = (u8, i64, Vec<i64>);

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The last ones stay.
    Count(usize),
    /// Those stay that are less than a time before the youngest.
    Time(i64),
    /// Those stay whose value differs from that of the last one by less.
    Delta(i64),
}

/// An evictor, and whether it comes before the function or after it.
#[derive(Debug, Clone, Copy)]
struct Eviction {
    kind: Kind,
    after: bool,
}

fn eviction() -> impl Strategy<Value = Eviction> {
    let kind = prop_oneof![
        (0usize..5).prop_map(Kind::Count),
        (0i64..20).prop_map(Kind::Time),
        (0i64..8).prop_map(Kind::Delta),
    ];
    (kind, any::<bool>()).prop_map(|(kind, after)| Eviction { kind, after })
}

impl Eviction {
    /// What stays of `rows`, by the definition of each kind.
    fn left(self, rows: &[Row]) -> Vec<Row> {
        let stays = |place: usize, row: &Row| match self.kind {
            Kind::Count(count) => place + count >= rows.len(),
            Kind::Time(age) => {
                let youngest = rows.iter().map(|row| i128::from(row.1)).max().unwrap();
                youngest - i128::from(row.1) < i128::from(age)
                    // Nothing is so old that no time is older by as much.
                    || youngest - i128::from(age) < i128::from(i64::MIN)
            }
            Kind::Delta(threshold) => (row.2 - rows[rows.len() - 1].2).abs() < threshold,
        };
        rows.iter().enumerate().filter(|(place, row)| stays(*place, row)).map(|(_, row)| *row).collect()
    }

    /// Has `windows` evict so, and gives what their function then sees.
    fn of<A, Tr>(self, windows: WindowedStream<u8, Row, A, Tr>) -> Stream<Given>
    where
        A: flott::WindowAssigner<Row, Window = TimeWindow>,
        Tr: flott::Trigger<Row, TimeWindow>,
    {
        fn apply<A, Tr>(
            windows: WindowedStream<u8, Row, A, Tr>,
            evictor: impl Evictor<Row, TimeWindow>,
        ) -> Stream<Given>
        where
            A: flott::WindowAssigner<Row, Window = TimeWindow>,
            Tr: flott::Trigger<Row, TimeWindow>,
        {
            let values = |rows: &[Row]| rows.iter().map(|row| row.2).collect();
            windows.evictor(evictor).apply(move |key, window, rows, out| out.emit((*key, window.start, values(rows))))
        }
        match (self.kind, self.after) {
            (Kind::Count(count), false) => apply(windows, CountEvictor::of(count)),
            (Kind::Count(count), true) => apply(windows, CountEvictor::of(count).after()),
            (Kind::Time(age), false) => apply(windows, TimeEvictor::of(ms(age))),
            (Kind::Time(age), true) => apply(windows, TimeEvictor::of(ms(age)).after()),
            (Kind::Delta(threshold), after) => {
                let evictor = DeltaEvictor::of(threshold as f64, |row: &Row, last: &Row| (row.2 - last.2).abs() as f64);
                if after { apply(windows, evictor.after()) } else { apply(windows, evictor) }
            }
        }
    }
}

/// What happens to a stream of rows.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Step {
    Row(Row),
    /// Time has come so far: the watermark, or the last millisecond that is over by the clock.
    Time(i64),
    /// Everything starts over from a snapshot, with so many subtasks.
    Restart(u32),
}

/// Steps in which time goes on, from anywhere on; rows are some late, some ahead, unless they come `at_once`.
fn steps(at_once: bool) -> impl Strategy<Value = (i64, Vec<Step>)> {
    let step = prop_oneof![
        6 => (0u8..3, -25i64..20, 0i64..12).prop_map(|(key, at, value)| Step::Row((key, at, value))),
        2 => (1i64..12).prop_map(Step::Time),
        1 => (1u32..4).prop_map(Step::Restart),
    ];
    // By the clock, a window that ends with time is never over.
    let before_end = if at_once { 1_000 } else { 0 };
    let start = prop_oneof![
        4 => -50i64..50,
        1 => (2i64..40).prop_map(|after| i64::MIN + after),
        1 => (0i64..300).prop_map(move |before| i64::MAX - before_end - before),
    ];
    (start, prop::collection::vec(step, 0..50)).prop_map(move |(start, mut steps)| {
        let mut now = start;
        steps.retain_mut(|step| match step {
            Step::Row((_, at, _)) => {
                *at = if at_once { now } else { now.saturating_add(*at) };
                true
            }
            Step::Time(on) => {
                // A final watermark is not kept by a snapshot.
                let further = now < i64::MAX - 1;
                now = now.saturating_add(*on).min(i64::MAX - 1);
                *on = now;
                further
            }
            Step::Restart(_) => true,
        });
        (start, steps)
    })
}

/// A window of a key.
#[derive(Default)]
struct Pane {
    rows: Vec<Row>,
    /// Records since it last fired for a count.
    count: u64,
}

/// What fires.
#[derive(Debug, Clone, Copy)]
enum Trigger {
    /// Time, and then each late record.
    AtTheEnd,
    /// So many records.
    Count(u64),
}

fn last_of(end: i64) -> i64 {
    if end == i64::MAX { end } else { end - 1 }
}

/// What functions are given at each step, in order within it.
fn expected(shape: Shape, trigger: Trigger, lateness: i64, eviction: Eviction, steps: &[Step]) -> Vec<(usize, Given)> {
    let mut panes = BTreeMap::<(u8, i64, i64), Pane>::new();
    let (mut now, mut given) = (i64::MIN, Vec::new());
    let mut fire = |step: usize, (key, start): (u8, i64), pane: &mut Pane| {
        if pane.rows.is_empty() {
            return;
        }
        if !eviction.after {
            pane.rows = eviction.left(&pane.rows);
        }
        given.push((step, (key, start, pane.rows.iter().map(|row| row.2).collect())));
        if eviction.after && !pane.rows.is_empty() {
            pane.rows = eviction.left(&pane.rows);
        }
    };
    let all = steps.iter().copied().chain([Step::Time(i64::MAX)]);
    for (number, step) in all.enumerate() {
        match step {
            Step::Row(row) => {
                for (start, end) in windows_of(shape, row.1) {
                    if last_of(end).saturating_add(lateness) <= now {
                        continue;
                    }
                    let pane = panes.entry((row.0, start, end)).or_default();
                    pane.rows.push(row);
                    pane.count += 1;
                    let fires = match trigger {
                        Trigger::AtTheEnd => last_of(end) <= now,
                        Trigger::Count(count) => pane.count.is_multiple_of(count),
                    };
                    if fires {
                        fire(number, (row.0, start), pane);
                    }
                }
            }
            Step::Time(at) => {
                for ((key, start, end), pane) in &mut panes {
                    let ends = now < last_of(*end) && last_of(*end) <= at;
                    if ends && matches!(trigger, Trigger::AtTheEnd) {
                        fire(number, (*key, *start), pane);
                    }
                }
                now = at;
                panes.retain(|(_, _, end), _| last_of(*end).saturating_add(lateness) > now);
            }
            Step::Restart(_) => {}
        }
    }
    given.sort();
    given
}

/// Runs `steps`, and has all time pass, which must leave nothing.
fn run(
    steps: &[Step],
    options: impl Fn() -> HarnessOptions,
    build: impl Fn(Stream<Row>) -> Stream<Given>,
    time: impl Fn(&mut Harness<Row, Given>, i64),
) -> Vec<(usize, Given)> {
    let mut harness = Harness::with(options(), &build);
    let mut given = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Row(row) => harness.push_at(row, row.1).unwrap(),
            Step::Time(at) => time(&mut harness, at),
            Step::Restart(subtasks) => {
                let snapshot = harness.snapshot().unwrap();
                harness = Harness::with(options().parallelism(subtasks).from_snapshot(&snapshot), &build);
            }
        }
        given.extend(harness.take().into_iter().map(|given| (number, given)));
    }
    harness.end().unwrap();
    assert_eq!(harness.state_size(), Default::default(), "something is kept longer than its window");
    given.extend(harness.take().into_iter().map(|given| (steps.len(), given)));
    given.sort();
    given
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

fn check(
    (size, slide): (i64, i64),
    trigger: Trigger,
    lateness: i64,
    eviction: Eviction,
    steps: &[Step],
) -> TestCaseResult {
    let build = |rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(SlidingEventTimeWindows::of(ms(size), ms(slide)));
        let windows = windows.allowed_lateness(ms(lateness));
        match trigger {
            Trigger::AtTheEnd => eviction.of(windows),
            Trigger::Count(count) => eviction.of(windows.trigger(CountTrigger::of(count))),
        }
    };
    let given = run(steps, HarnessOptions::new, build, |harness, at| harness.watermark(at).unwrap());
    let shape = Shape::Sliding { size, slide, offset: 0 };
    prop_assert_eq!(given, expected(shape, trigger, lateness, eviction, steps));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn at_the_end_of_windows_and_for_late_records(
        (_, steps) in steps(false), size in 1i64..30, slide in 1i64..15, lateness in 0i64..25, eviction in eviction(),
    ) {
        check((size, slide), Trigger::AtTheEnd, lateness, eviction, &steps)?;
    }

    #[test]
    fn whenever_a_window_has_so_many_records(
        (_, steps) in steps(false), size in 1i64..30, slide in 1i64..15, count in 1u64..4, eviction in eviction(),
    ) {
        check((size, slide), Trigger::Count(count), 0, eviction, &steps)?;
    }

    #[test]
    fn by_the_clock((start, steps) in steps(true), size in 1i64..30, slide in 1i64..15, eviction in eviction()) {
        let build = |rows: Stream<Row>| {
            let windows = SlidingProcessingTimeWindows::of(ms(size), ms(slide));
            eviction.of(rows.key_by(|row| row.0).window(windows))
        };
        let options = || HarnessOptions::new().start_at(start);
        let given = run(&steps, options, build, |harness, at| harness.set_time(at).unwrap());
        // The millisecond that the clock shows is not over.
        let over = |step: &Step| match *step {
            Step::Time(now) => Step::Time(now - 1),
            step => step,
        };
        let steps: Vec<_> = steps.iter().map(over).collect();
        let shape = Shape::Sliding { size, slide, offset: 0 };
        prop_assert_eq!(given, expected(shape, Trigger::AtTheEnd, 0, eviction, &steps));
    }
}
