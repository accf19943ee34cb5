//! Two streams whose records meet in windows.

use std::{fmt, marker::PhantomData, time::Duration};

use flott_runtime::batch::{Data, Key};

use super::{KeyedStream, Stream, WindowedStream};
use crate::{
    function::{Collector, OutputTag},
    operator::{CoGrouping, Joining, Pair},
    window::{Evictor, TaggedUnion, Trigger, WindowAssigner},
};

/// Marks two streams of which each record of one meets each of the other: an inner join.
#[derive(Debug)]
pub enum Join {}

/// Marks two streams of which all records of both meet at once.
#[derive(Debug)]
pub enum CoGroup {}

/// Two streams that are to be joined. `How` is [`Join`] or [`CoGroup`].
pub struct StreamPair<How, A, B> {
    left: Stream<A>,
    right: Stream<B>,
    how: PhantomData<fn() -> How>,
}

/// Two streams that are to be joined, of which one has its key.
pub struct StreamPairWhere<How, A, B, F> {
    streams: StreamPair<How, A, B>,
    key: F,
}

/// Two streams that are to be joined, with their keys.
pub struct KeyedStreamPair<How, K, A, B> {
    keyed: KeyedStream<K, TaggedUnion<A, B>>,
    how: PhantomData<fn() -> How>,
}

/// Two streams whose records meet where their keys are equal and they are in the same window.
///
/// Watermark, lateness and triggers are those of both streams together: windows see their records as one stream of
/// [`TaggedUnion`]. Sessions go on with records of either.
pub struct WindowedStreamPair<How, K, A, B, G, Tr = <G as WindowAssigner<TaggedUnion<A, B>>>::Trigger>
where
    G: WindowAssigner<TaggedUnion<A, B>>,
{
    windows: WindowedStream<K, TaggedUnion<A, B>, G, Tr>,
    how: PhantomData<fn() -> How>,
}

