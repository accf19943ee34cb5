use proptest::prelude::*;

use super::{
    super::stand::{
        Kept,
        two_inputs::{Bench, Driven, kept},
    },
    *,
};
use crate::function::OutputTag;

/// A key and a number.
type Row = (u8, u32);
/// The numbers of both.
type Pair = (u32, Option<u32>);

fn pair(left: Row, version: Option<&Row>) -> Option<Pair> {
    assert!(version.is_none_or(|version| version.0 == left.0));
    Some((left.1, version.map(|version| version.1)))
}

/// Every number in a hundred from here on is a delete.
const DELETE: u32 = 90;

type Join = Driven<Pair, TemporalJoin<u8, Row, Row, fn(Row, Option<&Row>) -> Option<Pair>, Pair>>;

fn rig() -> (Join, Kept<Row>) {
    let bench = Bench::new();
    let tag = OutputTag::new("late");
    let late = bench.side(&tag);
    let key = |row: &Row| row.0;
    let deletes = |row: &Row| row.1 % 100 >= DELETE;
    let join = TemporalJoin::new(
        pair as fn(Row, Option<&Row>) -> Option<Pair>,
        (Arc::new(crate::plan::MadeKey(key)), Late::to(&tag)),
        (Arc::new(crate::plan::MadeKey(key)), Some(Arc::new(deletes))),
        &bench.site(),
    );
    (bench.open(join), late)
}

type ByKey = Vec<(u8, History<Row, Row>)>;

/// What is kept, by key, and the number of timers.
fn kept_in(join: &mut Join) -> (ByKey, usize) {
    kept(&mut join.operator.states.keyed)
}

#[derive(Debug, Clone)]
enum Step {
    /// Keys and times.
    Left(Vec<(u8, Timestamp)>),
    /// Keys, what a number is in a hundred, and times.
    Right(Vec<(u8, u32, Timestamp)>),
    Watermark(Timestamp),
}

fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        40 => -30i64..30,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec((0u8..3, at()), 0..12).prop_map(Step::Left),
        3 => prop::collection::vec((0u8..3, 0u32..100, at()), 0..8).prop_map(Step::Right),
        2 => at().prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..40)
}

/// All versions that there ever were, and the left records that wait.
#[derive(Default)]
struct Model {
    /// Key, time, number of arrival.
    versions: Vec<(u8, Timestamp, u32)>,
    waiting: Vec<(u8, Timestamp, u32)>,
    watermark: Option<Timestamp>,
    /// By key, the latest delete that has been passed: what is told of times before it comes too late to be put right.
    forgotten: [Option<Timestamp>; 3],
}

impl Model {
    fn valid(&self, key: u8, at: Timestamp) -> Option<u32> {
        let of_key = self.versions.iter().filter(|version| version.0 == key && version.1 <= at);
        let version = of_key.max_by_key(|version| (version.1, version.2))?;
        (version.2 % 100 < DELETE).then_some(version.2)
    }

    fn advance(&mut self, watermark: Timestamp) -> Vec<(Pair, Option<Timestamp>)> {
        self.watermark = Some(watermark);
        let given = self.waiting.iter().filter(|left| left.1 <= watermark);
        let given = given.map(|left| ((left.2, self.valid(left.0, left.1)), Some(left.1))).collect();
        self.waiting.retain(|left| left.1 > watermark);
        self.forgotten = [0, 1, 2].map(|key| {
            let past = self.versions.iter().filter(|version| version.0 == key && version.1 <= watermark);
            let last = past.max_by_key(|version| (version.1, version.2))?;
            (last.2 % 100 >= DELETE).then_some(last.1)
        });
        given
    }
}

