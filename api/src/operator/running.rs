//! Streaming: a running result for each record.

use std::{mem, sync::Arc};

use flott_runtime::{
    batch::{Batch, Key},
    error::TaskResult,
    output::{Operator, Output},
    state::{HeapTable, StateSize},
};

use super::fold::Fold;
use crate::plan::{KeyOf, Keys};

/// Folds each record into its key's value, and gives the value out.
pub(crate) struct Running<K, T, F: Fold<K, T>> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    table: HeapTable<K, F::Value>,
    keys: Keys<K>,
    results: Vec<F::Running>,
    out: Batch<F::Out>,
}

impl<K: Key, T, F: Fold<K, T>> Running<K, T, F> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, fold: F) -> Self {
        Self {
            keys_of,
            fold,
            table: HeapTable::default(),
            keys: Keys::default(),
            results: Vec::new(),
            out: Batch::default(),
        }
    }
}

impl<K: Key, T, F: Fold<K, T>> Operator<T, F::Out> for Running<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { fold, table, keys, results, .. } = self;
        self.keys_of.keys(&input.records, keys);
        table.warm(&keys.hashes);
        // Two loops: the first has nothing to move, and the second nothing to look up.
        results.extend(input.records.drain(..).zip(keys.iter()).map(|(record, (hash, key))| {
            let value = table.fold(hash, key, record, fold, F::first, F::add);
            fold.running(value)
        }));
        keys.hashes.clear();
        // As a whole, and not drained: only so are keys moved without being looked at.
        let keys = mem::take(&mut keys.keys);
        let mut results = results.drain(..);
        self.out.records.extend(keys.into_iter().map(|key| match results.next() {
            Some(result) => F::keyed(key, result),
            None => unreachable!("each key has a result"),
        }));
        drop(results);
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.table.len(), timers: 0 }
    }
}
