use flott_runtime::time::TimeDelta;
use proptest::prelude::*;

use super::{
    super::stand::{
        Kept,
        two_inputs::{Bench, Driven, kept},
    },
    *,
};
use crate::{
    function::{FunctionResult, OutputTag},
    plan::MadeKey,
};

/// A key and a number.
type Row = (u8, u32);
/// Both numbers and both timestamps.
type Pair = (u32, u32, Timestamp, Timestamp);

#[derive(Clone)]
struct Stamped;

impl ProcessJoinFunction for Stamped {
    type Left = Row;
    type Right = Row;
    type Out = Pair;

    fn process(&mut self, left: &Row, right: &Row, ctx: &mut JoinContext<'_, Pair>) -> FunctionResult {
        assert_eq!(left.0, right.0);
        ctx.emit((left.1, right.1, ctx.left_timestamp(), ctx.right_timestamp()));
        Ok(())
    }
}

type Join = Driven<Pair, IntervalJoin<u8, Stamped>>;

struct Rig {
    join: Join,
    left_late: Kept<Row>,
    right_late: Kept<Row>,
}

fn rig(bounds: Bounds) -> Rig {
    let bench = Bench::new();
    let (left_tag, right_tag) = (OutputTag::new("left"), OutputTag::new("right"));
    let (left_late, right_late) = (bench.side(&left_tag), bench.side(&right_tag));
    let key = |row: &Row| row.0;
    let left = Lane::new(Arc::new(MadeKey(key)), Late::to(&left_tag));
    let right = Lane::new(Arc::new(MadeKey(key)), Late::to(&right_tag));
    let join = IntervalJoin::new(Stamped, bounds, left, right, &bench.site());
    Rig { join: bench.open(join), left_late, right_late }
}

fn bounds(lower: i64, upper: i64) -> Bounds {
    Bounds::new((TimeDelta::from_millis(lower), true), (TimeDelta::from_millis(upper), true))
}

type ByKey = Vec<(u8, Sides<Row, Row>)>;

/// What is kept, by key, and the number of timers.
fn kept_in(join: &mut Join) -> (ByKey, usize) {
    kept(&mut join.operator.joining.states.keyed)
}

#[derive(Debug, Clone)]
enum Step {
    /// Of the left side, 0, or the right one, 1: keys and times.
    Records(usize, Vec<(u8, Timestamp)>),
    Watermark(Timestamp),
}

fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        40 => -30i64..30,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]),
    ]
}

