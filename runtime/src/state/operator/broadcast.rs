//! Maps that are the same on all subtasks.

use flott_core::codec;

use super::{Elements, OperatorScope, OperatorScopeMut, OperatorSnapshot, broken};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{entry_map::EntryMap, handle::handle},
};

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
    /// Reading takes an [`OperatorScope`], writing an [`OperatorScopeMut`], which only the contexts of the broadcast side
    /// are. What is written must depend on nothing but those records and the map.
    BroadcastState<K, V>
}

impl<K: Key, V: Data> BroadcastState<K, V> {
    #[inline]
    fn map<'s, S: OperatorScope>(&self, scope: &'s S) -> TaskResult<&'s EntryMap<K, V>> {
        scope.operator_states().content::<Map<K, V>>(self.index).map(|map| &map.0)
    }

    fn map_mut<'s, S: OperatorScopeMut>(&self, scope: &'s mut S) -> TaskResult<&'s mut EntryMap<K, V>> {
        scope.operator_states_mut().content_mut::<Map<K, V>>(self.index).map(|map| &mut map.0)
    }

    /// What `key` maps to.
    ///
    /// # Errors
    /// When the handle is not bound; so it is with all methods.
    #[inline]
    pub fn get<'s, S: OperatorScope>(&self, scope: &'s S, key: &K) -> TaskResult<Option<&'s V>> {
        self.map(scope).map(|map| map.get(key))
    }

    /// Whether `key` maps to something.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains<S: OperatorScope>(&self, scope: &S, key: &K) -> TaskResult<bool> {
        self.map(scope).map(|map| map.get(key).is_some())
    }

    /// Entries, in no order, which may differ between subtasks.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries<'s, S: OperatorScope>(
        &self,
        scope: &'s S,
    ) -> TaskResult<impl ExactSizeIterator<Item = (&'s K, &'s V)> + use<'s, S, K, V>> {
        self.map(scope).map(EntryMap::iter)
    }

    /// How many entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len<S: OperatorScope>(&self, scope: &S) -> TaskResult<usize> {
        self.map(scope).map(EntryMap::len)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty<S: OperatorScope>(&self, scope: &S) -> TaskResult<bool> {
        self.map(scope).map(EntryMap::is_empty)
    }

    /// Maps `key` to `value`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert<S: OperatorScopeMut>(&self, scope: &mut S, key: &K, value: V) -> TaskResult {
        self.map_mut(scope).map(|map| map.insert(key, value))
    }

    /// Maps all `entries` to their values.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert_all<S: OperatorScopeMut>(
        &self,
        scope: &mut S,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> TaskResult {
        let map = self.map_mut(scope)?;
        entries.into_iter().for_each(|(key, value)| map.insert(&key, value));
        Ok(())
    }

    /// What `key` maps to, to be changed in place; `create` makes it where there is nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_insert_with<'s, S: OperatorScopeMut>(
        &self,
        scope: &'s mut S,
        key: &K,
        create: impl FnOnce() -> V,
    ) -> TaskResult<&'s mut V> {
        self.map_mut(scope).map(|map| map.get_or_insert_with(key, create))
    }

    /// Takes out what `key` maps to.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove<S: OperatorScopeMut>(&self, scope: &mut S, key: &K) -> TaskResult<Option<V>> {
        self.map_mut(scope).map(|map| map.remove(key))
    }

    /// Drops the entries that `keep` refuses.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn retain<S: OperatorScopeMut>(&self, scope: &mut S, keep: impl FnMut(&K, &V) -> bool) -> TaskResult {
        self.map_mut(scope).map(|map| map.retain(keep))
    }

    /// Forgets all entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: OperatorScopeMut>(&self, scope: &mut S) -> TaskResult {
        self.map_mut(scope).map(|map| *map = EntryMap::default())
    }
}
