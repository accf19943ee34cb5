//! Streaming: a running result for each record.

use std::{mem, sync::Arc};

use flott_runtime::{
    batch::{Batch, Key},
    error::TaskResult,
    output::{Operator, Output},
    state::HeapTable,
};

use super::fold::Fold;
use crate::plan::{KeyOf, Keys};

/// Folds each record into its key's value, and gives the value out.
pub(crate) struct Running<K, T, F: Fold<K, T>> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    table: HeapTable<K, F::Value>,
    keys: Keys<K>,
    out: Batch<F::Out>,
}

impl<K: Key, T, F: Fold<K, T>> Running<K, T, F> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, fold: F) -> Self {
        Self { keys_of, fold, table: HeapTable::default(), keys: Keys::default(), out: Batch::default() }
    }
}

impl<K: Key, T, F: Fold<K, T>> Operator<T, F::Out> for Running<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.keys_of.keys(&input.records, &mut self.keys);
        let Self { fold, table, keys, .. } = self;
        table.warm(keys.0.iter().map(|(hash, key)| (*hash, key)));
        self.out.records.extend(input.records.drain(..).zip(keys.0.drain(..)).map(|(record, (hash, key))| {
            let value = table.fold(hash, &key, record, fold, F::first, F::add);
            fold.running(key, value)
        }));
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }
}
