//! A map whose entries expire one by one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Expiring, Perish};
use crate::{
    batch::{Data, Key, Timestamp},
    state::{entry_map::EntryMap, ttl::Moment},
};

/// Entries with when each was last used.
#[derive(Debug, Clone)]
pub(in crate::state) struct ExpiringMap<K, V> {
    map: EntryMap<K, Expiring<V>>,
    /// No entry was last used earlier.
    oldest: Timestamp,
}

impl<K, V> Default for ExpiringMap<K, V> {
    fn default() -> Self {
        Self { map: EntryMap::default(), oldest: Timestamp::MAX }
    }
}

impl<K: Key, V: Data> ExpiringMap<K, V> {
    /// Other entries in their places, last used when they were.
    pub fn map<L: Key, W: Data>(self, make: impl Fn(K, V) -> (L, W)) -> ExpiringMap<L, W> {
        let mut map = EntryMap::default();
        for (key, held) in self.map.into_entries() {
            let mut other = None;
            let held = held.map(|value| {
                let (key, value) = make(key, value);
                other = Some(key);
                value
            });
            other.into_iter().for_each(|key| map.insert(&key, held.clone()));
        }
        ExpiringMap { map, oldest: self.oldest }
    }

    /// Entries that are there, expired ones included.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Whether there is something under `key`, which is not given out any more.
    pub fn hides(&self, key: &K, moment: Moment) -> bool {
        self.map.get(key).is_some_and(|held| moment.hides(held.used()))
    }

    /// Drops the entry of `key` if it is not given out any more, and says whether any is left.
    pub fn prune_one(&mut self, key: &K, moment: Moment) -> bool {
        self.map.get_kept(key, |held| !moment.hides(held.used())).is_some() || !self.map.is_empty()
    }

    /// Reads the value of `key`.
    pub fn read(&mut self, key: &K, moment: Moment) -> Option<&V> {
        self.map.get_mut(key).map(|held| held.read(moment))
    }

    /// The value of `key`, without a use of it.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(Expiring::peek)
    }

    /// Reads all entries that are there.
    pub fn read_all(&mut self, moment: Moment) -> &Self {
        self.oldest = Timestamp::MAX;
        for held in self.map.values_mut() {
            held.read(moment);
            self.oldest = self.oldest.min(held.used());
        }
        self
    }

    /// All entries that are there, without a use of them.
    pub fn peek_all(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, held)| (key, held.peek()))
    }

    /// Writes the value of `key` in place, if there is one that is still given out.
    pub fn write(&mut self, key: &K, moment: Moment) -> Option<&mut V> {
        self.oldest = self.oldest.min(moment.now);
        self.map.get_kept(key, |held| !moment.hides(held.used())).map(|held| held.write(moment))
    }

    /// Writes the value of `key` in place; `create` makes it where there is none that is still given out.
    pub fn write_or<F: FnOnce() -> V>(&mut self, key: &K, moment: Moment, create: F) -> &mut V {
        self.oldest = self.oldest.min(moment.now);
        let first = |create: F| Expiring::new(create(), moment);
        let again = |held: &mut Expiring<V>, create: F| {
            held.write_or(moment, create);
        };
        self.map.fold(key, create, first, again).write(moment)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, key: &K, value: V, moment: Moment) {
        self.oldest = self.oldest.min(moment.now);
        self.map.insert(key, Expiring::new(value, moment));
    }

    /// Takes the value of `key` out, if it is still given out.
    pub fn remove(&mut self, key: &K, moment: Moment) -> Option<V> {
        self.map.remove(key)?.into_value(moment)
    }

    /// Drops the entries that have expired and those that `keep` refuses, and says whether any is left.
    pub fn retain(&mut self, moment: Moment, mut keep: impl FnMut(&K, &V) -> bool) -> bool {
        self.map.retain(|key, held| !moment.hides(held.used()) && keep(key, held.peek()));
        !self.map.is_empty()
    }
}

impl<K: Key, V: Data> Perish for ExpiringMap<K, V> {
    fn is_due(&self, moment: Moment) -> bool {
        moment.expired(self.oldest)
    }

    fn is_overdue(&self, moment: Moment) -> bool {
        moment.overdue(self.oldest)
    }

    fn prune(&mut self, moment: Moment) -> bool {
        if moment.expired(self.oldest) {
            let mut oldest = Timestamp::MAX;
            self.map.retain(|_, held| {
                let keep = !moment.expired(held.used());
                if keep {
                    oldest = oldest.min(held.used());
                }
                keep
            });
            self.oldest = oldest;
        }
        !self.map.is_empty()
    }
}

impl<K: Key, V: Data> Serialize for ExpiringMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.map.serialize(serializer)
    }
}

impl<'de, K: Key, V: Data> Deserialize<'de> for ExpiringMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = EntryMap::<K, Expiring<V>>::deserialize(deserializer)?;
        let oldest = map.iter().map(|(_, held)| held.used()).min().unwrap_or(Timestamp::MAX);
        Ok(Self { map, oldest })
    }
}
