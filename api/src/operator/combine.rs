//! Batch: local pre-aggregation before the shuffle.

use std::sync::Arc;

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key},
    error::TaskResult,
    output::{Operator, Output},
    state::{FoldTable, StateSize},
};

use super::{fold::Fold, folding::Folding};
use crate::plan::KeyOf;

/// Keys that are held before all of them are passed on.
const KEYS_MAX: usize = 1 << 17;

/// Records after which it is asked whether combining pays.
const TRIAL_RECORDS: usize = 2 * KEYS_MAX;

/// Folds records by key in a bounded table, and passes on one value per key now and then.
///
/// Where keys hardly repeat that would be a second table for nothing: when the first full table has taken less than two
/// records per key, records are passed on as they come, each as a value of its own.
pub(crate) struct Combine<K, T, F: Fold<K, T>> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    values: FoldTable<K, F::Value>,
    folding: Folding<K>,
    /// Of records that are passed on as they come.
    keys: Vec<K>,
    out: Batch<(K, F::Value)>,
    /// Records since the table was empty.
    taken: usize,
    pays: bool,
}

impl<K: Key, T, F: Fold<K, T>> Combine<K, T, F> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, fold: F) -> Self {
        Self {
            keys_of,
            fold,
            values: FoldTable::default(),
            folding: Folding::default(),
            keys: Vec::new(),
            out: Batch::default(),
            taken: 0,
            pays: true,
        }
    }

    fn flush(&mut self, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        self.taken = 0;
        for entry in self.values.drain_entries() {
            self.out.push(entry);
            if self.out.len() >= BATCH_RECORDS {
                out.collect(&mut self.out)?;
            }
        }
        if self.out.is_empty() { Ok(()) } else { out.collect(&mut self.out) }
    }
}

impl<K: Key, T: Data, F: Fold<K, T>> Operator<T, (K, F::Value)> for Combine<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        // A final result has no timestamp of a single record.
        input.timestamps.clear();
        if !self.pays {
            self.keys_of.make(&input.records, &mut self.keys);
            let values = input.records.drain(..).zip(self.keys.drain(..));
            self.out.records.extend(values.map(|(record, key)| (key, self.fold.first(record))));
            return out.collect(&mut self.out);
        }
        self.taken += input.len();
        let Self { keys_of, fold, values, folding, .. } = self;
        folding.fold_in_memory(values, &**keys_of, input, fold, |_, _, _| (), &mut ());
        if values.len() < KEYS_MAX {
            return Ok(());
        }
        self.pays = self.taken >= TRIAL_RECORDS;
        self.flush(out)
    }

    /// What is here is only kept back: without it there is nothing to remember.
    fn barrier(&mut self, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        self.flush(out)
    }

    fn finish(&mut self, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        self.flush(out)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.values.len(), timers: 0 }
    }
}
