//! Streaming: a running result for each record.

use std::{mem, sync::Arc};

use flott_runtime::{
    batch::{Batch, Data, Key},
    error::TaskResult,
    output::{Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Backend, Progress, SpillTable, StateSize},
};

use super::{fold::Fold, folding::Folding};
use crate::plan::KeyOf;

/// What its values are in a snapshot.
const VALUES: &str = "values";

/// Folds each record into its key's value, and gives the value out.
pub(crate) struct Running<K, T, F: Fold<K, T>> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    values: SpillTable<K, F::Value>,
    folding: Folding<K>,
    out: Batch<F::Out>,
}

impl<K: Key, T, F: Fold<K, T>> Running<K, T, F> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, fold: F, backend: &Backend) -> Self {
        let values = SpillTable::with_capacity(backend, 0);
        Self { keys_of, fold, values, folding: Folding::default(), out: Batch::default() }
    }
}

impl<K: Key, T: Data, F: Fold<K, T>> Operator<T, F::Out> for Running<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { keys_of, fold, values, folding, out: results } = self;
        folding.fold(values, &**keys_of, input, fold, F::running, &mut results.records)?;
        mem::swap(&mut results.timestamps, &mut input.timestamps);
        out.collect(results)
    }

    fn restore(&mut self, from: &Restored) -> TaskResult {
        from.table(VALUES, &mut self.values)
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.table(VALUES, &mut self.values)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more_table(VALUES, &mut self.values)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.values.len(), timers: 0 }
    }
}
