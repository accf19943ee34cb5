//! Windows against the naive model, step by step.

#[path = "../../../tests/model/windows.rs"]
mod model;

mod functions;
mod pair;
mod processing;
mod shapes;
mod slices;
mod triggers;

use std::sync::Arc;

use flott_runtime::{
    batch::Timestamp,
    event::Event,
    time::{Clock, TimeDomain},
};

use self::model::{Firing, Outcome, Record, Step};
use super::{Closure, Folding, PaneFunction, WindowSpec, Windows};
use crate::{
    function::{Aggregate, Collector, OutputTag},
    operator::stand::{Driver, Kept, Seen, site, task},
    operator::{Aggregating, Late},
    plan::KeyOf,
    window::{GlobalWindow, TimeWindow, Trigger, Window, WindowAssigner},
};

const LATE: OutputTag<(u8, i64)> = OutputTag::new("late");

/// Gathers values.
#[derive(Clone)]
struct Values;

impl Aggregate for Values {
    type In = (u8, i64);
    type Accumulator = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<i64>, record: (u8, i64)) {
        values.push(record.1);
    }

    fn result(&self, values: &Vec<i64>) -> Vec<i64> {
        let mut values = values.clone();
        values.sort_unstable();
        values
    }

    fn merge(&self, into: &mut Vec<i64>, mut other: Vec<i64>) {
        into.append(&mut other);
    }
}

/// The bounds of a window, for the model.
trait Bounds: Window {
    fn bounds(&self) -> (i64, i64);
}

impl Bounds for TimeWindow {
    fn bounds(&self) -> (i64, i64) {
        (self.start, self.end)
    }
}

impl Bounds for GlobalWindow {
    fn bounds(&self) -> (i64, i64) {
        (0, 0)
    }
}

/// A result: what fired, and the last timestamp of its window.
type Fired = (Firing, Timestamp);

/// Gives out the values of a window.
fn emit<W: Bounds>(key: &u8, window: &W, values: Vec<i64>, out: &mut Collector<'_, Fired>) {
    let (start, end) = window.bounds();
    out.emit((Firing { key: *key, start, end, values }, window.max_timestamp()));
}

