//! Timers in one kind of time.
//!
//! Timers lie in buckets by their time, so that the many that share one, as those of windows do, cost one search in the
//! tree of times together. Within a bucket a key and namespace stand once. Cost: a search in a B-tree of the distinct
//! times per call; an allocation per distinct time.
//!
//! # Layout
//! - `bucket`: the timers of one time
//! - `giving`: a snapshot of a queue that goes on

mod bucket;
mod giving;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, btree_map::Entry};

use bucket::{Bucket, Timer};
use giving::Giving;

use crate::{
    batch::{Key, Timestamp},
    state::KeyHash,
};

/// A timer whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<K, N> {
    /// Its time.
    pub at: Timestamp,
    /// The hash of its key.
    pub hash: KeyHash,
    /// Its key.
    pub key: K,
    /// Its namespace: what it is for, among the timers of a key.
    pub namespace: N,
}

/// Timers in order of time, each key and namespace once per time. Plain data, no clock.
#[derive(Debug)]
pub struct TimerQueue<K, N> {
    buckets: BTreeMap<Timestamp, Bucket<K, N>>,
    len: usize,
    /// The snapshot that is being given.
    giving: Option<Box<Giving<K, N>>>,
}

/// A copy is a queue of its own, of which no snapshot is being given.
impl<K: Clone, N: Clone> Clone for TimerQueue<K, N> {
    fn clone(&self) -> Self {
        Self { buckets: self.buckets.clone(), len: self.len, giving: None }
    }
}

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), len: 0, giving: None }
    }
}

impl<K: Key, N: Key> TimerQueue<K, N> {
    /// Timers in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest time.
    pub fn next(&self) -> Option<Timestamp> {
        self.buckets.first_key_value().map(|(at, _)| *at)
    }

    /// Adds a timer. False if there is one of this key and namespace at this time already.
    pub fn add(&mut self, at: Timestamp, hash: KeyHash, key: &K, namespace: &N) -> bool {
        let timer = || Timer { hash, key: key.clone(), namespace: namespace.clone() };
        let added = match self.buckets.entry(at) {
            Entry::Vacant(entry) => {
                entry.insert(Bucket::Few(vec![timer()]));
                true
            }
            Entry::Occupied(mut entry) => {
                if let Some(giving) = &mut self.giving
                    && entry.get().moves_to_add()
                {
                    giving.settle(at, entry.get());
                }
                entry.get_mut().add(hash, key, namespace, timer)
            }
        };
        if added && let Some(giving) = &mut self.giving {
            giving.come(at, timer);
        }
        self.len += usize::from(added);
        added
    }

    /// Removes a timer. False if there is none.
    pub fn remove(&mut self, at: Timestamp, hash: KeyHash, key: &K, namespace: &N) -> bool {
        let Entry::Occupied(mut entry) = self.buckets.entry(at) else { return false };
        if let Some(giving) = &mut self.giving {
            giving.leave(at, entry.get(), hash, key, namespace);
        }
        let removed = entry.get_mut().remove(hash, key, namespace);
        if removed {
            self.len -= 1;
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        removed
    }

    /// Takes out the next timer whose time is `until` or earlier; in order of time, those of one time in any order.
    pub fn pop(&mut self, until: Timestamp) -> Option<Due<K, N>> {
        let mut entry = self.buckets.first_entry().filter(|entry| *entry.key() <= until)?;
        let at = *entry.key();
        let bucket = entry.get_mut();
        if let Some(giving) = &mut self.giving {
            giving.line_up(at, bucket);
            giving.leave_last(at, bucket.line_up());
        }
        let timer = bucket.pop();
        if bucket.is_empty() {
            entry.remove();
        }
        let Timer { hash, key, namespace } = timer?;
        self.len -= 1;
        Some(Due { at, hash, key, namespace })
    }

    /// The hashes of the keys of the next timers up to `until`, `count` at most: so that what the keys have can be loaded
    /// before it is needed.
    pub fn upcoming(&mut self, until: Timestamp, count: usize, hashes: &mut Vec<KeyHash>) {
        let mut buckets = self.buckets.range_mut(..=until);
        let Some((at, first)) = buckets.next() else { return };
        if let Some(giving) = &mut self.giving {
            giving.line_up(*at, first);
        }
        let full = hashes.len() + count;
        hashes.extend(first.line_up().iter().rev().take(count).map(|timer| timer.hash));
        for (_, bucket) in buckets {
            // A table is not lined up before its time, as more may be added to it. It counts as a whole or not at all.
            match bucket {
                Bucket::Few(timers) => {
                    let left = full.saturating_sub(hashes.len());
                    hashes.extend(timers.iter().rev().take(left).map(|timer| timer.hash));
                }
                Bucket::Many(timers) if hashes.len() + timers.len() <= full => {
                    hashes.extend(timers.iter().map(|timer| timer.hash));
                }
                Bucket::Many(_) => return,
            }
            if hashes.len() >= full {
                return;
            }
        }
    }

    /// All timers, in order of time.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, KeyHash, &K, &N)> {
        self.buckets.iter().flat_map(|(at, bucket)| {
            let (few, many) = match bucket {
                Bucket::Few(timers) => (Some(timers.iter()), None),
                Bucket::Many(timers) => (None, Some(timers.iter())),
            };
            let timers = few.into_iter().flatten().chain(many.into_iter().flatten());
            timers.map(|timer| (*at, timer.hash, &timer.key, &timer.namespace))
        })
    }
}
