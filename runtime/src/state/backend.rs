//! Which tables keep keyed state.

use super::{heap::HeapTable, table::StateTable};
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
    Disk(std::sync::Arc<super::disk::Disk>),
}

impl Backend {
    /// An empty table.
    ///
    /// # Errors
    /// When the disk takes none.
    pub(super) fn table<K: Key, V: Data>(&self) -> TaskResult<Table<K, V>> {
        match self {
            Self::Heap => Ok(Table::Heap(HeapTable::default())),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => Ok(Table::Elsewhere(Box::new(super::disk::DiskTable::create(disk)?))),
        }
    }
}

/// The table of a state. One in memory is held by its type, and not behind a trait object, so that its look-ups are
/// compiled into the handles: that takes off 1 to 2 ns of 8 per access (`benches/state.rs`).
pub(super) enum Table<K, V> {
    Heap(HeapTable<K, V>),
    #[cfg_attr(not(feature = "disk"), expect(dead_code, reason = "there is no other backend then"))]
    Elsewhere(Box<dyn StateTable<K, V>>),
}

/// A table at work.
pub(super) enum TableMut<'t, K, V> {
    Heap(&'t mut HeapTable<K, V>),
    Elsewhere(&'t mut dyn StateTable<K, V>),
}

impl<K, V> Table<K, V> {
    #[inline]
    pub fn borrow_mut(&mut self) -> TableMut<'_, K, V> {
        match self {
            Self::Heap(table) => TableMut::Heap(table),
            Self::Elsewhere(table) => TableMut::Elsewhere(&mut **table),
        }
    }
}
