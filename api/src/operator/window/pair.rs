//! Windows of two streams, whose records come as one stream of tagged ones.

use std::marker::PhantomData;

use flott_runtime::batch::{BATCH_RECORDS, Data, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    function::{Fired, PaneFunction},
    whole::Whole,
};
use crate::{
    function::{Collector, FunctionResult},
    window::{TaggedUnion, Window, WindowContext, WindowOpen},
};

/// What is given out for what a window has of two streams. A prototype lives in the plan.
pub(crate) trait Pair<K, W, A, B>: Clone + Send + Sync + 'static {
    /// Results.
    type Out: Data;

    /// As [`PaneFunction::fire`].
    fn fire(
        &mut self,
        key: &K,
        window: &W,
        left: &[A],
        right: &[B],
        from: usize,
        out: &mut Collector<'_, Self::Out>,
    ) -> Fired;
}

/// All records of both streams at once.
pub(crate) struct CoGrouping<F, R> {
    function: F,
    results: PhantomData<fn() -> R>,
}

impl<F, R> CoGrouping<F, R> {
    pub fn new(function: F) -> Self {
        Self { function, results: PhantomData }
    }
}

impl<F: Clone, R> Clone for CoGrouping<F, R> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<K, W, A, B, F, R> Pair<K, W, A, B> for CoGrouping<F, R>
where
    R: Data,
    F: FnMut(&K, &W, &[A], &[B], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
{
    type Out = R;

    fn fire(&mut self, key: &K, window: &W, left: &[A], right: &[B], _: usize, out: &mut Collector<'_, R>) -> Fired {
        (self.function)(key, window, left, right, out);
        Fired::All
    }
}

/// Each record of one stream with each of the other.
pub(crate) struct Joining<F, R> {
    function: F,
    results: PhantomData<fn() -> R>,
}

impl<F, R> Joining<F, R> {
    pub fn new(function: F) -> Self {
        Self { function, results: PhantomData }
    }
}

impl<F: Clone, R> Clone for Joining<F, R> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<K, W, A, B, F, R> Pair<K, W, A, B> for Joining<F, R>
where
    R: Data,
    F: FnMut(&K, &W, &A, &B, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
{
    type Out = R;

    fn fire(&mut self, key: &K, window: &W, left: &[A], right: &[B], from: usize, out: &mut Collector<'_, R>) -> Fired {
        if right.is_empty() {
            return Fired::All;
        }
        // What meets may be very much more than what is kept.
        let (mut place, skipped) = (from, from % right.len());
        let to = from.saturating_add(BATCH_RECORDS);
        let mut first = right.get(skipped..).unwrap_or_default();
        for left in left.get(from / right.len()..).unwrap_or_default() {
            for right in std::mem::replace(&mut first, right) {
                if place >= to {
                    return Fired::Some(place);
                }
                (self.function)(key, window, left, right, out);
                place += 1;
            }
        }
        Fired::All
    }
}

/// What a window has of each stream, in the order in which it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sides<A, B> {
    left: Vec<A>,
    right: Vec<B>,
}

impl<A, B> Default for Sides<A, B> {
    fn default() -> Self {
        Self { left: Vec::new(), right: Vec::new() }
    }
}

impl<A, B> Sides<A, B> {
    fn push(&mut self, record: TaggedUnion<A, B>) {
        match record {
            TaggedUnion::Left(record) => self.left.push(record),
            TaggedUnion::Right(record) => self.right.push(record),
        }
    }
}

/// Records of two streams kept apart.
#[derive(Clone)]
pub(crate) struct Pairing<F>(pub F);

impl<K, W, A, B, F> PaneFunction<K, TaggedUnion<A, B>, W> for Pairing<F>
where
    K: Key,
    W: Window,
    A: Data,
    B: Data,
    F: Pair<K, W, A, B>,
{
    type Contents = Sides<A, B>;
    type Out = F::Out;
    const STATEFUL: bool = false;

    fn open(&mut self, _: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        Ok(())
    }

    fn first(&mut self, record: TaggedUnion<A, B>, _: Option<Timestamp>) -> Sides<A, B> {
        let mut sides = Sides::default();
        sides.push(record);
        sides
    }

    fn add(&mut self, sides: &mut Sides<A, B>, record: TaggedUnion<A, B>, _: Option<Timestamp>) {
        sides.push(record);
    }

    fn merge(&mut self, into: &mut Sides<A, B>, mut other: Sides<A, B>) {
        into.left.append(&mut other.left);
        into.right.append(&mut other.right);
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        sides: &mut Sides<A, B>,
        from: usize,
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult<Fired> {
        Ok(self.0.fire(key, window, &sides.left, &sides.right, from, ctx.collector()))
    }

    fn clear(&mut self, _: &K, _: &W, _: &mut WindowContext<'_, K, W, F::Out>) -> FunctionResult {
        Ok(())
    }
}

/// Where an evictor takes records out they are kept together, and told apart when the window fires.
impl<K, W, A, B, F> Whole<K, TaggedUnion<A, B>, W> for Pairing<F>
where
    K: Key,
    W: Window,
    A: Data,
    B: Data,
    F: Pair<K, W, A, B>,
{
    type Out = F::Out;
    const STATEFUL: bool = false;

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        records: &[TaggedUnion<A, B>],
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult {
        let mut sides = Sides::default();
        records.iter().cloned().for_each(|record| sides.push(record));
        let mut from = 0;
        while let Fired::Some(place) = self.0.fire(key, window, &sides.left, &sides.right, from, ctx.collector()) {
            from = place;
        }
        Ok(())
    }
}
