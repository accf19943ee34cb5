#[cfg(feature = "disk")]
mod disk;
mod kinds;
mod migration;
mod model;
mod operator;
mod snapshot;
mod spill;
mod ttl;

use std::collections::{BTreeMap, HashMap};

use flott_core::key_group::{KeyGroup, KeyGroupRange, MaxParallelism};
use proptest::prelude::*;

use super::*;

pub(super) fn all(max: u32) -> GroupSpace {
    let max = MaxParallelism::new(max).unwrap();
    GroupSpace { max, held: KeyGroupRange::all(max) }
}

thread_local! {
    static BACKEND: std::cell::RefCell<Backend> = const { std::cell::RefCell::new(Backend::Heap) };
}

/// No states yet, in the backend under test.
fn new_states<K: crate::batch::Key>() -> KeyedStates<K> {
    let mut states = KeyedStates::default();
    states.keep_in(&BACKEND.with_borrow(Backend::clone));
    states
}

fn with_key<K: crate::batch::Key>(states: &mut KeyedStates<K>, key: K) -> &mut KeyedStates<K> {
    states.set_key(KeyHash::of(&key), key);
    states
}

/// Keys that have something in any state.
fn held<K: crate::batch::Key>(states: &KeyedStates<K>) -> usize {
    states.size().keys
}

/// A run of a snapshot, kept.
#[derive(Debug, Clone)]
struct Run {
    group: KeyGroup,
    content: Content,
    count: usize,
    bytes: Vec<u8>,
}

impl Run {
    fn of(entries: GroupEntries<'_>) -> Self {
        let GroupEntries { group, content, count, bytes } = entries;
        Self { group, content, count, bytes: bytes.to_vec() }
    }

    /// The keys and values, or the keys, in it.
    fn decode<T: serde::de::DeserializeOwned>(&self) -> Vec<T> {
        let mut entries = Vec::new();
        super::entries::decode(self.count, &self.bytes, |entry| entries.push(entry)).unwrap();
        entries
    }

    fn put_back(&self, table: &mut dyn Snapshot) {
        match self.content {
            Content::Values => table.restore(self.count, &self.bytes).unwrap(),
            Content::Removed => table.forget(self.count, &self.bytes).unwrap(),
        }
    }
}

/// Keeps the runs that it is given.
fn kept(runs: &mut Vec<Run>) -> impl FnMut(GroupEntries<'_>) -> crate::error::TaskResult {
    |entries| {
        runs.push(Run::of(entries));
        Ok(())
    }
}

/// A whole snapshot of a table.
fn whole(table: &mut dyn Snapshot, groups: GroupSpace) -> Vec<Run> {
    table.begin(Extent::Whole, groups).unwrap();
    let mut runs = Vec::new();
    while table.advance(1000, &mut kept(&mut runs)).unwrap() != Progress::Done {}
    runs
}

/// A whole snapshot of all states but the timers.
fn whole_states<K: crate::batch::Key>(states: &mut KeyedStates<K>, groups: GroupSpace) -> Vec<(StateMeta, Run)> {
    states.begin_snapshot(Extent::Whole, groups).unwrap();
    let mut runs = Vec::new();
    let mut sink = |meta: &StateMeta, entries: GroupEntries<'_>| {
        runs.push((meta.clone(), Run::of(entries)));
        Ok(())
    };
    while states.advance_snapshot(1000, &mut sink).unwrap() != Progress::Done {}
    runs
}

#[test]
fn each_key_has_its_own_value() {
    let mut states = new_states();
    let last = states.value::<u64>("last").unwrap();
    last.set(with_key(&mut states, "a".to_owned()), 1).unwrap();
    last.set(with_key(&mut states, "b".to_owned()), 2).unwrap();
    assert_eq!(last.get(with_key(&mut states, "a".to_owned())).unwrap(), Some(&1));
    last.clear(&mut states).unwrap();
    assert_eq!(last.get(&mut states).unwrap(), None);
    assert_eq!(last.get(with_key(&mut states, "b".to_owned())).unwrap(), Some(&2));
}

