//! Windows with triggers of all kinds, against Flink's `WindowOperator` written down plainly: panes in a list, each with the
//! timers that its trigger has set.
//!
//! Where we differ from it on purpose (docs/windows.md), the model does as we do: a continuous trigger fires once for all
//! multiples that time passes at once.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger, EventTimeSessionWindows,
    EventTimeTrigger, GlobalWindows, OutputTag, ProcessingTimeSessionWindows, ProcessingTimeTrigger, PurgingTrigger,
    SlidingEventTimeWindows, SlidingProcessingTimeWindows, Stream, TimeWindow, Trigger, WindowAssigner,
    testing::{Harness, HarnessOptions},
};
use proptest::{prelude::*, test_runner::TestCaseResult};

use crate::{
    model::{self, Shape},
    values::Values,
};

/// Key, time and a value.
type Row = (u8, i64, i64);

/// A key, the bounds of a window, and its values, sorted.
type Given = (u8, (i64, i64), Vec<i64>);

const LATE: OutputTag<Row> = OutputTag::new("late");

#[derive(Debug, Clone, Copy, PartialEq)]
enum Windows {
    Sliding { size: i64, slide: i64 },
    Session { gap: i64 },
    Global,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    AtTheEnd,
    Count(u64),
    Continuous(i64),
    Delta(i64),
}

#[derive(Debug, Clone, Copy)]
struct Spec {
    windows: Windows,
    kind: Kind,
    purging: bool,
    /// In event time.
    lateness: i64,
    by_clock: bool,
}

fn spec() -> impl Strategy<Value = Spec> {
    let windows = prop_oneof![
        2 => (1i64..30, 1i64..20).prop_map(|(size, slide)| Windows::Sliding { size, slide }),
        2 => (1i64..20).prop_map(|gap| Windows::Session { gap }),
        1 => Just(Windows::Global),
    ];
    let kind = prop_oneof![
        Just(Kind::AtTheEnd),
        (1u64..4).prop_map(Kind::Count),
        (1i64..12).prop_map(Kind::Continuous),
        (0i64..6).prop_map(Kind::Delta),
    ];
    let lateness = prop_oneof![Just(0), 1i64..25];
    (windows, kind, any::<(bool, bool)>(), lateness).prop_map(|(windows, kind, (purging, by_clock), lateness)| {
        let merges = matches!(windows, Windows::Session { .. });
        // It cannot be used where windows merge.
        let kind = if merges && matches!(kind, Kind::Delta(_)) { Kind::AtTheEnd } else { kind };
        // How it goes on where a late record has a session begin anew is left open.
        let lateness = if merges && matches!(kind, Kind::Continuous(_)) { 0 } else { lateness };
        Spec { windows, kind, purging, lateness, by_clock }
    })
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Row(Row),
    Time(i64),
}

/// When it begins, and what happens: rows some of which are late, and time that goes on.
fn steps() -> impl Strategy<Value = (i64, Vec<Step>)> {
    let step = prop_oneof![
        5 => (0u8..2, -30i64..25, 0i64..10).prop_map(Step::Row),
        2 => (1i64..12).prop_map(Step::Time),
    ];
    (-40i64..10, prop::collection::vec(step, 0..50)).prop_map(|(start, mut steps)| {
        let mut now = start;
        for step in &mut steps {
            match step {
                Step::Row((_, at, _)) => *at += now,
                Step::Time(on) => {
                    now += *on;
                    *on = now;
                }
            }
        }
        (start, steps)
    })
}

/// A window of a key, with the state of its trigger.
#[derive(Default)]
struct Pane {
    start: i64,
    end: i64,
    values: Vec<i64>,
    count: u64,
    next: Option<i64>,
    last_value: Option<i64>,
    timers: BTreeSet<i64>,
}

impl Pane {
    fn new((start, end): (i64, i64)) -> Self {
        Self { start, end, ..Self::default() }
    }

    fn max_timestamp(&self) -> i64 {
        if self.end == i64::MAX { self.end } else { self.end - 1 }
    }
}

