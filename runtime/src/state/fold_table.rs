//! The table under aggregations: values by key, of which none goes before all do.

use super::{
    entries,
    heap::HeapTable,
    prefetch::prefetch,
    schema::{self, StoredSchema},
    slots::{Found, Slots},
    table::{Extent, GroupSpace, KeyHash, Progress, RunSink, Snapshot},
    track::{Track, in_order, no_room},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Bytes of a table that the nearest caches of a core hold beside a batch.
const NEAR_BYTES: usize = 256 << 10;

/// Values by key, in the order in which keys came.
///
/// What is counted is most often not spread evenly: most records have one of a few keys, and these are among the first to
/// come. Here their entries lie side by side, and a cache that could hold them all does; in a table whose entries lie where
/// their hashes say, each of them takes a cache line of its own.
#[derive(Debug)]
pub struct FoldTable<K, V> {
    slots: Slots,
    entries: Vec<(K, V)>,
    /// Once a snapshot was taken. Its places are those of `entries`.
    track: Option<Box<Track<K, V>>>,
}

/// A copy is a table of its own, of which no snapshot has been taken.
impl<K: Clone, V: Clone> Clone for FoldTable<K, V> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), entries: self.entries.clone(), track: None }
    }
}

/// Where a table has the entry of a key, if it has one; see [`FoldTable::locate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot(Found);

impl<K, V> Default for FoldTable<K, V> {
    fn default() -> Self {
        Self { slots: Slots::default(), entries: Vec::new(), track: None }
    }
}

impl<K: Key, V> FoldTable<K, V> {
    /// An empty table whose entries have room for so many keys.
    pub fn with_capacity(keys: usize) -> Self {
        Self { slots: Slots::default(), entries: Vec::with_capacity(keys), track: None }
    }

    /// Keys that have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values, in the order in which the keys came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The value of `key`.
    pub fn find(&self, hash: KeyHash, key: &K) -> Option<&V> {
        let is_it = |entry| self.entries.get(entry).is_some_and(|(known, _)| known == key);
        let entry = self.slots.find(hash.low(), is_it).entry()?;
        self.entries.get(entry).map(|(_, value)| value)
    }

    /// Appends the spots of `keys`, whose hashes are `hashes`, to `spots`. They hold until the table is emptied.
    ///
    /// What is not in the nearest caches is asked for beforehand for all keys: so their loads overlap, instead of each
    /// record waiting for its own.
    #[inline(always)]
    pub fn locate<'a>(&self, hashes: &[KeyHash], keys: impl Iterator<Item = &'a K>, spots: &mut Vec<Spot>)
    where
        K: 'a,
    {
        let Self { slots, entries, .. } = self;
        if slots.bytes() > NEAR_BYTES {
            hashes.iter().for_each(|hash| slots.prefetch(hash.low()));
        }
        let before = spots.len();
        // What is guessed is nearly always right.
        spots.extend(hashes.iter().map(|hash| {
            let found = slots.guess(hash.low());
            if let Some(entry) = found.entry().and_then(|entry| entries.get(entry)) {
                prefetch(entry);
            }
            Spot(found)
        }));
        for ((hash, key), spot) in hashes.iter().zip(keys).zip(&mut spots[before..]) {
            if let Some((known, _)) = spot.0.entry().and_then(|entry| entries.get(entry))
                && known != key
            {
                spot.0 = slots.find(hash.low(), |entry| entries.get(entry).is_some_and(|(known, _)| known == key));
            }
        }
    }

    /// The key and value at a spot; nothing if the key was not there when it was looked for.
    #[inline(always)]
    pub fn at(&mut self, spot: Spot) -> Option<(&K, &mut V)> {
        let place = spot.0.entry()?;
        let entry = self.entries.get_mut(place)?;
        if let Some(track) = &mut self.track {
            change(track, place, entry);
        }
        Some((&entry.0, &mut entry.1))
    }

    /// Adds `item` to the value of `key`: `first` makes a value of it where there is none, `add` changes one that is
    /// there. Both get `with`. For keys that were not there when they were looked for; they may have come since.
    ///
    /// # Panics
    /// At 2^32 keys.
    #[inline(never)]
    pub fn fold<C, T>(
        &mut self,
        hash: KeyHash,
        key: K,
        item: T,
        with: &mut C,
        first: impl FnOnce(&mut C, T) -> V,
        add: impl FnOnce(&mut C, &mut V, T),
    ) -> (&K, &mut V) {
        let Self { slots, entries, track } = self;
        let found = slots.find(hash.low(), |entry| entries.get(entry).is_some_and(|(known, _)| *known == key));
        let entry = match found.entry() {
            Some(entry) => {
                if let Some(track) = track {
                    change(track, entry, &entries[entry]);
                }
                add(with, &mut entries[entry].1, item);
                entry
            }
            None => {
                slots.note(hash.low());
                entries.push((key, first(with, item)));
                if let Some(track) = track {
                    track.come(entries.len() - 1);
                }
                entries.len() - 1
            }
        };
        let (key, value) = &mut entries[entry];
        (key, value)
    }

    /// The entries from the one on that came `place`th.
    pub fn iter_from(&self, place: usize) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries[place.min(self.entries.len())..].iter().map(|(key, value)| (key, value))
    }

    /// Whether some of a snapshot of it is still to be given.
    pub fn is_giving(&self) -> bool {
        self.track.as_ref().is_some_and(|track| track.is_giving())
    }

    /// All entries, in the order in which their keys came. A snapshot of the table goes with it.
    pub fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.entries.into_iter()
    }

    /// Takes all entries out and keeps the room they had.
    pub fn drain_entries(&mut self) -> impl Iterator<Item = (K, V)> {
        if let Some(track) = &mut self.track {
            for (place, entry) in self.entries.iter().enumerate() {
                if track.leave(place, entry) {
                    track.gone(entry.0.clone());
                }
            }
        }
        self.slots.clear();
        self.entries.drain(..)
    }
}

