//! Maps that are the same on all subtasks.

use flott_core::codec;

use super::{Elements, OperatorSnapshot, broken, slot::Slots};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{entry_map::EntryMap, handle::handle},
};

/// All broadcast states of one operator in one subtask. Who has a shared reference can read them, and who has an exclusive
/// one can write them: a broadcast function has it for the records of the broadcast stream.
pub struct BroadcastStates(pub(super) Slots);

impl BroadcastStates {
    pub(super) fn new() -> Self {
        Self(Slots::default())
    }
}

/// What is behind a handle.
pub(super) struct Map<K, V>(EntryMap<K, V>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(EntryMap::default())
    }
}

impl<K: Key, V: Data> OperatorSnapshot for Map<K, V> {
    fn snapshot(&self) -> TaskResult<Elements> {
        let mut elements = Elements::default();
        self.0.iter().try_for_each(|entry| elements.encode(&entry))?;
        Ok(elements)
    }

    fn restore(&mut self, elements: &Elements) -> TaskResult {
        for element in elements.iter() {
            let (key, value): (K, V) = codec::decode(element).map_err(broken)?;
            self.0.insert(&key, value);
        }
        Ok(())
    }
}

handle! {
    /// A map that is the same on all subtasks, because each writes it from the same records: those of a broadcast stream.
    ///
    /// What is written must depend on nothing but those records and the map.
    BroadcastState<K, V>
}

impl<K: Key, V: Data> BroadcastState<K, V> {
    #[inline]
    fn map<'s>(&self, states: &'s BroadcastStates) -> TaskResult<&'s EntryMap<K, V>> {
        states.0.content::<Map<K, V>>(self.index).map(|map| &map.0)
    }

    fn map_mut<'s>(&self, states: &'s mut BroadcastStates) -> TaskResult<&'s mut EntryMap<K, V>> {
        states.0.content_mut::<Map<K, V>>(self.index).map(|map| &mut map.0)
    }

    /// What `key` maps to.
    ///
    /// # Errors
    /// When the handle is not bound; so it is with all methods.
    #[inline]
    pub fn get<'s>(&self, states: &'s BroadcastStates, key: &K) -> TaskResult<Option<&'s V>> {
        self.map(states).map(|map| map.get(key))
    }

    /// Whether `key` maps to something.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains(&self, states: &BroadcastStates, key: &K) -> TaskResult<bool> {
        self.map(states).map(|map| map.get(key).is_some())
    }

    /// Entries, in no order, which may differ between subtasks.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries<'s>(
        &self,
        states: &'s BroadcastStates,
    ) -> TaskResult<impl ExactSizeIterator<Item = (&'s K, &'s V)> + use<'s, K, V>> {
        self.map(states).map(EntryMap::iter)
    }

    /// How many entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len(&self, states: &BroadcastStates) -> TaskResult<usize> {
        self.map(states).map(EntryMap::len)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty(&self, states: &BroadcastStates) -> TaskResult<bool> {
        self.map(states).map(EntryMap::is_empty)
    }

    /// Maps `key` to `value`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert(&self, states: &mut BroadcastStates, key: &K, value: V) -> TaskResult {
        self.map_mut(states).map(|map| map.insert(key, value))
    }

    /// Maps all `entries` to their values.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert_all(&self, states: &mut BroadcastStates, entries: impl IntoIterator<Item = (K, V)>) -> TaskResult {
        let map = self.map_mut(states)?;
        entries.into_iter().for_each(|(key, value)| map.insert(&key, value));
        Ok(())
    }

    /// What `key` maps to, to be changed in place; `create` makes it where there is nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_insert_with<'s>(
        &self,
        states: &'s mut BroadcastStates,
        key: &K,
        create: impl FnOnce() -> V,
    ) -> TaskResult<&'s mut V> {
        self.map_mut(states).map(|map| map.get_or_insert_with(key, create))
    }

    /// Takes out what `key` maps to.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&self, states: &mut BroadcastStates, key: &K) -> TaskResult<Option<V>> {
        self.map_mut(states).map(|map| map.remove(key))
    }

    /// Drops the entries that `keep` refuses.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn retain(&self, states: &mut BroadcastStates, keep: impl FnMut(&K, &V) -> bool) -> TaskResult {
        self.map_mut(states).map(|map| map.retain(keep))
    }

    /// Forgets all entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, states: &mut BroadcastStates) -> TaskResult {
        self.map_mut(states).map(|map| *map = EntryMap::default())
    }
}