fn check_kept(join: &mut Join, watermark: Option<Timestamp>) {
    let (keys, timers) = kept_in(join);
    assert_eq!(keys.iter().filter(|(_, history)| history.timer.is_some()).count(), timers);
    let passed = |at: Timestamp| watermark.is_some_and(|watermark| at <= watermark);
    for (_, history) in keys {
        assert!(!history.is_empty());
        // At most one version that is past, and it is no delete; what is to be done has a timer.
        let past: Vec<_> = history.versions.iter().filter(|(at, _)| passed(*at)).collect();
        assert!(past.len() <= 1 && past.iter().all(|(_, version)| version.is_some()), "{past:?}");
        assert!(history.waiting.first().is_none_or(|at| !passed(at)));
        assert!(history.timer.is_none_or(|timer| !passed(timer)));
        assert!(history.due().is_none_or(|due| history.timer.is_some_and(|timer| timer <= due)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_record_has_the_version_of_its_time(steps in steps()) {
        let (mut join, late) = rig();
        let mut model = Model::default();
        let mut number = 0;
        for step in steps {
            let (mut expected, mut expected_late) = (Vec::new(), Vec::new());
            match step {
                Step::Left(rows) => {
                    let rows: Vec<_> = (number..).zip(rows).map(|(number, (key, at))| ((key, number), at)).collect();
                    number += rows.len() as u32;
                    for &((key, number), at) in &rows {
                        if model.watermark.is_some_and(|watermark| at <= watermark) {
                            expected_late.push(((key, number), Some(at)));
                        } else {
                            model.waiting.push((key, at, number));
                        }
                    }
                    join.left(rows).unwrap();
                }
                Step::Right(rows) => {
                    number = number.next_multiple_of(100);
                    let mut given = Vec::new();
                    for (key, kind, at) in rows {
                        // A late version from before a delete that is forgotten would come to life; see below.
                        if model.forgotten[usize::from(key)].is_none_or(|deleted| at > deleted) {
                            model.versions.push((key, at, number + kind));
                            given.push(((key, number + kind), at));
                            number += 100;
                        }
                        if let Some(watermark) = model.watermark {
                            model.advance(watermark);
                        }
                    }
                    join.right(given).unwrap();
                }
                Step::Watermark(at) => {
                    if at > model.watermark.unwrap_or(i64::MIN) {
                        expected = model.advance(at);
                        join.watermark(at).unwrap();
                    }
                }
            }
            expected.sort_unstable();
            let mut given = join.out.records();
            given.sort_unstable();
            prop_assert_eq!(given, expected);
            prop_assert_eq!(late.records(), expected_late);
            check_kept(&mut join, model.watermark);
        }
        if model.watermark.is_none_or(|watermark| watermark < i64::MAX) {
            let mut expected = model.advance(i64::MAX);
            expected.sort_unstable();
            join.watermark(i64::MAX).unwrap();
            let mut given = join.out.records();
            given.sort_unstable();
            prop_assert_eq!(given, expected);
        }
        // Rows that are there at the end stay: one version for each key.
        let (keys, timers) = kept_in(&mut join);
        prop_assert_eq!(timers, 0);
        prop_assert!(keys.iter().all(|(_, history)| history.waiting.is_empty() && history.versions.len() == 1));
        let rows = (0..3).filter(|key| model.valid(*key, i64::MAX).is_some()).count();
        prop_assert_eq!(keys.len(), rows);
    }
}

#[test]
fn many_records_of_a_key_come_out_in_order_a_batch_at_a_time() {
    const MANY: u32 = 20 * BATCH_RECORDS as u32;
    let (mut join, _) = rig();
    let numbers: Vec<u32> = (0..MANY).collect();
    for numbers in numbers.chunks(BATCH_RECORDS) {
        join.left(numbers.iter().rev().map(|number| ((0, *number), i64::from(*number)))).unwrap();
    }
    join.right([((0, 0), 0), ((0, 1), 100)]).unwrap();
    join.watermark(i64::from(MANY)).unwrap();
    let expected: Vec<_> =
        numbers.iter().map(|number| ((*number, Some(u32::from(*number >= 100))), Some(i64::from(*number)))).collect();
    assert_eq!(join.out.records(), expected);
}

#[test]
fn versions_without_left_records_do_not_pile_up() {
    let (mut join, _) = rig();
    for at in 0..1_000 {
        join.right([((0, 0), at)]).unwrap();
        join.watermark(at - 5).unwrap();
        let (keys, timers) = kept_in(&mut join);
        assert!(keys[0].1.versions.len() <= 7 && timers <= 1);
    }
    join.watermark(2_000).unwrap();
    assert_eq!(kept_in(&mut join).0[0].1.versions.len(), 1);
    join.right([((0, DELETE), 3_000)]).unwrap();
    join.watermark(3_000).unwrap();
    assert_eq!(kept_in(&mut join).0.len(), 0);
}

#[test]
fn a_version_far_ahead_does_not_keep_others_for_ever() {
    let (mut join, _) = rig();
    join.right([((0, 0), 0), ((0, 0), i64::MAX), ((0, 1), 10), ((0, 2), 20)]).unwrap();
    join.watermark(20).unwrap();
    assert_eq!(kept_in(&mut join).0[0].1.versions.len(), 2);
}

#[test]
fn a_late_version_counts_for_what_still_waits() {
    let (mut join, _) = rig();
    join.watermark(10).unwrap();
    join.left([((0, 0), 11)]).unwrap();
    join.right([((0, 1), 5), ((0, 2), 4)]).unwrap();
    join.watermark(11).unwrap();
    assert_eq!(join.out.records(), [((0, Some(1)), Some(11))]);
}

#[test]
fn a_delete_that_the_watermark_has_passed_is_forgotten_with_its_row() {
    let (mut join, _) = rig();
    join.right([((0, 1), 5), ((0, DELETE), 8)]).unwrap();
    join.watermark(10).unwrap();
    assert_eq!(kept_in(&mut join).0.len(), 0);
    // So what comes from before it, and so late, is taken for the row.
    join.right([((0, 2), 7)]).unwrap();
    join.left([((0, 0), 11)]).unwrap();
    join.watermark(11).unwrap();
    assert_eq!(join.out.records(), [((0, Some(2)), Some(11))]);
}

#[test]
fn records_without_timestamps_are_an_error() {
    let (mut join, _) = rig();
    let failure = join.operator.process_left(&mut Batch::from(vec![(0u8, 0u32)]), &mut join.out).unwrap_err();
    assert!(failure.to_string().contains("a record of its left input has no timestamp"), "{failure}");
    let failure = join.operator.process_right(&mut Batch::from(vec![(0u8, 0u32)]), &mut join.out).unwrap_err();
    assert!(failure.to_string().contains("a record of its right input has no timestamp"), "{failure}");
}
