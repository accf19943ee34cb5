//! What is seen of a table on disk alone; what all tables do is tested with the others.

use std::{fs, path::PathBuf};

use super::*;
use crate::state::{
    Backend, KeyHash,
    table::{Extent, GroupEntries, Progress, Snapshot, StateTable},
    tests::all,
};

/// Where tests write: to memory where that can be, as what they test is not whether the disk keeps it.
pub fn directory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// Tables of which no more than a few entries are in memory.
pub fn tiny() -> Backend {
    Backend::Disk(Disk::with_least(&directory(), 0, Least { hot: 400, part: 2 << 10, changes: 300 }).unwrap())
}

/// Tables that have a few hundred entries in memory.
pub fn small() -> Backend {
    Backend::Disk(Disk::with_least(&directory(), 0, LEAST).unwrap())
}

fn table<K: crate::batch::Key, V: crate::batch::Data>(backend: &Backend) -> DiskTable<K, V> {
    let Backend::Disk(disk) = backend else { unreachable!("it is on disk") };
    DiskTable::new(disk)
}

#[test]
fn what_is_in_memory_is_bounded_where_values_grow_in_place() {
    let backend = small();
    let mut table = table::<u64, Vec<String>>(&backend);
    for (keys, rounds) in [(10, 150), (100, 60)] {
        for key in 0..keys {
            let list = table.entry(KeyHash::of(&key), &key, &mut Vec::new).unwrap();
            (list.len()..rounds).for_each(|_| list.push(String::new()));
            list.clear();
        }
        for round in 0..rounds {
            for key in 0..keys {
                let list = table.entry(KeyHash::of(&key), &key, &mut Vec::new).unwrap();
                list.push(format!("{round:>100}"));
                assert_eq!(list.len(), round + 1);
            }
        }
        let held: usize = (0..table.hot.places())
            .filter_map(|n| table.hot.get(table.hot.taken(n)?)?.value.as_ref())
            .map(|list| list.iter().map(String::len).sum::<usize>())
            .sum();
        // One entry is always there, however large, and changes are measured now and then.
        assert!(held < 2 * LEAST.hot + 100 * rounds, "{held} bytes are in memory, of {}", LEAST.hot);
        assert_eq!(table.keys() as u64, keys);
    }
}

#[test]
fn a_table_that_nothing_is_asked_of_has_nothing_in_memory() {
    let backend = small();
    let mut table = table::<u16, u32>(&backend);
    for key in 0..200 {
        table.insert(KeyHash::of(&key), &key, key.into()).unwrap();
    }
    while table.cool(30).unwrap() == Progress::More {}
    assert_eq!((table.hot.bytes(), table.hot.places()), (0, 0));
    for key in 0..200 {
        assert_eq!(table.get(KeyHash::of(&key), &key).unwrap(), Some(&key.into()));
    }
}

#[test]
fn the_one_key_of_a_stream_that_is_not_keyed_is_a_key() {
    for backend in [tiny(), small()] {
        let mut table = table::<(), Vec<u64>>(&backend);
        let hash = KeyHash::of(&());
        for number in 0..100 {
            table.entry(hash, &(), &mut Vec::new).unwrap().push(number);
            while number % 10 == 0 && table.cool(1).unwrap() == Progress::More {}
        }
        let (mut cursor, mut seen) = (crate::state::Cursor::default(), Vec::new());
        let mut see = |(): &(), list: &Vec<u64>| {
            seen.push(list.len());
            Ok(())
        };
        while table.walk(&mut cursor, 1, &mut see).unwrap() == Progress::More {}
        assert_eq!((seen, table.keys()), (vec![100], 1));
        assert_eq!(table.held_keys().unwrap(), [()]);
        assert_eq!(table.remove(hash, &()).unwrap().map(|list| list.len()), Some(100));
        assert_eq!(table.get(hash, &()).unwrap(), None);
    }
}

