use flott_core::codec;
use proptest::prelude::*;

use super::*;

/// Bounds of few values, far values and the ends of time.
fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![8 => -20i64..20, 4 => -2_000i64..2_000, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

#[derive(Debug, Clone)]
enum Step {
    /// So many values in order from here.
    Run(Timestamp, usize),
    Add(Timestamp),
    Set(Timestamp),
    Expire(Timestamp),
    KeepLast(Timestamp),
    Pop(Timestamp),
    Scan(Timestamp, Timestamp, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (at(), 0usize..700).prop_map(|(at, count)| Step::Run(at, count)),
        8 => at().prop_map(Step::Add),
        2 => at().prop_map(Step::Set),
        1 => at().prop_map(Step::Expire),
        1 => at().prop_map(Step::KeepLast),
        2 => at().prop_map(Step::Pop),
        4 => (at(), at(), 1usize..600).prop_map(|(from, until, budget)| Step::Scan(from, until, budget)),
    ]
}

/// All from `from` to `until`, `budget` at a time.
fn scanned(timeline: &Timeline<u32>, from: Timestamp, until: Timestamp, budget: usize) -> Vec<(Timestamp, u32)> {
    let mut found = Vec::new();
    let mut cursor = timeline.seek(from);
    loop {
        let mut left = budget;
        let all = timeline.scan(&mut cursor, until, &mut left, |at, value| {
            found.push((at, *value));
            Ok::<_, ()>(())
        });
        if all.unwrap() {
            return found;
        }
        assert_eq!(left, 0);
    }
}

#[track_caller]
fn check(timeline: &Timeline<u32>, model: &[(Timestamp, u32)]) {
    assert_eq!(timeline.iter().copied().collect::<Vec<_>>(), model);
    assert_eq!(timeline.len(), model.len());
    assert_eq!(timeline.is_empty(), model.is_empty());
    assert_eq!(timeline.first(), model.first().map(|value| value.0));
    for at in [i64::MIN, -300, -3, 0, 3, 300, i64::MAX] {
        let latest = model.iter().rfind(|value| value.0 <= at);
        assert_eq!(timeline.latest(at), latest.map(|value| &value.1), "latest at {at}");
    }
    assert!(timeline.older().all(|ring| !ring.is_empty() && ring.len() <= 2 * RING));
    assert!(timeline.newest.len() < RING);
}

fn add(model: &mut Vec<(Timestamp, u32)>, at: Timestamp, value: u32) {
    model.insert(model.partition_point(|known| known.0 <= at), (at, value));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_stay_in_order_whatever_happens(steps in prop::collection::vec(step(), 0..60)) {
        let mut timeline = Timeline::default();
        let mut model: Vec<(Timestamp, u32)> = Vec::new();
        for (value, step) in (0..).step_by(1_000).zip(steps) {
            match step {
                Step::Run(from, count) => {
                    for (value, step) in (value..).zip(0..count) {
                        let at = from.saturating_add(step as i64);
                        timeline.add(at, value);
                        add(&mut model, at, value);
                    }
                }
                Step::Add(at) => {
                    timeline.add(at, value);
                    add(&mut model, at, value);
                }
                Step::Set(at) => {
                    timeline.set(at, value);
                    match model.iter_mut().find(|known| known.0 == at) {
                        Some(known) => known.1 = value,
                        None => add(&mut model, at, value),
                    }
                }
                Step::Expire(until) => {
                    timeline.expire(|at| at <= until);
                    model.retain(|known| known.0 > until);
                }
                Step::KeepLast(until) => {
                    timeline.keep_last(|at| at <= until);
                    let past = model.partition_point(|known| known.0 <= until);
                    model.drain(..past.saturating_sub(1));
                }
                Step::Pop(until) => {
                    let expected = model.first().is_some_and(|known| known.0 <= until).then(|| model.remove(0));
                    prop_assert_eq!(timeline.pop(until), expected);
                }
                Step::Scan(from, until, budget) => {
                    let expected: Vec<_> =
                        model.iter().copied().filter(|known| (from..=until).contains(&known.0)).collect();
                    prop_assert_eq!(scanned(&timeline, from, until, budget), expected);
                }
            }
            check(&timeline, &model);
        }
        let read: Timeline<u32> = codec::decode(&codec::to_vec(&timeline).unwrap()).unwrap();
        check(&read, &model);
        while let Some(first) = timeline.pop(i64::MAX) {
            prop_assert_eq!(first, model.remove(0));
        }
        check(&timeline, &[]);
    }
}

#[test]
fn a_late_value_moves_few_others() {
    let mut timeline = Timeline::default();
    // From the new end to the old one: the worst order there is.
    for at in (0..100_000).rev() {
        timeline.add(at, 0u32);
    }
    assert_eq!((timeline.first(), timeline.len()), (Some(0), 100_000));
    assert!(timeline.older().all(|ring| ring.len() <= 2 * RING));
    timeline.expire(|at| at < 99_999);
    assert_eq!(timeline.iter().collect::<Vec<_>>(), [&(99_999, 0)]);
}