type Emitting<W> = Closure<fn(&u8, &W, Vec<i64>, &mut Collector<'_, Fired>), Fired>;

/// Values gathered as they come.
fn folding<W: Bounds>() -> Folding<Aggregating<Values>, Emitting<W>> {
    Folding { fold: Aggregating(Values), emit: Closure::new(emit::<W>) }
}

type Driven<A, Tr, P> = Driver<
    Windows<u8, (u8, i64), A, Tr, P>,
    <P as PaneFunction<u8, (u8, i64), <A as WindowAssigner<(u8, i64)>>::Window>>::Out,
>;

/// Windows that are driven by hand.
struct Bench<A, Tr, P>
where
    A: WindowAssigner<(u8, i64)>,
    Tr: Trigger<(u8, i64), A::Window>,
    P: PaneFunction<u8, (u8, i64), A::Window>,
{
    driver: Driven<A, Tr, P>,
    late: Kept<(u8, i64)>,
}

impl<A, Tr, P> Bench<A, Tr, P>
where
    A: WindowAssigner<(u8, i64)>,
    Tr: Trigger<(u8, i64), A::Window>,
    P: PaneFunction<u8, (u8, i64), A::Window>,
{
    fn new(assigner: A, trigger: Tr, function: P, lateness_ms: i64, clock: Clock) -> Self {
        let spec = WindowSpec { assigner, trigger, function, lateness_ms, late: Late::to(&LATE) };
        let keys_of: Arc<dyn KeyOf<(u8, i64), u8>> = Arc::new(crate::plan::MadeKey(|record: &(u8, i64)| record.0));
        let task = task(clock);
        let late = Kept::default();
        let operator = Windows::new(spec, keys_of, &site(task.clone(), &LATE, late.clone()));
        Self { driver: Driver::open(operator, &task), late }
    }

    /// Keys, windows and timers that there are.
    fn kept(&mut self) -> (usize, usize, usize) {
        self.driver.operator.kept()
    }

    fn watermark(&mut self, watermark: i64) -> Vec<P::Out>
    where
        P::Out: std::fmt::Debug + PartialEq,
    {
        self.driver.event(Event::Watermark(watermark)).unwrap();
        let mut seen = self.driver.out.take();
        // It comes behind what it sets off.
        assert_eq!(seen.pop(), Some(Seen::Event(Event::Watermark(watermark))));
        let record = |seen| match seen {
            Seen::Record(record, _) => record,
            Seen::Event(event) => panic!("{event:?} comes too early"),
        };
        seen.into_iter().map(record).collect()
    }

    fn records(&mut self, records: &[Record]) -> Vec<P::Out> {
        self.driver.batch(records.iter().map(|record| ((record.key, record.value), Some(record.at)))).unwrap();
        self.driver.out.records().into_iter().map(|(record, _)| record).collect()
    }

    fn late(&self) -> Vec<Record> {
        let record = |((key, value), at): ((u8, i64), Option<i64>)| Record { key, at: at.unwrap(), value };
        self.late.records().into_iter().map(record).collect()
    }
}

/// Runs `steps` through the operator, with the records between watermarks in batches of `batch`, and ends the input.
#[track_caller]
fn run<A, Tr, P>(mut bench: Bench<A, Tr, P>, steps: &[Step], batch: usize) -> Outcome
where
    A: WindowAssigner<(u8, i64)>,
    Tr: Trigger<(u8, i64), A::Window>,
    P: PaneFunction<u8, (u8, i64), A::Window, Out = Fired>,
{
    let mut outcome = Outcome::default();
    let mut step = 0;
    while let Some(next) = steps.get(step) {
        let fired = if let Step::Watermark(watermark) = *next {
            step += 1;
            bench.watermark(watermark)
        } else {
            let records = steps[step..].iter().map_while(|step| match step {
                Step::Record(record) => Some(*record),
                Step::Watermark(_) => None,
            });
            let records: Vec<_> = records.take(batch).collect();
            // With several records in a batch it is not told which of them gave what.
            step += records.len();
            bench.records(&records)
        };
        outcome.firings.extend(fired.into_iter().map(|(firing, _)| (step - 1, firing)));
        outcome.late.extend(bench.late().into_iter().map(|late| (step - 1, late)));
    }
    bench.driver.end().unwrap();
    let left = bench.driver.out.records().into_iter().map(|((firing, last), timestamp)| {
        assert_eq!(timestamp, Some(last), "a result has the last timestamp of its window");
        (steps.len(), firing)
    });
    outcome.firings.extend(left);
    outcome.firings.sort();
    outcome.late.sort();
    if P::STATEFUL || bench.driver.operator.core.domain == TimeDomain::Event {
        assert_eq!(bench.kept(), (0, 0, 0), "keys, windows and timers are left");
    }
    outcome
}

/// Checks windows against the model, by single records and by batches.
#[track_caller]
fn check<A, Tr, P>(bench: impl Fn() -> Bench<A, Tr, P>, shape: model::Shape, lateness: i64, steps: &[Step])
where
    A: WindowAssigner<(u8, i64)>,
    Tr: Trigger<(u8, i64), A::Window>,
    P: PaneFunction<u8, (u8, i64), A::Window, Out = Fired>,
{
    let whole: Vec<_> = steps.iter().copied().chain([Step::Watermark(i64::MAX)]).collect();
    let expected = model::outcome(shape, lateness, &whole);
    assert_eq!(run(bench(), steps, 1), expected, "{shape:?}, lateness {lateness}");
    for batch in [3, usize::MAX] {
        let batched = run(bench(), steps, batch);
        assert_eq!(batched.timeless(), expected.timeless(), "{shape:?}, lateness {lateness}, batches of {batch}");
    }
}

/// As `check_default`, of windows that lie the same for all keys: by slices as well, where these do them.
#[track_caller]
fn check_aligned<A>(assigner: A, shape: model::Shape, lateness: i64, steps: &[Step])
where
    A: WindowAssigner<(u8, i64), Window = TimeWindow>,
{
    slices::check(&assigner, shape, lateness, steps);
    check_default(assigner, shape, lateness, steps);
}

/// As `check`, of windows with their default trigger.
#[track_caller]
fn check_default<A>(assigner: A, shape: model::Shape, lateness: i64, steps: &[Step])
where
    A: WindowAssigner<(u8, i64)>,
    A::Window: Bounds,
{
    let bench = || Bench::new(assigner.clone(), assigner.default_trigger(), folding(), lateness, Clock::System);
    check(bench, shape, lateness, steps);
}
