//! A batch folded into a table.

use flott_runtime::{
    batch::{Batch, Data, Key, Leaving},
    state::{FoldTable, KeyHash, Spot},
};

use super::fold::Fold;
use crate::plan::{KeyOf, Look};

/// Records whose entries are looked for together: so many that their loads from memory overlap, and so few that records
/// and entries are still in the nearest cache when they are folded.
pub(super) const TOGETHER: usize = 256;

/// The value of each key, and room for what is known of a few records on their way in.
pub(crate) struct Folding<K, V> {
    pub table: FoldTable<K, V>,
    made: Vec<K>,
    hashes: Vec<KeyHash>,
    spots: Vec<Spot>,
}

impl<K, V> Default for Folding<K, V> {
    fn default() -> Self {
        Self { table: FoldTable::default(), made: Vec::new(), hashes: Vec::new(), spots: Vec::new() }
    }
}

impl<K: Key, V> Folding<K, V> {
    /// Folds each record of `batch` into the value of its key, and puts what `each` makes of both into `results`. Leaves
    /// timestamps.
    ///
    /// Keys are looked at where they lie in the records, and the records are then moved into the fold; so there is a loop
    /// that looks keys up, and another that folds.
    #[inline(always)]
    pub fn fold<T: Data, F: Fold<K, T, Value = V>, R>(
        &mut self,
        keys_of: &dyn KeyOf<T, K>,
        batch: &mut Batch<T>,
        fold: &mut F,
        mut each: impl FnMut(&mut F, &K, &V) -> R,
        results: &mut impl Extend<R>,
    ) {
        let Self { table, made, hashes, spots } = self;
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
