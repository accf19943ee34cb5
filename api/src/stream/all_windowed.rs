//! Streams cut into windows as a whole.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use flott_runtime::batch::Data;

use super::{
    Number, Stream, WindowedStream,
    windowed::{larger, no_size, note, smaller},
};
use crate::{
    function::{Aggregate, Collector, OutputTag},
    operator::{Aggregating, Bare, Closure, Processing, Reducing, Summing},
    plan::MadeKey,
    window::{
        CountEvictor, CountTrigger, Evictor, GlobalWindows, ProcessWindowFunction, PurgingTrigger, Trigger,
        WindowAssigner,
    },
};

/// A stream whose records are in windows, whatever their keys. One subtask does it all.
pub struct AllWindowedStream<T, A, Tr = <A as WindowAssigner<T>>::Trigger>
where
    A: WindowAssigner<T>,
{
    windows: WindowedStream<(), T, A, Tr>,
}

impl<T, A, Tr> Clone for AllWindowedStream<T, A, Tr>
where
    A: WindowAssigner<T>,
    Tr: Clone,
{
    fn clone(&self) -> Self {
        Self { windows: self.windows.clone() }
    }
}

impl<T: Data> Stream<T> {
    /// Cuts the stream into windows as a whole. What is made of them has one subtask: where there is a key, use the
    /// windows of a keyed stream.
    pub fn window_all<A: WindowAssigner<T>>(&self, assigner: A) -> AllWindowedStream<T, A> {
        AllWindowedStream { windows: WindowedStream::new(self.clone(), Arc::new(MadeKey(|_: &T| ())), true, assigner) }
    }

    /// Cuts the stream into windows of `size` records, at least one. Fewer that are left give no result.
    pub fn count_window_all(&self, size: u64) -> AllWindowedStream<T, GlobalWindows, PurgingTrigger<CountTrigger>> {
        self.window_all(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Has a window of the last `size` records, or of as many as there are, every `slide` records.
    pub fn count_window_all_sliding(
        &self,
        size: usize,
        slide: u64,
    ) -> AllWindowedStream<T, GlobalWindows, CountTrigger> {
        note(&self.env, "a window of counted records".to_owned(), no_size(size));
        self.window_all(GlobalWindows::create()).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
    }
}

impl<T, A, Tr> AllWindowedStream<T, A, Tr>
where
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    /// As [`WindowedStream::trigger`].
    pub fn trigger<N: Trigger<T, A::Window>>(self, trigger: N) -> AllWindowedStream<T, A, N> {
        AllWindowedStream { windows: self.windows.trigger(trigger) }
    }

    /// As [`WindowedStream::evictor`].
    #[must_use]
    pub fn evictor(self, evictor: impl Evictor<T, A::Window>) -> Self {
        Self { windows: self.windows.evictor(evictor) }
    }

    /// As [`WindowedStream::allowed_lateness`].
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { windows: self.windows.allowed_lateness(lateness) }
    }

    /// As [`WindowedStream::side_output_late_data`].
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<T>) -> Self {
        Self { windows: self.windows.side_output_late_data(tag) }
    }

    /// As [`WindowedStream::reduce`].
    pub fn reduce<F>(&self, reduce: F) -> Stream<T>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
    {
        self.windows.folded(Reducing(reduce), Bare)
    }

    /// As [`WindowedStream::reduce_with`], without a key.
    pub fn reduce_with<F, G, R>(&self, reduce: F, mut results: G) -> Stream<R>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
        G: FnMut(&A::Window, T, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        let results =
            move |(): &(), window: &A::Window, record, out: &mut Collector<'_, R>| results(window, record, out);
        self.windows.folded(Reducing(reduce), Closure::new(results))
    }

    /// As [`WindowedStream::reduce_process`].
    pub fn reduce_process<F, P>(&self, reduce: F, function: P) -> Stream<P::Out>
    where
        F: FnMut(&mut T, T) + Clone + Send + Sync + 'static,
        P: ProcessWindowFunction<Key = (), Window = A::Window, In = T>,
    {
        self.windows.folded(Reducing(reduce), Processing(function))
    }

    /// Aggregates the records of each window.
    pub fn aggregate<G>(&self, aggregate: G) -> Stream<G::Out>
    where
        G: Aggregate<In = T>,
    {
        self.windows.folded(Aggregating(aggregate), Bare)
    }

    /// As [`WindowedStream::aggregate_with`], without a key.
    pub fn aggregate_with<G, F, R>(&self, aggregate: G, mut results: F) -> Stream<R>
    where
        G: Aggregate<In = T>,
        F: FnMut(&A::Window, G::Out, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        let results =
            move |(): &(), window: &A::Window, result, out: &mut Collector<'_, R>| results(window, result, out);
        self.windows.folded(Aggregating(aggregate), Closure::new(results))
    }

    /// As [`WindowedStream::aggregate_process`].
    pub fn aggregate_process<G, P>(&self, aggregate: G, function: P) -> Stream<P::Out>
    where
        G: Aggregate<In = T>,
        P: ProcessWindowFunction<Key = (), Window = A::Window, In = G::Out>,
    {
        self.windows.folded(Aggregating(aggregate), Processing(function))
    }

    /// As [`WindowedStream::apply`], without a key.
    pub fn apply<F, R>(&self, mut function: F) -> Stream<R>
    where
        F: FnMut(&A::Window, &[T], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
        R: Data,
    {
        self.windows.gathered(Closure::new(
            move |(): &(), window: &A::Window, records: &[T], out: &mut Collector<'_, R>| {
                function(window, records, out)
            },
        ))
    }

    /// As [`WindowedStream::process`].
    pub fn process<P>(&self, function: P) -> Stream<P::Out>
    where
        P: ProcessWindowFunction<Key = (), Window = A::Window, In = T>,
    {
        self.windows.gathered(Processing(function))
    }

    fn combine<N, F, C>(&self, number: F, combine: C) -> Stream<N>
    where
        N: Data,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
        C: FnMut(&mut N, N) + Clone + Send + Sync + 'static,
    {
        self.windows.folded(Summing { number, combine, numbers: PhantomData }, Bare)
    }

    /// Sums a number of each record.
    pub fn sum<N, F>(&self, number: F) -> Stream<N>
    where
        N: Number,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        self.combine(number, |sum: &mut N, number: N| *sum += number)
    }

    /// Counts records.
    pub fn count(&self) -> Stream<u64> {
        self.sum(|_| 1)
    }

    /// The smallest of a number of each record.
    pub fn min<N, F>(&self, number: F) -> Stream<N>
    where
        N: Data + PartialOrd,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        self.combine(number, smaller)
    }

    /// The largest of a number of each record.
    pub fn max<N, F>(&self, number: F) -> Stream<N>
    where
        N: Data + PartialOrd,
        F: FnMut(&T) -> N + Clone + Send + Sync + 'static,
    {
        self.combine(number, larger)
    }
}
