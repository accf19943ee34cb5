//! What is asked of a table on disk.

use std::cell::Cell;

use flott_core::codec;

use super::{DiskTable, Found, PLACES_PER_ENTRY, stored_in, undecodable, walk};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        disk::hot::{Hot, Place},
        table::{Cursor, KeyHash, Progress, StateTable},
    },
};

/// Where a search is that has come to the end of what is in memory.
const IN_STORE: usize = usize::MAX;

impl<K: Key, V: Data> DiskTable<K, V> {
    /// Has `keep` change the value at a place; where that refuses it, it is taken out, and the answer is false.
    fn keep(&mut self, place: Place, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<bool> {
        self.change(place)?;
        let kept = keep(self.value_mut(place)?);
        if !kept {
            self.take(place);
        }
        Ok(kept)
    }

    /// As [`keep`](Self::keep), if the value is `due`.
    fn prune(
        &mut self,
        place: Place,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<bool> {
        if self.hot.get(place).and_then(|entry| entry.value.as_ref()).is_some_and(due) {
            return self.keep(place, keep);
        }
        Ok(true)
    }

    /// Goes on with a search in memory, and says whether it has come to the end.
    fn search_hot(
        &mut self,
        (place, places): (&mut usize, &mut usize),
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<bool> {
        while *place < self.hot.places() {
            if *places == 0 {
                return Ok(false);
            }
            if let Some(taken) = self.hot.taken(*place) {
                self.prune(taken, due, keep)?;
            }
            (*place, *places) = (*place + 1, *places - 1);
        }
        Ok(true)
    }

    /// Goes on with a search on disk, and says whether it has come to the end.
    fn search_store(
        &mut self,
        places: &mut usize,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<bool> {
        let mut entries = self.stored(self.searched.as_deref());
        while *places > 0 {
            *places = places.saturating_sub(PLACES_PER_ENTRY);
            let Some(entry) = entries.next() else {
                self.searched = None;
                return Ok(true);
            };
            let (encoded, value) = entry?;
            let key: K = codec::decode(&encoded).map_err(|error| undecodable(&error))?;
            let hash = KeyHash::of(&key);
            if self.hot.peek(hash, &key).is_none() {
                let value: V = codec::decode(&value).map_err(|error| undecodable(&error))?;
                // It may have changed since this began, and be in the tree in another way.
                if due(&value)
                    && let Found::Here(place) = self.find(hash, &key)?
                {
                    self.prune(place, due, keep)?;
                }
            }
            self.searched = Some(encoded);
        }
        Ok(false)
    }
}

impl<K: Key, V: Data> StateTable<K, V> for DiskTable<K, V> {
    fn get(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&V>> {
        let Found::Here(place) = self.find(hash, key)? else { return Ok(None) };
        Ok(self.hot.get(place).and_then(|entry| entry.value.as_ref()))
    }

    fn get_mut(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&mut V>> {
        let Found::Here(place) = self.find(hash, key)? else { return Ok(None) };
        self.change(place)?;
        self.value_mut(place).map(Some)
    }

    fn get_kept(&mut self, hash: KeyHash, key: &K, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<Option<&mut V>> {
        let Found::Here(place) = self.find(hash, key)? else { return Ok(None) };
        if self.keep(place, keep)? { self.value_mut(place).map(Some) } else { Ok(None) }
    }

    fn get_pruned(
        &mut self,
        hash: KeyHash,
        key: &K,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<Option<&V>> {
        let Found::Here(place) = self.find(hash, key)? else { return Ok(None) };
        if self.prune(place, due, keep)? { self.value_mut(place).map(|value| Some(&*value)) } else { Ok(None) }
    }

    fn entry(&mut self, hash: KeyHash, key: &K, create: &mut dyn FnMut() -> V) -> TaskResult<&mut V> {
        let place = match self.find(hash, key)? {
            Found::Here(place) => {
                self.change(place)?;
                place
            }
            Found::Gone(place) => self.put_again(place, hash, key, create())?,
            Found::Nowhere => self.put(hash, key, create())?,
        };
        self.value_mut(place)
    }

    fn update(&mut self, hash: KeyHash, key: &K, update: &mut dyn FnMut(Option<&mut V>) -> Option<V>) -> TaskResult {
        match self.find(hash, key)? {
            Found::Here(place) => {
                self.change(place)?;
                drop(update(Some(self.value_mut(place)?)));
            }
            Found::Gone(place) => {
                if let Some(value) = update(None) {
                    self.put_again(place, hash, key, value)?;
                }
            }
            Found::Nowhere => {
                if let Some(value) = update(None) {
                    self.put(hash, key, value)?;
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult {
        match self.find(hash, key)? {
            Found::Here(place) => {
                self.change(place)?;
                let bytes = self.measure(key, &value)?;
                *self.value_mut(place)? = value;
                self.hot.measured(place, bytes);
            }
            Found::Gone(place) => _ = self.put_again(place, hash, key, value)?,
            Found::Nowhere => _ = self.put(hash, key, value)?,
        }
        Ok(())
    }

    fn remove(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<V>> {
        let Found::Here(place) = self.find(hash, key)? else { return Ok(None) };
        self.change(place)?;
        Ok(self.take(place))
    }

    fn search(
        &mut self,
        mut place: usize,
        mut places: usize,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<usize> {
        let found = Cell::new(false);
        let due = &mut |value: &V| {
            let is_due = due(value);
            found.set(found.get() || is_due);
            is_due
        };
        for _ in 0..2 {
            let at_end = if place == IN_STORE {
                self.search_store(&mut places, due, keep)?
            } else {
                self.search_hot((&mut place, &mut places), due, keep)?
            };
            if !at_end {
                break;
            }
            place = if place == IN_STORE { 0 } else { IN_STORE };
            // What was changed may go from memory to disk or come from there: it is not looked at twice.
            if found.get() {
                break;
            }
        }
        Ok(place)
    }

    fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        see: &mut dyn FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress> {
        walk::walk(self, cursor, places, see)
    }

    fn visit(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        visit: &mut dyn FnMut(&K, &mut V) -> TaskResult<bool>,
    ) -> TaskResult<Progress> {
        walk::visit(self, cursor, places, visit)
    }

    fn cool(&mut self, entries: usize) -> TaskResult<Progress> {
        for _ in 0..entries {
            let Some(place) = self.hot.next_to_go(None) else {
                self.hot = Hot::default();
                return Ok(Progress::Done);
            };
            self.drive_out_of(place, None)?;
        }
        Ok(Progress::More)
    }

    fn prepare(&mut self) -> TaskResult {
        stored_in(&mut self.store, &self.disk).map(drop)
    }

    fn is_giving(&self) -> bool {
        self.giving.is_some()
    }

    fn held_keys(&mut self) -> TaskResult<Vec<K>> {
        let mut keys = Vec::with_capacity(self.keys);
        for n in 0..self.hot.places() {
            let entry = self.hot.taken(n).and_then(|place| self.hot.get(place));
            keys.extend(entry.filter(|entry| entry.value.is_some()).map(|entry| entry.key.clone()));
        }
        for entry in self.stored(None) {
            let key: K = codec::decode(&entry?.0).map_err(|error| undecodable(&error))?;
            if self.hot.peek(KeyHash::of(&key), &key).is_none() {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}
