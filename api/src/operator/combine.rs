//! Batch: local pre-aggregation before the shuffle.

use std::sync::Arc;

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Key},
    error::TaskResult,
    output::{Operator, Output},
    state::{HeapTable, StateSize},
};

use super::fold::Fold;
use crate::plan::{KeyOf, Keys};

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
    table: HeapTable<K, F::Value>,
    keys: Keys<K>,
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
            table: HeapTable::default(),
            keys: Keys::default(),
            out: Batch::default(),
            taken: 0,
            pays: true,
        }
    }

    fn flush(&mut self, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        self.taken = 0;
        for entry in self.table.drain_entries() {
            self.out.push(entry);
            if self.out.len() >= BATCH_RECORDS {
                out.collect(&mut self.out)?;
            }
        }
        if self.out.is_empty() { Ok(()) } else { out.collect(&mut self.out) }
    }
}

impl<K: Key, T, F: Fold<K, T>> Operator<T, (K, F::Value)> for Combine<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        // A final result has no timestamp of a single record.
        input.timestamps.clear();
        self.keys_of.keys(&input.records, &mut self.keys);
        let Self { fold, table, keys, .. } = self;
        if !self.pays {
            let values =
                input.records.drain(..).zip(keys.keys.drain(..)).map(|(record, key)| (key, fold.first(record)));
            self.out.records.extend(values);
            keys.hashes.clear();
            return out.collect(&mut self.out);
        }
        table.warm(&keys.hashes);
        self.taken += input.len();
        for (record, (hash, key)) in input.records.drain(..).zip(keys.iter()) {
            table.fold(hash, key, record, fold, F::first, F::add);
        }
        keys.clear();
        if table.len() < KEYS_MAX {
            return Ok(());
        }
        self.pays = self.taken >= TRIAL_RECORDS;
        self.flush(out)
    }

    fn finish(&mut self, out: &mut dyn Output<(K, F::Value)>) -> TaskResult {
        self.flush(out)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.table.len(), timers: 0 }
    }
}
