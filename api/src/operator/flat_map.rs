//! Any number of records out for each record in.

use flott_runtime::{
    batch::Batch,
    error::{TaskResult, UserError},
    output::{Operator, Output},
};

use crate::function::{Collector, failed};

/// A function that cannot fail.
pub(crate) struct FlatMap<F, U> {
    function: F,
    out: Batch<U>,
}

impl<F, U> FlatMap<F, U> {
    pub fn new(function: F) -> Self {
        Self { function, out: Batch::default() }
    }
}

impl<T, U: Send, F: FnMut(T, &mut Collector<'_, U>) + Send> Operator<T, U> for FlatMap<F, U> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<U>) -> TaskResult {
        let mut collector = Collector::new(&mut self.out, out);
        let mut timestamps = input.timestamps.drain(..);
        for record in input.records.drain(..) {
            collector.set_timestamp(timestamps.next());
            (self.function)(record, &mut collector);
        }
        collector.finish()
    }
}

/// A function that can fail.
pub(crate) struct TryFlatMap<F, U> {
    function: F,
    out: Batch<U>,
}

impl<F, U> TryFlatMap<F, U> {
    pub fn new(function: F) -> Self {
        Self { function, out: Batch::default() }
    }
}

impl<T, U, E, F> Operator<T, U> for TryFlatMap<F, U>
where
    U: Send,
    E: Into<UserError>,
    F: FnMut(T, &mut Collector<'_, U>) -> Result<(), E> + Send,
{
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<U>) -> TaskResult {
        let mut collector = Collector::new(&mut self.out, out);
        let mut timestamps = input.timestamps.drain(..);
        for record in input.records.drain(..) {
            collector.set_timestamp(timestamps.next());
            (self.function)(record, &mut collector).map_err(|error| failed(error.into()))?;
        }
        collector.finish()
    }
}