/// Counts `keys` by batches of `together`, as aggregations do.
#[track_caller]
fn check_counts<K: crate::batch::Key + std::hash::Hash + std::fmt::Debug>(keys: &[K], together: usize) {
    let mut table = FoldTable::default();
    let mut known: Vec<(K, u64)> = Vec::new();
    for keys in keys.chunks(together) {
        let hashes: Vec<_> = keys.iter().map(KeyHash::of).collect();
        let mut spots = Vec::new();
        table.locate(&hashes, keys.iter(), &mut spots);
        for ((key, hash), spot) in keys.iter().zip(hashes).zip(spots) {
            let (found, count) = match table.at(spot) {
                Some((found, count)) => {
                    *count += 1;
                    (found, count)
                }
                None => table.fold(hash, key.clone(), 1, &mut (), |(), one| one, |(), count, one| *count += one),
            };
            let expected = match known.iter_mut().find(|(known, _)| known == key) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    known.push((key.clone(), 1));
                    1
                }
            };
            assert_eq!((found, *count), (key, expected));
        }
        assert_eq!((table.len(), table.is_empty()), (known.len(), false));
    }
    assert!(known.iter().all(|(key, count)| table.find(KeyHash::of(key), key) == Some(count)));
    assert_eq!(table.clone().into_entries().collect::<Vec<_>>(), known);
    let mut halves = FoldTable::default();
    for (key, count) in known.iter().step_by(2) {
        halves.fold(KeyHash::of(key), key.clone(), *count, &mut (), |(), count| count, |(), _, _| {});
    }
    assert!(known.iter().skip(1).step_by(2).all(|(key, _)| halves.find(KeyHash::of(key), key).is_none()));
    assert_eq!(table.drain_entries().collect::<Vec<_>>(), known);
    assert!(table.is_empty());
}

proptest! {
    #[test]
    fn folding_tables_have_the_keys_in_the_order_in_which_they_came(
        keys in prop::collection::vec(0u64..200, 1..600),
        together in 1usize..40,
    ) {
        check_counts(&keys, together);
        check_counts(&keys.iter().map(u64::to_string).collect::<Vec<_>>(), together);
    }
}

#[test]
fn folding_tables_come_back_from_snapshots() {
    let mut table = FoldTable::default();
    let known: Vec<_> = (0..500u64).map(|number| (number.to_string(), number)).collect();
    for (key, value) in &known {
        table.fold(KeyHash::of(key), key.clone(), *value, &mut (), |(), value| value, |(), _, _| {});
    }
    let mut restored = FoldTable::default();
    whole(&mut table, all(128)).iter().for_each(|run| run.put_back(&mut restored));
    assert_eq!(restored.keys(), known.len());
    assert!(restored.into_entries().all(|entry| known.contains(&entry)));
}

/// A hash that all values share: their `Serialize` says nothing of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize)]
struct Alike(u32);

