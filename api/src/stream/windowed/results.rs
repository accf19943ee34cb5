//! What is made of the windows of each key.

use std::marker::PhantomData;

use flott_runtime::batch::{Data, Key};

use super::{Stream, WindowedStream};
use crate::{
    function::{Aggregate, Collector},
    operator::{Aggregating, Closure, Processing, Reducing, Summing, WithKey},
    stream::Number,
    window::{ProcessWindowFunction, Trigger, WindowAssigner},
};

impl<K, T, A, Tr> WindowedStream<K, T, A, Tr>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    /// Reduces the records of each window to one: `reduce` puts a further record into what there is. It must not matter
    /// in which order, or how they are grouped.
    pub fn reduce<F>(&self, reduce: F) -> Stream<T>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
    {
        self.folded(Reducing(reduce), WithKey::<T, Reducing<F>>::new())
    }

    /// As [`reduce`](Self::reduce); `results` makes what is given out of key, window and reduced record.
    pub fn reduce_with<F, G, R>(&self, reduce: F, results: G) -> Stream<R>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
        G: FnMut(&K, &A::Window, T, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        self.folded(Reducing(reduce), Closure::new(results))
    }

    /// As [`reduce`](Self::reduce); `function` is called with the reduced record.
    pub fn reduce_process<F, P>(&self, reduce: F, function: P) -> Stream<P::Out>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
        P: ProcessWindowFunction<Key = K, Window = A::Window, In = T>,
    {
        self.folded(Reducing(reduce), Processing(function))
    }

    /// Aggregates the records of each window; results come with their keys.
    pub fn aggregate<G>(&self, aggregate: G) -> Stream<(K, G::Out)>
    where
        G: Aggregate<In = T>,
    {
        self.folded(Aggregating(aggregate), WithKey::<T, Aggregating<G>>::new())
    }

    /// As [`aggregate`](Self::aggregate); `results` makes what is given out of key, window and result.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flott::{Aggregate, Environment, TumblingProcessingTimeWindows};
    /// # #[derive(Clone)]
    /// # struct Mean;
    /// # impl Aggregate for Mean {
    /// #     type In = (String, f64);
    /// #     type Accumulator = (f64, u64);
    /// #     type Out = f64;
    /// #     fn create(&self) -> (f64, u64) { (0.0, 0) }
    /// #     fn add(&self, sum: &mut (f64, u64), value: (String, f64)) { sum.0 += value.1; sum.1 += 1; }
    /// #     fn result(&self, sum: &(f64, u64)) -> f64 { sum.0 / sum.1 as f64 }
    /// #     fn merge(&self, into: &mut (f64, u64), other: (f64, u64)) { into.0 += other.0; into.1 += other.1; }
    /// # }
    /// # let env = Environment::new();
    /// # let degrees = env.from_collection(vec![("north".to_owned(), 20.5)]);
    /// let means = degrees
    ///     .key_by(|(place, _)| place.clone())
    ///     .window(TumblingProcessingTimeWindows::of(Duration::from_secs(60)))
    ///     .aggregate_with(Mean, |place, window, mean, out| out.emit(format!("{place} {}: {mean}", window.end)));
    /// # means.discard();
    /// ```
    pub fn aggregate_with<G, F, R>(&self, aggregate: G, results: F) -> Stream<R>
    where
        G: Aggregate<In = T>,
        F: FnMut(&K, &A::Window, G::Out, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        self.folded(Aggregating(aggregate), Closure::new(results))
    }

    /// As [`aggregate`](Self::aggregate); `function` is called with the result.
    pub fn aggregate_process<G, P>(&self, aggregate: G, function: P) -> Stream<P::Out>
    where
        G: Aggregate<In = T>,
        P: ProcessWindowFunction<Key = K, Window = A::Window, In = G::Out>,
    {
        self.folded(Aggregating(aggregate), Processing(function))
    }

    /// What `function` makes of key, window and all records of a window. Where a reduction or an aggregation can do it, less
    /// is kept.
    pub fn apply<F, R>(&self, function: F) -> Stream<R>
    where
        F: FnMut(&K, &A::Window, &[T], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        self.gathered(Closure::new(function))
    }

    /// As [`apply`](Self::apply), by a function with a life cycle, state and side outputs.
    pub fn process<P>(&self, function: P) -> Stream<P::Out>
    where
        P: ProcessWindowFunction<Key = K, Window = A::Window, In = T>,
    {
        self.gathered(Processing(function))
    }

    fn combine<N, F, C>(&self, number: F, combine: C) -> Stream<(K, N)>
    where
        N: Data,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
        C: FnMut(&mut N, N) + Clone + Send + Sync + 'static,
    {
        let fold = Summing { number, combine, numbers: PhantomData };
        self.folded(fold, WithKey::<T, Summing<F, C, N>>::new())
    }

    /// Sums a number of each record.
    pub fn sum<N, F>(&self, number: F) -> Stream<(K, N)>
    where
        N: Number,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        self.combine(number, |sum: &mut N, number: N| *sum += number)
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
        self.combine(number, smaller)
    }

    /// The largest of a number of each record.
    pub fn max<N, F>(&self, number: F) -> Stream<(K, N)>
    where
        N: Data + PartialOrd,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        self.combine(number, larger)
    }
}

pub(in crate::stream) fn smaller<N: PartialOrd>(smallest: &mut N, number: N) {
    if number < *smallest {
        *smallest = number;
    }
}

pub(in crate::stream) fn larger<N: PartialOrd>(largest: &mut N, number: N) {
    if number > *largest {
        *largest = number;
    }
}
