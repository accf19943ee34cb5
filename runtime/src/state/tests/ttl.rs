//! Times-to-live where the model does not look: what is seen of the search, and times at the ends of time.

use std::time::Duration;

use super::*;
use crate::{batch::Timestamp, state::expiring::Expiring};

pub(super) fn millis(millis: u64) -> StateTtl {
    StateTtl::new(Duration::from_millis(millis))
}

fn at<K: crate::batch::Key>(states: &mut KeyedStates<K>, now: Timestamp) -> &mut KeyedStates<K> {
    states.set_now(now).unwrap();
    states
}

/// A value written at `written`: is it there at `now`?
#[track_caller]
fn check(ttl: StateTtl, written: Timestamp, now: Timestamp, there: bool) {
    let mut states = new_states();
    let value = states.state("value").ttl(ttl).value::<u8>().unwrap();
    with_key(at(&mut states, written), 1u8);
    value.set(&mut states, 7).unwrap();
    assert_eq!(value.get(at(&mut states, now)).unwrap(), there.then_some(&7));
}

#[test]
pub(super) fn a_value_is_there_until_its_time_is_over() {
    check(millis(10), 100, 100, true);
    check(millis(10), 100, 109, true);
    check(millis(10), 100, 110, false);
    check(millis(10), 100, 50, true);
    check(millis(10), -5, 4, true);
    check(millis(10), -5, 5, false);
    check(StateTtl::new(Duration::from_nanos(1)), 0, 0, true);
    check(StateTtl::new(Duration::from_nanos(1)), 0, 1, false);
}

#[test]
pub(super) fn the_ends_of_time_are_times_like_others() {
    let forever = StateTtl::new(Duration::MAX);
    check(forever, 0, Timestamp::MAX - 1, true);
    check(forever, Timestamp::MIN, Timestamp::MIN, true);
    check(forever, Timestamp::MIN, -2, true);
    check(forever, Timestamp::MIN, -1, false);
    check(millis(10), Timestamp::MAX - 5, Timestamp::MAX - 1, true);
    check(millis(10), Timestamp::MAX, Timestamp::MIN, true);
    check(millis(10), Timestamp::MIN, Timestamp::MAX, false);
}

#[test]
pub(super) fn only_the_last_use_counts() {
    for (ttl, there) in [(millis(10), false), (millis(10).update_on_read(), true)] {
        let mut states = new_states();
        let value = states.state("value").ttl(ttl).value::<u8>().unwrap();
        with_key(&mut states, 1u8);
        value.set(&mut states, 1).unwrap();
        assert!(value.get(at(&mut states, 9)).unwrap().is_some());
        assert_eq!(value.get(at(&mut states, 18)).unwrap().is_some(), there);
        value.set(&mut states, 2).unwrap();
        assert!(value.get(at(&mut states, 27)).unwrap().is_some());
    }
}

#[test]
pub(super) fn what_has_expired_can_be_given_out_until_it_is_cleaned_up() {
    let ttl = millis(10).update_on_read().return_expired();
    let mut states = new_states();
    let value = states.state("value").ttl(ttl).value::<u8>().unwrap();
    let list = states.state("list").ttl(ttl).list::<u8>().unwrap();
    let map = states.state("map").ttl(ttl).map::<u8, u8>().unwrap();
    let sum = states.state("sum").ttl(ttl).reducing(|sum: &mut u8, n| *sum += n).unwrap();
    with_key(&mut states, 1u8);
    value.set(&mut states, 1).unwrap();
    list.add(&mut states, 1).unwrap();
    map.insert(&mut states, &1, 1).unwrap();
    sum.add(&mut states, 1).unwrap();

    // Accesses of the first batch earn a search when the next begins, which finds it before it is expired.
    at(&mut states, 9);
    at(&mut states, 15);
    assert_eq!(value.get(&mut states).unwrap(), Some(&1));
    assert_eq!(list.get(&mut states).unwrap(), [1]);
    assert_eq!(map.get(&mut states, &1).unwrap(), Some(&1));
    sum.add(&mut states, 1).unwrap();
    assert_eq!(sum.get(&mut states).unwrap(), Some(&2));

    // Reading has not brought it back to life, but it has earned a search. Writing has.
    at(&mut states, 16);
    assert_eq!(value.get(&mut states).unwrap(), None);
    assert!(list.get(&mut states).unwrap().is_empty());
    assert_eq!(map.get(&mut states, &1).unwrap(), None);
    assert_eq!(sum.take(&mut states).unwrap(), Some(2));
    assert_eq!(held(&states), 0);
}

