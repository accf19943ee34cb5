//! Snapshots of tables that go on being changed while they are given: what a chain of them has is what was there.

mod chain;
#[cfg(feature = "disk")]
mod disk;
mod visits;

use chain::Chain;
use visits::visit;

use super::*;

const KEYS: u16 = 600;

/// What is done to a table, to some keys at once: from the first on, so many, this far apart.
#[derive(Debug, Clone, Copy)]
struct Keys(u16, u16, u16);

impl Keys {
    fn iter(self) -> impl Iterator<Item = u16> {
        let Self(first, count, apart) = self;
        (0..count).map(move |n| (first + n * apart) % KEYS)
    }
}

fn keys() -> impl Strategy<Value = Keys> {
    let count = prop_oneof![4 => 1..4u16, 2 => 20..60u16, 1 => 200..KEYS];
    (0..KEYS, count, 1..4u16).prop_map(|(first, count, apart)| Keys(first, count, apart))
}

#[derive(Debug, Clone)]
enum Change {
    Set(Keys),
    Upsert(Keys),
    Fold(Keys),
    Find(Keys),
    FindMut(Keys),
    Keep(Keys, bool),
    Prune(Keys, bool, bool),
    Take(Keys),
    All,
    Retain(u32),
    Search(u16, u32),
    /// All of it in steps of so many places; what is divisible goes.
    Visit(u16, u32),
    Drain,
}

#[derive(Debug, Clone)]
enum Step {
    Change(Change),
    Begin(Extent),
    Advance(usize),
    Finish,
    Abandon,
}

fn steps(change: impl Strategy<Value = Change> + 'static, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => change.prop_map(Step::Change),
        2 => prop_oneof![1 => Just(Extent::Whole), 4 => Just(Extent::Changed)].prop_map(Step::Begin),
        6 => prop_oneof![Just(0usize), 1..200usize, 200..4000usize].prop_map(Step::Advance),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
    ];
    prop::collection::vec(step, 0..most)
}

fn heap_changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => keys().prop_map(Change::Set),
        3 => keys().prop_map(Change::Upsert),
        1 => keys().prop_map(Change::Fold),
        1 => keys().prop_map(Change::Find),
        1 => keys().prop_map(Change::FindMut),
        2 => (keys(), any::<bool>()).prop_map(|(keys, keep)| Change::Keep(keys, keep)),
        2 => (keys(), any::<bool>(), any::<bool>()).prop_map(|(keys, due, keep)| Change::Prune(keys, due, keep)),
        4 => keys().prop_map(Change::Take),
        1 => Just(Change::All),
        1 => (1..20u32).prop_map(Change::Retain),
        2 => (1..600u16, 1..20u32).prop_map(|(places, n)| Change::Search(places, n)),
        1 => (1..600u16, 1..20u32).prop_map(|(places, n)| Change::Visit(places, n)),
    ]
}

fn hash(key: u16) -> KeyHash {
    KeyHash::of(&key)
}

/// A table of the kind under test, and where its search goes on.
#[derive(Default)]
struct Heap {
    table: HeapTable<u16, u32>,
    place: usize,
    last: u32,
}

