//! One slice, and what it has that is given out.

use flott_runtime::{
    batch::{BATCH_RECORDS, Data, Key, Timestamp},
    error::TaskResult,
    state::{Backend, Cursor, Progress, SpillTable},
};

use super::shape::{Shape, SliceNo};

pub(super) struct Slice<K, V> {
    pub number: SliceNo,
    pub begin: Timestamp,
    /// Its last millisecond.
    pub last: Timestamp,
    pub table: SpillTable<K, V>,
}

impl<K: Key, V: Data> Slice<K, V> {
    /// An empty one for the records of number `number`, with room for so many keys.
    pub fn new(shape: Shape, number: SliceNo, keys: usize, backend: &Backend) -> Self {
        let (begin, last) = shape.span(number);
        Self { number, begin, last, table: SpillTable::with_capacity(backend, keys) }
    }

    /// Whether records of this time belong to it.
    #[inline(always)]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.begin <= at && at <= self.last
    }
}

/// What a slice has that is given out.
pub(super) enum Contents<K, V> {
    /// Taken out one after the other.
    Taken(Box<dyn Iterator<Item = (K, V)> + Send>),
    /// Looked at: a snapshot has not been given all of it, it is kept, or it is on disk.
    Seen { slice: Slice<K, V>, cursor: Cursor, more: bool },
}

impl<K: Key, V: Data> Contents<K, V> {
    /// What `slice` has, which may have to be `kept`.
    pub fn of(slice: Slice<K, V>, kept: bool) -> Self {
        let Slice { number, begin, last, table } = slice;
        let table = if kept || table.is_giving() { Err(table) } else { table.into_memory() };
        match table {
            Ok(table) => Self::Taken(Box::new(table.into_entries())),
            Err(table) => {
                let more = !table.is_empty();
                Self::Seen { slice: Slice { number, begin, last, table }, cursor: Cursor::default(), more }
            }
        }
    }

    /// Gives some of the next entries to `give`: of so many places of the table.
    pub fn look(&mut self, places: usize, mut give: impl FnMut(&K, &V) -> TaskResult) -> TaskResult {
        match self {
            Self::Taken(entries) => entries.by_ref().take(places).try_for_each(|(key, value)| give(&key, &value)),
            Self::Seen { slice, cursor, more } => {
                *more = slice.table.walk(cursor, places, give)? == Progress::More;
                Ok(())
            }
        }
    }

    /// As [`look`](Self::look), with values to keep.
    pub fn take(&mut self, places: usize, mut give: impl FnMut(&K, V) -> TaskResult) -> TaskResult {
        match self {
            Self::Taken(entries) => entries.by_ref().take(places).try_for_each(|(key, value)| give(&key, value)),
            Self::Seen { .. } => self.look(places, |key, value| give(key, value.clone())),
        }
    }

    /// What is kept of it is not asked for as long as no late record comes: has it no more in memory than it must, step by step.
    pub fn cool(&mut self) -> TaskResult<Progress> {
        match self {
            Self::Seen { slice, .. } => slice.table.cool(BATCH_RECORDS),
            Self::Taken(_) => Ok(Progress::Done),
        }
    }

    /// Whether there is more.
    pub fn has_more(&self) -> bool {
        match self {
            Self::Taken(entries) => entries.size_hint().0 > 0,
            Self::Seen { more, .. } => *more,
        }
    }
}