#[test]
pub(super) fn elements_and_entries_expire_one_by_one() {
    let mut states = new_states();
    let list = states.state("list").ttl(millis(10)).list::<u64>().unwrap();
    let map = states.state("map").ttl(millis(10)).map::<u64, u64>().unwrap();
    with_key(&mut states, 1u8);
    for now in 0..100 {
        at(&mut states, now as Timestamp);
        list.add(&mut states, now).unwrap();
        map.insert(&mut states, &now, now).unwrap();
        let left = Vec::from_iter(now.saturating_sub(9)..=now);
        assert_eq!(list.get(&mut states).unwrap(), left);
        let mut keys: Vec<_> = map.keys(&mut states).unwrap().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, left);
    }
    assert_eq!(map.get(at(&mut states, 108), &99).unwrap(), Some(&99));
    assert_eq!(map.get(at(&mut states, 109), &99).unwrap(), None);
    assert!(list.get(&mut states).unwrap().is_empty());
    assert_eq!(held(&states), 0);
}

/// Each record has a key of its own, and nobody asks for old ones.
#[track_caller]
pub(super) fn churn(batch: u64, ttl: u64, kind: impl Fn(&mut KeyedStates<u64>) -> Box<dyn Fn(&mut KeyedStates<u64>)>) {
    let mut states = new_states();
    let access = kind(&mut states);
    let mut key = 0;
    for now in 0..6 * ttl {
        at(&mut states, now as Timestamp);
        for _ in 0..batch {
            access(with_key(&mut states, key));
            key += 1;
        }
    }
    let (held, alive) = (held(&states) as u64, batch * ttl);
    assert!((alive..=2 * alive).contains(&held), "{held} keys are held for {alive} that are alive");
}

#[test]
pub(super) fn keys_that_nobody_asks_for_are_found() {
    for (batch, ttl) in [(1, 300), (10, 100), (1000, 20)] {
        churn(batch, ttl, |states| {
            let value = states.state("value").ttl(millis(ttl)).value::<u64>().unwrap();
            Box::new(move |states| value.set(states, 1).unwrap())
        });
        churn(batch, ttl, |states| {
            let list = states.state("list").ttl(millis(ttl)).list::<u64>().unwrap();
            Box::new(move |states| list.add(states, 1).unwrap())
        });
        churn(batch, ttl, |states| {
            let map = states.state("map").ttl(millis(ttl)).map::<u64, u64>().unwrap();
            Box::new(move |states| map.insert(states, &1, 1).unwrap())
        });
    }
}

#[test]
pub(super) fn without_a_search_only_what_is_come_across_is_dropped() {
    let mut states = new_states();
    let value = states.state("value").ttl(millis(1).no_cleanup()).value::<u64>().unwrap();
    let map = states.state("map").ttl(millis(1).no_cleanup()).map::<u8, u64>().unwrap();
    for key in 0..100u64 {
        with_key(at(&mut states, 1000 * key as Timestamp), key);
        value.set(&mut states, 1).unwrap();
        map.insert(&mut states, &1, 1).unwrap();
    }
    at(&mut states, 1_000_000);
    assert_eq!(held(&states), 200);
    for key in 0..50 {
        with_key(&mut states, key);
        assert_eq!(value.get(&mut states).unwrap(), None);
        assert_eq!(map.get(&mut states, &1).unwrap(), None);
    }
    assert_eq!(held(&states), 100);
}

