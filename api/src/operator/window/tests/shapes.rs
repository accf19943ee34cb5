//! Windows of all shapes.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    check,
    model::{Record, Shape, Step},
};
use crate::window::{CumulativeEventTimeWindows, EventTimeTrigger, SlidingEventTimeWindows, TumblingEventTimeWindows};

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
        let mut said = None;
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

fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 3 => 1i64..40, 1 => Just(i64::MAX)]
}

proptest! {
    #[test]
    fn tumbling(steps in steps(times()), size in prop_oneof![4 => 1i64..30, 1 => Just(i64::MAX)], offset in any::<i64>(), lateness in lateness()) {
        let offset = offset % size;
        let windows = TumblingEventTimeWindows::of(ms(size)).offset_ms(offset);
        check(windows, EventTimeTrigger, Shape::Sliding { size, slide: size, offset }, lateness, &steps);
    }

    #[test]
    fn sliding(steps in steps(times()), size in 1i64..40, slide in 1i64..40, offset in any::<i64>(), lateness in lateness()) {
        let offset = offset % slide;
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(offset);
        check(windows, EventTimeTrigger, Shape::Sliding { size, slide, offset }, lateness, &steps);
    }

    #[test]
    fn cumulating(steps in steps(times()), step in 1i64..15, many in 1i64..5, offset in any::<i64>(), lateness in lateness()) {
        let size = step * many;
        let offset = offset % size;
        let windows = CumulativeEventTimeWindows::of(ms(size), ms(step)).offset_ms(offset);
        check(windows, EventTimeTrigger, Shape::Cumulating { size, step, offset }, lateness, &steps);
    }
}
