//! Records that a predicate lets through, in the very batch they came in.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::Batch,
    error::{TaskResult, UserError},
    output::{Operator, Output},
};

use crate::function::failed;

/// Keeps the records for which `keep` says so, and their timestamps.
fn retain<T>(batch: &mut Batch<T>, mut keep: impl FnMut(&T) -> bool, kept: &mut Vec<bool>) {
    if batch.timestamps.is_empty() {
        batch.records.retain(keep);
        return;
    }
    kept.clear();
    batch.records.retain(|record| {
        let keep = keep(record);
        kept.push(keep);
        keep
    });
    let mut kept = kept.iter();
    batch.timestamps.retain(|_| kept.next().is_some_and(|keep| *keep));
}

/// A predicate that cannot fail.
pub(crate) struct Filter<F> {
    predicate: F,
    kept: Vec<bool>,
}

impl<F> Filter<F> {
    pub fn new(predicate: F) -> Self {
        Self { predicate, kept: Vec::new() }
    }
}

impl<T, F: FnMut(&T) -> bool + Send> Operator<T, T> for Filter<F> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<T>) -> TaskResult {
        retain(input, &mut self.predicate, &mut self.kept);
        out.collect(input)
    }
}

/// A predicate that can fail.
pub(crate) struct TryFilter<F> {
    predicate: F,
    kept: Vec<bool>,
}

impl<F> TryFilter<F> {
    pub fn new(predicate: F) -> Self {
        Self { predicate, kept: Vec::new() }
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
        retain(input, keep, &mut self.kept);
        match failure {
            None => out.collect(input),
            Some(failure) => Err(failure),
        }
    }
}