struct Model {
    spec: Spec,
    keys: [Vec<Pane>; 2],
    /// The last millisecond that is over: the watermark, or one less than what the clock says.
    over: i64,
    given: Vec<Given>,
    late: Vec<Row>,
}

/// The first multiple of `interval` behind `at`.
fn multiple(at: i64, interval: i64) -> i64 {
    at.saturating_add(interval - at.rem_euclid(interval))
}

impl Model {
    fn cleanup(&self, pane: &Pane) -> i64 {
        let lateness = if self.spec.by_clock { 0 } else { self.spec.lateness };
        pane.max_timestamp().saturating_add(lateness)
    }

    /// Whether anything is late.
    fn can_be_late(&self) -> bool {
        !self.spec.by_clock && self.spec.windows != Windows::Global
    }

    fn on_element(&self, pane: &mut Pane, (_, at, value): Row) -> bool {
        let last = pane.max_timestamp();
        match self.spec.kind {
            Kind::AtTheEnd | Kind::Continuous(_) if last <= self.over => return true,
            Kind::AtTheEnd => {
                pane.timers.insert(last);
            }
            Kind::Continuous(interval) => {
                if !self.spec.by_clock {
                    pane.timers.insert(last);
                }
                if pane.next.is_none() {
                    let next = multiple(at, interval).min(last);
                    pane.next = Some(next);
                    pane.timers.insert(next);
                }
            }
            Kind::Count(count) => {
                pane.count += 1;
                if pane.count >= count {
                    pane.count = 0;
                    return true;
                }
            }
            Kind::Delta(threshold) => match pane.last_value {
                Some(known) if (known - value).abs() > threshold => {
                    pane.last_value = Some(value);
                    return true;
                }
                Some(_) => {}
                None => pane.last_value = Some(value),
            },
        }
        false
    }

    fn on_time(&self, pane: &mut Pane, time: i64) -> bool {
        let last = pane.max_timestamp();
        match self.spec.kind {
            Kind::AtTheEnd => time == last,
            Kind::Continuous(_) if time == last => true,
            Kind::Continuous(interval) if pane.next == Some(time) => {
                let next = multiple(time.max(self.over), interval).min(last);
                pane.next = Some(next);
                pane.timers.insert(next);
                true
            }
            Kind::Continuous(_) | Kind::Count(_) | Kind::Delta(_) => false,
        }
    }

    fn on_merge(&self, pane: &mut Pane) {
        match self.spec.kind {
            Kind::AtTheEnd if pane.max_timestamp() > self.over => {
                pane.timers.insert(pane.max_timestamp());
            }
            Kind::Continuous(_) => pane.timers.extend(pane.next),
            Kind::AtTheEnd | Kind::Count(_) | Kind::Delta(_) => {}
        }
    }

    fn fire(&mut self, key: u8, pane: &mut Pane) {
        if !pane.values.is_empty() {
            let mut values = pane.values.clone();
            values.sort_unstable();
            self.given.push((key, (pane.start, pane.end), values));
        }
        if self.spec.purging {
            pane.values.clear();
        }
    }

    /// Takes out the panes that a new window makes one with, and puts them together.
    fn merged(&self, panes: &mut Vec<Pane>, window: (i64, i64)) -> Pane {
        let (own, others) = std::mem::take(panes)
            .into_iter()
            .partition::<Vec<_>, _>(|known| known.start <= window.1 && window.0 <= known.end);
        *panes = others;
        let mut whole = Pane::new(window);
        let grows = !matches!(&own[..], [one] if one.start <= window.0 && window.1 <= one.end);
        for one in own {
            (whole.start, whole.end) = (whole.start.min(one.start), whole.end.max(one.end));
            whole.values.extend(one.values);
            whole.count += one.count;
            whole.next = whole.next.into_iter().chain(one.next).min();
            if !grows {
                whole.timers = one.timers;
            }
        }
        if grows {
            self.on_merge(&mut whole);
        }
        whole
    }

