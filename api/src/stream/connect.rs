//! Two streams of different types.

use std::sync::Arc;

use flott_core::job_graph::OperatorKind;
use flott_runtime::batch::{Data, Key};

use super::Stream;
use crate::{
    function::{CoProcessFunction, Collector, KeyedCoProcessFunction},
    operator::{CoFlatMap, CoMap, CoProcess, KeyedCoProcess},
    plan::{Body, KeyOf, Node, TwoInput},
};

/// Two streams that one operator reads.
pub struct ConnectedStreams<A, B> {
    pub(super) left: Stream<A>,
    pub(super) right: Stream<B>,
}

/// Two streams with the same keys that one operator reads; it has state per key that both sides see.
pub struct KeyedConnectedStreams<K, A, B> {
    pub(super) streams: ConnectedStreams<A, B>,
    pub(super) left: Arc<dyn KeyOf<A, K>>,
    pub(super) right: Arc<dyn KeyOf<B, K>>,
}

impl<T: Data> Stream<T> {
    /// Connects this stream with another, of any type.
    pub fn connect<U: Data>(&self, other: &Stream<U>) -> ConnectedStreams<T, U> {
        self.must_share_environment("connect", other);
        ConnectedStreams { left: self.clone(), right: other.clone() }
    }
}

impl<A: Data, B: Data> ConnectedStreams<A, B> {
    fn then<U: Data>(&self, operation: &'static str, body: Body) -> Stream<U> {
        self.then_as(operation, "", body)
    }

    /// Adds an operator that reads both; `detail` is what must be equal when it is planned again, besides types.
    pub(super) fn then_as<U: Data>(&self, operation: &'static str, detail: &str, body: Body) -> Stream<U> {
        let inputs = vec![self.left.origins.clone(), self.right.origins.clone()];
        let mut node = Node::new(OperatorKind::Operator, operation, inputs, body);
        let types = std::any::type_name::<(A, B, U)>();
        node.detail = if detail.is_empty() { types.to_owned() } else { format!("{types} {detail}") };
        let env = self.left.env.clone();
        let node = env.add(node);
        Stream::of(env, node)
    }

    /// One record for each record of either side.
    pub fn map<U, F, G>(&self, left: F, right: G) -> Stream<U>
    where
        U: Data,
        F: FnMut(A) -> U + Clone + Send + Sync + 'static,
        G: FnMut(B) -> U + Clone + Send + Sync + 'static,
    {
        self.then("Co-Map", TwoInput::<A, B, U, _>::body(move |_| CoMap::new(left.clone(), right.clone())))
    }

    /// Any number of records for each record of either side: the side's function gives them to the collector.
    pub fn flat_map<U, F, G>(&self, left: F, right: G) -> Stream<U>
    where
        U: Data,
        F: FnMut(A, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
        G: FnMut(B, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
    {
        self.then("Co-Flat Map", TwoInput::<A, B, U, _>::body(move |_| CoFlatMap::new(left.clone(), right.clone())))
    }

    /// A process function of both sides.
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: CoProcessFunction<Left = A, Right = B>,
    {
        let make = move |site: &_| CoProcess::new(function.clone(), site);
        self.then("Co-Process", TwoInput::<A, B, F::Out, _>::body(make))
    }

    /// Both sides by key.
    pub fn key_by<K, F, G>(&self, left: F, right: G) -> KeyedConnectedStreams<K, A, B>
    where
        K: Key,
        F: Fn(&A) -> K + Clone + Send + Sync + 'static,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    {
        self.left.key_by(left).connect(&self.right.key_by(right))
    }
}

impl<K: Key, A: Data, B: Data> KeyedConnectedStreams<K, A, B> {
    /// One record for each record of either side; those of a key come to one subtask.
    pub fn map<U, F, G>(&self, left: F, right: G) -> Stream<U>
    where
        U: Data,
        F: FnMut(A) -> U + Clone + Send + Sync + 'static,
        G: FnMut(B) -> U + Clone + Send + Sync + 'static,
    {
        self.streams.map(left, right)
    }

    /// Any number of records for each record of either side; those of a key come to one subtask.
    pub fn flat_map<U, F, G>(&self, left: F, right: G) -> Stream<U>
    where
        U: Data,
        F: FnMut(A, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
        G: FnMut(B, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
    {
        self.streams.flat_map(left, right)
    }

    /// A process function of both sides with state per key.
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: KeyedCoProcessFunction<Key = K, Left = A, Right = B>,
    {
        let (left, right) = (self.left.clone(), self.right.clone());
        let make = move |site: &_| KeyedCoProcess::new(function.clone(), left.clone(), right.clone(), site);
        self.streams.then("Co-Keyed-Process", TwoInput::<A, B, F::Out, _>::body(make))
    }
}