#[test]
fn keys_that_come_and_go_between_two_cuts_leave_no_trace_on_disk() {
    let backend = small();
    let mut table = table::<u64, u64>(&backend);
    for key in 0..20_000u64 {
        table.insert(KeyHash::of(&key), &key, key).unwrap();
        assert_eq!(table.remove(KeyHash::of(&key), &key).unwrap(), Some(key));
    }
    assert_eq!((table.keys(), table.stored(None).count(), table.hot.bytes()), (0, 0, 0));
}

/// A table with so many keys, all in memory.
fn filled(backend: &Backend, keys: u64) -> DiskTable<u64, u64> {
    let mut table = table(backend);
    (0..keys).for_each(|key| table.insert(KeyHash::of(&key), &key, key).unwrap());
    assert_eq!((0..table.hot.places()).filter_map(|n| table.hot.taken(n)).count() as u64, keys);
    table
}

/// Gives all of the snapshot that was begun, and says how many entries that were.
fn given<V: crate::batch::Data>(table: &mut DiskTable<u64, V>) -> usize {
    let mut count = 0;
    let mut sink = |entries: GroupEntries<'_>| {
        count += entries.count;
        Ok(())
    };
    while table.advance(1 << 10, &mut sink).unwrap() != Progress::Done {}
    count
}

#[test]
fn what_has_changed_is_given_without_the_tree() {
    let mut table = filled(&small(), 100);
    table.begin(Extent::Whole, all(4)).unwrap();
    assert_eq!(given(&mut table), 100);
    let written = |table: &DiskTable<u64, u64>| table.stored(None).map(|entry| entry.unwrap().1).collect::<Vec<_>>();
    let before = written(&table);
    assert_eq!(before.len(), 100);
    for key in 0..50 {
        table.insert(KeyHash::of(&key), &key, 7).unwrap();
    }
    table.begin(Extent::Changed, all(4)).unwrap();
    assert_eq!(given(&mut table), 50);
    assert_eq!(written(&table), before);
    // Nor does what the tree does not know count as changed.
    table.begin(Extent::Changed, all(4)).unwrap();
    assert_eq!(given(&mut table), 0);
    // It is not forgotten.
    while table.cool(10).unwrap() == Progress::More {}
    assert_eq!(table.get(KeyHash::of(&1), &1).unwrap(), Some(&7));
    assert_eq!(table.get(KeyHash::of(&60), &60).unwrap(), Some(&60));
}

#[test]
fn room_is_made_without_settling_all_that_a_snapshot_has() {
    let mut table = filled(&small(), 200);
    table.begin(Extent::Whole, all(4)).unwrap();
    (0..200).for_each(|key| assert!(table.get(KeyHash::of(&key), &key).unwrap().is_some()));
    // They are later than the snapshot, and used longest ago.
    for key in 0..20 {
        table.insert(KeyHash::of(&key), &key, 7).unwrap();
    }
    for _ in 0..100 {
        assert_eq!(table.cool(1).unwrap(), Progress::More);
        assert!(table.is_settling(Extent::Whole));
    }
    assert_eq!(given(&mut table), 200);
    assert_eq!(table.get(KeyHash::of(&1), &1).unwrap(), Some(&7));
}

/// A table of which a snapshot of all has begun, and its tree.
fn begun(disk: &Arc<Disk>) -> (DiskTable<u64, u64>, Arc<store::Tree>) {
    let mut table = filled(&Backend::Disk(Arc::clone(disk)), 1_000);
    table.prepare().unwrap();
    let tree = table.store.as_ref().unwrap().tree();
    table.begin(Extent::Whole, all(4)).unwrap();
    (table, tree)
}

/// Goes on with the snapshot until it waits for the disk.
fn until_it_waits(table: &mut DiskTable<u64, u64>) {
    loop {
        match table.advance(1 << 10, &mut |_| Ok(())).unwrap() {
            Progress::More => {}
            Progress::Waiting => return,
            Progress::Done => panic!("all was given with the disk behind"),
        }
    }
}

