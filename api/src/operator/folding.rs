//! A batch folded into a table.

use flott_runtime::{
    batch::{Batch, Data, Key, Leaving},
    error::TaskResult,
    state::{FoldTable, KeyHash, SpillTable, Spot},
};

use super::fold::Fold;
use crate::plan::{KeyOf, Look};

/// Records whose entries are looked for together: so many that their loads from memory overlap, and so few that records
/// and entries are still in the nearest cache when they are folded.
pub(super) const TOGETHER: usize = 256;

/// Room for what is known of a few records on their way into a table.
pub(crate) struct Folding<K> {
    made: Vec<K>,
    hashes: Vec<KeyHash>,
    spots: Vec<Spot>,
}

impl<K> Default for Folding<K> {
    fn default() -> Self {
        Self { made: Vec::new(), hashes: Vec::new(), spots: Vec::new() }
    }
}

impl<K: Key> Folding<K> {
    /// Folds each record of `batch` into the value of its key in the table, and puts what `each` makes of both into `results`. Leaves
    /// timestamps.
    ///
    /// # Errors
    /// When the table is on disk, and that cannot read or take it.
    #[inline(always)]
    pub fn fold<T: Data, F: Fold<K, T>, R>(
        &mut self,
        table: &mut SpillTable<K, F::Value>,
        keys_of: &dyn KeyOf<T, K>,
        batch: &mut Batch<T>,
        fold: &mut F,
        each: impl FnMut(&mut F, &K, &F::Value) -> R,
        results: &mut impl Extend<R>,
    ) -> TaskResult {
        let records = batch.len();
        match table.in_memory() {
            Some(memory) => self.fold_in_memory(memory, keys_of, batch, fold, each, results),
            None => fold_on_disk(table, keys_of, batch, fold, each, results)?,
        }
        table.grown(records)
    }

    /// As [`fold`](Self::fold).
    ///
    /// Keys are looked at where they lie in the records, and the records are then moved into the fold; so there is a loop
    /// that looks keys up, and another that folds.
    #[inline(always)]
    pub fn fold_in_memory<T: Data, F: Fold<K, T>, R>(
        &mut self,
        table: &mut FoldTable<K, F::Value>,
        keys_of: &dyn KeyOf<T, K>,
        batch: &mut Batch<T>,
        fold: &mut F,
        mut each: impl FnMut(&mut F, &K, &F::Value) -> R,
        results: &mut impl Extend<R>,
    ) {
        let Self { made, hashes, spots } = self;
        let (records, mut carried) = batch.keyed();
        let (mut records, mut at) = (Leaving::all(records), 0);
        while !records.as_slice().is_empty() {
            let count = records.as_slice().len().min(TOGETHER);
            let keys = keys_of.look(&records.as_slice()[..count], made);
            let hashes = match &carried {
                Some(carried) => &carried[at..at + count],
                None => {
                    hashes.clear();
                    keys.hash(hashes);
                    &hashes[..]
                }
            };
            at += count;
            spots.clear();
            match keys {
                Look::Made(keys) => table.locate(hashes, keys.iter(), spots),
                Look::Held(keys) => table.locate(hashes, keys.into_iter(), spots),
            }
            // Not pushed one by one: a result that waits while its list grows is copied in pieces, as records are that are
            // drained.
            results.extend(spots.iter().zip(hashes).map(|(spot, hash)| {
                let record = records.take();
                let (key, value) = match table.at(*spot) {
                    Some((key, value)) => {
                        fold.add(value, record);
                        (key, value)
                    }
                    None => table.fold(*hash, keys_of.key(&record), record, fold, F::first, F::add),
                };
                each(fold, key, value)
            }));
        }
        drop(records);
        if let Some(carried) = &mut carried {
            carried.clear();
        }
    }
}

/// Folds each record into a table on disk.
#[inline(never)]
fn fold_on_disk<K: Key, T: Data, F: Fold<K, T>, E: FnMut(&mut F, &K, &F::Value) -> R, R>(
    table: &mut SpillTable<K, F::Value>,
    keys_of: &dyn KeyOf<T, K>,
    batch: &mut Batch<T>,
    fold: &mut F,
    mut each: E,
    results: &mut impl Extend<R>,
) -> TaskResult {
    let (records, mut carried) = batch.keyed();
    // All that both ways to a value need.
    let mut with = (fold, &mut each, None);
    for record in records.drain(..) {
        let key = keys_of.key(&record);
        let first = |(fold, each, result): &mut (&mut F, &mut E, Option<R>), record| {
            let value = fold.first(record);
            *result = Some(each(fold, &key, &value));
            value
        };
        let add = |(fold, each, result): &mut (&mut F, &mut E, Option<R>), value: &mut F::Value, record| {
            fold.add(value, record);
            *result = Some(each(fold, &key, value));
        };
        table.fold(KeyHash::of(&key), &key, record, &mut with, first, add)?;
        results.extend(with.2.take());
    }
    if let Some(carried) = &mut carried {
        carried.clear();
    }
    Ok(())
}
