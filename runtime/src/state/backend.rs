//! Which tables keep keyed state.

#[cfg(feature = "disk")]
use std::sync::Arc;

#[cfg(feature = "disk")]
use super::disk::{Disk, DiskTable};
use super::{
    heap::HeapTable,
    table::{Cursor, KeyHash, Progress, Snapshot, StateTable},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Where the tables of keyed states are.
#[derive(Debug, Clone, Default)]
pub enum Backend {
    /// In memory.
    #[default]
    Heap,
    /// On disk, but for what was used last.
    #[cfg(feature = "disk")]
    Disk(Arc<Disk>),
}

impl Backend {
    /// An empty table.
    pub fn table<K: Key, V: Data>(&self) -> BackendTable<K, V> {
        match self {
            Self::Heap => BackendTable::Heap(HeapTable::default()),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => BackendTable::Elsewhere(Box::new(DiskTable::new(disk))),
        }
    }

    /// The part of a table that may go to disk when it becomes too large for that; nothing where all are in memory.
    pub(super) fn share(&self) -> Option<Share> {
        match self {
            Self::Heap => None,
            #[cfg(feature = "disk")]
            Self::Disk(disk) => Some(Share { disk: Arc::clone(disk), bytes: 0 }),
        }
    }
}

/// What a table has in memory that goes to disk when it, or all that are such, have become too large.
#[derive(Debug)]
#[cfg(feature = "disk")]
pub(super) struct Share {
    disk: Arc<Disk>,
    bytes: usize,
}

#[cfg(feature = "disk")]
impl Share {
    /// Notes that the table takes up so many bytes, and says how many more it may; nothing if it is to go to disk.
    pub fn hold(&mut self, bytes: usize) -> Option<usize> {
        self.disk.near(std::mem::replace(&mut self.bytes, bytes), bytes)
    }

    /// An empty table on disk.
    pub fn table<K: Key, V: Data>(&self) -> Box<dyn StateTable<K, V>> {
        Box::new(DiskTable::new(&self.disk))
    }
}

#[cfg(feature = "disk")]
impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// There is no disk.
#[derive(Debug)]
#[cfg(not(feature = "disk"))]
pub(super) enum Share {}

#[cfg(not(feature = "disk"))]
impl Share {
    pub fn hold(&mut self, _: usize) -> Option<usize> {
        match *self {}
    }

    pub fn table<K: Key, V: Data>(&self) -> Box<dyn StateTable<K, V>> {
        match *self {}
    }
}

/// The table of a state. One in memory is held by its type, and not behind a trait object, so that its look-ups are
/// compiled into the handles: that takes off 1 to 2 ns of 8 per access (`benches/state.rs`).
pub enum BackendTable<K, V> {
    /// In memory.
    Heap(HeapTable<K, V>),
    /// Wherever else.
    Elsewhere(Box<dyn StateTable<K, V>>),
}

/// A table at work.
pub(super) enum TableMut<'t, K, V> {
    Heap(&'t mut HeapTable<K, V>),
    Elsewhere(&'t mut dyn StateTable<K, V>),
}

impl<K, V> BackendTable<K, V> {
    #[inline]
    pub(super) fn borrow_mut(&mut self) -> TableMut<'_, K, V> {
        match self {
            Self::Heap(table) => TableMut::Heap(table),
            Self::Elsewhere(table) => TableMut::Elsewhere(&mut **table),
        }
    }
}

impl<K: Key, V: Data> BackendTable<K, V> {
    /// Its part that does not depend on types.
    pub fn entries(&self) -> &dyn Snapshot {
        match self {
            Self::Heap(table) => table,
            Self::Elsewhere(table) => &**table,
        }
    }

    /// As [`entries`](Self::entries), to put entries in.
    pub fn entries_mut(&mut self) -> &mut dyn Snapshot {
        match self {
            Self::Heap(table) => table,
            Self::Elsewhere(table) => &mut **table,
        }
    }

    /// Keys that have a value.
    pub fn len(&self) -> usize {
        self.entries().keys()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`HeapTable::warm`].
    #[inline]
    pub fn warm(&self, hashes: &[KeyHash]) {
        if let Self::Heap(table) = self {
            table.warm(hashes);
        }
    }

    /// See [`StateTable::get_mut`].
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn get_mut(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&mut V>> {
        match self {
            Self::Heap(table) => Ok(table.find_mut(hash, key)),
            Self::Elsewhere(table) => table.get_mut(hash, key),
        }
    }

    /// See [`StateTable::entry`].
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn entry(&mut self, hash: KeyHash, key: &K, mut create: impl FnMut() -> V) -> TaskResult<&mut V> {
        match self {
            Self::Heap(table) => Ok(table.upsert(hash, key, create)),
            Self::Elsewhere(table) => table.entry(hash, key, &mut create),
        }
    }

    /// Adds `item` to the value of `key`: `first` makes a value of it where there is none, `add` changes one that is there. Both get
    /// `with`.
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn fold<C, T>(
        &mut self,
        hash: KeyHash,
        key: &K,
        item: T,
        with: &mut C,
        first: impl FnOnce(&mut C, T) -> V,
        add: impl FnOnce(&mut C, &mut V, T),
    ) -> TaskResult {
        match self {
            Self::Heap(table) => _ = table.fold(hash, key, item, with, first, add),
            Self::Elsewhere(table) => fold(&mut **table, hash, key, item, with, first, add)?,
        }
        Ok(())
    }

    /// See [`StateTable::insert`].
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult {
        match self {
            Self::Heap(table) => {
                table.set(hash, key, value);
                Ok(())
            }
            Self::Elsewhere(table) => table.insert(hash, key, value),
        }
    }

    /// See [`StateTable::remove`].
    ///
    /// # Errors
    /// When the backend cannot read or remove it.
    #[inline]
    pub fn remove(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<V>> {
        match self {
            Self::Heap(table) => Ok(table.take(hash, key)),
            Self::Elsewhere(table) => table.remove(hash, key),
        }
    }

    /// See [`StateTable::walk`].
    ///
    /// # Errors
    /// When the backend cannot read them, and the first of `see`.
    pub fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        mut see: impl FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress> {
        match self {
            Self::Heap(table) => table.walk(cursor, places, see),
            Self::Elsewhere(table) => table.walk(cursor, places, &mut see),
        }
    }

    /// See [`StateTable::visit`].
    ///
    /// # Errors
    /// When the backend cannot read or remove them, and the first of `visit`.
    #[inline]
    pub fn visit(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        mut visit: impl FnMut(&K, &mut V) -> TaskResult<bool>,
    ) -> TaskResult<Progress> {
        match self {
            Self::Heap(table) => table.visit(cursor, places, visit),
            Self::Elsewhere(table) => table.visit(cursor, places, &mut visit),
        }
    }

    /// See [`StateTable::prepare`].
    ///
    /// # Errors
    /// When the backend takes no table.
    pub fn prepare(&mut self) -> TaskResult {
        match self {
            Self::Heap(_) => Ok(()),
            Self::Elsewhere(table) => table.prepare(),
        }
    }

    /// See [`StateTable::is_giving`].
    pub fn is_giving(&self) -> bool {
        match self {
            Self::Heap(table) => table.is_giving(),
            Self::Elsewhere(table) => table.is_giving(),
        }
    }
}

/// Adds `item` to the value of `key` in a table that is not in memory; see [`BackendTable::fold`].
pub(super) fn fold<K: Key, V: Data, C, T>(
    table: &mut dyn StateTable<K, V>,
    hash: KeyHash,
    key: &K,
    item: T,
    with: &mut C,
    first: impl FnOnce(&mut C, T) -> V,
    add: impl FnOnce(&mut C, &mut V, T),
) -> TaskResult {
    let mut once = Some((item, first, add));
    table.update(hash, key, &mut |held| {
        let (item, first, add) = once.take()?;
        match held {
            Some(value) => {
                add(with, value, item);
                None
            }
            None => Some(first(with, item)),
        }
    })
}
