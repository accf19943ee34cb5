//! Batch: one final result per key.

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Key},
    error::TaskResult,
    output::{Operator, Output},
    state::{HeapTable, KeyHash},
};

use super::fold::Fold;

/// Merges what was combined before the shuffle, and gives the results when the input has ended.
pub(crate) struct Total<K, T, F: Fold<K, T>> {
    fold: F,
    table: HeapTable<K, F::Value>,
    hashes: Vec<KeyHash>,
}

impl<K: Key, T, F: Fold<K, T>> Total<K, T, F> {
    pub fn new(fold: F) -> Self {
        Self { fold, table: HeapTable::default(), hashes: Vec::new() }
    }
}

impl<K: Key, T: Send, F: Fold<K, T>> Operator<(K, F::Value), F::Out> for Total<K, T, F> {
    fn process(&mut self, input: &mut Batch<(K, F::Value)>, _: &mut dyn Output<F::Out>) -> TaskResult {
        input.timestamps.clear();
        self.hashes.extend(input.records.iter().map(|(key, _)| KeyHash::of(key)));
        self.table.warm(self.hashes.iter().copied().zip(input.records.iter().map(|(key, _)| key)));
        for ((key, value), hash) in input.records.drain(..).zip(self.hashes.drain(..)) {
            self.table.fold(hash, &key, value, &mut self.fold, |_, value| value, F::merge);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let mut batch = Batch::with_capacity(BATCH_RECORDS.min(self.table.len()));
        for (key, value) in std::mem::take(&mut self.table).into_entries() {
            batch.push(self.fold.last(key, value));
            if batch.len() >= BATCH_RECORDS {
                out.collect(&mut batch)?;
            }
        }
        if batch.is_empty() { Ok(()) } else { out.collect(&mut batch) }
    }
}
