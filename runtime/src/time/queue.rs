//! Timers in one kind of time.
//!
//! Timers lie in buckets by their time, so that the many that share one, as those of windows do, cost one search in the
//! tree of times together. Within a bucket a key and namespace stand once. Cost: a search in a B-tree of the distinct
//! times per call; an allocation per distinct time.

use std::collections::{BTreeMap, btree_map::Entry};

use flott_core::key_group::stable_hash;
use hashbrown::HashTable;

use crate::{
    batch::{Key, Timestamp},
    state::KeyHash,
};

/// Timers of one time that are looked through one by one; with more of them a table is kept.
const FEW: usize = 8;

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

#[derive(Debug, Clone)]
struct Timer<K, N> {
    hash: KeyHash,
    key: K,
    namespace: N,
}

#[derive(Debug, Clone)]
enum Bucket<K, N> {
    Few(Vec<Timer<K, N>>),
    Many(HashTable<Timer<K, N>>),
}

/// Timers in order of time, each key and namespace once per time. Plain data, no clock.
#[derive(Debug, Clone)]
pub struct TimerQueue<K, N> {
    buckets: BTreeMap<Timestamp, Bucket<K, N>>,
    len: usize,
}

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), len: 0 }
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
            Entry::Occupied(mut entry) => entry.get_mut().add(hash, key, namespace, timer),
        };
        self.len += usize::from(added);
        added
    }

    /// Removes a timer. False if there is none.
    pub fn remove(&mut self, at: Timestamp, hash: KeyHash, key: &K, namespace: &N) -> bool {
        let Entry::Occupied(mut entry) = self.buckets.entry(at) else { return false };
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
        let mut buckets = self.buckets.range_mut(..=until).map(|(_, bucket)| bucket);
        let Some(first) = buckets.next() else { return };
        let full = hashes.len() + count;
        hashes.extend(first.line_up().iter().rev().take(count).map(|timer| timer.hash));
        for bucket in buckets {
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

impl<K: Key, N: Key> Timer<K, N> {
    fn is(&self, hash: KeyHash, key: &K, namespace: &N) -> bool {
        self.hash == hash && self.key == *key && self.namespace == *namespace
    }
}

/// Where a timer stands in the table of its bucket.
fn place<N: Key>(hash: KeyHash, namespace: &N) -> u64 {
    // Timers of one key differ in their namespaces alone.
    hash.for_table() ^ stable_hash(namespace).rotate_left(17)
}

impl<K: Key, N: Key> Bucket<K, N> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(timers) => timers.is_empty(),
            Self::Many(timers) => timers.is_empty(),
        }
    }

    fn add(&mut self, hash: KeyHash, key: &K, namespace: &N, timer: impl FnOnce() -> Timer<K, N>) -> bool {
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

    fn remove(&mut self, hash: KeyHash, key: &K, namespace: &N) -> bool {
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
    fn line_up(&mut self) -> &mut Vec<Timer<K, N>> {
        if let Self::Many(timers) = self {
            *self = Self::Few(std::mem::take(timers).into_iter().collect());
        }
        match self {
            Self::Few(timers) => timers,
            Self::Many(_) => unreachable!("it is no table any more"),
        }
    }

    fn pop(&mut self) -> Option<Timer<K, N>> {
        self.line_up().pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(key: &u32) -> KeyHash {
        KeyHash::of(key)
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(Timestamp, u32, u8),
        Remove(Timestamp, u32, u8),
        Pop(Timestamp),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let at = || prop_oneof![5 => -3i64..3, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
        let step = prop_oneof![
            6 => (at(), 0u32..40, 0u8..2).prop_map(|(at, key, n)| Step::Add(at, key, n)),
            2 => (at(), 0u32..40, 0u8..2).prop_map(|(at, key, n)| Step::Remove(at, key, n)),
            1 => at().prop_map(Step::Pop),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn timers_are_kept_once_and_come_in_order(steps in steps()) {
            let mut queue = TimerQueue::<u32, u8>::default();
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Add(at, key, n) => {
                        prop_assert_eq!(queue.add(at, hash(&key), &key, &n), model.insert((at, key, n)));
                    }
                    Step::Remove(at, key, n) => {
                        prop_assert_eq!(queue.remove(at, hash(&key), &key, &n), model.remove(&(at, key, n)));
                    }
                    Step::Pop(until) => {
                        let (mut popped, mut upcoming) = (Vec::new(), Vec::new());
                        queue.upcoming(until, 30, &mut upcoming);
                        let mut hashes = Vec::new();
                        while let Some(due) = queue.pop(until) {
                            hashes.push(due.hash);
                            prop_assert_eq!(due.hash, hash(&due.key));
                            popped.push((due.at, due.key, due.namespace));
                        }
                        prop_assert!(popped.is_sorted_by_key(|due| due.0));
                        prop_assert!(upcoming.len() <= 30);
                        hashes.truncate(upcoming.len());
                        let by_value = |hash: &KeyHash| hash.for_table();
                        hashes.sort_by_key(by_value);
                        upcoming.sort_by_key(by_value);
                        prop_assert_eq!(upcoming, hashes);
                        popped.sort_unstable();
                        let expected: Vec<_> = model.iter().copied().filter(|timer| timer.0 <= until).collect();
                        prop_assert_eq!(popped, expected);
                        model.retain(|timer| timer.0 > until);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.next(), model.first().map(|timer| timer.0));
                let mut all: Vec<_> = queue.iter().map(|(at, _, key, n)| (at, *key, *n)).collect();
                all.sort_unstable();
                prop_assert_eq!(all, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
