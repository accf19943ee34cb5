//! Timer queues against sorted sets.

use std::collections::BTreeSet;

use flott_core::key_group::{KeyGroupRange, MaxParallelism};
use proptest::prelude::*;

use super::*;
use crate::state::{Extent, GroupSpace, Progress, Snapshot};

fn hash(key: &u32) -> KeyHash {
    KeyHash::of(key)
}

#[derive(Debug, Clone)]
enum Step {
    Add(Timestamp, u32, u8),
    Remove(Timestamp, u32, u8),
    Pop(Timestamp),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || prop_oneof![5 => -3i64..3, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let step = prop_oneof![
        6 => (at(), 0u32..40, 0u8..2).prop_map(|(at, key, n)| Step::Add(at, key, n)),
        2 => (at(), 0u32..40, 0u8..2).prop_map(|(at, key, n)| Step::Remove(at, key, n)),
        1 => at().prop_map(Step::Pop),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn timers_are_kept_once_and_come_in_order(steps in steps()) {
        let mut queue = TimerQueue::<u32, u8>::default();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Add(at, key, n) => {
                    prop_assert_eq!(queue.add(at, hash(&key), &key, &n), model.insert((at, key, n)));
                }
                Step::Remove(at, key, n) => {
                    prop_assert_eq!(queue.remove(at, hash(&key), &key, &n), model.remove(&(at, key, n)));
                }
                Step::Pop(until) => {
                    let (mut popped, mut upcoming) = (Vec::new(), Vec::new());
                    queue.upcoming(until, 30, &mut upcoming);
                    let mut hashes = Vec::new();
                    while let Some(due) = queue.pop(until) {
                        hashes.push(due.hash);
                        prop_assert_eq!(due.hash, hash(&due.key));
                        popped.push((due.at, due.key, due.namespace));
                    }
                    prop_assert!(popped.is_sorted_by_key(|due| due.0));
                    prop_assert!(upcoming.len() <= 30);
                    hashes.truncate(upcoming.len());
                    let by_value = |hash: &KeyHash| hash.for_table();
                    hashes.sort_by_key(by_value);
                    upcoming.sort_by_key(by_value);
                    prop_assert_eq!(upcoming, hashes);
                    popped.sort_unstable();
                    let expected: Vec<_> = model.iter().copied().filter(|timer| timer.0 <= until).collect();
                    prop_assert_eq!(popped, expected);
                    model.retain(|timer| timer.0 > until);
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.next(), model.first().map(|timer| timer.0));
            let mut all: Vec<_> = queue.iter().map(|(at, _, key, n)| (at, *key, *n)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.iter().copied().collect::<Vec<_>>());
        }
    }
}

/// What happens to a queue while a snapshot of it is given.
#[derive(Debug, Clone)]
enum Event {
    Add(Timestamp, u32),
    /// So many at once, so that buckets are of both sorts and move.
    AddMany(Timestamp, u32, u32),
    Remove(Timestamp, u32),
    RemoveMany(Timestamp, u32, u32),
    Pop(Timestamp, usize),
    Upcoming(Timestamp),
    Begin,
    Advance(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let at = || prop_oneof![5 => 0i64..4, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let event = prop_oneof![
        4 => (at(), 0..60u32).prop_map(|(at, key)| Event::Add(at, key)),
        2 => (at(), 0..60u32, 1..60u32).prop_map(|(at, key, count)| Event::AddMany(at, key, count)),
        4 => (at(), 0..60u32).prop_map(|(at, key)| Event::Remove(at, key)),
        1 => (at(), 0..60u32, 1..60u32).prop_map(|(at, key, count)| Event::RemoveMany(at, key, count)),
        2 => (at(), 1..30usize).prop_map(|(at, count)| Event::Pop(at, count)),
        1 => at().prop_map(Event::Upcoming),
        1 => Just(Event::Begin),
        6 => prop_oneof![1..200usize, 200..2000usize].prop_map(Event::Advance),
    ];
    prop::collection::vec(event, 0..150)
}

proptest! {
    #[test]
    fn a_snapshot_has_the_timers_that_there_were(events in events()) {
        let max = MaxParallelism::new(3).unwrap();
        let groups = GroupSpace { max, held: KeyGroupRange::all(max) };
        let mut queue = TimerQueue::<u32, ()>::default();
        let (mut model, mut at_cut) = (BTreeSet::new(), None);
        let mut restored = TimerQueue::<u32, ()>::default();
        for event in events.into_iter().chain([Event::Advance(usize::MAX)]) {
            match event {
                Event::Add(at, key) => {
                    prop_assert_eq!(queue.add(at, hash(&key), &key, &()), model.insert((at, key)));
                }
                Event::AddMany(at, key, count) => for key in key..key + count {
                    prop_assert_eq!(queue.add(at, hash(&key), &key, &()), model.insert((at, key)));
                },
                Event::Remove(at, key) => {
                    prop_assert_eq!(queue.remove(at, hash(&key), &key, &()), model.remove(&(at, key)));
                }
                Event::RemoveMany(at, key, count) => for key in key..key + count {
                    prop_assert_eq!(queue.remove(at, hash(&key), &key, &()), model.remove(&(at, key)));
                },
                Event::Pop(until, count) => for _ in 0..count {
                    let due = queue.pop(until).map(|due| (due.at, due.key));
                    prop_assert_eq!(due.is_some(), model.first().is_some_and(|first| first.0 <= until));
                    prop_assert!(due.is_none_or(|due| model.remove(&due)));
                },
                Event::Upcoming(until) => queue.upcoming(until, 10, &mut Vec::new()),
                Event::Begin => {
                    queue.begin(Extent::Whole, groups).unwrap();
                    at_cut = Some(model.clone());
                    restored = TimerQueue::default();
                }
                Event::Advance(bytes) => {
                    let mut given = 0;
                    let progress = queue.advance(bytes, &mut |entries| {
                        given += entries.count;
                        restored.restore(entries.count, entries.bytes)
                    }).unwrap();
                    match &at_cut {
                        None => prop_assert_eq!((given, progress), (0, Progress::Done)),
                        Some(_) if progress == Progress::More => {}
                        Some(expected) => {
                            let mut all: Vec<_> = restored.iter().map(|(at, _, key, ())| (at, *key)).collect();
                            all.sort_unstable();
                            prop_assert!(all.iter().eq(expected));
                            at_cut = None;
                        }
                    }
                }
            }
            prop_assert_eq!(queue.len(), model.len());
        }
        prop_assert!(at_cut.is_none());
    }
}
