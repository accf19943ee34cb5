//! Batch: one final result per key.

use std::mem;

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Key, Leaving},
    error::TaskResult,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{FoldTable, KeyHash, Progress, Spot, StateSize},
};

use super::fold::Fold;

/// What its values are in a snapshot.
const VALUES: &str = "values";

/// Merges what was combined before the shuffle, and gives the results when the input has ended.
pub(crate) struct Total<K, T, F: Fold<K, T>> {
    fold: F,
    table: FoldTable<K, F::Value>,
    hashes: Vec<KeyHash>,
    spots: Vec<Spot>,
    /// What is left of the results, once the input has ended.
    results: Option<Box<dyn Iterator<Item = (K, F::Value)> + Send>>,
}

impl<K: Key, T, F: Fold<K, T>> Total<K, T, F> {
    pub fn new(fold: F) -> Self {
        Self { fold, table: FoldTable::default(), hashes: Vec::new(), spots: Vec::new(), results: None }
    }
}

impl<K: Key, T: Send, F: Fold<K, T>> Operator<(K, F::Value), F::Out> for Total<K, T, F> {
    fn process(&mut self, input: &mut Batch<(K, F::Value)>, _: &mut dyn Output<F::Out>) -> TaskResult {
        input.timestamps.clear();
        let Self { fold, table, hashes, spots, .. } = self;
        let records = match input.keyed() {
            (records, Some(carried)) => {
                mem::swap(hashes, carried);
                records
            }
            (records, None) => {
                hashes.extend(records.iter().map(|(key, _)| KeyHash::of(key)));
                records
            }
        };
        table.locate(hashes, records.iter().map(|(key, _)| key), spots);
        let mut records = Leaving::all(records);
        for (hash, spot) in hashes.drain(..).zip(spots.drain(..)) {
            let (key, value) = records.take();
            match table.at(spot) {
                Some((_, known)) => fold.merge(known, value),
                None => {
                    table.fold(hash, key, value, fold, |_, value| value, F::merge);
                }
            }
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let table = &mut self.table;
        let entries = self.results.get_or_insert_with(|| Box::new(mem::take(table).into_entries()));
        let mut batch = Batch::with_capacity(BATCH_RECORDS);
        for (key, value) in entries.by_ref().take(BATCH_RECORDS) {
            batch.push(self.fold.last(key, value));
        }
        if batch.is_empty() {
            return Ok(Drained::All);
        }
        out.collect(&mut batch)?;
        Ok(Drained::Some)
    }

    fn restore(&mut self, from: &Restored) -> TaskResult {
        from.table(VALUES, &mut self.table)
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.table(VALUES, &mut self.table)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more_table(VALUES, &mut self.table)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.table.len(), timers: 0 }
    }
}