impl serde::Serialize for Alike {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[test]
fn keys_with_one_hash_are_told_apart() {
    check_counts(&(0..100).map(|number| Alike(number % 17)).collect::<Vec<_>>(), 10);
}

#[test]
fn lists_and_maps_that_become_empty_are_forgotten() {
    let mut states = new_states();
    let list = states.list::<u8>("list").unwrap();
    let map = states.map::<u8, u8>("map").unwrap();
    with_key(&mut states, 7u64);
    list.add(&mut states, 1).unwrap();
    list.add(&mut states, 2).unwrap();
    assert_eq!(list.get(&mut states).unwrap(), [1, 2]);
    map.insert(&mut states, &1, 10).unwrap();
    *map.get_or_insert_with(&mut states, &1, || 0).unwrap() += 1;
    assert_eq!(map.remove(&mut states, &1).unwrap(), Some(11));
    assert!(map.is_empty(&mut states).unwrap());
    list.set(&mut states, Vec::new()).unwrap();
    assert_eq!(held(&states), 0);
}

#[test]
fn misuse_is_told() {
    let mut states = new_states::<u64>();
    let last = states.value::<u64>("last").unwrap();
    assert!(last.get(&mut states).unwrap_err().message.contains("while a record is processed"));
    with_key(&mut states, 1);
    assert!(ValueState::<u64>::default().get(&mut states).unwrap_err().message.contains("not bound"));
    let check = |error: Box<flott_core::failure::Failure>, is: &str| {
        assert_eq!(error.message, format!("keyed state \"last\" is a value of u64, and cannot be {is} too"));
    };
    check(states.value::<String>("last").unwrap_err(), "a value of alloc::string::String");
    check(states.list::<u64>("last").unwrap_err(), "a list of u64");
    check(states.map::<u8, u16>("last").unwrap_err(), "a map of u8 to u16");
    check(states.reducing::<u64>("last", |_, _| {}).unwrap_err(), "a reduction of u64");
}

#[test]
fn a_state_of_the_same_name_and_type_is_shared() {
    let mut states = new_states();
    let (one, two) = (states.value::<u64>("x").unwrap(), states.value::<u64>("x").unwrap());
    one.set(with_key(&mut states, 1u8), 5).unwrap();
    assert_eq!(two.get(&mut states).unwrap(), Some(&5));
}

#[test]
fn foreign_groups_are_refused() {
    let mut table = HeapTable::default();
    for key in 0..100u64 {
        table.set(KeyHash::of(&key), &key, key);
    }
    let max = MaxParallelism::new(128).unwrap();
    let held = KeyGroupRange::all(max).iter().next().map(|group| KeyGroupRange::new(group, group).unwrap()).unwrap();
    table.begin(Extent::Whole, GroupSpace { max, held }).unwrap();
    let error = table.advance(1000, &mut |_| Ok(())).unwrap_err();
    assert!(error.message.contains("but the subtask has groups 0..=0"), "{error}");
    assert_eq!(table.advance(1000, &mut |_| Ok(())).unwrap(), Progress::Done);
}

#[test]
fn broken_snapshots_are_errors() {
    let mut table = HeapTable::<u64, u64>::default();
    assert!(table.restore(1, &[1, 2, 3]).is_err());
    assert!(table.restore(0, &[1]).is_err());
    assert!(table.forget(1, &[1, 2, 3]).is_err());
    assert!(table.expect(usize::MAX).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u32),
    Add(u8, u32),
    Take(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..40u8, 0..1000u32).prop_map(|(key, value)| Step::Set(key, value)),
        (0..40u8, 0..1000u32).prop_map(|(key, value)| Step::Add(key, value)),
        (0..40u8).prop_map(Step::Take),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn heap_is_a_map_and_survives_a_snapshot(steps in steps(), groups in 1u32..300) {
        let mut model = HashMap::new();
        let mut table = HeapTable::<String, u32>::default();
        for step in steps {
            match step {
                Step::Set(key, value) => {
                    let key = format!("key {key}");
                    table.insert(KeyHash::of(&key), &key, value).unwrap();
                    model.insert(key, value);
                }
                Step::Add(key, value) => {
                    let key = format!("key {key}");
                    *table.entry(KeyHash::of(&key), &key, &mut || 0).unwrap() += value;
                    *model.entry(key).or_insert(0) += value;
                }
                Step::Take(key) => {
                    let key = format!("key {key}");
                    prop_assert_eq!(table.remove(KeyHash::of(&key), &key).unwrap(), model.remove(&key));
                }
            }
        }
        prop_assert_eq!(table.keys(), model.len());
        let mut restored = HeapTable::<String, u32>::default();
        whole(&mut table, all(groups)).iter().for_each(|run| run.put_back(&mut restored));
        let left: BTreeMap<_, _> = restored.iter().map(|(key, value)| (key.clone(), *value)).collect();
        prop_assert_eq!(left, model.into_iter().collect());
    }
}
