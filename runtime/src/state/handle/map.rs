//! A map per key.

use super::handle;
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        entry_map::EntryMap,
        expiring::ExpiringMap,
        keyed::{KeyScope, Place},
    },
};

handle! {
    /// A map per key. With a time-to-live each entry expires by itself.
    MapState<MK, MV>
}

type MapPlace<'s, K, MK, MV> = Place<'s, K, EntryMap<MK, MV>, ExpiringMap<MK, MV>>;

impl<MK: Key, MV: Data> MapState<MK, MV> {
    #[inline]
    fn place<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<MapPlace<'s, S::Key, MK, MV>> {
        scope.states().place(self.index)
    }

    /// What `entry` maps to under the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`](super::ValueState::get); so it is with all methods.
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S, entry: &MK) -> TaskResult<Option<&'s MV>> {
        match self.place(scope)? {
            Place::Plain(spot) => Ok(spot.get()?.and_then(|map| map.get(entry))),
            Place::Expiring(spot, moment) if moment.reads_count() => {
                let map = spot.get_kept(|map| map.prune_one(entry, moment))?;
                Ok(map.and_then(|map| map.read(entry, moment)))
            }
            Place::Expiring(spot, moment) => {
                let map = spot.get_pruned(|map| map.hides(entry, moment), |map| map.prune_one(entry, moment))?;
                Ok(map.and_then(|map| map.peek(entry)))
            }
        }
    }

    /// Whether `entry` maps to something under the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains<S: KeyScope>(&self, scope: &mut S, entry: &MK) -> TaskResult<bool> {
        Ok(self.get(scope, entry)?.is_some())
    }

    /// What `entry` maps to under the key at hand, to be changed in place; `create` makes it where there is nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_or_insert_with<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
        entry: &MK,
        create: impl FnOnce() -> MV,
    ) -> TaskResult<&'s mut MV> {
        match self.place(scope)? {
            Place::Plain(spot) => Ok(spot.entry(EntryMap::default)?.get_or_insert_with(entry, create)),
            Place::Expiring(spot, moment) => Ok(spot.entry(ExpiringMap::default)?.write_or(entry, moment, create)),
        }
    }

    /// Maps `entry` to `value` under the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn insert<S: KeyScope>(&self, scope: &mut S, entry: &MK, value: MV) -> TaskResult {
        match self.place(scope)? {
            Place::Plain(spot) => spot.entry(EntryMap::default)?.insert(entry, value),
            Place::Expiring(spot, moment) => spot.entry(ExpiringMap::default)?.insert(entry, value, moment),
        }
        Ok(())
    }

    /// Maps all `entries` to their values under the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert_all<S: KeyScope>(&self, scope: &mut S, entries: impl IntoIterator<Item = (MK, MV)>) -> TaskResult {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        match self.place(scope)? {
            Place::Plain(spot) => {
                let map = spot.entry(EntryMap::default)?;
                entries.for_each(|(entry, value)| map.insert(&entry, value));
            }
            Place::Expiring(spot, moment) => {
                let map = spot.entry(ExpiringMap::default)?;
                entries.for_each(|(entry, value)| map.insert(&entry, value, moment));
            }
        }
        Ok(())
    }

    /// Changes what `entry` maps to under the key at hand in place, and says whether there was something.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<S: KeyScope>(&self, scope: &mut S, entry: &MK, change: impl FnOnce(&mut MV)) -> TaskResult<bool> {
        let value = match self.place(scope)? {
            Place::Plain(spot) => spot.into_mut()?.and_then(|map| map.get_mut(entry)),
            Place::Expiring(spot, moment) => {
                let map = spot.get_kept(|map| map.prune_one(entry, moment))?;
                map.and_then(|map| map.write(entry, moment))
            }
        };
        Ok(value.map(change).is_some())
    }

    /// Takes out what `entry` maps to under the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove<S: KeyScope>(&self, scope: &mut S, entry: &MK) -> TaskResult<Option<MV>> {
        let mut removed = None;
        match self.place(scope)? {
            Place::Plain(spot) => {
                spot.get_kept(|map| {
                    removed = map.remove(entry);
                    !map.is_empty()
                })?;
            }
            Place::Expiring(spot, moment) => {
                spot.get_kept(|map| {
                    removed = map.remove(entry, moment);
                    !map.is_empty()
                })?;
            }
        }
        Ok(removed)
    }

    /// Drops the entries under the key at hand that `keep` refuses.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn retain<S: KeyScope>(&self, scope: &mut S, mut keep: impl FnMut(&MK, &MV) -> bool) -> TaskResult {
        match self.place(scope)? {
            Place::Plain(spot) => {
                spot.get_kept(|map| {
                    map.retain(&mut keep);
                    !map.is_empty()
                })?;
            }
            Place::Expiring(spot, moment) => {
                spot.get_kept(|map| map.retain(moment, &mut keep))?;
            }
        }
        Ok(())
    }

    /// Entries under the key at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
    ) -> TaskResult<impl ExactSizeIterator<Item = (&'s MK, &'s MV)> + use<'s, S, MK, MV>> {
        Ok(match self.place(scope)? {
            Place::Plain(spot) => Entries::Plain(spot.get()?.map(EntryMap::iter)),
            Place::Expiring(spot, moment) => {
                let map = if moment.reads_count() {
                    spot.visible_mut(moment)?.map(|map| map.read_all(moment))
                } else {
                    spot.visible(moment)?
                };
                Entries::Expiring(map.map(ExpiringMap::peek_all))
            }
        })
    }

    /// What is mapped to something under the key at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn keys<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
    ) -> TaskResult<impl ExactSizeIterator<Item = &'s MK> + use<'s, S, MK, MV>> {
        Ok(self.entries(scope)?.map(|(entry, _)| entry))
    }

    /// What something maps to under the key at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn values<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
    ) -> TaskResult<impl ExactSizeIterator<Item = &'s MV> + use<'s, S, MK, MV>> {
        Ok(self.entries(scope)?.map(|(_, value)| value))
    }

    /// Entries under the key at hand. With a time-to-live it is no reading of them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len<S: KeyScope>(&self, scope: &mut S) -> TaskResult<usize> {
        Ok(match self.place(scope)? {
            Place::Plain(spot) => spot.get()?.map_or(0, EntryMap::len),
            Place::Expiring(spot, moment) => spot.visible(moment)?.map_or(0, |map| map.len()),
        })
    }

    /// Whether there are no entries under the key at hand. With a time-to-live it is no reading of them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty<S: KeyScope>(&self, scope: &mut S) -> TaskResult<bool> {
        Ok(self.len(scope)? == 0)
    }

    /// Forgets the map of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.place(scope)?.clear()
    }
}

/// The entries of a map of either sort, if there is one.
enum Entries<P, E> {
    Plain(Option<P>),
    Expiring(Option<E>),
}

impl<T, P: ExactSizeIterator<Item = T>, E: ExactSizeIterator<Item = T>> Iterator for Entries<P, E> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            Self::Plain(entries) => entries.as_mut()?.next(),
            Self::Expiring(entries) => entries.as_mut()?.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Plain(entries) => entries.as_ref().map_or(0, P::len),
            Self::Expiring(entries) => entries.as_ref().map_or(0, E::len),
        };
        (left, Some(left))
    }
}

impl<T, P: ExactSizeIterator<Item = T>, E: ExactSizeIterator<Item = T>> ExactSizeIterator for Entries<P, E> {}
