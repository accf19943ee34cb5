//! Streams with a key.

use std::{marker::PhantomData, ops::AddAssign, sync::Arc};

use flott_core::job_graph::OperatorKind;
use flott_runtime::batch::{Data, Key};

use super::{ConnectedStreams, KeyedConnectedStreams, Stream, detail};
use crate::{
    function::{Aggregate, KeyedProcessFunction},
    operator::{Aggregating, Combine, Fold, KeyedProcess, Reducing, Running, Summing, Total},
    plan::{BatchForm, HeldKey, KeyOf, KeyedEdge, Node, OneInput},
};

/// What can be summed.
pub trait Number: Data + AddAssign {}
impl<N: Data + AddAssign> Number for N {}

/// A stream whose records get to subtasks by key.
///
/// In streaming mode reductions and aggregations give a running result for each record; in batch mode they give one
/// final result per key, when the input has ended, and aggregate once before records are sent to other subtasks.
pub struct KeyedStream<K, T> {
    /// Before it was partitioned.
    pub(super) unkeyed: Stream<T>,
    pub(super) keyed: Stream<T>,
    pub(super) keys: Arc<dyn KeyOf<T, K>>,
}

impl<K, T> Clone for KeyedStream<K, T> {
    fn clone(&self) -> Self {
        Self { unkeyed: self.unkeyed.clone(), keyed: self.keyed.clone(), keys: self.keys.clone() }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    fn fold<F: Fold<K, T>>(&self, operation: &'static str, fold: F) -> Stream<F::Out> {
        let Self { unkeyed, keyed, keys } = self;
        let body = {
            let (fold, keys) = (fold.clone(), keys.clone());
            OneInput::<T, F::Out, _>::body(move |site| Running::new(keys.clone(), fold.clone(), &site.task.backend))
        };
        let combine = {
            let (fold, keys) = (fold.clone(), keys.clone());
            OneInput::<T, (K, F::Value), _>::body(move |_| Combine::new(keys.clone(), fold.clone()))
        };
        let edge = KeyedEdge::<(K, F::Value), K>::body(Arc::new(HeldKey::new(|(key, _): &(K, F::Value)| key)));
        let finish = OneInput::<(K, F::Value), F::Out, _>::body(move |site| {
            Total::<K, T, F>::new(fold.clone(), &site.task.backend)
        });
        let mut node = Node::new(OperatorKind::Operator, operation, vec![keyed.origins.clone()], body);
        node.detail = detail::<T, F::Out>();
        node.batch = Some(BatchForm { inputs: unkeyed.origins.clone(), combine, edge, finish });
        let env = unkeyed.env.clone();
        let node = env.add(node);
        Stream::of(env, node)
    }

    /// Reduces the records of each key to one: `reduce` puts a further record into what there is. It must not matter in
    /// which order, or how they are grouped.
    ///
    /// ```no_run
    /// # use flott::{Environment, Stream};
    /// # let env = Environment::new();
    /// let totals = env
    ///     .from_collection(vec![("a".to_owned(), 1u64), ("b".to_owned(), 2), ("a".to_owned(), 3)])
    ///     .key_by(|(name, _)| name.clone())
    ///     .reduce(|total, (_, number)| total.1 += number);
    /// # let _: Stream<(String, u64)> = totals;
    /// ```
    pub fn reduce<F>(&self, reduce: F) -> Stream<T>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
    {
        self.fold("Keyed Reduce", Reducing(reduce))
    }

    /// Aggregates the records of each key; results come with their keys.
    pub fn aggregate<A>(&self, aggregate: A) -> Stream<(K, A::Out)>
    where
        A: Aggregate<In = T>,
    {
        self.fold("Keyed Aggregation", Aggregating(aggregate))
    }

    /// Sums a number of each record.
    pub fn sum<N, F>(&self, number: F) -> Stream<(K, N)>
    where
        N: Number,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        let combine = |sum: &mut N, number: N| *sum += number;
        self.fold("Keyed Aggregation", Summing { number, combine, numbers: PhantomData })
    }

    /// Counts records.
    pub fn count(&self) -> Stream<(K, u64)> {
        self.sum(|_| 1)
    }

    /// The smallest of a number of each record.
    pub fn min<N, F>(&self, number: F) -> Stream<(K, N)>
    where
        N: Data + PartialOrd,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        let combine = |smallest: &mut N, number: N| {
            if number < *smallest {
                *smallest = number;
            }
        };
        self.fold("Keyed Aggregation", Summing { number, combine, numbers: PhantomData })
    }

    /// The largest of a number of each record.
    pub fn max<N, F>(&self, number: F) -> Stream<(K, N)>
    where
        N: Data + PartialOrd,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        let combine = |largest: &mut N, number: N| {
            if number > *largest {
                *largest = number;
            }
        };
        self.fold("Keyed Aggregation", Summing { number, combine, numbers: PhantomData })
    }

    /// A process function with state per key.
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: KeyedProcessFunction<Key = K, In = T>,
    {
        let keys = self.keys.clone();
        let make = move |site: &_| KeyedProcess::new(function.clone(), keys.clone(), site);
        self.keyed.then("KeyedProcess", OneInput::<T, F::Out, _>::body(make))
    }

    /// Connects two streams with the same keys.
    pub fn connect<U: Data>(&self, other: &KeyedStream<K, U>) -> KeyedConnectedStreams<K, T, U> {
        self.keyed.must_share_environment("connect", &other.keyed);
        KeyedConnectedStreams {
            streams: ConnectedStreams { left: self.keyed.clone(), right: other.keyed.clone() },
            left: self.keys.clone(),
            right: other.keys.clone(),
        }
    }

    /// The records without their partitioning into keys.
    pub fn unkeyed(&self) -> Stream<T> {
        self.unkeyed.clone()
    }
}
