use proptest::prelude::*;

use super::*;
use crate::state::{Extent, Snapshot, tests::all};

fn put(table: &mut HeapTable<u64, u64>, key: u64, value: u64) {
    table.set(KeyHash::of(&key), &key, value);
}

#[test]
fn a_round_looks_at_every_entry_once() {
    let mut table = HeapTable::default();
    (0..1000).for_each(|key| put(&mut table, key, 0));
    let (round, mut place, mut looks) = (table.entries.num_buckets(), 0, 0);
    for _ in 0..round {
        place = table.search(
            place,
            1,
            |_| true,
            |value| {
                *value += 1;
                looks += 1;
                true
            },
        );
    }
    assert_eq!(looks, 1000);
    assert!(table.iter().all(|(_, value)| *value == 1));
    // More than there are places is one round, wherever it starts.
    table.search(
        place / 3,
        usize::MAX,
        |_| true,
        |value| {
            *value += 1;
            true
        },
    );
    assert!(table.iter().all(|(_, value)| *value == 2));
}

#[test]
fn an_empty_table_is_searched_in_no_time() {
    let mut table = HeapTable::<u64, u64>::default();
    assert_eq!(table.search(0, usize::MAX, |_| true, |_| false), 1);
    assert_eq!(table.search(usize::MAX, usize::MAX, |_| true, |_| false), 1);
}

#[test]
fn a_table_that_was_large_gives_its_room_back() {
    let mut table = HeapTable::default();
    (0..100_000).for_each(|key| put(&mut table, key, key));
    let before = table.entries.num_buckets();
    let mut place = 0;
    for _ in 0..2 * before {
        place = table.search(place, 1, |value| *value >= 10, |_| false);
    }
    assert!(table.entries.num_buckets() < 100, "{} places for 10 entries", table.entries.num_buckets());
    let mut left: Vec<_> = table.iter().map(|(key, _)| *key).collect();
    left.sort_unstable();
    assert_eq!(left, Vec::from_iter(0..10));
}

proptest! {
    /// Values are the number of the insertion before which the entry was last looked at.
    #[test]
    fn nothing_is_missed_while_a_table_grows_and_churns(
        batch in 1..300usize,
        insertions in 1..10_000u64,
        // Keys that stay: the others are taken out some time after.
        stays in 1..4u64,
        lag in 1..2000u64,
        salt in any::<u64>(),
        tracked in any::<bool>(),
    ) {
        let mut table = HeapTable::default();
        if tracked {
            table.begin(Extent::Whole, all(16)).unwrap();
        }
        let (mut place, mut owed) = (0, 0);
        let key = |n: u64| n.wrapping_add(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for n in 0..insertions {
            put(&mut table, key(n), n);
            if let Some(old) = n.checked_sub(lag) && old % stays != 0 {
                let key = key(old);
                table.take(KeyHash::of(&key), &key);
            }
            owed += 5;
            if owed >= 5 * batch {
                place = table.search(place, std::mem::take(&mut owed), |_| true, |seen| {
                    *seen = n;
                    true
                });
                let longest = table.iter().map(|(_, seen)| n - seen).max().unwrap_or_default();
                let bound = 2 * table.entries.num_buckets() + batch;
                prop_assert!(longest <= bound as u64, "not seen for {longest} insertions, {bound} at most");
            }
        }
    }
}
