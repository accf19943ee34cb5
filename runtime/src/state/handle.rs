//! What user functions hold: places of states, resolved once.

use std::{fmt, marker::PhantomData};

use super::{entry_map::EntryMap, keyed::KeyScope};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

const UNBOUND: usize = usize::MAX;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($param:ident),+>) => {
        $(#[$doc])*
        ///
        /// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
        pub struct $name<$($param),+> {
            index: usize,
            types: PhantomData<fn() -> ($($param,)+)>,
        }

        impl<$($param),+> $name<$($param),+> {
            pub(super) fn at(index: usize) -> Self {
                Self { index, types: PhantomData }
            }
        }

        impl<$($param),+> Default for $name<$($param),+> {
            fn default() -> Self {
                Self::at(UNBOUND)
            }
        }

        impl<$($param),+> Clone for $name<$($param),+> {
            fn clone(&self) -> Self {
                Self::at(self.index)
            }
        }

        impl<$($param),+> fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.index {
                    UNBOUND => f.write_str(concat!(stringify!($name), "(not bound)")),
                    index => write!(f, concat!(stringify!($name), "({})"), index),
                }
            }
        }
    };
}

handle! {
    /// One value per key.
    ValueState<V>
}

handle! {
    /// A list per key.
    ListState<V>
}

handle! {
    /// A map per key.
    MapState<MK, MV>
}

impl<V: Data> ValueState<V> {
    /// The value of the key at hand.
    ///
    /// # Errors
    /// When the handle is not bound, or the backend fails; so it is with all methods of handles.
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Option<&'s V>> {
        let (table, hash, key) = scope.states().access::<V>(self.index)?;
        table.get(hash, key)
    }

    /// The value of the key at hand, to be changed in place; `create` makes it where there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_or_insert_with<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
        mut create: impl FnMut() -> V,
    ) -> TaskResult<&'s mut V> {
        let (table, hash, key) = scope.states().access::<V>(self.index)?;
        table.entry(hash, key, &mut create)
    }

    /// Sets the value of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn set<S: KeyScope>(&self, scope: &mut S, value: V) -> TaskResult {
        let (table, hash, key) = scope.states().access::<V>(self.index)?;
        table.insert(hash, key, value)
    }

    /// Takes the value of the key at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Option<V>> {
        let (table, hash, key) = scope.states().access::<V>(self.index)?;
        table.remove(hash, key)
    }

    /// Forgets the value of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.take(scope).map(drop)
    }
}

impl<V: Data> ListState<V> {
    /// The list of the key at hand, oldest first.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<&'s [V]> {
        let (table, hash, key) = scope.states().access::<Vec<V>>(self.index)?;
        Ok(table.get(hash, key)?.map_or(&[], Vec::as_slice))
    }

    /// Adds to the end of the list of the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn add<S: KeyScope>(&self, scope: &mut S, value: V) -> TaskResult {
        let (table, hash, key) = scope.states().access::<Vec<V>>(self.index)?;
        table.entry(hash, key, &mut Vec::new)?.push(value);
        Ok(())
    }

    /// Replaces the list of the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn set<S: KeyScope>(&self, scope: &mut S, values: Vec<V>) -> TaskResult {
        let (table, hash, key) = scope.states().access::<Vec<V>>(self.index)?;
        if values.is_empty() { table.remove(hash, key).map(drop) } else { table.insert(hash, key, values) }
    }

    /// Takes the list of the key at hand out.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Vec<V>> {
        let (table, hash, key) = scope.states().access::<Vec<V>>(self.index)?;
        Ok(table.remove(hash, key)?.unwrap_or_default())
    }

    /// Forgets the list of the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.take(scope).map(drop)
    }
}

impl<MK: Key, MV: Data> MapState<MK, MV> {
    /// What `entry` maps to under the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S, entry: &MK) -> TaskResult<Option<&'s MV>> {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        Ok(table.get(hash, key)?.and_then(|map| map.get(entry)))
    }

    /// What `entry` maps to under the key at hand, to be changed in place; `create` makes it where there is nothing.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn get_or_insert_with<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
        entry: &MK,
        create: impl FnOnce() -> MV,
    ) -> TaskResult<&'s mut MV> {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        Ok(table.entry(hash, key, &mut EntryMap::default)?.get_or_insert_with(entry, create))
    }

    /// Maps `entry` to `value` under the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    #[inline]
    pub fn insert<S: KeyScope>(&self, scope: &mut S, entry: &MK, value: MV) -> TaskResult {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        table.entry(hash, key, &mut EntryMap::default)?.insert(entry, value);
        Ok(())
    }

    /// Takes out what `entry` maps to under the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn remove<S: KeyScope>(&self, scope: &mut S, entry: &MK) -> TaskResult<Option<MV>> {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        let Some(map) = table.get_mut(hash, key)? else { return Ok(None) };
        let removed = map.remove(entry);
        if map.is_empty() {
            table.remove(hash, key)?;
        }
        Ok(removed)
    }

    /// The whole map of the key at hand, if it has one.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn entries<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Option<&'s EntryMap<MK, MV>>> {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        table.get(hash, key)
    }

    /// Forgets the map of the key at hand.
    ///
    /// # Errors
    /// As [`ValueState::get`].
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        let (table, hash, key) = scope.states().access::<EntryMap<MK, MV>>(self.index)?;
        table.remove(hash, key).map(drop)
    }
}
