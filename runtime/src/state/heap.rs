//! Tables in memory.

mod scan;

use std::mem;

use hashbrown::{
    HashTable,
    hash_table::{AbsentEntry, Entry},
};

use super::{
    entries,
    prefetch::prefetch,
    table::{GroupEntries, GroupSpace, KeyHash, Snapshot, StateTable},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Bytes of a table that the first two caches of a core hold beside a batch.
const NEAR_BYTES: usize = 256 << 10;

/// An open table of keys and values, addressed by the keys' stable hash, which is not stored: for integer keys working
/// it out again while the table grows is cheaper than half again the memory.
#[derive(Debug, Clone)]
pub struct HeapTable<K, V> {
    entries: HashTable<(K, V)>,
}

impl<K, V> Default for HeapTable<K, V> {
    fn default() -> Self {
        Self { entries: HashTable::new() }
    }
}

impl<K: Key, V> HeapTable<K, V> {
    /// An empty table with room for so many keys.
    pub fn with_capacity(keys: usize) -> Self {
        Self { entries: HashTable::with_capacity(keys) }
    }

    /// Keys that have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`, made by `create` where there is none. The hot path of aggregations: no dynamic call, and the
    /// key is copied only when it is new.
    #[inline(always)]
    pub fn upsert(&mut self, hash: KeyHash, key: &K, create: impl FnOnce() -> V) -> &mut V {
        // Most keys are there: looking for one alone is a shorter loop than looking for a free place as well.
        match self.entries.find_entry(hash.for_table(), |(known, _)| known == key) {
            Ok(entry) => &mut entry.into_mut().1,
            Err(absent) => insert(absent, hash, (key.clone(), create())),
        }
    }

    /// Adds `item` to the value of `key`: `first` makes a value of it where there is none, `add` changes one that is
    /// there. Both get `with`.
    #[inline(always)]
    pub fn fold<C, T>(
        &mut self,
        hash: KeyHash,
        key: &K,
        item: T,
        with: &mut C,
        first: impl FnOnce(&mut C, T) -> V,
        add: impl FnOnce(&mut C, &mut V, T),
    ) -> &mut V {
        match self.entries.find_entry(hash.for_table(), |(known, _)| known == key) {
            Ok(entry) => {
                let value = &mut entry.into_mut().1;
                add(with, value, item);
                value
            }
            Err(absent) => insert(absent, hash, (key.clone(), first(with, item))),
        }
    }

    /// Has the entries that keys with these `hashes` probably have loaded into the processor's nearest cache, where the
    /// table is too large to be there: the loads of a whole batch then overlap, instead of each record waiting for its own.
    #[inline]
    pub fn warm(&self, hashes: &[KeyHash]) {
        if self.entries.capacity() * size_of::<(K, V)>() < NEAR_BYTES {
            return;
        }
        for hash in hashes {
            if let Some(entry) = self.entries.iter_hash(hash.for_table()).next() {
                prefetch(entry);
            }
        }
    }

    /// The value of `key`.
    #[inline]
    pub fn find(&self, hash: KeyHash, key: &K) -> Option<&V> {
        self.entries.find(hash.for_table(), |(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of `key`, to be changed in place.
    #[inline]
    pub fn find_mut(&mut self, hash: KeyHash, key: &K) -> Option<&mut V> {
        self.entries.find_mut(hash.for_table(), |(known, _)| known == key).map(|(_, value)| value)
    }

    /// Sets the value of `key`.
    #[inline]
    pub fn set(&mut self, hash: KeyHash, key: &K, value: V) {
        match self.entries.entry(hash.for_table(), |(known, _)| known == key, rehash) {
            Entry::Occupied(entry) => entry.into_mut().1 = value,
            Entry::Vacant(entry) => {
                entry.insert((key.clone(), value));
            }
        }
    }

    /// Takes the value of `key` out.
    #[inline]
    pub fn take(&mut self, hash: KeyHash, key: &K) -> Option<V> {
        let entry = self.entries.find_entry(hash.for_table(), |(known, _)| known == key).ok()?;
        Some(entry.remove().0.1)
    }

    /// Keys and values, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

/// Puts in an entry whose key is not there.
#[inline(never)]
fn insert<K: Key, V>(absent: AbsentEntry<'_, (K, V)>, hash: KeyHash, entry: (K, V)) -> &mut V {
    &mut absent.into_table().insert_unique(hash.for_table(), entry, rehash).into_mut().1
}

#[inline(always)]
fn rehash<K: Key, V>((key, _): &(K, V)) -> u64 {
    KeyHash::of(key).for_table()
}

impl<K: Key, V: Data> Snapshot for HeapTable<K, V> {
    fn keys(&self) -> usize {
        self.entries.len()
    }

    fn snapshot(&self, groups: GroupSpace, sink: &mut dyn FnMut(GroupEntries<'_>) -> TaskResult) -> TaskResult {
        entries::snapshot(self.entries.iter(), groups, sink)
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        entries::restore(count, bytes, |key, value| self.set(KeyHash::of(&key), &key, value))
    }
}

impl<K: Key, V: Data> StateTable<K, V> for HeapTable<K, V> {
    fn get(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&V>> {
        Ok(self.find(hash, key))
    }

    fn get_mut(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&mut V>> {
        Ok(self.find_mut(hash, key))
    }

    fn get_kept(&mut self, hash: KeyHash, key: &K, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<Option<&mut V>> {
        Ok(self.find_kept(hash, key, keep))
    }

    fn entry(&mut self, hash: KeyHash, key: &K, create: &mut dyn FnMut() -> V) -> TaskResult<&mut V> {
        Ok(self.upsert(hash, key, create))
    }

    fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult {
        self.set(hash, key, value);
        Ok(())
    }

    fn remove(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<V>> {
        Ok(self.take(hash, key))
    }

    fn search(&mut self, place: usize, places: usize, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<usize> {
        Ok(self.search(place, places, keep))
    }

    fn drain(&mut self, visit: &mut dyn FnMut(K, V) -> TaskResult) -> TaskResult {
        mem::take(&mut self.entries).into_iter().try_for_each(|(key, value)| visit(key, value))
    }
}