impl Heap {
    fn change(&mut self, change: &Change, chain: &mut Chain) {
        let Self { table, place, last } = self;
        // So far apart that they stay different: the search is known by what it looks at.
        let mut next = || {
            *last += 997;
            *last
        };
        match *change {
            Change::Set(keys) => keys.iter().for_each(|key| {
                let value = next();
                table.set(hash(key), &key, value);
                chain.put(key, value);
            }),
            Change::Upsert(keys) => keys.iter().for_each(|key| {
                let value = next();
                *table.upsert(hash(key), &key, || 0) = value;
                chain.put(key, value);
            }),
            Change::Fold(keys) => keys.iter().for_each(|key| {
                let value = next();
                let add = |(): &mut (), held: &mut u32, value| *held = value;
                table.fold(hash(key), &key, value, &mut (), |(), value| value, add);
                chain.put(key, value);
            }),
            Change::Find(keys) => keys.iter().for_each(|key| {
                assert_eq!(table.find(hash(key), &key), chain.get(key).as_ref());
                assert_eq!(table.get(hash(key), &key).unwrap(), chain.get(key).as_ref());
            }),
            Change::FindMut(keys) => keys.iter().for_each(|key| {
                let value = next();
                let held = table.find_mut(hash(key), &key);
                assert_eq!(held.as_deref(), chain.get(key).as_ref());
                if let Some(held) = held {
                    *held = value;
                    chain.put(key, value);
                }
            }),
            Change::Keep(keys, keep) => keys.iter().for_each(|key| {
                let value = next();
                let kept = table.find_kept(hash(key), &key, |held| {
                    *held = value;
                    keep
                });
                if kept.is_some() {
                    chain.put(key, value);
                } else {
                    chain.take(key);
                }
            }),
            Change::Prune(keys, due, keep) => keys.iter().for_each(|key| {
                let value = next();
                let prune = |held: &mut u32| {
                    *held = value;
                    keep
                };
                let there = table.find_pruned(hash(key), &key, |_| due, prune).copied();
                if due && there.is_some() {
                    chain.put(key, value);
                } else if due {
                    chain.take(key);
                }
                assert_eq!(there, chain.get(key));
            }),
            Change::Take(keys) => keys.iter().for_each(|key| {
                assert_eq!(table.take(hash(key), &key), chain.get(key));
                chain.take(key);
            }),
            Change::All => {
                table.values_mut().for_each(|value| *value += 1);
                chain.update(|_, value| Some(value + 1));
            }
            Change::Retain(n) => {
                table.retain(|_, value| value % n != 0);
                chain.update_where(|_, value| value % n == 0, |_| None);
            }
            Change::Search(places, n) => {
                let mut looks = Vec::new();
                let due = |value: &u32| value % n < 2;
                *place = table.search(*place, places.into(), due, |value| {
                    looks.push(*value);
                    *value += 1;
                    (*value - 1) % n != 0
                });
                let seen = |value: u32| looks.contains(&value);
                chain.update_where(|_, value| seen(value), |value| (value % n != 0).then_some(value + 1));
            }
            Change::Visit(places, n) => visit(table, places, n, chain),
            Change::Drain => unreachable!("these tables are not drained"),
        }
        assert_eq!(table.keys(), chain.len());
    }
}

#[derive(Default)]
struct Fold {
    table: FoldTable<u16, u32>,
    last: u32,
}

impl Fold {
    fn change(&mut self, change: &Change, chain: &mut Chain) {
        let Self { table, last } = self;
        match change {
            Change::Drain => {
                table.drain_entries().for_each(|(key, value)| assert_eq!(chain.get(key), Some(value)));
                chain.update(|_, _| None);
            }
            Change::Fold(keys) => keys.iter().for_each(|key| {
                *last += 1;
                let mut spots = Vec::new();
                table.locate(&[hash(key)], std::iter::once(&key), &mut spots);
                match table.at(spots[0]) {
                    Some((_, value)) => *value = *last,
                    None => {
                        table.fold(hash(key), key, *last, &mut (), |(), value| value, |(), held, value| *held = value);
                    }
                }
                // It is there now, where it was not when it was located.
                table.fold(hash(key), key, *last, &mut (), |(), value| value, |(), held, value| *held = value);
                chain.put(key, *last);
            }),
            _ => unreachable!("these tables do not know it"),
        }
        assert_eq!(table.keys(), chain.len());
    }
}