    fn row(&mut self, row: Row) {
        let (key, at, value) = row;
        let windows: Vec<_> = match self.spec.windows {
            Windows::Sliding { size, slide } => {
                model::windows_of(Shape::Sliding { size, slide, offset: 0 }, at).into_iter().collect()
            }
            Windows::Session { gap } => vec![(at, at + gap)],
            Windows::Global => vec![(i64::MIN, i64::MAX)],
        };
        let mut panes = std::mem::take(&mut self.keys[usize::from(key)]);
        let mut skipped = true;
        for window in windows {
            let mut pane = match self.spec.windows {
                Windows::Session { .. } => self.merged(&mut panes, window),
                Windows::Sliding { .. } | Windows::Global => {
                    let place = panes.iter().position(|known| (known.start, known.end) == window);
                    place.map_or_else(|| Pane::new(window), |place| panes.swap_remove(place))
                }
            };
            if self.can_be_late() && self.cleanup(&pane) <= self.over {
                continue;
            }
            skipped = false;
            pane.values.push(value);
            if self.on_element(&mut pane, row) {
                self.fire(key, &mut pane);
            }
            panes.push(pane);
        }
        self.keys[usize::from(key)] = panes;
        if skipped && self.can_be_late() && at + self.spec.lateness <= self.over {
            self.late.push(row);
        }
    }

    fn advance(&mut self, over: i64) {
        self.over = over;
        for key in 0..2u8 {
            let panes = std::mem::take(&mut self.keys[usize::from(key)]);
            for mut pane in panes {
                let cleanup = self.cleanup(&pane);
                while let Some(time) = pane.timers.first().copied().filter(|time| *time <= over.min(cleanup)) {
                    pane.timers.remove(&time);
                    if self.on_time(&mut pane, time) {
                        self.fire(key, &mut pane);
                    }
                }
                if cleanup > over {
                    self.keys[usize::from(key)].push(pane);
                }
            }
        }
    }

    /// The input has ended: all time passes, but by the clock only timers that are set come, and not those that they set.
    fn end(&mut self) {
        if !self.spec.by_clock {
            return self.advance(i64::MAX);
        }
        for key in 0..2u8 {
            for mut pane in std::mem::take(&mut self.keys[usize::from(key)]) {
                for time in std::mem::take(&mut pane.timers) {
                    if self.on_time(&mut pane, time) {
                        self.fire(key, &mut pane);
                    }
                }
            }
        }
    }

