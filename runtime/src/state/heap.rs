//! Tables in memory.

mod places;
mod scan;
mod tracked;

use hashbrown::{HashTable, hash_table::Entry};

use super::{
    entries,
    prefetch::prefetch,
    schema::{self, StoredSchema},
    table::{Cursor, Extent, GroupSpace, KeyHash, Progress, RunSink, Snapshot, StateTable},
    track::{Track, scattered},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Bytes of a table that the first two caches of a core hold beside a batch.
const NEAR_BYTES: usize = 256 << 10;

/// An open table of keys and values, addressed by the keys' stable hash, which is not stored: for integer keys working
/// it out again while the table grows is cheaper than half again the memory.
///
/// Once a snapshot was taken of it, it has a track follow what happens at its places, which are those of `entries`; it then
/// has to see to its growth itself, in which entries move.
#[derive(Debug)]
pub struct HeapTable<K, V> {
    entries: HashTable<(K, V)>,
    track: Option<Box<Track<K, V>>>,
}

impl<K, V> Default for HeapTable<K, V> {
    fn default() -> Self {
        Self { entries: HashTable::new(), track: None }
    }
}

/// A copy is a table of its own, of which no snapshot has been taken.
impl<K: Clone, V: Clone> Clone for HeapTable<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), track: None }
    }
}

impl<K: Key, V> HeapTable<K, V> {
    /// An empty table with room for so many keys.
    pub fn with_capacity(keys: usize) -> Self {
        Self { entries: HashTable::with_capacity(keys), track: None }
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
        if self.track.is_some() {
            return self.upsert_tracked(hash, key, create);
        }
        // Most keys are there: looking for one alone is a shorter loop than looking for a free place as well.
        match self.entries.find_entry(hash.for_table(), |(known, _)| known == key) {
            Ok(entry) => &mut entry.into_mut().1,
            Err(absent) => insert(absent.into_table(), hash, (key.clone(), create())),
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
        if self.track.is_some() {
            return self.fold_tracked(hash, key, item, with, first, add);
        }
        match self.entries.find_entry(hash.for_table(), |(known, _)| known == key) {
            Ok(entry) => {
                let value = &mut entry.into_mut().1;
                add(with, value, item);
                value
            }
            Err(absent) => insert(absent.into_table(), hash, (key.clone(), first(with, item))),
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
        if self.track.is_some() {
            return self.find_mut_tracked(hash, key);
        }
        self.entries.find_mut(hash.for_table(), |(known, _)| known == key).map(|(_, value)| value)
    }

    /// Sets the value of `key`.
    #[inline]
    pub fn set(&mut self, hash: KeyHash, key: &K, value: V) {
        if self.track.is_some() {
            self.fold_tracked(hash, key, value, &mut (), |(), value| value, |(), held, value| *held = value);
            return;
        }
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
        Some(tracked::remove(&mut self.track, entry))
    }

    /// Entries, taken out, in no order.
    pub fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.entries.into_iter()
    }

    /// Keys and values, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

/// Puts in an entry whose key is not there.
#[inline(never)]
fn insert<K: Key, V>(entries: &mut HashTable<(K, V)>, hash: KeyHash, entry: (K, V)) -> &mut V {
    &mut entries.insert_unique(hash.for_table(), entry, rehash).into_mut().1
}

#[inline(always)]
fn rehash<K: Key, V>((key, _): &(K, V)) -> u64 {
    KeyHash::of(key).for_table()
}

impl<K: Key, V: Data> Snapshot for HeapTable<K, V> {
    fn keys(&self) -> usize {
        self.entries.len()
    }

    fn schema(&self) -> StoredSchema {
        schema::keyed::<K, V>()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        self.track.get_or_insert_with(|| Box::new(Track::new())).begin(extent, groups, self.entries.num_buckets())
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let Self { entries, track: Some(track) } = self else { return Ok(Progress::Done) };
        track.advance((entries.num_buckets(), scattered), |place| entries.get_bucket(place), bytes, sink)
    }

    fn abandon(&mut self) {
        if let Some(track) = &mut self.track {
            track.abandon();
        }
    }

    fn expect(&mut self, keys: usize) -> TaskResult {
        self.reserve(keys)
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.restoring(|entries| {
            entries::decode(count, bytes, |(key, value): (K, V)| {
                let hash = KeyHash::of(&key);
                match entries.entry(hash.for_table(), |(known, _)| *known == key, rehash) {
                    Entry::Occupied(entry) => entry.into_mut().1 = value,
                    Entry::Vacant(entry) => {
                        entry.insert((key, value));
                    }
                }
            })
        })
    }

    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.restoring(|entries| {
            entries::decode(count, bytes, |key: K| {
                if let Ok(entry) = entries.find_entry(KeyHash::of(&key).for_table(), |(known, _)| *known == key) {
                    entry.remove();
                }
            })
        })
    }
}

impl<K: Key, V: Data> HeapTable<K, V> {
    /// Has `restore` change the entries to what earlier snapshots have.
    fn restoring(&mut self, restore: impl FnOnce(&mut HashTable<(K, V)>) -> TaskResult) -> TaskResult {
        self.track.get_or_insert_with(|| Box::new(Track::new())).restored();
        restore(&mut self.entries)
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

    fn get_pruned(
        &mut self,
        hash: KeyHash,
        key: &K,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<Option<&V>> {
        Ok(self.find_pruned(hash, key, due, keep))
    }

    fn entry(&mut self, hash: KeyHash, key: &K, create: &mut dyn FnMut() -> V) -> TaskResult<&mut V> {
        Ok(self.upsert(hash, key, create))
    }

    fn update(&mut self, hash: KeyHash, key: &K, update: &mut dyn FnMut(Option<&mut V>) -> Option<V>) -> TaskResult {
        match self.find_mut(hash, key) {
            Some(value) => drop(update(Some(value))),
            None => {
                if let Some(value) = update(None) {
                    self.set(hash, key, value);
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult {
        self.set(hash, key, value);
        Ok(())
    }

    fn remove(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<V>> {
        Ok(self.take(hash, key))
    }

    fn search(
        &mut self,
        place: usize,
        places: usize,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<usize> {
        Ok(self.search(place, places, due, keep))
    }

    fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        see: &mut dyn FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress> {
        self.walk(cursor, places, see)
    }

    fn visit(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        visit: &mut dyn FnMut(&K, &mut V) -> TaskResult<bool>,
    ) -> TaskResult<Progress> {
        self.visit(cursor, places, visit)
    }

    fn is_giving(&self) -> bool {
        self.track.as_ref().is_some_and(|track| track.is_giving())
    }

    fn held_keys(&mut self) -> TaskResult<Vec<K>> {
        Ok(self.iter().map(|(key, _)| key.clone()).collect())
    }
}
