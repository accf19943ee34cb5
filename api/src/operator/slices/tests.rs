use std::{collections::BTreeMap, marker::PhantomData};

mod clock;
mod cuts;
mod forgetting;
#[cfg(feature = "disk")]
mod on_disk;

use flott_core::view::LATE_RECORDS_DROPPED;
use flott_runtime::time::Clock;
use proptest::prelude::*;

use super::*;
use crate::{
    FunctionResult, OutputTag,
    operator::{
        fold::Summing,
        stand::{Kept, Seen, site, task},
    },
    plan::MadeKey,
    window::{TimeWindow, WindowContext},
};

const LATE: OutputTag<(u8, u64)> = OutputTag::new("late");

/// Sums numbers; gives key, window and sum.
#[derive(Clone)]
struct WithBounds;

impl Emit<u8, TimeWindow, u64> for WithBounds {
    type Out = (u8, i64, i64, u64);
    const STATEFUL: bool = false;

    fn emit(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        sum: u64,
        ctx: &mut WindowContext<'_, u8, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        ctx.emit((*key, window.start, window.end, sum));
        Ok(())
    }
}

type Sums = Summing<fn(&(u8, u64)) -> u64, fn(&mut u64, u64), u64>;
type Sliced = SliceWindows<u8, (u8, u64), TimeWindow, Sums, WithBounds>;

fn windows(shape: Shape, lateness_ms: i64) -> Sliced {
    let spec = SliceSpec {
        shape,
        domain: TimeDomain::Event,
        lateness_ms,
        fold: summing(),
        emit: WithBounds,
        late: Late::default(),
    };
    of(spec, &task(Clock::System))
}

fn of(spec: SliceSpec<(u8, u64), Sums, WithBounds>, task: &Arc<TaskInfo>) -> Sliced {
    let site = site(task.clone(), &LATE, Kept::default());
    SliceWindows::new(spec, Arc::new(MadeKey(|record: &(u8, u64)| record.0)), &site)
}

fn summing() -> Sums {
    Summing { number: |record| record.1, combine: |sum, number| *sum += number, numbers: PhantomData }
}

#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<(u8, i64)>),
    Watermark(i64),
}

fn run(shape: Shape, steps: &[Step]) -> (Vec<(u8, i64, i64, u64)>, Sliced) {
    let mut operator = windows(shape, 0);
    let mut out = Kept::default();
    let mut number = 0;
    let drive = |operator: &mut Sliced, event: Event, out: &mut Kept<_>| {
        operator.event(event, out).unwrap();
        while operator.resume(out).unwrap() == Drained::Some {}
    };
    for step in steps {
        match step {
            Step::Batch(records) => {
                let mut batch = Batch::default();
                for (key, at) in records {
                    number += 1;
                    batch.push_with((*key, number), Some(*at));
                }
                if !batch.is_empty() {
                    operator.process(&mut batch, &mut out).unwrap();
                    assert!(batch.is_empty());
                }
            }
            Step::Watermark(watermark) => drive(&mut operator, Event::Watermark(*watermark), &mut out),
        }
    }
    drive(&mut operator, Event::Watermark(i64::MAX), &mut out);
    let mut results = Vec::new();
    let mut passed = i64::MIN;
    for item in out.take() {
        match item {
            Seen::Record(result, at) => {
                assert_eq!(at, Some(result.2 - 1));
                assert!(at > Some(passed), "a result behind its watermark");
                results.push(result);
            }
            Seen::Event(Event::Watermark(watermark)) => passed = watermark,
            Seen::Event(event) => panic!("{event:?}"),
        }
    }
    results.sort_unstable();
    (results, operator)
}

/// By definition: each record goes to each of its windows that is not over.
fn model(steps: &[Step], windows: impl Fn(i64) -> Vec<(i64, i64)>) -> Vec<(u8, i64, i64, u64)> {
    let mut sums: BTreeMap<(u8, i64, i64), u64> = BTreeMap::new();
    let (mut watermark, mut number) = (i64::MIN, 0);
    for step in steps {
        match step {
            Step::Batch(records) => {
                for (key, at) in records {
                    number += 1;
                    for (start, end) in windows(*at) {
                        if end - 1 > watermark {
                            *sums.entry((*key, start, end)).or_default() += number;
                        }
                    }
                }
            }
            Step::Watermark(next) => watermark = watermark.max(*next),
        }
    }
    sums.into_iter().map(|((key, start, end), sum)| (key, start, end, sum)).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0u8..4, -20i64..20);
    let step = prop_oneof![
        4 => prop::collection::vec(record, 0..8).prop_map(Step::Batch),
        1 => (0i64..12).prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..40).prop_map(|steps| {
        // Time goes on: record times are about the watermark, some late, some ahead.
        let mut now = -30;
        steps
            .into_iter()
            .map(|step| match step {
                Step::Batch(records) => Step::Batch(records.into_iter().map(|(key, at)| (key, now + at)).collect()),
                Step::Watermark(on) => {
                    now += on;
                    Step::Watermark(now)
                }
            })
            .collect()
    })
}

fn sliding(size: i64, slide: i64, offset: i64) -> impl Fn(i64) -> Vec<(i64, i64)> {
    move |at| {
        let last = (at - offset).div_euclid(slide) * slide + offset;
        (0..)
            .map(|n| last - n * slide)
            .take_while(|start| start + size > at)
            .map(|start| (start, start + size))
            .collect()
    }
}

proptest! {
    #[test]
    fn tumbling_windows_are_those_of_the_model(steps in steps(), size in 1i64..15, offset in -20i64..20) {
        let (results, left) = run(Shape::tumbling(size, offset), &steps);
        prop_assert_eq!(results, model(&steps, sliding(size, size, offset)));
        prop_assert!(left.kept() == 0);
    }

    #[test]
    fn sliding_windows_are_those_of_the_model(
        steps in steps(), size in 1i64..30, slide in 1i64..12, offset in -20i64..20,
    ) {
        let (results, left) = run(Shape::sliding(size, slide, offset), &steps);
        prop_assert_eq!(results, model(&steps, sliding(size, slide, offset)));
        prop_assert!(left.kept() == 0);
    }

    #[test]
    fn cumulating_windows_are_those_of_the_model(
        steps in steps(), step in 1i64..8, count in 1i64..6, offset in -20i64..20,
    ) {
        let max = step * count;
        let windows = |at: i64| {
            let begin = (at - offset).div_euclid(max) * max + offset;
            (1..=count).map(|n| (begin, begin + n * step)).filter(|(_, end)| *end > at).collect()
        };
        let (results, left) = run(Shape::cumulating(step, max, offset), &steps);
        // A window of this kind has results for all keys of those before it in its cycle; so it is in the model.
        prop_assert_eq!(results, model(&steps, windows));
        prop_assert!(left.kept() == 0);
    }
}

#[test]
fn late_records_are_counted_and_dropped() {
    let steps = [Step::Watermark(9), Step::Batch(vec![(1, 9), (1, 10)])];
    let (results, operator) = run(Shape::tumbling(10, 0), &steps);
    assert_eq!(results, [(1, 10, 20, 2)]);
    assert_eq!(operator.desk.task.figures.counters().read().get(LATE_RECORDS_DROPPED), 1);
}

#[test]
fn records_without_timestamps_are_an_error() {
    let mut operator = windows(Shape::tumbling(10, 0), 0);
    let failure = operator.process(&mut Batch::from(vec![(1, 1)]), &mut Kept::default()).unwrap_err();
    assert!(failure.to_string().contains("assign_timestamps_and_watermarks"), "{failure}");
}