macro_rules! debug {
    ($name:ident<$($param:ident),+> $(where $bounded:ident: $bound:path)?) => {
        impl<$($param),+> fmt::Debug for $name<$($param),+>
        $(where $bounded: $bound)?
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

debug!(StreamPair<How, A, B>);
debug!(StreamPairWhere<How, A, B, F>);
debug!(KeyedStreamPair<How, K, A, B>);
debug!(WindowedStreamPair<How, K, A, B, G, Tr> where G: WindowAssigner<TaggedUnion<A, B>>);

impl<T: Data> Stream<T> {
    /// Joins this stream with another by key and window: each record of one meets each of the other.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flott::{Environment, TumblingProcessingTimeWindows};
    /// # let env = Environment::new();
    /// # let orders = env.from_collection(vec![(1u64, 20u64)]);
    /// # let payments = env.from_collection(vec![(1u64, "card".to_owned())]);
    /// let paid = orders
    ///     .join(&payments)
    ///     .where_key(|order| order.0)
    ///     .equal_to(|payment| payment.0)
    ///     .window(TumblingProcessingTimeWindows::of(Duration::from_secs(60)))
    ///     .apply(|order, payment| (order.0, order.1, payment.1.clone()));
    /// # paid.discard();
    /// ```
    pub fn join<U: Data>(&self, other: &Stream<U>) -> StreamPair<Join, T, U> {
        self.pair("join", other)
    }

    /// Joins this stream with another by key and window: all records of both meet at once, and there may be none of one.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flott::{Environment, TumblingProcessingTimeWindows};
    /// # let env = Environment::new();
    /// # let orders = env.from_collection(vec![(1u64, 20u64)]);
    /// # let payments = env.from_collection(vec![(1u64, "card".to_owned())]);
    /// let unpaid = orders
    ///     .co_group(&payments)
    ///     .where_key(|order| order.0)
    ///     .equal_to(|payment| payment.0)
    ///     .window(TumblingProcessingTimeWindows::of(Duration::from_secs(60)))
    ///     .apply(|orders, payments, out| {
    ///         if payments.is_empty() {
    ///             out.emit_all(orders.to_vec());
    ///         }
    ///     });
    /// # unpaid.discard();
    /// ```
    pub fn co_group<U: Data>(&self, other: &Stream<U>) -> StreamPair<CoGroup, T, U> {
        self.pair("co_group", other)
    }

    fn pair<How, U: Data>(&self, what: &'static str, other: &Stream<U>) -> StreamPair<How, T, U> {
        self.must_share_environment(what, other);
        StreamPair { left: self.clone(), right: other.clone(), how: PhantomData }
    }
}

impl<How, A: Data, B: Data> StreamPair<How, A, B> {
    /// The key of records of the first stream.
    pub fn where_key<K, F>(&self, key: F) -> StreamPairWhere<How, A, B, F>
    where
        K: Key,
        F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    {
        let streams = Self { left: self.left.clone(), right: self.right.clone(), how: PhantomData };
        StreamPairWhere { streams, key }
    }
}

impl<How, A, B, F> StreamPairWhere<How, A, B, F>
where
    A: Data,
    B: Data,
    F: Clone + Send + Sync + 'static,
{
    /// The key of records of the second stream.
    pub fn equal_to<K, G>(&self, key: G) -> KeyedStreamPair<How, K, A, B>
    where
        K: Key,
        F: Fn(&A) -> K,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    {
        let StreamPair { left, right, .. } = &self.streams;
        let left = left.map(TaggedUnion::Left).name("Tag");
        let right = right.map(TaggedUnion::Right).name("Tag");
        let (left_key, right_key) = (self.key.clone(), key);
        let keyed = left.union([&right]).key_by(move |record| match record {
            TaggedUnion::Left(record) => left_key(record),
            TaggedUnion::Right(record) => right_key(record),
        });
        KeyedStreamPair { keyed, how: PhantomData }
    }
}

impl<How, K: Key, A: Data, B: Data> KeyedStreamPair<How, K, A, B> {
    /// Has records meet that are in the same window.
    pub fn window<G: WindowAssigner<TaggedUnion<A, B>>>(&self, assigner: G) -> WindowedStreamPair<How, K, A, B, G> {
        WindowedStreamPair { windows: self.keyed.window(assigner), how: PhantomData }
    }
}

impl<How, K, A, B, G, Tr> WindowedStreamPair<How, K, A, B, G, Tr>
where
    K: Key,
    A: Data,
    B: Data,
    G: WindowAssigner<TaggedUnion<A, B>>,
    Tr: Trigger<TaggedUnion<A, B>, G::Window>,
{
    /// As [`WindowedStream::trigger`].
    pub fn trigger<N>(self, trigger: N) -> WindowedStreamPair<How, K, A, B, G, N>
    where
        N: Trigger<TaggedUnion<A, B>, G::Window>,
    {
        WindowedStreamPair { windows: self.windows.trigger(trigger), how: PhantomData }
    }

    /// As [`WindowedStream::evictor`].
    #[must_use]
    pub fn evictor(self, evictor: impl Evictor<TaggedUnion<A, B>, G::Window>) -> Self {
        Self { windows: self.windows.evictor(evictor), how: PhantomData }
    }

    /// As [`WindowedStream::allowed_lateness`].
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { windows: self.windows.allowed_lateness(lateness), how: PhantomData }
    }

    /// As [`WindowedStream::side_output_late_data`].
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<TaggedUnion<A, B>>) -> Self {
        Self { windows: self.windows.side_output_late_data(tag), how: PhantomData }
    }

    fn paired<F: Pair<K, G::Window, A, B>>(&self, function: F) -> Stream<F::Out> {
        self.windows.paired(function)
    }
}

impl<K, A, B, G, Tr> WindowedStreamPair<Join, K, A, B, G, Tr>
where
    K: Key,
    A: Data,
    B: Data,
    G: WindowAssigner<TaggedUnion<A, B>>,
    Tr: Trigger<TaggedUnion<A, B>, G::Window>,
{
    /// One record for each two that meet.
    pub fn apply<R, F>(&self, mut function: F) -> Stream<R>
    where
        R: Data,
        F: FnMut(&A, &B) -> R + Clone + Send + Sync + 'static,
    {
        self.apply_with(move |_, _, left, right, out| out.emit(function(left, right)))
    }

    /// Any number of records for each two that meet, made with their key and window.
    pub fn apply_with<R, F>(&self, function: F) -> Stream<R>
    where
        R: Data,
        F: FnMut(&K, &G::Window, &A, &B, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
    {
        self.paired(Joining::new(function))
    }
}

impl<K, A, B, G, Tr> WindowedStreamPair<CoGroup, K, A, B, G, Tr>
where
    K: Key,
    A: Data,
    B: Data,
    G: WindowAssigner<TaggedUnion<A, B>>,
    Tr: Trigger<TaggedUnion<A, B>, G::Window>,
{
    /// Any number of records for all that a window has of both streams.
    pub fn apply<R, F>(&self, mut function: F) -> Stream<R>
    where
        R: Data,
        F: FnMut(&[A], &[B], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
    {
        self.apply_with(move |_, _, left, right, out| function(left, right, out))
    }

    /// As [`apply`](Self::apply), made with key and window.
    pub fn apply_with<R, F>(&self, function: F) -> Stream<R>
    where
        R: Data,
        F: FnMut(&K, &G::Window, &[A], &[B], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
    {
        self.paired(CoGrouping::new(function))
    }
}
