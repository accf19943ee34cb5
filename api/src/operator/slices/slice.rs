//! One slice, and what it has that is given out.

use flott_runtime::{
    batch::{Key, Timestamp},
    error::TaskResult,
    state::FoldTable,
};

use super::shape::{Shape, SliceNo};

pub(super) struct Slice<K, V> {
    pub number: SliceNo,
    pub begin: Timestamp,
    /// Its last millisecond.
    pub last: Timestamp,
    pub table: FoldTable<K, V>,
}

impl<K: Key, V> Slice<K, V> {
    /// An empty one for the records of number `number`, with room for so many keys.
    pub fn new(shape: Shape, number: SliceNo, keys: usize) -> Self {
        let (begin, last) = shape.span(number);
        Self { number, begin, last, table: FoldTable::with_capacity(keys) }
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
    /// Looked at, from `place` on: a snapshot has not been given all of it, or it is kept.
    Seen { slice: Slice<K, V>, place: usize },
}

impl<K: Key, V: Clone + Send + 'static> Contents<K, V> {
    /// What `slice` has, which may have to be `kept`.
    pub fn of(slice: Slice<K, V>, kept: bool) -> Self {
        match kept || slice.table.is_giving() {
            true => Self::Seen { slice, place: 0 },
            false => Self::Taken(Box::new(slice.table.into_entries())),
        }
    }

    /// Gives the next `count` entries to `give`.
    pub fn look(&mut self, count: usize, mut give: impl FnMut(&K, &V) -> TaskResult) -> TaskResult {
        match self {
            Self::Taken(entries) => entries.by_ref().take(count).try_for_each(|(key, value)| give(&key, &value)),
            Self::Seen { slice, place } => {
                let from = std::mem::replace(place, *place + count);
                slice.table.iter_from(from).take(count).try_for_each(|(key, value)| give(key, value))
            }
        }
    }

    /// As [`look`](Self::look), with values to keep.
    pub fn take(&mut self, count: usize, mut give: impl FnMut(&K, V)) {
        match self {
            Self::Taken(entries) => entries.by_ref().take(count).for_each(|(key, value)| give(&key, value)),
            Self::Seen { slice, place } => {
                let from = std::mem::replace(place, *place + count);
                slice.table.iter_from(from).take(count).for_each(|(key, value)| give(key, value.clone()));
            }
        }
    }

    /// Whether there is more.
    pub fn has_more(&self) -> bool {
        match self {
            Self::Taken(entries) => entries.size_hint().0 > 0,
            Self::Seen { slice, place } => *place < slice.table.len(),
        }
    }
}
