//! Windows of all shapes.

use std::time::Duration;

use flott_runtime::time::Clock;
use proptest::prelude::*;

use super::{
    Bench, Values, check, check_aligned, check_default, emit,
    model::{Record, Shape, Step},
};
use crate::{
    operator::{Aggregating, Closure, Evicting, Folding},
    window::{
        AnyEvictor, CountEvictor, CountTrigger, CumulativeEventTimeWindows, EventTimeSessionWindows, GlobalWindows,
        PurgingTrigger, SlidingEventTimeWindows, TumblingEventTimeWindows,
    },
};

/// Steps around `times`, with watermarks that may be before records, and never go back.
fn steps(times: impl Strategy<Value = i64> + Clone + 'static) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..3, times.clone()).prop_map(|(key, at)| Step::Record(Record { key, at, value: 0 })),
        1 => times.prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..60).prop_map(|mut steps| {
        let mut last = i64::MIN;
        for (number, step) in (0..).zip(&mut steps) {
            match step {
                Step::Record(record) => record.value = number,
                Step::Watermark(watermark) => {
                    last = last.max(*watermark);
                    *watermark = last;
                }
            }
        }
        // A watermark that says nothing new does not travel.
        steps.dedup_by(|next, before| matches!(next, Step::Watermark(_)) && next == before);
        let mut said = Some(i64::MIN);
        steps.retain(|step| match step {
            Step::Watermark(watermark) => said.replace(*watermark) != Some(*watermark),
            Step::Record(_) => true,
        });
        steps
    })
}

/// Times of every kind: around zero, and at the ends.
fn times() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        12 => -60i64..60,
        1 => (0i64..5).prop_map(|after| i64::MIN + after),
        1 => (0i64..5).prop_map(|before| i64::MAX - before),
    ]
}

/// Times from one end to the other, and often at one.
fn anytimes() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![4 => times(), 4 => any::<i64>()]
}

fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 3 => 1i64..40, 1 => Just(i64::MAX)]
}

/// Sizes at which slices are often of a millisecond: then there are as many as there are timestamps.
fn small() -> impl Strategy<Value = i64> {
    1i64..10
}

/// Gaps of records by their values: short ones beside those that reach over several others, and one without an end.
fn gap_of(value: i64) -> i64 {
    match value * 7919 % 32 {
        0 => i64::MAX,
        gap @ 1..24 => gap,
        gap => (gap - 20) * 10,
    }
}

proptest! {
    #[test]
    fn tumbling(steps in steps(times()), size in prop_oneof![4 => small(), 4 => 1i64..30, 1 => Just(i64::MAX)], offset in any::<i64>(), lateness in lateness()) {
        let offset = offset % size;
        let windows = TumblingEventTimeWindows::of(ms(size)).offset_ms(offset);
        check_aligned(windows, Shape::Sliding { size, slide: size, offset }, lateness, &steps);
    }

    #[test]
    fn sliding(steps in steps(times()), (size, slide) in prop_oneof![(small(), small()), (1i64..40, 1i64..40)], offset in any::<i64>(), lateness in lateness()) {
        let offset = offset % slide;
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset);
        check_aligned(windows, Shape::Sliding { size, slide, offset }, lateness, &steps);
    }

    #[test]
    fn huge(steps in steps(times()), size in (1i64 << 61)..i64::MAX, slide in (1i64 << 61)..i64::MAX, offset in any::<i64>()) {
        let offset = offset % slide;
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset);
        check_aligned(windows, Shape::Sliding { size, slide, offset }, 0, &steps);
    }

    #[test]
    fn cumulating(steps in steps(times()), step in prop_oneof![Just(1), small(), 1i64..15], many in 1i64..5, offset in any::<i64>(), lateness in lateness()) {
        let size = step * many;
        let offset = offset % size;
        let windows = CumulativeEventTimeWindows::of(ms(size), ms(step)).offset_ms(offset);
        check_aligned(windows, Shape::Cumulating { size, step, offset }, lateness, &steps);
    }

    #[test]
    fn anywhere(steps in steps(anytimes()), slide in prop_oneof![small(), 1i64..=i64::MAX / 5], many in 1i64..5, offset in any::<i64>()) {
        let size = slide * many;
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset % slide);
        check_aligned(windows, Shape::Sliding { size, slide, offset: offset % slide }, 0, &steps);
        let windows = CumulativeEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset % size);
        check_aligned(windows, Shape::Cumulating { size, step: slide, offset: offset % size }, 0, &steps);
    }

    #[test]
    fn sessions(steps in steps(times()), gap in prop_oneof![6 => 1i64..40, 1 => Just(i64::MAX)], lateness in lateness()) {
        check_default(EventTimeSessionWindows::with_gap(ms(gap)), Shape::Session { gap }, lateness, &steps);
    }

    #[test]
    fn sessions_by_a_gap_of_each_record_agree_with_those_of_one_gap(steps in steps(-60i64..60), gap in 1i64..40) {
        let windows = EventTimeSessionWindows::with_dynamic_gap(move |_: &(u8, i64)| ms(gap));
        check_default(windows, Shape::Session { gap }, 0, &steps);
    }

    #[test]
    fn sessions_by_a_gap_of_each_record(steps in steps(times()), lateness in lateness()) {
        let windows = EventTimeSessionWindows::with_dynamic_gap(|record: &(u8, i64)| ms(gap_of(record.1)));
        check_default(windows, Shape::OwnGaps { gap: |record| gap_of(record.value) }, lateness, &steps);
    }

    #[test]
    fn counts(steps in steps(0i64..10), size in 1usize..5) {
        let trigger = PurgingTrigger::of(CountTrigger::of(size as u64));
        let bench = || Bench::new(GlobalWindows::create(), trigger.clone(), super::folding(), 0, Clock::System);
        check(bench, Shape::Count { size }, 0, &steps);
    }

    #[test]
    fn sliding_counts(steps in steps(0i64..10), size in 1usize..6, slide in 1usize..6) {
        let function = Folding { fold: Aggregating(Values), emit: Closure::new(emit) };
        let function = Evicting { function, evictor: AnyEvictor::new(CountEvictor::of(size)) };
        let trigger = CountTrigger::of(slide as u64);
        let bench = || Bench::new(GlobalWindows::create(), trigger, function.clone(), 0, Clock::System);
        check(bench, Shape::CountSliding { size, slide }, 0, &steps);
    }
}