/// Has the snapshot wait for long already.
fn long_behind(table: &mut DiskTable<u64, u64>) {
    table.giving.as_mut().unwrap().behind.as_mut().unwrap().waited = 2 * store::WAIT_MAX;
}

/// A disk whose tables have a thousand entries in memory, and write small parts.
fn small_parts() -> Arc<Disk> {
    Disk::with_least(&directory(), 0, Least { hot: 1 << 20, part: 2 << 10, changes: 300 }).unwrap()
}

#[test]
fn a_step_does_not_wait_for_the_disk() {
    let disk = small_parts();
    let (mut table, tree) = begun(&disk);
    let held = tree.hold();
    until_it_waits(&mut table);
    // It says so again, and records come and go meanwhile: there is room for what they drive out.
    until_it_waits(&mut table);
    assert_eq!(table.cool(1).unwrap(), Progress::More);
    table.insert(KeyHash::of(&7), &7, 70).unwrap();
    drop(held);
    assert_eq!(given(&mut table), 1_000);
    assert_eq!(table.get(KeyHash::of(&7), &7).unwrap(), Some(&70));
}

#[test]
fn a_snapshot_that_waits_for_the_disk_fails_with_it_or_when_that_is_too_long() {
    let disk = small_parts();
    let (mut table, tree) = begun(&disk);
    let held = tree.hold();
    until_it_waits(&mut table);
    long_behind(&mut table);
    let failure = table.advance(1 << 10, &mut |_| Ok(())).unwrap_err();
    assert!(failure.message.starts_with("the disk took up no state within 120 s"), "{failure}");
    // None builds on it.
    assert!(table.begin(Extent::Changed, all(4)).is_err());
    table.begin(Extent::Whole, all(4)).unwrap();
    until_it_waits(&mut table);
    tree.fail(Failure::environment("the disk is gone"));
    let failure = table.advance(1 << 10, &mut |_| Ok(())).unwrap_err();
    assert_eq!(failure.message, "the disk is gone");
    drop(held);
}

#[test]
fn a_snapshot_waits_for_as_long_as_the_disk_takes_up_what_records_write() {
    let disk = small_parts();
    let (mut table, tree) = begun(&disk);
    for _ in 0..2 {
        let held = tree.hold();
        until_it_waits(&mut table);
        long_behind(&mut table);
        drop(held);
        tree.write_sealed();
        let held = tree.hold();
        // Before it goes on itself, there is no room again.
        while table.store.as_ref().unwrap().has_room().unwrap() {
            assert_eq!(table.cool(1).unwrap(), Progress::More);
        }
        until_it_waits(&mut table);
        drop(held);
    }
    assert!(table.is_settling(Extent::Whole));
    given(&mut table);
}

#[test]
fn time_in_which_no_step_asks_for_the_disk_hardly_counts() {
    let mut now = std::time::Instant::now();
    let mut behind = giving::Behind::new(now, 7);
    let mut after = |milliseconds: u64, taken_up| {
        now += std::time::Duration::from_millis(milliseconds);
        behind.again(now, taken_up).as_millis()
    };
    assert_eq!([after(300, 7), after(700, 7), after(3_600_000, 7), after(1, 7)], [300, 1_000, 2_000, 2_001]);
    assert_eq!([after(500, 8), after(500, 8)], [0, 500]);
}

#[test]
fn who_waits_for_the_disk_asks_once_for_it_to_be_written() {
    let disk = small_parts();
    let (_table, tree) = begun(&disk);
    let held = tree.hold();
    (0..1_000).for_each(|_| disk.upkeep().write(&tree));
    // The table's, this one, what is being written, and what waits for that; and it may be that it is to be merged.
    assert!(Arc::strong_count(&tree) <= 5, "{}", Arc::strong_count(&tree));
    drop(held);
}

