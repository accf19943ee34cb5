//! The entries of a table that are in memory: those that were used last.
//!
//! They lie in places that they keep for as long as they are here. When room is needed, a hand goes round the places, spares
//! what was used since it came by last, and takes the next.

use hashbrown::HashTable;

use crate::{batch::Key, state::table::KeyHash};

/// What finding an entry by its hash costs beside the entry.
const INDEX_BYTES: usize = 8;

/// What an encoded byte comes to in memory: things of their own on the heap, half empty vectors and tables.
const BYTES_PER_BYTE: usize = 2;

/// What a change may add to an entry that is not a plain value, before it is measured again.
const CHANGE_BYTES: usize = 64;

/// Changes before an entry is measured again, however small it is.
const CHANGES_MIN: u32 = 16;

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// An entry in memory.
#[derive(Debug)]
pub(super) struct Entry<K, V> {
    pub key: K,
    /// Nothing if it was taken out, and the tree does not know yet.
    pub value: Option<V>,
    /// Since which cut it is not as snapshots have it, if it is not.
    pub changed: Option<u64>,
    /// It is not as the tree has it.
    pub dirty: bool,
    /// Neither the tree nor a snapshot has ever had it.
    pub new: bool,
    hash: KeyHash,
    used: bool,
    /// Encoded, when it was last measured.
    bytes: u32,
    /// Changes since it was measured.
    changes: u32,
}

/// Entries in memory.
#[derive(Debug)]
pub(super) struct Hot<K, V> {
    places: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hand: usize,
    /// What they take up, about.
    bytes: usize,
}

impl<K, V> Default for Hot<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), index: HashTable::new(), hand: 0, bytes: 0 }
    }
}

impl<K: Key, V> Hot<K, V> {
    /// Whether entries take up no more than themselves, however they change.
    pub const PLAIN: bool = !std::mem::needs_drop::<(K, V)>();

    /// What they take up, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Places there are, taken or not.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The `n`th place, if there is an entry.
    pub fn taken(&self, n: usize) -> Option<Place> {
        self.places.get(n)?.as_ref().map(|_| Place(n as u32))
    }

    /// The place of `key`, which counts as used.
    #[inline]
    pub fn find(&mut self, hash: KeyHash, key: &K) -> Option<Place> {
        let place = self.peek(hash, key)?;
        self.get_mut(place)?.used = true;
        Some(place)
    }

    /// The place of `key`.
    #[inline]
    pub fn peek(&self, hash: KeyHash, key: &K) -> Option<Place> {
        let is_it = |place: &u32| match &self.places[*place as usize] {
            Some(entry) => entry.key == *key,
            None => false,
        };
        self.index.find(hash.for_table(), is_it).copied().map(Place)
    }

    /// The entry at a place.
    #[inline]
    pub fn get(&self, Place(place): Place) -> Option<&Entry<K, V>> {
        self.places.get(place as usize)?.as_ref()
    }

    /// The entry at a place.
    #[inline]
    pub fn get_mut(&mut self, Place(place): Place) -> Option<&mut Entry<K, V>> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// Puts in an entry whose key is not there, of so many `bytes` when encoded.
    pub fn put(&mut self, hash: KeyHash, key: K, value: Option<V>, bytes: usize) -> Place {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let entry = Entry { key, value, changed: None, dirty: false, new: false, hash, used: true, bytes, changes: 0 };
        self.bytes += Self::cost(&entry);
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                if self.places.len() == self.places.capacity() {
                    // By an eighth: doubling would take up as much again as there may be.
                    self.places.reserve_exact(self.places.len() / 8 + 16);
                }
                self.places.push(None);
                (self.places.len() - 1) as u32
            }
        };
        self.places[place as usize] = Some(entry);
        let places = &self.places;
        self.index.insert_unique(hash.for_table(), place, |place| match &places[*place as usize] {
            Some(entry) => entry.hash.for_table(),
            None => 0,
        });
        Place(place)
    }

    /// Takes an entry out.
    pub fn take(&mut self, Place(place): Place) -> Option<Entry<K, V>> {
        let entry = self.places.get_mut(place as usize)?.take()?;
        if let Ok(found) = self.index.find_entry(entry.hash.for_table(), |known| *known == place) {
            found.remove();
        }
        self.free.push(place);
        self.bytes -= Self::cost(&entry);
        Some(entry)
    }

    /// The entry that is to go next, which is not the one that is `spared`.
    pub fn next_to_go(&mut self, spared: Option<Place>) -> Option<Place> {
        // Once round, all are unused.
        for _ in 0..2 * self.places.len() {
            self.hand = if self.hand + 1 < self.places.len() { self.hand + 1 } else { 0 };
            if let Some(entry) = &mut self.places[self.hand]
                && !std::mem::take(&mut entry.used)
                && spared != Some(Place(self.hand as u32))
            {
                return Some(Place(self.hand as u32));
            }
        }
        None
    }

    /// Notes that an entry is about to change, and says whether it has to be measured first.
    #[inline]
    pub fn count_change(&mut self, place: Place) -> bool {
        if Self::PLAIN {
            return false;
        }
        let Some(entry) = self.get_mut(place) else { return false };
        entry.changes += 1;
        entry.changes >= CHANGES_MIN && entry.changes as usize * CHANGE_BYTES >= entry.bytes as usize
    }

    /// Notes that the entry has so many `bytes` when encoded.
    pub fn measured(&mut self, place: Place, bytes: usize) {
        let Some(entry) = self.get_mut(place) else { return };
        let before = Self::cost(entry);
        entry.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        entry.changes = 0;
        let after = Self::cost(entry);
        self.bytes = self.bytes - before + after;
    }

    fn cost(entry: &Entry<K, V>) -> usize {
        let plain = size_of::<Option<Entry<K, V>>>() + INDEX_BYTES;
        if Self::PLAIN { plain } else { plain + BYTES_PER_BYTE * entry.bytes as usize }
    }
}