/// Notes that an entry is about to change. Called cold to be out of the way of tables that are not tracked.
#[cold]
#[inline(never)]
fn change<K: Key, V>(track: &mut Track<K, V>, place: usize, entry: &(K, V)) {
    track.change(place, entry);
}

impl<K: Key, V: Data> Snapshot for FoldTable<K, V> {
    fn keys(&self) -> usize {
        self.entries.len()
    }

    fn schema(&self) -> StoredSchema {
        schema::keyed::<K, V>()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        self.track.get_or_insert_with(|| Box::new(Track::new())).begin(extent, groups, self.entries.len())
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let Self { entries, track: Some(track), .. } = self else { return Ok(Progress::Done) };
        track.advance((entries.len(), in_order), |place| entries.get(place), bytes, sink)
    }

    fn abandon(&mut self) {
        if let Some(track) = &mut self.track {
            track.abandon();
        }
    }

    fn expect(&mut self, keys: usize) -> TaskResult {
        if self.entries.try_reserve(keys).is_err() || !self.slots.reserve(keys) {
            return Err(no_room(keys));
        }
        Ok(())
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.restoring(|table| {
            entries::decode(count, bytes, |(key, value): (K, V)| {
                table.fold(
                    KeyHash::of(&key),
                    key,
                    value,
                    &mut (),
                    |(), value| value,
                    |(), known, value| *known = value,
                );
            })
        })
    }

    /// Costs as much as all that is there: the other entries keep their order.
    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        let mut gone = HeapTable::<K, ()>::default();
        entries::decode(count, bytes, |key: K| gone.set(KeyHash::of(&key), &key, ()))?;
        self.restoring(|table| {
            table.slots.clear();
            table.entries.retain(|(key, _)| {
                let hash = KeyHash::of(key);
                let stays = gone.find(hash, key).is_none();
                if stays {
                    table.slots.note(hash.low());
                }
                stays
            });
            Ok(())
        })
    }
}

impl<K: Key, V: Data> FoldTable<K, V> {
    /// Has `restore` change the entries to what earlier snapshots have.
    fn restoring(&mut self, restore: impl FnOnce(&mut Self) -> TaskResult) -> TaskResult {
        let mut track = self.track.take().unwrap_or_else(|| Box::new(Track::new()));
        let restored = restore(self);
        track.restored();
        self.track = Some(track);
        restored
    }
}
