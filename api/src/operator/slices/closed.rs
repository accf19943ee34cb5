//! What keys have in slices that have closed, while windows that these are in are still to come.

use std::collections::BTreeSet;

use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
    state::{Backend, BackendTable, Cursor, KeyHash, Progress},
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
pub(super) struct Closed<K, V> {
    sliding: bool,
    backend: Backend,
    pub table: BackendTable<K, Past<V>>,
}

impl<K: Key, V: Data> Closed<K, V> {
    pub fn new(sliding: bool, backend: &Backend) -> Self {
        Self { sliding, backend: backend.clone(), table: backend.table() }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The oldest slices of all keys, in sliding windows; nothing if what there is cannot have come about.
    ///
    /// # Errors
    /// When the backend cannot read it; so it is with all methods.
    pub fn oldest(&mut self) -> TaskResult<Option<BTreeSet<SliceNo>>> {
        let Self { sliding, table, .. } = self;
        let (mut oldest, mut sound) = (BTreeSet::new(), true);
        let all = table.walk(&mut Cursor::default(), usize::MAX, |_, past| {
            match past {
                Past::Sliding(history) => {
                    sound &= *sliding && history.is_sound();
                    oldest.extend(history.first());
                }
                Past::Whole(_) => sound &= !*sliding,
            }
            Ok(())
        });
        all.map(|_| sound.then_some(oldest))
    }

    /// Adds what `key` has in a slice. No window that is still to come begins before `start`.
    pub fn add<M: FnMut(&mut V, V)>(
        &mut self,
        (hash, key): (KeyHash, &K),
        slice: SliceNo,
        value: V,
        start: Bound,
        mut merge: M,
    ) -> TaskResult {
        let Self { sliding, table, .. } = self;
        let first = |merge: &mut M, value| {
            if !*sliding {
                return Past::Whole(value);
            }
            let mut history = History::default();
            history.add(slice, value, merge);
            Past::Sliding(history)
        };
        let add = |merge: &mut M, past: &mut Past<V>, value| match past {
            Past::Sliding(history) => {
                // On disk nothing is forgotten but where something is added.
                history.forget(start, merge);
                history.add(slice, value, merge);
            }
            Past::Whole(whole) => merge(whole, value),
        };
        table.fold(hash, key, value, &mut merge, first, add)
    }

    /// Goes through the next `places`: gives to `take` what keys have in the window that begins with the first of
    /// `starts`. Slices before the second, with which the next window begins, are forgotten, and keys that have nothing left are
    /// removed.
    ///
    /// Slices that are forgotten, and sums that are made, are no changes: from what was there before, the same comes out again.
    pub fn window<C>(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        starts: (Bound, Bound),
        with: &mut C,
        merge: fn(&mut C, &mut V, V),
        mut take: impl FnMut(&mut C, &K, V) -> TaskResult,
    ) -> TaskResult<Progress> {
        self.table.visit(cursor, places, |key, past| {
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
    pub fn take(&mut self) -> BackendTable<K, Past<V>> {
        std::mem::replace(&mut self.table, self.backend.table())
    }
}
