//! The key at hand in one state.

use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        backend::TableMut,
        expiring::Perish,
        table::{KeyHash, StateTable},
        ttl::Moment,
    },
};

/// The key at hand in a state whose table holds `V`, or `E` where the state has a time-to-live.
pub(in crate::state) enum Place<'s, K, V, E> {
    /// What is there stays.
    Plain(Spot<'s, K, V>),
    /// What is there expires.
    Expiring(Spot<'s, K, E>, Moment),
}

/// A key in a table.
pub(in crate::state) struct Spot<'s, K, V> {
    pub table: TableMut<'s, K, V>,
    pub hash: KeyHash,
    pub key: &'s K,
}

/// Calls a method of a table, wherever that is.
macro_rules! on {
    ($table:expr, $method:ident($($argument:expr),*)) => {
        match $table {
            TableMut::Heap(table) => table.$method($($argument),*),
            TableMut::Elsewhere(table) => table.$method($($argument),*),
        }
    };
}

impl<'s, K: Key, V: Data> Spot<'s, K, V> {
    /// The value.
    #[inline]
    pub fn get(self) -> TaskResult<Option<&'s V>> {
        on!(self.table, get(self.hash, self.key))
    }

    /// The value, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self) -> TaskResult<Option<&mut V>> {
        on!(&mut self.table, get_mut(self.hash, self.key))
    }

    /// The value, to be changed in place, for good.
    #[inline]
    pub fn into_mut(self) -> TaskResult<Option<&'s mut V>> {
        on!(self.table, get_mut(self.hash, self.key))
    }

    /// The value, to be changed in place; `create` makes it where there is none.
    #[inline]
    pub fn entry(self, mut create: impl FnMut() -> V) -> TaskResult<&'s mut V> {
        on!(self.table, entry(self.hash, self.key, &mut create))
    }

    /// Sets the value.
    #[inline]
    pub fn insert(&mut self, value: V) -> TaskResult {
        on!(&mut self.table, insert(self.hash, self.key, value))
    }

    /// Takes the value out.
    #[inline]
    pub fn remove(&mut self) -> TaskResult<Option<V>> {
        on!(&mut self.table, remove(self.hash, self.key))
    }

    /// Drops the value.
    pub fn clear(mut self) -> TaskResult {
        self.remove().map(drop)
    }

    /// The value where `keep`, which may change it, keeps it; otherwise it is dropped.
    #[inline]
    pub fn get_kept(self, mut keep: impl FnMut(&mut V) -> bool) -> TaskResult<Option<&'s mut V>> {
        on!(self.table, get_kept(self.hash, self.key, &mut keep))
    }

    /// The value, which is changed by `keep` only where it is `due`, and dropped where that refuses it.
    #[inline]
    pub fn get_pruned(
        self,
        mut due: impl FnMut(&V) -> bool,
        mut keep: impl FnMut(&mut V) -> bool,
    ) -> TaskResult<Option<&'s V>> {
        on!(self.table, get_pruned(self.hash, self.key, &mut due, &mut keep))
    }
}

impl<'s, K: Key, E: Data + Perish> Spot<'s, K, E> {
    /// The value without what is not given out any more, which is dropped.
    #[inline]
    pub fn visible(self, moment: Moment) -> TaskResult<Option<&'s E>> {
        let due = |held: &E| !moment.shows_expired() && held.is_due(moment);
        self.get_pruned(due, |held| held.prune(moment))
    }

    /// As [`visible`](Self::visible), to be changed in place.
    #[inline]
    pub fn visible_mut(self, moment: Moment) -> TaskResult<Option<&'s mut E>> {
        self.get_kept(|held| moment.shows_expired() || held.prune(moment))
    }
}

impl<K: Key, V: Data, E: Data + Perish> Place<'_, K, V, E> {
    /// Drops what is there.
    pub fn clear(self) -> TaskResult {
        match self {
            Self::Plain(spot) => spot.clear(),
            Self::Expiring(spot, _) => spot.clear(),
        }
    }
}
