//! Tables whose changes are noted: the accesses of such tables, which go ways of their own so that those of others stay as
//! short as they are without any of this. That they are called cold says so to the compiler, and no more.

use hashbrown::{HashTable, hash_table::OccupiedEntry};

use super::{HeapTable, places, rehash};
use crate::{
    batch::Key,
    state::{table::KeyHash, track::Track},
};

type Tracking<K, V> = Option<Box<Track<K, V>>>;

impl<K: Key, V> HeapTable<K, V> {
    #[cold]
    #[inline(never)]
    pub(super) fn upsert_tracked(&mut self, hash: KeyHash, key: &K, create: impl FnOnce() -> V) -> &mut V {
        match self.entries.find_entry(hash.for_table(), |(known, _)| known == key) {
            Ok(entry) => change(&mut self.track, entry),
            Err(absent) => insert(absent.into_table(), &mut self.track, hash, (key.clone(), create())),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn fold_tracked<C, T>(
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
                let value = change(&mut self.track, entry);
                add(with, value, item);
                value
            }
            Err(absent) => insert(absent.into_table(), &mut self.track, hash, (key.clone(), first(with, item))),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn find_mut_tracked(&mut self, hash: KeyHash, key: &K) -> Option<&mut V> {
        let entry = self.entries.find_entry(hash.for_table(), |(known, _)| known == key).ok()?;
        Some(change(&mut self.track, entry))
    }
}

/// The value of an entry, which is about to change.
#[inline(always)]
pub(super) fn change<'t, K: Key, V>(track: &mut Tracking<K, V>, entry: OccupiedEntry<'t, (K, V)>) -> &'t mut V {
    if let Some(track) = track {
        track.change(entry.bucket_index(), entry.get());
    }
    &mut entry.into_mut().1
}

/// Takes an entry out.
#[inline]
pub(super) fn remove<K: Key, V>(track: &mut Tracking<K, V>, entry: OccupiedEntry<'_, (K, V)>) -> V {
    let Some(track) = track else { return entry.remove().0.1 };
    let stored = track.leave(entry.bucket_index(), entry.get());
    let ((key, value), _) = entry.remove();
    if stored {
        track.gone(key);
    }
    value
}

/// Puts in an entry whose key is not there.
#[inline(never)]
fn insert<'t, K: Key, V>(
    entries: &'t mut HashTable<(K, V)>,
    track: &mut Tracking<K, V>,
    hash: KeyHash,
    entry: (K, V),
) -> &'t mut V {
    if let Some(track) = track {
        places::make_room(entries, track);
    }
    let entry = entries.insert_unique(hash.for_table(), entry, rehash);
    if let Some(track) = track {
        track.come(entry.bucket_index());
    }
    &mut entry.into_mut().1
}
