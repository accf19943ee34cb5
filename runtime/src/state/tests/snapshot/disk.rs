//! Chains of snapshots of tables on disk.

use super::{visits::check_visited_while_given, *};
use crate::state::disk::{DiskTable, tests};

struct OnDisk {
    table: DiskTable<u16, u32>,
    place: usize,
    last: u32,
}

impl Default for OnDisk {
    fn default() -> Self {
        let Backend::Disk(disk) = tests::tiny() else { unreachable!("it is on disk") };
        Self { table: DiskTable::new(&disk), place: 0, last: 0 }
    }
}

impl OnDisk {
    fn change(&mut self, change: &Change, chain: &mut Chain) {
        let Self { table, place, last } = self;
        let mut next = || {
            *last += 997;
            *last
        };
        match *change {
            Change::Set(keys) => keys.iter().for_each(|key| {
                let value = next();
                table.insert(hash(key), &key, value).unwrap();
                chain.put(key, value);
            }),
            Change::Upsert(keys) => keys.iter().for_each(|key| {
                let value = next();
                *table.entry(hash(key), &key, &mut || 0).unwrap() = value;
                chain.put(key, value);
            }),
            Change::Find(keys) => keys.iter().for_each(|key| {
                assert_eq!(table.get(hash(key), &key).unwrap(), chain.get(key).as_ref());
            }),
            Change::FindMut(keys) => keys.iter().for_each(|key| {
                let value = next();
                let held = table.get_mut(hash(key), &key).unwrap();
                assert_eq!(held.as_deref(), chain.get(key).as_ref());
                if let Some(held) = held {
                    *held = value;
                    chain.put(key, value);
                }
            }),
            Change::Keep(keys, keep) => keys.iter().for_each(|key| {
                let value = next();
                let mut change = |held: &mut u32| {
                    *held = value;
                    keep
                };
                if table.get_kept(hash(key), &key, &mut change).unwrap().is_some() {
                    chain.put(key, value);
                } else {
                    chain.take(key);
                }
            }),
            Change::Prune(keys, due, keep) => keys.iter().for_each(|key| {
                let value = next();
                let mut prune = |held: &mut u32| {
                    *held = value;
                    keep
                };
                let there = table.get_pruned(hash(key), &key, &mut |_| due, &mut prune).unwrap().copied();
                if due && there.is_some() {
                    chain.put(key, value);
                } else if due {
                    chain.take(key);
                }
                assert_eq!(there, chain.get(key));
            }),
            Change::Take(keys) => keys.iter().for_each(|key| {
                assert_eq!(table.remove(hash(key), &key).unwrap(), chain.get(key));
                chain.take(key);
            }),
            Change::Search(places, n) => {
                let mut looks = Vec::new();
                let mut keep = |value: &mut u32| {
                    looks.push(*value);
                    *value += 1;
                    !(*value - 1).is_multiple_of(n)
                };
                *place = table.search(*place, places.into(), &mut |value| value % n < 2, &mut keep).unwrap();
                let seen = |value: u32| looks.contains(&value);
                chain.update_where(|_, value| seen(value), |value| (value % n != 0).then_some(value + 1));
            }
            Change::Visit(places, n) => visit(table, places, n, chain),
            Change::Fold(_) | Change::All | Change::Retain(_) | Change::Drain => unreachable!("not of these tables"),
        }
        assert_eq!(table.keys(), chain.len());
    }

    fn entries(&mut self) -> BTreeMap<u16, u32> {
        let keys = self.table.held_keys().unwrap();
        let entries: BTreeMap<u16, u32> =
            keys.iter().map(|key| (*key, *self.table.get(hash(*key), key).unwrap().unwrap())).collect();
        assert_eq!((keys.len(), entries.len()), (self.table.keys(), self.table.keys()));
        let (mut cursor, mut seen) = (Cursor::default(), BTreeMap::new());
        let mut look = |key: &u16, value: &u32| {
            assert_eq!(seen.insert(*key, *value), None, "{key} twice");
            Ok(())
        };
        while self.table.walk(&mut cursor, 7, &mut look).unwrap() == Progress::More {}
        assert_eq!(self.table.walk(&mut cursor, 7, &mut look).unwrap(), Progress::Done);
        assert_eq!(seen, entries);
        entries
    }
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => keys().prop_map(Change::Set),
        3 => keys().prop_map(Change::Upsert),
        1 => keys().prop_map(Change::Find),
        1 => keys().prop_map(Change::FindMut),
        2 => (keys(), any::<bool>()).prop_map(|(keys, keep)| Change::Keep(keys, keep)),
        2 => (keys(), any::<bool>(), any::<bool>()).prop_map(|(keys, due, keep)| Change::Prune(keys, due, keep)),
        4 => keys().prop_map(Change::Take),
        2 => (1..600u16, 1..20u32).prop_map(|(places, n)| Change::Search(places, n)),
        1 => (1..600u16, 1..20u32).prop_map(|(places, n)| Change::Visit(places, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_chain_of_snapshots_of_a_table_on_disk_has_what_was_there(steps in steps(changes(), 60)) {
        let mut chain = Chain::default();
        chain.on_disk = true;
        check(&steps, |on_disk: &mut OnDisk| &mut on_disk.table, OnDisk::change, OnDisk::entries, chain);
    }
}

#[test]
fn what_a_visit_makes_of_a_table_on_disk_is_in_no_earlier_snapshot() {
    for backend in [tests::tiny(), tests::small()] {
        let Backend::Disk(disk) = backend else { unreachable!("it is on disk") };
        check_visited_while_given(&mut DiskTable::new(&disk), Extent::Whole);
        let mut table = DiskTable::<u16, u32>::new(&disk);
        table.begin(Extent::Whole, all(4)).unwrap();
        while table.advance(1_000, &mut |_| Ok(())).unwrap() != Progress::Done {}
        check_visited_while_given(&mut table, Extent::Changed);
    }
}