#[test]
fn what_large_values_take_up_in_memory_is_known_when_they_come_again_and_are_given() {
    let (backend, key, large) = (small(), 1_u64, "x".repeat(300));
    let mut table = table::<u64, String>(&backend);
    let hash = KeyHash::of(&key);
    table.insert(hash, &key, large.clone()).unwrap();
    let bytes = table.hot.bytes();
    // Else nothing is left of what was removed.
    table.begin(Extent::Whole, all(4)).unwrap();
    given(&mut table);
    table.remove(hash, &key).unwrap();
    assert!(table.hot.bytes() < bytes / 2, "what was removed takes up {} bytes", table.hot.bytes());
    table.insert(hash, &key, large.clone()).unwrap();
    assert_eq!(table.hot.bytes(), bytes);
    for extent in [Extent::Changed, Extent::Whole] {
        table.remove(hash, &key).unwrap();
        table.insert(hash, &key, String::new()).unwrap();
        table.get_mut(hash, &key).unwrap().unwrap().push_str(&large);
        assert!(table.hot.bytes() < bytes);
        table.begin(extent, all(4)).unwrap();
        given(&mut table);
        assert_eq!(table.hot.bytes(), bytes);
    }
}

#[test]
fn entries_are_read_while_files_are_written_and_merged() {
    let Backend::Disk(disk) = tiny() else { unreachable!("it is on disk") };
    let store = store::Store::create(&disk).unwrap();
    for round in 0..4_000_u32 {
        for key in 0..8_u32 {
            store.write(&(key + round % 64 * 8).to_be_bytes(), Some(&[0; 64])).unwrap();
        }
        for _ in 0..8 {
            let first = store.entries(None).next().expect("there are some").unwrap();
            assert_eq!(&*first.0, &[0; 4]);
        }
    }
}

#[test]
fn a_key_that_is_too_long_is_refused_by_its_length() {
    let backend = tiny();
    let mut table = table::<String, u8>(&backend);
    let long = "x".repeat(70_000);
    let failure = table.insert(KeyHash::of(&long), &long, 1).unwrap_err();
    assert!(failure.message.contains("70004 bytes") && failure.message.contains("65535"), "{failure}");
}

#[test]
fn the_list_of_files_is_in_memory_where_there_is_room_and_goes_with_the_table() {
    let Backend::Disk(disk) = small() else { unreachable!("it is on disk") };
    let Some(lists) = &disk.lists else {
        assert!(!PathBuf::from(IN_MEMORY).is_dir(), "there is a file system in memory");
        return;
    };
    let among = |directory: &Path| {
        fs::read_dir(directory).unwrap().filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count()
    };
    let filled = || {
        let mut table = DiskTable::<u64, u64>::new(&disk);
        (0..20_000_u64).for_each(|key| table.insert(KeyHash::of(&key), &key, key).unwrap());
        assert!(table.stored(None).next().is_some());
        table
    };
    let table = filled();
    assert_eq!((among(lists.path()), among(disk.directory.path())), (1, 1));
    drop(table);
    // Another thread removes them.
    for _ in 0..1_000 {
        if among(lists.path()) + among(disk.directory.path()) == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!((among(lists.path()), among(disk.directory.path())), (0, 0));

    // As where that is full.
    fs::remove_dir(lists.path()).unwrap();
    fs::write(lists.path(), "").unwrap();
    let _table = filled();
    assert_eq!(among(disk.directory.path()), 1);
    fs::remove_file(lists.path()).unwrap();
}

#[test]
fn a_disk_that_fails_is_told_and_not_waited_for() {
    let backend = tiny();
    let mut table = table::<u64, u64>(&backend);
    let Backend::Disk(disk) = &backend else { unreachable!("it is on disk") };
    (0..100u64).for_each(|key| table.insert(KeyHash::of(&key), &key, key).unwrap());
    fs::remove_dir_all(disk.directory.path()).unwrap();
    let failure = (0..100_000u64).find_map(|key| table.insert(KeyHash::of(&key), &key, key).err()).unwrap();
    assert!(failure.message.starts_with("state on disk in "), "{failure}");
}
