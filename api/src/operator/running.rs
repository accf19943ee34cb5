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

#[cfg(all(test, feature = "disk"))]
mod tests {
    use std::marker::PhantomData;

    use super::*;
    use crate::{
        operator::{
            fold::Summing,
            stand::{Kept, on_disk},
            total::Total,
        },
        plan::MadeKey,
    };

    type Sums = Summing<fn(&(u8, u64)) -> u64, fn(&mut u64, u64), u64>;

    fn summing() -> Sums {
        Summing { number: |record| record.1, combine: |sum, number| *sum += number, numbers: PhantomData }
    }

    fn records() -> impl Iterator<Item = (u8, u64)> {
        (0..3).flat_map(|_| (0..100).map(|key| (key, u64::from(key))))
    }

    #[test]
    fn aggregations_are_on_disk_and_give_results_from_there() {
        let backend = on_disk(0);
        let (mut running, mut out) =
            (Running::new(Arc::new(MadeKey(|record: &(u8, u64)| record.0)), summing(), &backend), Kept::default());
        for record in records() {
            running.process(&mut Batch::from(vec![record]), &mut out).unwrap();
        }
        assert!(running.values.in_memory().is_none());
        let results: Vec<_> = out.records().into_iter().map(|(result, _)| result).collect();
        let expected = |round: u64| (0..100).map(move |key| (key, round * u64::from(key)));
        assert!(results.into_iter().eq((1..=3).flat_map(expected)));

        let (mut total, mut out) = (Total::<u8, (u8, u64), Sums>::new(summing(), &backend), Kept::default());
        for record in records() {
            total.process(&mut Batch::from(vec![record]), &mut out).unwrap();
        }
        assert_eq!(total.state_size(), StateSize { keys: 100, timers: 0 });
        while total.drain(&mut out).unwrap() == flott_runtime::output::Drained::Some {}
        let mut results: Vec<_> = out.records().into_iter().map(|(result, _)| result).collect();
        results.sort_unstable();
        assert!(results.into_iter().eq(expected(3)));
    }
}
