//! Joins with what is known of a key at a time.

use std::sync::Arc;

use flott_runtime::batch::{Data, Key};

use super::{KeyedConnectedStreams, KeyedStream, Stream};
use crate::{
    function::OutputTag,
    operator::{Deletes, KeyedCoProcess, Late, LatestJoin, TemporalJoin},
    plan::TwoInput,
};

/// A stream and the versions that it is to be joined with, by [`inner`](Self::inner) or [`left_outer`](Self::left_outer).
#[must_use = "a temporal join does nothing without a function"]
pub struct TemporalJoinStreams<K, A, B> {
    streams: KeyedConnectedStreams<K, A, B>,
    deletes: Deletes<B>,
    late: Late<A>,
    processing_time: bool,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Joins each record with the version of its key's row that is valid at the record's timestamp.
    ///
    /// Each record of `versions` is a version of the row of its key: valid from its timestamp on, until the next one's; of
    /// two with the same timestamp the one that comes later counts. A record of this stream is given out when the watermark
    /// has reached its timestamp.
    ///
    /// ```no_run
    /// # use flott::{Environment, WatermarkStrategy};
    /// # let env = Environment::new();
    /// let orders = env
    ///     .from_collection(vec![("EUR".to_owned(), 10.0, 1_000i64)])
    ///     .assign_timestamps_and_watermarks(
    ///         WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|order: &(String, f64, i64)| order.2),
    ///     );
    /// let rates = env
    ///     .from_collection(vec![("EUR".to_owned(), 1.1, 0i64), ("EUR".to_owned(), 1.2, 2_000)])
    ///     .assign_timestamps_and_watermarks(
    ///         WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|rate: &(String, f64, i64)| rate.2),
    ///     );
    /// let converted = orders
    ///     .key_by(|order| order.0.clone())
    ///     .temporal_join(&rates.key_by(|rate| rate.0.clone()))
    ///     .inner(|order, rate| order.1 * rate.1);
    /// # converted.discard();
    /// ```
    pub fn temporal_join<U: Data>(&self, versions: &KeyedStream<K, U>) -> TemporalJoinStreams<K, T, U> {
        TemporalJoinStreams {
            streams: self.connect(versions),
            deletes: None,
            late: Late::default(),
            processing_time: false,
        }
    }
}

impl<K: Key, A: Data, B: Data> TemporalJoinStreams<K, A, B> {
    /// A version for which this holds ends the row: from its timestamp on there is none.
    pub fn deleted_when(mut self, deleted: impl Fn(&B) -> bool + Send + Sync + 'static) -> Self {
        self.deletes = Some(Arc::new(deleted));
        self
    }

    /// Gives late records of the left stream to a side output of the join. Without one they are dropped.
    ///
    /// A record is late if the watermark of the join has reached its timestamp: the version that it needs may be gone. A
    /// version that comes late is not dropped: it counts for left records that have not been given out, unless there is one
    /// that is newer.
    pub fn side_output_late_data(mut self, tag: &OutputTag<A>) -> Self {
        self.late = Late::to(tag);
        self
    }

    /// Joins in processing time instead: each left record at once, with the version that came last. Timestamps and
    /// watermarks do not matter then, nothing is late, and results depend on when records come.
    pub fn in_processing_time(mut self) -> Self {
        self.processing_time = true;
        self
    }

    /// One record for each left record that has a version, with the left record's timestamp.
    pub fn inner<U, F>(self, mut function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(A, &B) -> U + Clone + Send + Sync + 'static,
    {
        self.join("inner", move |left, version| version.map(|version| function(left, version)))
    }

    /// One record for each left record, with or without a version, and with the left record's timestamp.
    pub fn left_outer<U, F>(self, mut function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(A, Option<&B>) -> U + Clone + Send + Sync + 'static,
    {
        self.join("left outer", move |left, version| Some(function(left, version)))
    }

    fn join<U, F>(self, form: &str, function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(A, Option<&B>) -> Option<U> + Clone + Send + Sync + 'static,
    {
        let Self { streams: KeyedConnectedStreams { streams, left, right }, deletes, late, processing_time } = self;
        if processing_time {
            let function = LatestJoin::<K, A, B, F, U>::new(function, deletes);
            let make = move |site: &_| KeyedCoProcess::new(function.clone(), left.clone(), right.clone(), site);
            let detail = format!("{form} in processing time");
            return streams.then_as("Temporal Join", &detail, TwoInput::<A, B, U, _>::body(make));
        }
        let make = move |site: &_| {
            let left = (left.clone(), late.clone());
            TemporalJoin::<K, A, B, F, U>::new(function.clone(), left, (right.clone(), deletes.clone()), site)
        };
        streams.then_as("Temporal Join", form, TwoInput::<A, B, U, _>::body(make))
    }
}
