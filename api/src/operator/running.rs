//! Streaming: a running result for each record.

use std::{mem, sync::Arc};

use flott_runtime::{
    batch::{Batch, Data, Key},
    error::TaskResult,
    output::{Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize},
};

use super::{fold::Fold, folding::Folding};
use crate::plan::KeyOf;

/// What its values are in a snapshot.
const VALUES: &str = "values";

/// Folds each record into its key's value, and gives the value out.
pub(crate) struct Running<K, T, F: Fold<K, T>> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    values: Folding<K, F::Value>,
    out: Batch<F::Out>,
}

impl<K: Key, T, F: Fold<K, T>> Running<K, T, F> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, fold: F) -> Self {
        Self { keys_of, fold, values: Folding::default(), out: Batch::default() }
    }
}

impl<K: Key, T: Data, F: Fold<K, T>> Operator<T, F::Out> for Running<K, T, F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.values.fold(&*self.keys_of, input, &mut self.fold, F::running, &mut self.out.records);
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }

    fn restore(&mut self, from: &Restored) -> TaskResult {
        from.table(VALUES, &mut self.values.table)
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.table(VALUES, &mut self.values.table)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more_table(VALUES, &mut self.values.table)
    }

    fn state_size(&self) -> StateSize {
        StateSize { keys: self.values.table.len(), timers: 0 }
    }
}
