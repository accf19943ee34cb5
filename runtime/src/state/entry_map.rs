//! The map that a key of a map state has.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{heap::HeapTable, table::KeyHash};
use crate::batch::{Data, Key};

/// A map whose keys only need to be equal and serialisable, as those of streams. It is encoded as a list of pairs.
#[derive(Debug, Clone)]
pub struct EntryMap<K, V> {
    table: HeapTable<K, V>,
}

impl<K, V> Default for EntryMap<K, V> {
    fn default() -> Self {
        Self { table: HeapTable::default() }
    }
}

impl<K: Key, V: Data> EntryMap<K, V> {
    /// Entries in it.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.table.find(KeyHash::of(key), key)
    }

    /// The value of `key`, to be changed in place.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.table.find_mut(KeyHash::of(key), key)
    }

    /// The value of `key`, to be changed in place; where `keep` refuses it, it is dropped.
    pub(super) fn get_kept(&mut self, key: &K, keep: impl FnOnce(&mut V) -> bool) -> Option<&mut V> {
        self.table.find_kept(KeyHash::of(key), key, keep)
    }

    /// The value of `key`, made by `create` where there is none.
    pub fn get_or_insert_with(&mut self, key: &K, create: impl FnOnce() -> V) -> &mut V {
        self.table.upsert(KeyHash::of(key), key, create)
    }

    /// The value of `key`: `first` makes it of `item` where there is none, `add` adds `item` to one that is there.
    pub(super) fn fold<T>(
        &mut self,
        key: &K,
        item: T,
        first: impl FnOnce(T) -> V,
        add: impl FnOnce(&mut V, T),
    ) -> &mut V {
        let add = |(): &mut (), value: &mut V, item| add(value, item);
        self.table.fold(KeyHash::of(key), key, item, &mut (), |(), item| first(item), add)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, key: &K, value: V) {
        self.table.set(KeyHash::of(key), key, value);
    }

    /// Takes the value of `key` out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.table.take(KeyHash::of(key), key)
    }

    /// Entries, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.table.iter()
    }

    /// Entries, taken out, in no order.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.table.into_entries()
    }

    /// Values, to be changed in place, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.table.values_mut()
    }

    /// Drops the entries that `keep` refuses.
    pub fn retain(&mut self, keep: impl FnMut(&K, &V) -> bool) {
        self.table.retain(keep);
    }
}

impl<K: Key, V: Data> Serialize for EntryMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, K: Key, V: Data> Deserialize<'de> for EntryMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Self::default();
        for (key, value) in Vec::<(K, V)>::deserialize(deserializer)? {
            map.insert(&key, value);
        }
        Ok(map)
    }
}
