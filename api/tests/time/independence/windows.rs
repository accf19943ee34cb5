//! Windows, by slices and each by itself, against the naive model.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    CumulativeEventTimeWindows, EventTimeSessionWindows, SlidingEventTimeWindows, Stream, TimeWindow,
    TumblingEventTimeWindows, WindowAssigner,
    testing::{Harness, Harness2},
};
use proptest::prelude::*;

use super::{
    Way,
    rows::{Rows, give2, rows, turns},
    sorted, way,
};
use crate::{
    model::{self, Firing, Record, Shape, Step},
    values::{Row, Values, aggregated, expected, gap_of, gathered},
};

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

/// Checks windows that aggregate as records come, and such as keep them, behind a shuffle and without one.
fn check<A>(way: &Way, rows: &Rows, assigner: A, shape: Shape) -> Result<(), TestCaseError>
where
    A: WindowAssigner<Row, Window = TimeWindow>,
{
    let expected = expected(shape, &rows.rows);
    let aggregated = rows.run(way, |rows| aggregated(&rows.key_by(|row| row.0), &assigner));
    prop_assert_eq!(&aggregated, &expected, "{:?} that aggregate", shape);
    let gathered = rows.run(way, |rows| gathered(&rows.rebalance().map(|row| row).key_by(|row| row.0), &assigner));
    prop_assert_eq!(&gathered, &expected, "{:?} that keep their records", shape);
    Ok(())
}

/// Each row of one side with each of the other that has its key, once for each window that both are in.
fn joined(shape: Shape, left: &[Row], right: &[Row]) -> Vec<(u8, i64, i64)> {
    let windows = |row: &Row| -> BTreeSet<(i64, i64)> { model::windows_of(shape, row.1) };
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
    let pairs = pairs.filter(|(left, right)| left.0 == right.0).flat_map(|(left, right)| {
        let common = windows(left).intersection(&windows(right)).count();
        std::iter::repeat_n((left.0, left.2, right.2), common)
    });
    sorted(pairs)
}

fn check_join<A>(
    way: &Way,
    (left, right): (&Rows, &Rows),
    turns: &[bool],
    assigner: A,
    shape: Shape,
) -> Result<(), TestCaseError>
where
    A: WindowAssigner<flott::TaggedUnion<Row, Row>, Window = TimeWindow>,
{
    let mut harness = Harness2::with(way.options(), |left: Stream<Row>, right: Stream<Row>| {
        let joined = left.join(&right).where_key(|row| row.0).equal_to(|row| row.0).window(assigner);
        joined.apply(|left, right| (left.0, left.2, right.2))
    });
    give2(way, &mut harness, (left, right), turns);
    harness.end().unwrap();
    prop_assert_eq!(harness.state_size(), Default::default());
    prop_assert_eq!(sorted(harness.take()), joined(shape, &left.rows, &right.rows), "{:?} that join", shape);
    Ok(())
}

/// Checks windows whose rows are often late: behind each few of them there is a watermark that waits for no other.
fn check_late(way: &Way, rows: &[Row], (size, slide): (i64, i64), lateness: i64) -> Result<(), TestCaseError> {
    // With one input the rows of a key keep their order.
    let mut harness = Harness::with(way.clone().one_input().options(), |rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(SlidingEventTimeWindows::of(ms(size), ms(slide)));
        windows.allowed_lateness(ms(lateness)).aggregate_with(Values, |key, window, values, out| {
            out.emit(Firing { key: *key, start: window.start, end: window.end, values });
        })
    });
    let (mut steps, mut watermark, mut cuts) = (Vec::new(), i64::MIN, way.cuts.iter().cycle());
    for mut part in rows.chunks(7) {
        steps.extend(part.iter().map(|(key, at, value)| Step::Record(Record { key: *key, at: *at, value: *value })));
        watermark = part.iter().map(|row| row.1).fold(watermark, i64::max);
        steps.push(Step::Watermark(watermark));
        while !part.is_empty() {
            let cut = cuts.next().map_or(1, |cut| *cut);
            let (batch, rest) = part.split_at(cut.min(part.len()));
            harness.batch_at(batch.iter().map(|row| (*row, row.1))).unwrap();
            part = rest;
        }
        harness.watermark(watermark).unwrap();
    }
    steps.push(Step::Watermark(i64::MAX));
    harness.end().unwrap();
    let shape = Shape::Sliding { size, slide, offset: 0 };
    let (firings, late) = model::outcome(shape, lateness, &steps).timeless();
    prop_assert_eq!(harness.state_size(), Default::default());
    prop_assert_eq!(harness.counter("numLateRecordsDropped"), late.len() as i64);
    prop_assert_eq!(sorted(harness.take()), firings);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn aligned_windows_have_what_falls_into_them(
        rows in rows(), way in way(), size in 1i64..60, slide in 1i64..40, offset in -60i64..60,
    ) {
        let (tumbling, sliding) = (offset % size, offset % slide);
        let windows = TumblingEventTimeWindows::of(ms(size)).offset_ms(tumbling);
        check(&way, &rows, windows, Shape::Sliding { size, slide: size, offset: tumbling })?;
        let windows = SlidingEventTimeWindows::of(ms(size), ms(slide)).offset_ms(sliding);
        check(&way, &rows, windows, Shape::Sliding { size, slide, offset: sliding })?;
        let windows = CumulativeEventTimeWindows::of(ms(4 * size), ms(size)).offset_ms(tumbling);
        check(&way, &rows, windows, Shape::Cumulating { size: 4 * size, step: size, offset: tumbling })?;
    }

    #[test]
    fn late_rows_correct_what_windows_have_given(
        rows in rows(), way in way(), size in 1i64..60, slide in 1i64..40, lateness in 1i64..60,
    ) {
        check_late(&way, &rows.rows, (size, slide), lateness)?;
        check_late(&way, &rows.rows, (size, size), lateness)?;
    }

    #[test]
    fn sessions_have_what_falls_into_them(rows in rows(), way in way(), half in 0i64..20) {
        let gap = 2 * half + 1;
        check(&way, &rows, EventTimeSessionWindows::with_gap(ms(gap)), Shape::Session { gap })?;
        let windows = EventTimeSessionWindows::with_dynamic_gap(|row: &Row| ms(gap_of(row.2)));
        check(&way, &rows, windows, Shape::OwnGaps { gap: |record| gap_of(record.value) })?;
    }

    #[test]
    fn rows_meet_in_each_window_that_both_are_in(
        left in rows(), right in rows(), turns in turns(), way in way(), size in 1i64..60, slide in 1i64..40,
    ) {
        let sides = (&left, &right);
        let tumbling = Shape::Sliding { size, slide: size, offset: 0 };
        check_join(&way, sides, &turns, TumblingEventTimeWindows::of(ms(size)), tumbling)?;
        let sliding = Shape::Sliding { size, slide, offset: 0 };
        check_join(&way, sides, &turns, SlidingEventTimeWindows::of(ms(size), ms(slide)), sliding)?;
    }
}
