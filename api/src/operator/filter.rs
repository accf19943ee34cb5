//! Records that a predicate lets through, in the very batch they came in.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::Batch,
    error::{TaskResult, UserError},
    output::{Operator, Output},
};

use crate::function::failed;

/// Largest record that is swapped rather than moved only if it must be.
const SWAP_BYTES: usize = 32;

/// Keeps the records for which `keep` says so, and their timestamps.
///
/// Small records are moved up whether they are kept or not, which costs two loads and two stores, but nothing that the
/// processor would have to guess: `Vec::retain` took twice as long where a predicate passes three of four at random.
fn retain<T>(batch: &mut Batch<T>, mut keep: impl FnMut(&T) -> bool) {
    let Batch { records, timestamps, .. } = batch;
    let stamped = !timestamps.is_empty();
    if !stamped && size_of::<T>() > SWAP_BYTES {
        records.retain(keep);
        return;
    }
    let mut kept = 0;
    for index in 0..records.len() {
        let keeps = keep(&records[index]);
        records.swap(kept, index);
        if stamped {
            timestamps.swap(kept, index);
        }
        kept += usize::from(keeps);
    }
    records.truncate(kept);
    timestamps.truncate(kept);
}

/// A predicate that cannot fail.
pub(crate) struct Filter<F> {
    predicate: F,
}

impl<F> Filter<F> {
    pub fn new(predicate: F) -> Self {
        Self { predicate }
    }
}

impl<T, F: FnMut(&T) -> bool + Send> Operator<T, T> for Filter<F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<T>) -> TaskResult {
        retain(input, &mut self.predicate);
        out.collect(input)
    }
}

/// A predicate that can fail.
pub(crate) struct TryFilter<F> {
    predicate: F,
}

impl<F> TryFilter<F> {
    pub fn new(predicate: F) -> Self {
        Self { predicate }
    }
}

impl<T, E: Into<UserError>, F: FnMut(&T) -> Result<bool, E> + Send> Operator<T, T> for TryFilter<F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<T>) -> TaskResult {
        let mut failure: Option<Box<Failure>> = None;
        let keep = |record: &T| {
            // After a failure the rest of the batch is not looked at.
            failure.is_none()
                && (self.predicate)(record).unwrap_or_else(|error| {
                    failure = Some(failed(error.into()));
                    false
                })
        };
        retain(input, keep);
        match failure {
            None => out.collect(input),
            Some(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T: Clone + PartialEq + std::fmt::Debug>(records: Vec<T>, keep: &[bool]) {
        for stamped in [false, true] {
            let timestamps: Vec<i64> = if stamped { (0..).take(records.len()).collect() } else { Vec::new() };
            let mut batch = Batch::from(records.clone());
            batch.timestamps = timestamps;
            let mut keeps = keep.iter().copied();
            retain(&mut batch, |_| keeps.next().unwrap());
            let expected = records.iter().zip(0..).zip(keep).filter(|(_, keep)| **keep).map(|(record, _)| record);
            let (records, timestamps): (Vec<_>, Vec<i64>) = expected.map(|(record, at)| (record.clone(), at)).unzip();
            assert_eq!(batch.records, records);
            assert_eq!(batch.timestamps, if stamped { timestamps } else { Vec::new() });
        }
    }

    proptest! {
        #[test]
        fn kept_records_stay_in_order_with_their_timestamps(keep in prop::collection::vec(any::<bool>(), 0..40)) {
            check((0..keep.len()).collect(), &keep);
            check((0..keep.len()).map(|at| at.to_string()).collect(), &keep);
            check((0..keep.len()).map(|at| [at; 9]).collect(), &keep);
        }
    }
}
