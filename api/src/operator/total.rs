//! Batch: one final result per key.

use std::mem;

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Key, Leaving},
    error::TaskResult,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Backend, Cursor, KeyHash, Progress, SpillTable, Spot, StateSize},
};

use super::fold::Fold;

/// What its values are in a snapshot.
const VALUES: &str = "values";

/// Merges what was combined before the shuffle, and gives the results when the input has ended.
pub(crate) struct Total<K, T, F: Fold<K, T>> {
    fold: F,
    table: SpillTable<K, F::Value>,
    hashes: Vec<KeyHash>,
    spots: Vec<Spot>,
    results: Option<Results<K, F::Value>>,
}

/// What is left of the results, once the input has ended.
enum Results<K, V> {
    /// Taken out one after the other.
    Taken(Box<dyn Iterator<Item = (K, V)> + Send>),
    /// Read where they are.
    Read(Cursor),
}

impl<K: Key, T, F: Fold<K, T>> Total<K, T, F> {
    pub fn new(fold: F, backend: &Backend) -> Self {
        let table = SpillTable::with_capacity(backend, 0);
        Self { fold, table, hashes: Vec::new(), spots: Vec::new(), results: None }
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
        let Some(memory) = table.in_memory() else {
            return hashes
                .drain(..)
                .zip(records.drain(..))
                .try_for_each(|(hash, (key, value))| table.fold(hash, &key, value, fold, |_, value| value, F::merge));
        };
        memory.locate(hashes, records.iter().map(|(key, _)| key), spots);
        let count = records.len();
        let mut records = Leaving::all(records);
        for (hash, spot) in hashes.drain(..).zip(spots.drain(..)) {
            let (key, value) = records.take();
            match memory.at(spot) {
                Some((_, known)) => fold.merge(known, value),
                None => {
                    memory.fold(hash, key, value, fold, |_, value| value, F::merge);
                }
            }
        }
        drop(records);
        table.grown(count)
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { fold, table, results, .. } = self;
        let results = results.get_or_insert_with(|| match table.in_memory() {
            Some(memory) => Results::Taken(Box::new(mem::take(memory).into_entries())),
            None => Results::Read(Cursor::default()),
        });
        let mut batch = Batch::with_capacity(BATCH_RECORDS);
        match results {
            Results::Taken(entries) => {
                for (key, value) in entries.by_ref().take(BATCH_RECORDS) {
                    batch.push(fold.last(key, value));
                }
            }
            // Places without an entry may be many: then there is nothing yet.
            Results::Read(cursor) => {
                let mut more = Progress::More;
                while more == Progress::More && batch.is_empty() {
                    more = table.walk(cursor, BATCH_RECORDS, |key, value| {
                        batch.push(fold.last(key.clone(), value.clone()));
                        Ok(())
                    })?;
                }
            }
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