#[test]
pub(super) fn a_large_map_is_not_searched_at_every_batch_but_is_searched() {
    let mut states = new_states();
    let map = states.state("map").ttl(millis(160)).map::<u64, u64>().unwrap();
    with_key(&mut states, 1u8);
    for now in 0..1600 {
        map.insert(at(&mut states, now as Timestamp), &now, now).unwrap();
    }
    let runs = whole_states(&mut states, all(1));
    let [(_, map)] = runs[0].1.decode::<(u8, Vec<(u64, Expiring<u64>)>)>().try_into().unwrap();
    let entries = map.len();
    assert!((160..=172).contains(&entries), "{entries} entries are held for 160 that are alive");
}

#[test]
pub(super) fn two_times_to_live_for_one_state_are_refused() {
    let mut states = new_states::<u8>();
    let error = states.state("last").ttl(StateTtl::new(Duration::ZERO)).value::<u8>().unwrap_err();
    assert_eq!(error.message, "keyed state \"last\" must have a time-to-live longer than 0 ms");
    states.state("last").ttl(millis(10)).value::<u8>().unwrap();
    states.state("last").ttl(millis(10)).value::<u8>().unwrap();
    let error = states.value::<u8>("last").unwrap_err();
    assert_eq!(
        error.message,
        "keyed state \"last\" has a time-to-live of 10 ms from each write, and cannot have no time-to-live too"
    );
    let ttl = millis(20).update_on_read().return_expired().cleanup(1);
    let error = states.state("last").ttl(ttl).value::<u8>().unwrap_err();
    assert_eq!(
        error.message,
        "keyed state \"last\" has a time-to-live of 10 ms from each write, and cannot have a time-to-live of 20 ms from \
         each write and read, given out until cleaned up, with 5 places searched per access too"
    );
}

/// The snapshot of a value of each of some keys, written at time 0.
fn stored(ttl: Option<StateTtl>) -> Vec<(StateMeta, Run)> {
    let mut states = new_states();
    let value = described(&mut states, ttl).value::<u64>().unwrap();
    for key in 0..10u8 {
        value.set(with_key(&mut states, key), 7).unwrap();
    }
    whole_states(&mut states, all(4))
}

fn described(states: &mut KeyedStates<u8>, ttl: Option<StateTtl>) -> StateDescriptor<'_, u8> {
    let state = states.state("last");
    match ttl {
        Some(ttl) => state.ttl(ttl),
        None => state,
    }
}

#[test]
pub(super) fn a_state_is_restored_with_another_time_to_live_but_not_without_one() {
    let restore = |stored: &[(StateMeta, Run)], ttl, now| {
        let mut states = new_states();
        let value = described(&mut states, ttl).value::<u64>().unwrap();
        stored.iter().try_for_each(|(meta, run)| states.restore(meta, run.content, run.count, &run.bytes))?;
        let found = value.get(with_key(at(&mut states, now), 3)).unwrap().copied();
        Ok::<_, Box<flott_core::failure::Failure>>(found)
    };
    let (plain, expiring) = (stored(None), stored(Some(millis(10))));
    assert_eq!(restore(&plain, None, 100), Ok(Some(7)));
    assert_eq!(restore(&expiring, Some(millis(10)), 10), Ok(None));
    assert_eq!(restore(&expiring, Some(millis(20)), 10), Ok(Some(7)));
    assert_eq!(restore(&expiring, Some(millis(5)), 5), Ok(None));
    let error = restore(&plain, Some(millis(10)), 0).unwrap_err();
    assert_eq!(error.message, "keyed state \"last\" was stored without a time-to-live, and has one now");
    let error = restore(&expiring, None, 0).unwrap_err();
    assert_eq!(error.message, "keyed state \"last\" was stored with a time-to-live, and has none now");
}
