//! Nowhere, or to a function.

use std::marker::PhantomData;

use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
};

use super::{Sink, SinkTask, SinkWriter};

/// Drops everything.
pub(crate) struct Discard<T>(PhantomData<fn(T)>);

impl<T> Discard<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

struct Nothing;

impl<T: Data> Sink for Discard<T> {
    type Item = T;

    fn open(&self, _: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(Nothing))
    }
}

impl<T> SinkWriter<T> for Nothing {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        batch.clear();
        Ok(())
    }
}

/// Calls a function with every record.
pub(crate) struct ForEach<T, F> {
    function: F,
    record: PhantomData<fn(T)>,
}

impl<T, F> ForEach<T, F> {
    pub fn new(function: F) -> Self {
        Self { function, record: PhantomData }
    }
}

struct Calls<F>(F);

impl<T: Data, F: FnMut(T) + Clone + Send + Sync + 'static> Sink for ForEach<T, F> {
    type Item = T;

    fn open(&self, _: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(Calls(self.function.clone())))
    }
}

impl<T, F: FnMut(T) + Send> SinkWriter<T> for Calls<F> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        batch.records.drain(..).for_each(&mut self.0);
        Ok(())
    }
}