    /// What has been given since the last question, and what was late.
    fn take(&mut self) -> (Vec<Given>, Vec<Row>) {
        self.given.sort();
        (std::mem::take(&mut self.given), std::mem::take(&mut self.late))
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

/// Windows that fold their records, or keep them.
fn build<A, Tr>(
    rows: &Stream<Row>,
    (spec, folded): (Spec, bool),
    assigner: A,
    trigger: Tr,
    bounds: fn(&A::Window) -> (i64, i64),
) -> Stream<Given>
where
    A: WindowAssigner<Row>,
    Tr: Trigger<Row, A::Window>,
{
    let windows = rows.key_by(|row| row.0).window(assigner).trigger(trigger);
    let windows = windows.allowed_lateness(ms(spec.lateness)).side_output_late_data(&LATE);
    if folded {
        return windows
            .aggregate_with(Values, move |key, window, values, out| out.emit((*key, bounds(window), values)));
    }
    windows.apply(move |key, window, rows, out| {
        let mut values: Vec<_> = rows.iter().map(|row| row.2).collect();
        values.sort_unstable();
        out.emit((*key, bounds(window), values));
    })
}

macro_rules! triggered {
    ($name:ident, $end:ident, $continuous:ident) => {
        fn $name<A>(
            rows: &Stream<Row>,
            how: (Spec, bool),
            assigner: A,
            bounds: fn(&A::Window) -> (i64, i64),
        ) -> Stream<Given>
        where
            A: WindowAssigner<Row>,
        {
            let end = $end::create();
            let differ = |last: &Row, next: &Row| (next.2 - last.2).abs() as f64;
            match (how.0.kind, how.0.purging) {
                (Kind::AtTheEnd, false) => build(rows, how, assigner, end, bounds),
                (Kind::AtTheEnd, true) => build(rows, how, assigner, PurgingTrigger::of(end), bounds),
                (Kind::Count(count), false) => build(rows, how, assigner, CountTrigger::of(count), bounds),
                (Kind::Count(count), true) => {
                    build(rows, how, assigner, PurgingTrigger::of(CountTrigger::of(count)), bounds)
                }
                (Kind::Continuous(interval), false) => {
                    build(rows, how, assigner, $continuous::of(ms(interval)), bounds)
                }
                (Kind::Continuous(interval), true) => {
                    build(rows, how, assigner, PurgingTrigger::of($continuous::of(ms(interval))), bounds)
                }
                (Kind::Delta(threshold), false) => {
                    build(rows, how, assigner, DeltaTrigger::of(threshold as f64, differ), bounds)
                }
                (Kind::Delta(threshold), true) => {
                    let trigger = PurgingTrigger::of(DeltaTrigger::of(threshold as f64, differ));
                    build(rows, how, assigner, trigger, bounds)
                }
            }
        }
    };
}

triggered!(by_watermark, EventTimeTrigger, ContinuousEventTimeTrigger);
triggered!(by_clock, ProcessingTimeTrigger, ContinuousProcessingTimeTrigger);

fn windows(rows: &Stream<Row>, how: (Spec, bool)) -> Stream<Given> {
    let span: fn(&TimeWindow) -> (i64, i64) = |window| (window.start, window.end);
    match (how.0.windows, how.0.by_clock) {
        (Windows::Sliding { size, slide }, false) => {
            by_watermark(rows, how, SlidingEventTimeWindows::of(ms(size), ms(slide)), span)
        }
        (Windows::Sliding { size, slide }, true) => {
            by_clock(rows, how, SlidingProcessingTimeWindows::of(ms(size), ms(slide)), span)
        }
        (Windows::Session { gap }, false) => by_watermark(rows, how, EventTimeSessionWindows::with_gap(ms(gap)), span),
        (Windows::Session { gap }, true) => by_clock(rows, how, ProcessingTimeSessionWindows::with_gap(ms(gap)), span),
        (Windows::Global, false) => by_watermark(rows, how, GlobalWindows::create(), |_| (i64::MIN, i64::MAX)),
        (Windows::Global, true) => by_clock(rows, how, GlobalWindows::create(), |_| (i64::MIN, i64::MAX)),
    }
}

fn check(spec: Spec, folded: bool, (start, steps): (i64, Vec<Step>)) -> TestCaseResult {
    let options = HarnessOptions::new().side(&LATE).start_at(start);
    let mut harness = Harness::with(options, |rows: Stream<Row>| windows(&rows, (spec, folded)));
    let mut model = Model { spec, keys: Default::default(), over: i64::MIN, given: Vec::new(), late: Vec::new() };
    let mut now = start;
    for step in steps {
        match step {
            Step::Row((key, at, value)) => {
                let row = (key, if spec.by_clock { now } else { at }, value);
                harness.push_at(row, row.1).unwrap();
                model.row(row);
            }
            // The millisecond that the clock shows is not over.
            Step::Time(at) if spec.by_clock => {
                now = at;
                harness.set_time(now).unwrap();
                model.advance(now - 1);
            }
            Step::Time(watermark) => {
                harness.watermark(watermark).unwrap();
                model.advance(watermark);
            }
        }
        let mut given = harness.take();
        given.sort();
        prop_assert_eq!((given, harness.side(&LATE)), model.take(), "at {:?}", step);
    }
    harness.end().unwrap();
    model.end();
    let mut given = harness.take();
    given.sort();
    prop_assert_eq!((given, harness.side(&LATE)), model.take(), "at the end");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn windows_do_what_their_triggers_say(spec in spec(), folded in any::<bool>(), steps in steps()) {
        check(spec, folded, steps)?;
    }
}