fn bound() -> impl Strategy<Value = i64> {
    prop_oneof![
        20 => -12i64..12,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = prop::collection::vec((0u8..3, at()), 0..12);
    let step = prop_oneof![
        6 => (0usize..2, records).prop_map(|(side, records)| Step::Records(side, records)),
        2 => at().prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..40)
}

/// A bound, and whether it is included.
type Bound = (i64, bool);

/// Every record with every other, as long as it is not late.
struct Model {
    lower: Bound,
    upper: Bound,
    /// Key, number and time of those that were not late, by side.
    rows: [Vec<(u8, u32, Timestamp)>; 2],
    watermark: Timestamp,
}

impl Model {
    fn near(&self, left: Timestamp, right: Timestamp) -> bool {
        let distance = i128::from(right) - i128::from(left);
        let ((lower, lower_in), (upper, upper_in)) = (self.lower, self.upper);
        (distance > lower.into() || lower_in && distance == lower.into())
            && (distance < upper.into() || upper_in && distance == upper.into())
    }

    /// The pairs of a record of a side; none if it is late.
    fn take(&mut self, side: usize, row: (u8, u32, Timestamp)) -> Option<Vec<Pair>> {
        if self.watermark != i64::MIN && row.2 <= self.watermark {
            return None;
        }
        self.rows[side].push(row);
        let others = self.rows[1 - side].iter().filter(|other| other.0 == row.0);
        let pairs = others.map(|other| if side == 0 { (row, *other) } else { (*other, row) });
        let near = pairs.filter(|(left, right)| self.near(left.2, right.2));
        Some(near.map(|(left, right)| (left.1, right.1, left.2, right.2)).collect())
    }
}

/// Nothing of what is kept has expired for long, and each key that has something has a timer.
fn check_kept(join: &mut Join, bounds: Bounds, watermark: Timestamp) {
    let (keys, timers) = kept_in(join);
    assert_eq!(keys.len(), timers);
    for (_, sides) in keys {
        assert!(sides.timer().is_some_and(|at| !passed(at, watermark)));
        let gone =
            |expiry: Timestamp| passed(expiry.saturating_add(bounds.reach()).saturating_add(bounds.reach()), watermark);
        assert!(!sides.left_rows().any(|at| gone(bounds.left_expiry(at))));
        assert!(!sides.right_rows().any(|at| gone(bounds.right_expiry(at))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pairs_are_those_of_all_with_all(
        (lower, upper) in (bound(), bound()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        (lower_in, upper_in) in any::<(bool, bool)>(),
        steps in steps(),
    ) {
        let (lower, upper) = ((lower, lower_in), (upper, upper_in));
        let mut model = Model { lower, upper, rows: [Vec::new(), Vec::new()], watermark: i64::MIN };
        let [lower, upper] = [lower, upper].map(|(bound, included)| (TimeDelta::from_millis(bound), included));
        let bounds = Bounds::new(lower, upper);
        let Rig { mut join, left_late, right_late } = rig(bounds);
        let mut number = 0;
        for step in steps {
            let (mut expected, mut late) = (Vec::new(), [Vec::new(), Vec::new()]);
            match step {
                Step::Watermark(at) => {
                    if at > model.watermark {
                        model.watermark = at;
                        join.watermark(at).unwrap();
                    }
                }
                Step::Records(side, rows) => {
                    let rows: Vec<_> = (number..).zip(rows).map(|(number, (key, at))| ((key, number), at)).collect();
                    number += rows.len() as u32;
                    for &((key, number), at) in &rows {
                        match model.take(side, (key, number, at)) {
                            Some(pairs) => expected.extend(pairs),
                            None => late[side].push(((key, number), Some(at))),
                        }
                    }
                    if side == 0 { join.left(rows).unwrap() } else { join.right(rows).unwrap() }
                }
            }
            let mut expected: Vec<_> = expected.into_iter().map(|pair| (pair, Some(pair.2.max(pair.3)))).collect();
            expected.sort_unstable();
            let mut pairs = join.out.records();
            pairs.sort_unstable();
            prop_assert_eq!(pairs, expected);
            prop_assert_eq!([left_late.records(), right_late.records()], late);
            check_kept(&mut join, bounds, model.watermark);
        }
        if model.watermark < i64::MAX {
            join.watermark(i64::MAX).unwrap();
        }
        let (keys, timers) = kept_in(&mut join);
        prop_assert_eq!((keys.len(), timers), (0, 0));
        prop_assert_eq!(join.out.records(), []);
    }
}

#[test]
fn a_record_with_many_partners_gives_them_a_batch_at_a_time() {
    const MANY: u32 = 50 * BATCH_RECORDS as u32;
    let Rig { mut join, .. } = rig(bounds(-10, 10));
    for numbers in (0..MANY).collect::<Vec<_>>().chunks(BATCH_RECORDS) {
        join.left(numbers.iter().map(|number| ((0, *number), 5))).unwrap();
    }
    // No step gives more than a batch: see `Driven`. Both have all of them, and those between have none.
    join.right([((0, MANY), 6), ((1, MANY), 6), ((0, MANY + 1), 16), ((0, MANY + 2), 15)]).unwrap();
    let mut pairs: Vec<_> = join.out.records().into_iter().map(|(pair, _)| (pair.1, pair.0)).collect();
    pairs.sort_unstable();
    let expected: Vec<_> = [MANY, MANY + 2].iter().flat_map(|right| (0..MANY).map(|left| (*right, left))).collect();
    assert_eq!(pairs, expected);
}

#[test]
fn a_record_that_none_can_follow_is_not_kept() {
    // Right records are 10 to 5 before left ones.
    let Rig { mut join, .. } = rig(bounds(-10, -5));
    join.watermark(100).unwrap();
    join.left([((0, 0), 105)]).unwrap();
    assert_eq!(kept_in(&mut join).0.len(), 0);
    join.left([((0, 0), 106)]).unwrap();
    assert_eq!(kept_in(&mut join).0.len(), 1);
    join.right([((0, 1), 101)]).unwrap();
    assert_eq!(join.out.records(), [((0, 1, 106, 101), Some(106))]);
}

#[test]
fn a_busy_key_keeps_an_interval_without_a_timer_firing() {
    let Rig { mut join, .. } = rig(bounds(-10, 10));
    for at in 0..1_000 {
        join.left([((0, 0), at)]).unwrap();
        // Before its watermark: what has expired goes with the next record.
        let sizes: usize = kept_in(&mut join).0.iter().map(|(_, sides)| sides.left_rows().count()).sum();
        assert!(sizes <= 13, "{sizes} records are kept at {at}");
        join.watermark(at).unwrap();
    }
}

#[test]
fn few_timers_are_set_however_many_records_come() {
    let Rig { mut join, .. } = rig(bounds(-10, 10));
    let mut fired = std::collections::BTreeSet::new();
    for at in 0..1_000i64 {
        join.left([((0, 0), at)]).unwrap();
        join.right([((0, 0), at - (at % 3))]).unwrap();
        fired.insert(kept_in(&mut join).0[0].1.timer());
        join.watermark(at - 4).unwrap();
    }
    assert!(fired.len() <= 1_000 / 20 + 1, "{} timers were set", fired.len());
}

#[test]
fn records_without_timestamps_are_an_error() {
    let Rig { mut join, .. } = rig(bounds(0, 0));
    let mut batch = Batch::from(vec![(0u8, 0u32)]);
    let failure = join.operator.process_right(&mut batch, &mut join.out).unwrap_err();
    assert!(failure.to_string().contains("a record of its right input has no timestamp"), "{failure}");
}
