//! Windows of two streams, whose records come as one stream of tagged ones.

use std::marker::PhantomData;

use flott_runtime::batch::{Data, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::{function::PaneFunction, whole::Whole};
use crate::{
    function::{Collector, FunctionResult},
    window::{TaggedUnion, Window, WindowContext, WindowOpen},
};

/// What is given out for what a window has of two streams. A prototype lives in the plan.
pub(crate) trait Pair<K, W, A, B>: Clone + Send + Sync + 'static {
    /// Results.
    type Out: Data;

    fn fire(&mut self, key: &K, window: &W, left: &[A], right: &[B], out: &mut Collector<'_, Self::Out>);
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

    fn fire(&mut self, key: &K, window: &W, left: &[A], right: &[B], out: &mut Collector<'_, R>) {
        (self.function)(key, window, left, right, out);
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

    fn fire(&mut self, key: &K, window: &W, left: &[A], right: &[B], out: &mut Collector<'_, R>) {
        for left in left {
            for right in right {
                (self.function)(key, window, left, right, out);
            }
        }
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
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult<bool> {
        self.0.fire(key, window, &sides.left, &sides.right, ctx.collector());
        Ok(true)
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
        self.0.fire(key, window, &sides.left, &sides.right, ctx.collector());
        Ok(())
    }
}