fn check<T: Default>(
    steps: &[Step],
    snapshot: fn(&mut T) -> &mut dyn Snapshot,
    change: fn(&mut T, &Change, &mut Chain),
    entries: fn(&mut T) -> BTreeMap<u16, u32>,
    chain: Chain,
) {
    let restore = |runs: &[Run]| {
        let mut restored = T::default();
        runs.iter().for_each(|run| run.put_back(snapshot(&mut restored)));
        restored
    };
    let (mut tested, mut chain) = (T::default(), chain);
    for step in steps {
        match step {
            Step::Change(what) => change(&mut tested, what, &mut chain),
            Step::Begin(extent) => chain.begin(snapshot(&mut tested), *extent),
            Step::Advance(bytes) => _ = chain.advance(snapshot(&mut tested), *bytes),
            Step::Finish => while chain.advance(snapshot(&mut tested), 500) != Progress::Done {},
            Step::Abandon => chain.abandon(snapshot(&mut tested)),
        }
        if let Some(stored) = chain.take_stored() {
            assert_eq!(entries(&mut restore(&stored)), chain.at_cut());
        }
        assert_eq!(entries(&mut tested), chain.entries());
    }
    // What was restored goes on in a chain.
    while chain.advance(snapshot(&mut tested), 500) != Progress::Done {}
    let Some((mut chain, stored)) = chain.go_on() else { return };
    let mut tested = restore(&stored);
    for step in steps {
        if let Step::Change(what) = step {
            change(&mut tested, what, &mut chain);
        }
    }
    chain.begin(snapshot(&mut tested), Extent::Changed);
    while chain.advance(snapshot(&mut tested), 500) != Progress::Done {}
    let stored = chain.take_stored().unwrap();
    assert_eq!(entries(&mut restore(&stored)), chain.entries());
}

proptest! {
    #[test]
    fn a_chain_of_snapshots_of_a_heap_table_has_what_was_there(steps in steps(heap_changes(), 120)) {
        let entries = |heap: &mut Heap| heap.table.iter().map(|(key, value)| (*key, *value)).collect();
        check(&steps, |heap: &mut Heap| &mut heap.table, Heap::change, entries, Chain::default());
    }

    #[test]
    fn a_chain_of_snapshots_of_a_folding_table_has_what_was_there(
        steps in steps(prop_oneof![20 => keys().prop_map(Change::Fold), 1 => Just(Change::Drain)], 120),
    ) {
        let entries = |fold: &mut Fold| fold.table.clone().into_entries().collect();
        check(&steps, |fold: &mut Fold| &mut fold.table, Fold::change, entries, Chain::default());
    }
}

/// An entry of about 200 bytes.
fn long(key: u64, value: u64) -> String {
    format!("{value:>0$}", 180 + (key % 20) as usize)
}

#[test]
pub(super) fn steps_and_runs_are_of_a_sensible_size() {
    let mut table = HeapTable::<u64, String>::default();
    for key in 0..10_000 {
        table.set(KeyHash::of(&key), &key, long(key, 0));
    }
    table.begin(Extent::Whole, all(4)).unwrap();
    let (mut runs, mut steps, mut step) = (Vec::new(), 0, 0);
    loop {
        let progress = table.advance(20_000, &mut kept(&mut runs)).unwrap();
        let given: usize = runs[step..].iter().map(|run| run.bytes.len()).sum();
        assert!(given <= 20_000 + (32 << 10) + 300, "a step gave {given} bytes");
        (steps, step) = (steps + 1, runs.len());
        if progress == Progress::Done {
            break;
        }
        // The table is changed meanwhile: what was not given is kept aside, old.
        for key in (0..10_000).skip(steps).step_by(100) {
            table.set(KeyHash::of(&key), &key, long(key, steps as u64));
        }
    }
    let bytes: usize = runs.iter().map(|run| run.bytes.len()).sum();
    assert!(steps >= bytes / 60_000 && steps <= 2 * bytes / 20_000, "{steps} steps for {bytes} bytes");
    assert!(runs.len() <= bytes / (32 << 10) + 4, "{} runs for {bytes} bytes", runs.len());
    let mut given: Vec<(u64, String)> = runs.iter().flat_map(Run::decode).collect();
    given.sort_unstable();
    assert!(given.into_iter().eq((0..10_000).map(|key| (key, long(key, 0)))));
}

