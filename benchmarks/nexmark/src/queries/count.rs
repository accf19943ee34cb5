//! How many there are.

use std::marker::PhantomData;

use flott::{Aggregate, Data};

/// Counts records.
#[derive(Debug)]
pub struct Count<T>(PhantomData<fn() -> T>);

impl<T> Clone for Count<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Count<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data> Aggregate for Count<T> {
    type In = T;
    type Accumulator = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, count: &mut u64, _: T) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}
