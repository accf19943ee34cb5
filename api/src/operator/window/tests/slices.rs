//! Windows by slices, as sums and reductions have them, against the same model.

use std::sync::Arc;

use flott_runtime::time::Clock;

use super::{
    Emitting, Event, Fired, Firing, Folding, Kept, LATE, Outcome, Record, Seen, Step, TimeDomain, TimeWindow, Values,
    WindowAssigner, folding, model, site, task,
};
use crate::{
    operator::{Aggregating, Late, Shape, SliceSpec, SliceWindows, stand::Driver},
    plan::MadeKey,
};

type Sliced = SliceWindows<u8, (u8, i64), TimeWindow, Aggregating<Values>, Emitting<TimeWindow>>;

/// Slices that are driven by hand.
struct Bench {
    driver: Driver<Sliced, Fired>,
    late: Kept<(u8, i64)>,
}

impl Bench {
    fn new(shape: Shape, lateness_ms: i64) -> Self {
        let Folding { fold, emit } = folding();
        let spec = SliceSpec { shape, domain: TimeDomain::Event, lateness_ms, fold, emit, late: Late::to(&LATE) };
        let (task, late) = (task(Clock::System), Kept::default());
        let operator = SliceWindows::new(
            spec,
            Arc::new(MadeKey(|record: &(u8, i64)| record.0)),
            &site(task.clone(), &LATE, late.clone()),
        );
        Self { driver: Driver::open(operator, &task), late }
    }

    /// What has been given out, at step `step`.
    fn seen(&self, step: usize, outcome: &mut Outcome) {
        for seen in self.driver.out.take() {
            if let Seen::Record((firing, last), timestamp) = seen {
                assert_eq!(timestamp, Some(last), "a result has the last timestamp of its window");
                outcome.firings.push((step, firing));
            }
        }
        let late = self.late.records().into_iter();
        outcome.late.extend(late.map(|((key, value), at)| (step, Record { key, at: at.unwrap(), value })));
    }
}

fn run(shape: Shape, lateness: i64, steps: &[Step], batch: usize) -> Outcome {
    let (mut bench, mut outcome) = (Bench::new(shape, lateness), Outcome::default());
    let mut step = 0;
    while let Some(next) = steps.get(step) {
        if let Step::Watermark(watermark) = *next {
            step += 1;
            bench.driver.event(Event::Watermark(watermark)).unwrap();
        } else {
            let records = steps[step..].iter().map_while(|step| match step {
                Step::Record(record) => Some(((record.key, record.value), Some(record.at))),
                Step::Watermark(_) => None,
            });
            let records: Vec<_> = records.take(batch).collect();
            step += records.len();
            bench.driver.batch(records).unwrap();
        }
        bench.seen(step - 1, &mut outcome);
    }
    bench.driver.end().unwrap();
    bench.seen(steps.len(), &mut outcome);
    outcome.firings.sort();
    outcome.late.sort();
    assert_eq!(bench.driver.operator.kept(), 0, "slices are left");
    outcome
}

/// Checks windows against the model, by single records and by batches.
#[track_caller]
pub(super) fn check<A>(assigner: &A, shape: model::Shape, lateness: i64, steps: &[Step])
where
    A: WindowAssigner<(u8, i64)>,
{
    let slices = Shape::of(assigner.aligned().unwrap()).unwrap();
    let whole: Vec<_> = steps.iter().copied().chain([Step::Watermark(i64::MAX)]).collect();
    let expected = model::outcome(shape, lateness, &whole);
    assert_eq!(run(slices, lateness, steps, 1), expected, "{shape:?} by slices, lateness {lateness}");
    for batch in [3, usize::MAX] {
        let batched = run(slices, lateness, steps, batch);
        assert_eq!(
            batched.timeless(),
            expected.timeless(),
            "{shape:?} by slices, lateness {lateness}, batches of {batch}"
        );
    }
}

/// Drives tumbling, sliding and cumulating windows of a millisecond's slices with `steps`.
#[track_caller]
fn check_millis(offset: i64, steps: &[Step]) {
    use std::time::Duration;

    use crate::window::{CumulativeEventTimeWindows, SlidingEventTimeWindows, TumblingEventTimeWindows};

    let (one, two, three) = (Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(3));
    let tumbling = TumblingEventTimeWindows::of(one);
    check(&tumbling, model::Shape::Sliding { size: 1, slide: 1, offset: 0 }, 0, steps);
    let sliding = SlidingEventTimeWindows::of(three, two).offset_ms(offset % 2);
    check(&sliding, model::Shape::Sliding { size: 3, slide: 2, offset: offset % 2 }, 0, steps);
    let cumulating = CumulativeEventTimeWindows::of(three, one).offset_ms(offset);
    check(&cumulating, model::Shape::Cumulating { size: 3, step: 1, offset }, 0, steps);
}

fn at(times: impl IntoIterator<Item = i64>) -> Vec<Step> {
    (0..).zip(times).map(|(value, at)| Step::Record(Record { key: 0, at, value })).collect()
}

#[test]
fn the_last_milliseconds_have_slices_of_their_own() {
    let (tumbling, last) = (Shape::tumbling(1, 0), at([i64::MAX]));
    let expected = Firing { key: 0, start: i64::MAX, end: i64::MAX, values: vec![0] };
    assert_eq!(run(tumbling, 0, &last, 1).firings, [(1, expected)]);
    for offset in -2..=2 {
        check_millis(offset, &at((0..5).map(|before| i64::MAX - before)));
    }
}

#[test]
fn the_first_milliseconds_have_slices_of_their_own() {
    for offset in -2..=2 {
        check_millis(offset, &at((0..5).map(|after| i64::MIN + after)));
    }
}
