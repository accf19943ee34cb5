//! Temporal joins against a model that sees both inputs whole.

use std::collections::BTreeSet;

use flott::{KeyedStream, Stream, testing::Harness2};
use proptest::prelude::*;

use super::{
    Way, in_order_of_watermarks,
    rows::{Rows, give2, rows, turns},
    sorted, way,
};
use crate::{values::Row, versions::valid};

/// Each fourth version is a delete.
fn deletes(version: &Row) -> bool {
    version.2 % 4 == 0
}

/// Versions: which of two of a key with the same time comes later depends on their ways.
fn versions() -> impl Strategy<Value = Rows> {
    rows().prop_map(|mut versions| {
        let mut known = BTreeSet::new();
        versions.rows.retain(|version| known.insert((version.0, version.1)));
        versions
    })
}

/// Values of a row and of its version, if it has one.
type Told = (i64, Option<i64>);

/// Results with their timestamps.
fn run(
    way: &Way,
    sides: (&Rows, &Rows),
    turns: &[bool],
    join: impl FnOnce(KeyedStream<u8, Row>, KeyedStream<u8, Row>) -> Stream<Told>,
) -> Result<Vec<(Told, i64)>, TestCaseError> {
    let mut harness = Harness2::with(way.options(), |left: Stream<Row>, versions: Stream<Row>| {
        let left = if way.seed.is_multiple_of(2) { left } else { left.rebalance().map(|row| row) };
        join(left.key_by(|row| row.0), versions.key_by(|row| row.0))
    });
    give2(way, &mut harness, sides, turns);
    harness.end().unwrap();
    prop_assert_eq!(harness.counter("numLateRecordsDropped"), 0);
    // The last version of each key, unless that is a delete.
    let keys: BTreeSet<u8> = sides.1.rows.iter().map(|version| version.0).collect();
    let last = keys.iter().filter_map(|key| valid(&sides.1.rows, key, i64::MAX));
    prop_assert_eq!(harness.state_size().keys, last.filter(|value| value % 4 != 0).count());
    prop_assert_eq!(harness.state_size().timers, 0);
    Ok(sorted(in_order_of_watermarks(harness.take_events())?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn rows_have_the_version_of_their_time_whichever_input_is_ahead(
        left in rows(), versions in versions(), turns in turns(), way in way(),
    ) {
        let version = |row: &Row| valid(&versions.rows, &row.0, row.1).filter(|value| value % 4 != 0);
        let told = sorted(left.rows.iter().map(|row| ((row.2, version(row)), row.1)));
        let results = run(&way, (&left, &versions), &turns, |left, versions| {
            let joined = left.temporal_join(&versions).deleted_when(deletes);
            joined.left_outer(|left, version| (left.2, version.map(|version| version.2)))
        })?;
        prop_assert_eq!(&results, &told);
        let results = run(&way, (&left, &versions), &turns, |left, versions| {
            left.temporal_join(&versions).deleted_when(deletes).inner(|left, version| (left.2, Some(version.2)))
        })?;
        prop_assert_eq!(results, sorted(told.into_iter().filter(|((_, version), _)| version.is_some())));
    }
}
