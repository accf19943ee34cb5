//! One record out for each record in.

use std::mem;

use flott_runtime::{
    batch::Batch,
    error::{TaskResult, UserError},
    output::{Operator, Output},
};

use crate::function::failed;

/// A function that cannot fail.
pub(crate) struct Map<F, U> {
    function: F,
    out: Batch<U>,
}

impl<F, U> Map<F, U> {
    pub fn new(function: F) -> Self {
        Self { function, out: Batch::default() }
    }
}

impl<T, U: Send, F: FnMut(T) -> U + Send> Operator<T, U> for Map<F, U> {
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<U>) -> TaskResult {
        self.out.records.extend(input.records.drain(..).map(&mut self.function));
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }
}

/// A function that can fail.
pub(crate) struct TryMap<F, U> {
    function: F,
    out: Batch<U>,
}

impl<F, U> TryMap<F, U> {
    pub fn new(function: F) -> Self {
        Self { function, out: Batch::default() }
    }
}

impl<T, U, E, F> Operator<T, U> for TryMap<F, U>
where
    U: Send,
    E: Into<UserError>,
    F: FnMut(T) -> Result<U, E> + Send,
{
    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<U>) -> TaskResult {
        for record in input.records.drain(..) {
            self.out.records.push((self.function)(record).map_err(|error| failed(error.into()))?);
        }
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }
}
