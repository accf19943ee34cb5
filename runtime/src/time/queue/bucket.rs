//! The timers of one time.

use flott_core::key_group::stable_hash;
use hashbrown::HashTable;

use crate::{batch::Key, state::KeyHash};

/// Timers of one time that are looked through one by one; with more of them a table is kept.
const FEW: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Timer<K, N> {
    pub hash: KeyHash,
    pub key: K,
    pub namespace: N,
}

#[derive(Debug, Clone)]
pub(super) enum Bucket<K, N> {
    Few(Vec<Timer<K, N>>),
    Many(HashTable<Timer<K, N>>),
}

impl<K: Key, N: Key> Timer<K, N> {
    pub fn is(&self, hash: KeyHash, key: &K, namespace: &N) -> bool {
        self.hash == hash && self.key == *key && self.namespace == *namespace
    }
}

/// What a timer is looked for by in the table of its bucket.
pub(super) fn place<N: Key>(hash: KeyHash, namespace: &N) -> u64 {
    // Timers of one key differ in their namespaces alone.
    hash.for_table() ^ stable_hash(namespace).rotate_left(17)
}

impl<K: Key, N: Key> Bucket<K, N> {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Few(timers) => timers.is_empty(),
            Self::Many(timers) => timers.is_empty(),
        }
    }

    /// Whether others may move when a timer is added.
    pub fn moves_to_add(&self) -> bool {
        match self {
            Self::Few(timers) => timers.len() >= FEW,
            Self::Many(timers) => timers.len() == timers.capacity(),
        }
    }

    /// Where a timer is, if there is one.
    pub fn find(&self, hash: KeyHash, key: &K, namespace: &N) -> Option<usize> {
        match self {
            Self::Few(timers) => timers.iter().position(|known| known.is(hash, key, namespace)),
            Self::Many(timers) => {
                timers.find_bucket_index(place(hash, namespace), |known| known.is(hash, key, namespace))
            }
        }
    }

    /// Places that timers may be at: all are at lower ones.
    pub fn places(&self) -> usize {
        match self {
            Self::Few(timers) => timers.len(),
            Self::Many(timers) => timers.num_buckets(),
        }
    }

    /// The timer at a place.
    pub fn at(&self, place: usize) -> Option<&Timer<K, N>> {
        match self {
            Self::Few(timers) => timers.get(place),
            Self::Many(timers) => timers.get_bucket(place),
        }
    }

    pub fn add(&mut self, hash: KeyHash, key: &K, namespace: &N, timer: impl FnOnce() -> Timer<K, N>) -> bool {
        let rehash = |timer: &Timer<K, N>| place(timer.hash, &timer.namespace);
        match self {
            Self::Few(timers) => {
                if timers.iter().any(|known| known.is(hash, key, namespace)) {
                    return false;
                }
                timers.push(timer());
                if timers.len() > FEW {
                    let mut table = HashTable::with_capacity(2 * timers.len());
                    for timer in timers.drain(..) {
                        table.insert_unique(rehash(&timer), timer, rehash);
                    }
                    *self = Self::Many(table);
                }
            }
            Self::Many(timers) => {
                let place = place(hash, namespace);
                if timers.find(place, |known| known.is(hash, key, namespace)).is_some() {
                    return false;
                }
                timers.insert_unique(place, timer(), rehash);
            }
        }
        true
    }

    /// The last of a few takes the place of one that is removed.
    pub fn remove(&mut self, hash: KeyHash, key: &K, namespace: &N) -> bool {
        match self {
            Self::Few(timers) => {
                let found = timers.iter().position(|known| known.is(hash, key, namespace));
                found.map(|index| timers.swap_remove(index)).is_some()
            }
            Self::Many(timers) => {
                let entry = timers.find_entry(place(hash, namespace), |known| known.is(hash, key, namespace));
                entry.map(|entry| entry.remove()).is_ok()
            }
        }
    }

    /// The timers one after the other, the next one last: a table would look for each from its beginning.
    pub fn line_up(&mut self) -> &mut Vec<Timer<K, N>> {
        if let Self::Many(timers) = self {
            *self = Self::Few(std::mem::take(timers).into_iter().collect());
        }
        match self {
            Self::Few(timers) => timers,
            Self::Many(_) => unreachable!("it is no table any more"),
        }
    }

    pub fn pop(&mut self) -> Option<Timer<K, N>> {
        self.line_up().pop()
    }
}