#[test]
pub(super) fn what_has_not_changed_is_passed_over_in_bounded_steps() {
    let mut table = HeapTable::<u64, u64>::with_capacity(100_000);
    for key in 0..100_000 {
        table.set(KeyHash::of(&key), &key, key);
    }
    whole(&mut table, all(128));
    table.set(KeyHash::of(&7), &7, 8);
    table.begin(Extent::Changed, all(128)).unwrap();
    let (mut steps, mut given) = (0, Vec::new());
    loop {
        steps += 1;
        let progress = table.advance(100, &mut kept(&mut given));
        if progress.unwrap() == Progress::Done {
            break;
        }
    }
    assert_eq!(given.iter().flat_map(Run::decode::<(u64, u64)>).collect::<Vec<_>>(), [(7, 8)]);
    // A word of marks counts as four bytes.
    let words = 131_072 / 64;
    assert!((words / 25..words / 25 + 10).contains(&steps), "{steps} steps");
}

#[test]
pub(super) fn an_entry_that_cannot_be_encoded_ends_the_snapshot_and_not_the_table() {
    /// Odd ones fail.
    #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
    struct Picky(u64);

    impl serde::Serialize for Picky {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 % 2 == 1 {
                return Err(serde::ser::Error::custom("odd"));
            }
            serializer.serialize_u64(self.0)
        }
    }

    let mut table = HeapTable::<u64, Picky>::default();
    table.set(KeyHash::of(&1), &1, Picky(1));
    for change in [false, true] {
        table.begin(Extent::Whole, all(4)).unwrap();
        if change {
            table.set(KeyHash::of(&1), &1, Picky(2));
        }
        let error = table.advance(1000, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.message, "keyed state cannot be encoded");
        assert_eq!(table.advance(1000, &mut |_| Ok(())).unwrap(), Progress::Done);
        assert!(table.begin(Extent::Changed, all(4)).is_err());
    }
    assert_eq!(whole(&mut table, all(4))[0].decode::<(u64, Picky)>(), [(1, Picky(2))]);
}

#[test]
pub(super) fn what_the_sink_cannot_take_ends_the_snapshot() {
    let mut table = HeapTable::<u64, u64>::default();
    table.set(KeyHash::of(&1), &1, 1);
    table.begin(Extent::Changed, all(4)).unwrap();
    let full = || Box::new(flott_core::failure::Failure::environment("no space"));
    assert_eq!(table.advance(1000, &mut |_| Err(full())).unwrap_err().message, "no space");
    assert!(table.begin(Extent::Changed, all(4)).is_err());
    table.begin(Extent::Whole, all(4)).unwrap();
}

#[test]
pub(super) fn a_restore_that_comes_late_ends_the_chain() {
    let mut stored = HeapTable::<u64, u64>::default();
    stored.set(KeyHash::of(&1), &1, 1);
    let runs = whole(&mut stored, all(4));
    let mut table = HeapTable::<u64, u64>::default();
    runs[0].put_back(&mut table);
    table.set(KeyHash::of(&2), &2, 2);
    runs[0].put_back(&mut table);
    assert!(table.begin(Extent::Changed, all(4)).is_err());
    assert_eq!(whole(&mut table, all(4)).iter().map(|run| run.count).sum::<usize>(), 2);
}

