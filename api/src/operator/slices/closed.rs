//! What keys have in slices that have closed, while windows that these are in are still to come.

use flott_runtime::{batch::Key, state::KeyHash};
use hashbrown::HashTable;

use super::{history::History, shape::SliceNo};

/// How slices that have closed add up.
#[derive(Debug, Clone)]
pub(super) enum Past<V> {
    /// In sliding windows old slices go as new ones come.
    Sliding(History<V>),
    /// In cumulating windows they stay until all go at once.
    Whole(V),
}

#[derive(Debug)]
struct Entry<K, V> {
    hash: KeyHash,
    key: K,
    past: Past<V>,
}

/// Keys in the order in which they came, so that a walk over them can be taken up where it was left.
#[derive(Debug)]
pub(super) struct Closed<K, V> {
    sliding: bool,
    entries: Vec<Entry<K, V>>,
    places: HashTable<u32>,
}

impl<K: Key, V: Clone> Closed<K, V> {
    pub fn new(sliding: bool) -> Self {
        Self { sliding, entries: Vec::new(), places: HashTable::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys with what they have, in order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyHash, &K, &Past<V>)> {
        self.entries.iter().map(|Entry { hash, key, past }| (*hash, key, past))
    }

    /// Puts in a key that is not there, with what it has had.
    pub fn put(&mut self, hash: KeyHash, key: K, history: History<V>) {
        self.push(hash, key, Past::Sliding(history));
    }

    fn push(&mut self, hash: KeyHash, key: K, past: Past<V>) {
        let Self { entries, places, .. } = self;
        let place = entries.len() as u32;
        entries.push(Entry { hash, key, past });
        places.insert_unique(hash.for_table(), place, |place| entries[*place as usize].hash.for_table());
    }

    /// Adds what `key` has in a slice.
    pub fn add(&mut self, hash: KeyHash, key: K, slice: SliceNo, value: V, mut merge: impl FnMut(&mut V, V)) {
        let Self { sliding, entries, places } = self;
        if let Some(place) = places.find(hash.for_table(), |place| entries[*place as usize].key == key) {
            match &mut entries[*place as usize].past {
                Past::Sliding(history) => history.add(slice, value, merge),
                Past::Whole(whole) => merge(whole, value),
            }
            return;
        }
        let past = if *sliding {
            let mut history = History::default();
            history.add(slice, value, &mut merge);
            Past::Sliding(history)
        } else {
            Past::Whole(value)
        };
        self.push(hash, key, past);
    }

    /// What the key at `place` has in the window that begins with slice `start`; a key that has nothing left is removed,
    /// and the last one takes its place. So a walk goes from the last place to the first.
    pub fn window(&mut self, place: usize, start: SliceNo, merge: impl FnMut(&mut V, V)) -> Option<(&K, V)> {
        let value = match &mut self.entries[place].past {
            Past::Sliding(history) => history.window(start, merge),
            Past::Whole(value) => Some(value.clone()),
        };
        match value {
            Some(value) => Some((&self.entries[place].key, value)),
            None => {
                self.remove(place);
                None
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let hash = self.entries[place].hash;
        let found = self.places.find_entry(hash.for_table(), |known| *known as usize == place);
        if let Ok(found) = found {
            found.remove();
        }
        let last = self.entries.len() - 1;
        if place != last {
            let moved = self.entries[last].hash;
            if let Some(known) = self.places.find_mut(moved.for_table(), |known| *known as usize == last) {
                *known = place as u32;
            }
        }
        self.entries.swap_remove(place);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.places.clear();
    }
}
