//! Windows against the naive model, step by step.

#[allow(dead_code, reason = "others read the model too")]
#[path = "../../../tests/model/windows.rs"]
mod model;

mod shapes;

use flott_runtime::{batch::Timestamp, event::Event, time::Clock};

use self::model::{Firing, Outcome, Record, Step};
use super::{Closure, Folding, WindowSpec, Windows};
use crate::{
    function::{Aggregate, Collector, OutputTag},
    operator::Aggregating,
    plan::KeyOf,
    testing::{Driver, Kept, Seen, site, task},
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

/// Runs `steps` through the operator, with the records between watermarks in batches of `batch`. Checks that watermarks come
/// behind the results that they set off, that results have the timestamps of their windows, and that nothing is left.
#[track_caller]
fn run<A, Tr>(assigner: A, trigger: Tr, lateness: i64, steps: &[Step], batch: usize) -> Outcome
where
    A: WindowAssigner<(u8, i64)>,
    A::Window: Bounds,
    Tr: Trigger<(u8, i64), A::Window>,
{
    let emit = |key: &u8, window: &A::Window, values: Vec<i64>, out: &mut Collector<'_, (Firing, Timestamp)>| {
        let (start, end) = window.bounds();
        out.emit((Firing { key: *key, start, end, values }, window.max_timestamp()));
    };
    let function = Folding { fold: Aggregating(Values), emit: Closure::new(emit) };
    let spec = WindowSpec { assigner, trigger, function, lateness_ms: lateness, late: Some(LATE) };
    let keys_of: std::sync::Arc<dyn KeyOf<(u8, i64), u8>> = std::sync::Arc::new(|record: &(u8, i64)| record.0);
    let task = task(Clock::System);
    let late = Kept::default();
    let operator = Windows::new(spec, keys_of, &site(task.clone(), &LATE, late.clone()));
    let mut driver = Driver::open(operator, &task);

    let mut outcome = Outcome::default();
    let mut step = 0;
    let mut take = |step: usize, driver: &Driver<_, (Firing, Timestamp)>, watermark: Option<i64>| {
        let mut seen = driver.out.take();
        if let Some(watermark) = watermark {
            assert_eq!(seen.pop(), Some(Seen::Event(Event::Watermark(watermark))));
        }
        for seen in seen {
            let Seen::Record((firing, last), timestamp) = seen else { panic!("{seen:?} comes too early") };
            assert_eq!(timestamp, Some(last));
            outcome.firings.push((step, firing));
        }
        let record = |((key, value), at): ((u8, i64), Option<i64>)| Record { key, at: at.unwrap(), value };
        outcome.late.extend(late.records().into_iter().map(|late| (step, record(late))));
    };
    while let Some(next) = steps.get(step) {
        if let Step::Watermark(watermark) = *next {
            driver.event(Event::Watermark(watermark)).unwrap();
            take(step, &driver, Some(watermark));
            step += 1;
            continue;
        }
        let records = steps[step..].iter().map_while(|step| match step {
            Step::Record(record) => Some(((record.key, record.value), Some(record.at))),
            Step::Watermark(_) => None,
        });
        let records: Vec<_> = records.take(batch).collect();
        // With several records in a batch it is not told which of them gave what.
        step += records.len();
        driver.batch(records).unwrap();
        take(step - 1, &driver, None);
    }
    driver.event(Event::Watermark(i64::MAX)).unwrap();
    take(steps.len(), &driver, Some(i64::MAX));
    driver.end().unwrap();
    assert_eq!(driver.operator.kept(), (0, 0, 0), "keys, windows and timers are left");
    outcome.firings.sort();
    outcome.late.sort();
    outcome
}

/// Checks windows against the model, by single records and by batches.
#[track_caller]
fn check<A, Tr>(assigner: A, trigger: Tr, shape: model::Shape, lateness: i64, steps: &[Step])
where
    A: WindowAssigner<(u8, i64)>,
    A::Window: Bounds,
    Tr: Trigger<(u8, i64), A::Window>,
{
    let whole: Vec<_> = steps.iter().copied().chain([Step::Watermark(i64::MAX)]).collect();
    let expected = model::outcome(shape, lateness, &whole);
    let single = run(assigner.clone(), trigger.clone(), lateness, steps, 1);
    assert_eq!(single, expected, "{shape:?}, lateness {lateness}");
    for batch in [3, usize::MAX] {
        let batched = run(assigner.clone(), trigger.clone(), lateness, steps, batch);
        assert_eq!(batched.timeless(), expected.timeless(), "{shape:?}, lateness {lateness}, batches of {batch}");
    }
}
