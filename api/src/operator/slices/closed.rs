//! What keys have in slices that have closed, while windows that these are in are still to come.

use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
    state::{HeapTable, KeyHash},
};
use serde::{Deserialize, Serialize};

use super::{
    history::History,
    shape::{Bound, SliceNo},
};

/// How slices that have closed add up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Past<V> {
    /// In sliding windows old slices go as new ones come.
    Sliding(History<V>),
    /// In cumulating windows they stay until all go at once.
    Whole(V),
}

/// By key.
#[derive(Debug)]
pub(super) struct Closed<K, V> {
    sliding: bool,
    pub table: HeapTable<K, Past<V>>,
}

impl<K: Key, V: Data> Closed<K, V> {
    pub fn new(sliding: bool) -> Self {
        Self { sliding, table: HeapTable::default() }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The oldest slice of each key, in sliding windows.
    pub fn oldest(&self) -> impl Iterator<Item = SliceNo> {
        self.table.iter().filter_map(|(_, past)| match past {
            Past::Sliding(history) => history.first(),
            Past::Whole(_) => None,
        })
    }

    /// Whether all of it can have come about.
    pub fn is_sound(&self) -> bool {
        self.table.iter().all(|(_, past)| match past {
            Past::Sliding(history) => self.sliding && history.is_sound(),
            Past::Whole(_) => !self.sliding,
        })
    }

    /// Adds what `key` has in a slice.
    pub fn add(&mut self, hash: KeyHash, key: &K, slice: SliceNo, value: V, mut merge: impl FnMut(&mut V, V)) {
        match self.table.find_mut(hash, key) {
            Some(Past::Sliding(history)) => history.add(slice, value, merge),
            Some(Past::Whole(whole)) => merge(whole, value),
            None if self.sliding => {
                let mut history = History::default();
                history.add(slice, value, &mut merge);
                self.table.set(hash, key, Past::Sliding(history));
            }
            None => self.table.set(hash, key, Past::Whole(value)),
        }
    }

    /// Goes through the next `places` from `place` on: gives to `take` what keys have in the window that begins with the first of
    /// `starts`. Slices before the second, with which the next window begins, are forgotten, and keys that have nothing left are
    /// removed. Gives the place to go on from, or nothing at the end.
    ///
    /// Slices that are forgotten, and sums that are made, are no changes: from what was there before, the same comes out again.
    pub fn window<C>(
        &mut self,
        (place, places): (usize, usize),
        starts: (Bound, Bound),
        with: &mut C,
        merge: fn(&mut C, &mut V, V),
        mut take: impl FnMut(&mut C, &K, V) -> TaskResult,
    ) -> TaskResult<Option<usize>> {
        self.table.visit(place, places, |key, past| {
            let (value, stays) = match past {
                Past::Sliding(history) => {
                    let value = history.window(starts, |into, other| merge(with, into, other));
                    (value, !history.is_empty())
                }
                Past::Whole(value) => (Some(value.clone()), true),
            };
            value.map_or(Ok(()), |value| take(with, key, value))?;
            Ok(stays)
        })
    }

    /// Takes everything out.
    pub fn take(&mut self) -> HeapTable<K, Past<V>> {
        std::mem::take(&mut self.table)
    }
}