#[test]
pub(super) fn reading_a_state_with_a_time_to_live_does_not_change_it() {
    let changed = |ttl: StateTtl| {
        let mut states = new_states();
        let value = states.state("value").ttl(ttl).value::<u8>().unwrap();
        let list = states.state("list").ttl(ttl).list::<u8>().unwrap();
        let map = states.state("map").ttl(ttl).map::<u8, u8>().unwrap();
        for key in 0..10u8 {
            with_key(&mut states, key);
            value.set(&mut states, 1).unwrap();
            list.add(&mut states, 1).unwrap();
            map.insert(&mut states, &1, 1).unwrap();
        }
        whole_states(&mut states, all(4));
        states.set_now(5).unwrap();
        with_key(&mut states, 3u8);
        assert_eq!(value.get(&mut states).unwrap(), Some(&1));
        assert_eq!(list.get(&mut states).unwrap(), [1]);
        assert_eq!(map.get(&mut states, &1).unwrap(), Some(&1));
        assert_eq!(map.entries(&mut states).unwrap().len(), 1);
        // The search looks at all, and finds nothing.
        states.set_now(6).unwrap();
        states.begin_snapshot(Extent::Changed, all(4)).unwrap();
        let mut changed = 0;
        let mut sink = |_: &StateMeta, entries: GroupEntries<'_>| {
            changed += entries.count;
            Ok(())
        };
        while states.advance_snapshot(1000, &mut sink).unwrap() != Progress::Done {}
        changed
    };
    let ttl = StateTtl::new(std::time::Duration::from_millis(100)).cleanup(1000);
    assert_eq!(changed(ttl), 0);
    assert_eq!(changed(ttl.update_on_read()), 3);
}

/// Has a table be changed after a part of its snapshot was given.
#[track_caller]
fn check_moved(part: usize, change: impl FnOnce(&mut HeapTable<u64, u64>)) {
    let mut table = HeapTable::default();
    (0..7000u64).for_each(|key| table.set(KeyHash::of(&key), &key, key));
    table.begin(Extent::Whole, all(128)).unwrap();
    let mut runs = Vec::new();
    assert_eq!(table.advance(part, &mut kept(&mut runs)).unwrap(), Progress::More);
    change(&mut table);
    while table.advance(1000, &mut kept(&mut runs)).unwrap() != Progress::Done {}
    let mut given: Vec<(u64, u64)> = runs.iter().flat_map(Run::decode).collect();
    given.sort_unstable();
    assert!(given.into_iter().eq((0..7000).map(|key| (key, key))), "after {part} bytes");
}

#[test]
pub(super) fn entries_that_move_while_they_are_given_are_given_once() {
    for part in [1000, 50_000, 100_000] {
        // The table grows.
        check_moved(part, |table| (7000..20_000u64).for_each(|key| table.set(KeyHash::of(&key), &key, 0)));
        // It is put in order as so many were taken out.
        check_moved(part, |table| {
            (0..5000u64).for_each(|key| assert_eq!(table.take(KeyHash::of(&key), &key), Some(key)));
            for key in 7000..30_000u64 {
                table.set(KeyHash::of(&key), &key, 0);
                table.take(KeyHash::of(&(key - 10)), &(key - 10));
            }
        });
        // It gives its room back.
        check_moved(part, |table| {
            table.search(0, usize::MAX, |key| key % 100 != 0, |_| false);
            table.search(usize::MAX, 1, |_| false, |_| false);
        });
    }
}

#[test]
pub(super) fn a_folding_table_that_grows_while_it_is_given_misses_nothing() {
    for part in (100..4000).step_by(100) {
        let mut table = FoldTable::<u64, u64>::default();
        let add = |table: &mut FoldTable<u64, u64>, key: u64| {
            table.fold(KeyHash::of(&key), key, key, &mut (), |(), key| key, |(), _, _| ());
        };
        (0..300).for_each(|key| add(&mut table, key));
        table.begin(Extent::Whole, all(4)).unwrap();
        let mut runs = Vec::new();
        let mut progress = table.advance(part, &mut kept(&mut runs)).unwrap();
        let mut next = 300..2000;
        while progress == Progress::More {
            next.by_ref().take(100).for_each(|key| add(&mut table, key));
            progress = table.advance(1000, &mut kept(&mut runs)).unwrap();
        }
        let mut given: Vec<(u64, u64)> = runs.iter().flat_map(Run::decode).collect();
        given.sort_unstable();
        assert!(given.into_iter().eq((0..300).map(|key| (key, key))), "after {part} bytes");
    }
}
