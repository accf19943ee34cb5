//! What is folded per key.

use std::marker::PhantomData;

use flott_runtime::batch::{Data, Key};

use crate::function::Aggregate;

/// A fold of the records of a key into one value.
pub(crate) trait Fold<K, T>: Clone + Send + Sync + 'static {
    /// What is kept per key.
    type Value: Data;
    /// What is given out for a value, without its key.
    type Bare: Send;
    /// What is given out.
    type Out: Data;

    /// The value of a key's first record.
    fn first(&mut self, record: T) -> Self::Value;

    /// Adds a record.
    fn add(&mut self, value: &mut Self::Value, record: T);

    /// Adds what was folded elsewhere.
    fn merge(&mut self, value: &mut Self::Value, other: Self::Value);

    /// The result so far.
    fn running(&mut self, key: &K, value: &Self::Value) -> Self::Out;

    /// The result so far, without its key.
    fn bare(&mut self, value: &Self::Value) -> Self::Bare;

    /// A result with its key.
    fn keyed(key: K, bare: Self::Bare) -> Self::Out;

    /// The last result.
    fn last(&mut self, key: K, value: Self::Value) -> Self::Out;
}

/// Records reduced to one of their type.
#[derive(Clone)]
pub(crate) struct Reducing<F>(pub F);

impl<K: Key, T: Data, F: FnMut(&mut T, T) + Clone + Send + Sync + 'static> Fold<K, T> for Reducing<F> {
    type Value = T;
    type Bare = T;
    type Out = T;

    #[inline(always)]
    fn first(&mut self, record: T) -> T {
        record
    }

    #[inline(always)]
    fn add(&mut self, value: &mut T, record: T) {
        (self.0)(value, record);
    }

    #[inline(always)]
    fn merge(&mut self, value: &mut T, other: T) {
        (self.0)(value, other);
    }

    #[inline(always)]
    fn running(&mut self, _: &K, value: &T) -> T {
        value.clone()
    }

    #[inline(always)]
    fn bare(&mut self, value: &T) -> T {
        value.clone()
    }

    #[inline(always)]
    fn keyed(_: K, bare: T) -> T {
        bare
    }

    fn last(&mut self, _: K, value: T) -> T {
        value
    }
}

/// The user's aggregation; the key comes with its results.
#[derive(Clone)]
pub(crate) struct Aggregating<A>(pub A);

impl<K: Key, A: Aggregate> Fold<K, A::In> for Aggregating<A> {
    type Value = A::Accumulator;
    type Bare = A::Out;
    type Out = (K, A::Out);

    #[inline(always)]
    fn first(&mut self, record: A::In) -> A::Accumulator {
        let mut value = self.0.create();
        self.0.add(&mut value, record);
        value
    }

    #[inline(always)]
    fn add(&mut self, value: &mut A::Accumulator, record: A::In) {
        self.0.add(value, record);
    }

    #[inline(always)]
    fn merge(&mut self, value: &mut A::Accumulator, other: A::Accumulator) {
        self.0.merge(value, other);
    }

    #[inline(always)]
    fn running(&mut self, key: &K, value: &A::Accumulator) -> (K, A::Out) {
        (key.clone(), self.0.result(value))
    }

    #[inline(always)]
    fn bare(&mut self, value: &A::Accumulator) -> A::Out {
        self.0.result(value)
    }

    #[inline(always)]
    fn keyed(key: K, bare: A::Out) -> (K, A::Out) {
        (key, bare)
    }

    fn last(&mut self, key: K, value: A::Accumulator) -> (K, A::Out) {
        let result = self.0.result(&value);
        (key, result)
    }
}

/// A number of each record, combined by `combine`: sums, counts, smallest and largest.
pub(crate) struct Summing<F, C, N> {
    pub number: F,
    pub combine: C,
    pub numbers: PhantomData<fn() -> N>,
}

impl<F: Clone, C: Clone, N> Clone for Summing<F, C, N> {
    fn clone(&self) -> Self {
        Self { number: self.number.clone(), combine: self.combine.clone(), numbers: PhantomData }
    }
}

impl<K, T, N, F, C> Fold<K, T> for Summing<F, C, N>
where
    K: Key,
    N: Data,
    F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    C: FnMut(&mut N, N) + Clone + Send + Sync + 'static,
{
    type Value = N;
    type Bare = N;
    type Out = (K, N);

    #[inline(always)]
    fn first(&mut self, record: T) -> N {
        (self.number)(&record)
    }

    #[inline(always)]
    fn add(&mut self, value: &mut N, record: T) {
        (self.combine)(value, (self.number)(&record));
    }

    #[inline(always)]
    fn merge(&mut self, value: &mut N, other: N) {
        (self.combine)(value, other);
    }

    #[inline(always)]
    fn running(&mut self, key: &K, value: &N) -> (K, N) {
        (key.clone(), value.clone())
    }

    #[inline(always)]
    fn bare(&mut self, value: &N) -> N {
        value.clone()
    }

    #[inline(always)]
    fn keyed(key: K, bare: N) -> (K, N) {
        (key, bare)
    }

    fn last(&mut self, key: K, value: N) -> (K, N) {
        (key, value)
    }
}
