//! Joins of records that are near each other in time.

use std::{fmt, marker::PhantomData};

use flott_runtime::{
    batch::{Data, Key},
    time::TimeDelta,
};

use super::{KeyedConnectedStreams, KeyedStream, Stream};
use crate::{
    error::PlanError,
    function::{OutputTag, ProcessJoinFunction},
    operator::{Bounds, IntervalJoin, Lane, Late, Pairs},
    plan::TwoInput,
};

/// Two streams with the same keys that are to be joined by time; [`between`](Self::between) says how near.
#[must_use = "an interval join needs its bounds, and a function"]
pub struct IntervalJoinStreams<K, A, B> {
    streams: KeyedConnectedStreams<K, A, B>,
}

/// An interval join with its bounds. It is done by [`process`](Self::process) or [`map`](Self::map).
#[must_use = "an interval join does nothing without a function"]
pub struct IntervalJoined<K, A, B> {
    streams: KeyedConnectedStreams<K, A, B>,
    lower: (TimeDelta, bool),
    upper: (TimeDelta, bool),
    left_late: Late<A>,
    right_late: Late<B>,
}

impl<K, A, B> fmt::Debug for IntervalJoined<K, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((lower, lower_in), (upper, upper_in)) = (self.lower, self.upper);
        let (open, close) = (if lower_in { '[' } else { '(' }, if upper_in { ']' } else { ')' });
        write!(f, "between {open}{lower}, {upper}{close}")
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Joins each record with those of `other` that have the same key and are near it in event time.
    ///
    /// ```no_run
    /// # use flott::{Environment, TimeDelta, WatermarkStrategy};
    /// # let env = Environment::new();
    /// let stamp = || WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|record: &(u64, i64)| record.1);
    /// let orders = env.from_collection(vec![(7, 1_000)]).assign_timestamps_and_watermarks(stamp());
    /// let payments = env.from_collection(vec![(7, 4_000)]).assign_timestamps_and_watermarks(stamp());
    /// let paid = orders
    ///     .key_by(|order| order.0)
    ///     .interval_join(&payments.key_by(|payment| payment.0))
    ///     .between(TimeDelta::from_secs(-1), TimeDelta::from_secs(60))
    ///     .map(|order, payment| (order.0, payment.1 - order.1));
    /// # paid.discard();
    /// ```
    pub fn interval_join<U: Data>(&self, other: &KeyedStream<K, U>) -> IntervalJoinStreams<K, T, U> {
        IntervalJoinStreams { streams: self.connect(other) }
    }
}

impl<K: Key, A: Data, B: Data> IntervalJoinStreams<K, A, B> {
    /// A right record is joined with a left one if its timestamp is that of the left one plus something between `lower` and
    /// `upper`, both included: `left + lower <= right <= left + upper`. Either may be negative.
    pub fn between(self, lower: impl Into<TimeDelta>, upper: impl Into<TimeDelta>) -> IntervalJoined<K, A, B> {
        let (lower, upper) = (lower.into(), upper.into());
        if lower > upper {
            self.streams.streams.left.env.problem(PlanError::IntervalBounds { lower, upper });
        }
        IntervalJoined {
            streams: self.streams,
            lower: (lower, true),
            upper: (upper, true),
            left_late: Late::default(),
            right_late: Late::default(),
        }
    }
}

impl<K: Key, A: Data, B: Data> IntervalJoined<K, A, B> {
    /// Does not join records that are as far apart as the lower bound says.
    pub fn lower_bound_exclusive(mut self) -> Self {
        self.lower.1 = false;
        self
    }

    /// Does not join records that are as far apart as the upper bound says.
    pub fn upper_bound_exclusive(mut self) -> Self {
        self.upper.1 = false;
        self
    }

    /// Gives late records of the left stream to a side output of the join. Without one they are dropped.
    ///
    /// A record is late if the watermark of the join has reached its timestamp.
    pub fn side_output_left_late_data(mut self, tag: &OutputTag<A>) -> Self {
        self.left_late = Late::to(tag);
        self
    }

    /// Gives late records of the right stream to a side output of the join. Without one they are dropped.
    pub fn side_output_right_late_data(mut self, tag: &OutputTag<B>) -> Self {
        self.right_late = Late::to(tag);
        self
    }

    /// Calls a function with each pair.
    pub fn process<F>(self, function: F) -> Stream<F::Out>
    where
        F: ProcessJoinFunction<Left = A, Right = B>,
    {
        let detail = format!("{self:?}");
        let Self { streams, lower, upper, left_late, right_late } = self;
        let KeyedConnectedStreams { streams, left, right } = streams;
        let bounds = Bounds::new(lower, upper);
        let make = move |site: &_| {
            let (left, right) =
                (Lane::new(left.clone(), left_late.clone()), Lane::new(right.clone(), right_late.clone()));
            IntervalJoin::new(function.clone(), bounds, left, right, site)
        };
        streams.then_as("Interval Join", &detail, TwoInput::<A, B, F::Out, _>::body(make))
    }

    /// One record for each pair, with the later of its two timestamps.
    pub fn map<U, F>(self, function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(&A, &B) -> U + Clone + Send + Sync + 'static,
    {
        self.process(Pairs { function, types: PhantomData })
    }
}
