//! Where entries are, and how many places there are for them.

use hashbrown::HashTable;

use super::{HeapTable, rehash};
use crate::{
    batch::Key,
    error::TaskResult,
    state::track::{Track, no_room},
};

/// A table with more places than this gives room back when hardly any is taken.
const ROOMY_PLACES: usize = 1024;

impl<K: Key, V> HeapTable<K, V> {
    /// Has room for so many more keys, if it can be had, and no marks are kept of those that are there.
    pub(super) fn reserve(&mut self, keys: usize) -> TaskResult {
        if self.track.as_ref().is_some_and(|track| track.is_marked()) {
            return Ok(());
        }
        self.entries.try_reserve(keys, rehash).map_err(|_| no_room(keys))
    }

    pub(super) fn give_back_room(&mut self) {
        let (places, taken) = (self.entries.num_buckets(), self.entries.len());
        if places > ROOMY_PLACES && taken < places / 8 {
            match &mut self.track {
                None => self.entries.shrink_to(2 * taken, rehash),
                Some(track) => rebuild(&mut self.entries, track, 2 * taken),
            }
        }
    }
}

/// Has room for one more entry that is tracked: before the table would make some itself, and move entries unseen.
///
/// As that, leaves at least 7 of 16 places free, and does not grow where what is in the way has mostly been taken out.
#[inline]
pub(super) fn make_room<K: Key, V>(entries: &mut HashTable<(K, V)>, track: &mut Track<K, V>) {
    if entries.len() == entries.capacity() {
        let most = places_to_take(entries.num_buckets());
        let few = entries.len() < most / 2;
        rebuild(entries, track, if few { most } else { most + 1 });
    }
}

/// How many of so many places are taken at most.
fn places_to_take(places: usize) -> usize {
    if places < 8 { places - 1 } else { places / 8 * 7 }
}

/// Moves all entries to a table with another capacity, and their marks with them.
#[inline(never)]
fn rebuild<K: Key, V>(entries: &mut HashTable<(K, V)>, track: &mut Track<K, V>, capacity: usize) {
    let mut before = std::mem::replace(entries, HashTable::with_capacity(capacity));
    track.carry(entries.num_buckets(), |moved| {
        for from in 0..before.num_buckets() {
            if let Ok(entry) = before.get_bucket_entry(from) {
                let (entry, _) = entry.remove();
                moved(from, entries.insert_unique(rehash(&entry), entry, rehash).bucket_index());
            }
        }
    });
}
