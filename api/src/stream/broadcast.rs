//! A stream and another that every subtask sees all of.

use std::sync::Arc;

use flott_runtime::batch::{Data, Key};

use super::{ConnectedStreams, KeyedStream, Stream};
use crate::{
    function::{BroadcastProcessFunction, KeyedBroadcastProcessFunction},
    operator::{BroadcastProcess, KeyedBroadcastProcess},
    plan::{KeyOf, TwoInput},
};

/// A stream and a broadcast one that one operator reads.
#[must_use = "connected streams do nothing without a function"]
pub struct BroadcastConnectedStreams<A, B> {
    streams: ConnectedStreams<A, B>,
}

/// A stream with keys and a broadcast one that one operator reads; it has state per key.
#[must_use = "connected streams do nothing without a function"]
pub struct KeyedBroadcastConnectedStreams<K, A, B> {
    streams: ConnectedStreams<A, B>,
    keys: Arc<dyn KeyOf<A, K>>,
}

impl<T: Data> Stream<T> {
    /// Connects this stream with another, of which each record gets to all subtasks.
    pub fn connect_broadcast<U: Data>(&self, other: &Stream<U>) -> BroadcastConnectedStreams<T, U> {
        BroadcastConnectedStreams { streams: self.connect(&other.broadcast()) }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Connects this stream with another, of which each record gets to all subtasks.
    ///
    /// Timers in event time wait for the watermarks of both: a broadcast stream that has none for long, as one of rules,
    /// should be idle then.
    pub fn connect_broadcast<U: Data>(&self, other: &Stream<U>) -> KeyedBroadcastConnectedStreams<K, T, U> {
        KeyedBroadcastConnectedStreams { streams: self.keyed.connect(&other.broadcast()), keys: self.keys.clone() }
    }
}

impl<A: Data, B: Data> BroadcastConnectedStreams<A, B> {
    /// A process function of both, with state that broadcast records write.
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: BroadcastProcessFunction<In = A, Broadcast = B>,
    {
        let make = move |site: &_| BroadcastProcess::new(function.clone(), site);
        self.streams.then_as("Co-Process-Broadcast", "", TwoInput::<A, B, F::Out, _>::body(make))
    }
}

impl<K: Key, A: Data, B: Data> KeyedBroadcastConnectedStreams<K, A, B> {
    /// A process function of both, with state that broadcast records write, and with state and timers per key.
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: KeyedBroadcastProcessFunction<Key = K, In = A, Broadcast = B>,
    {
        let keys = self.keys.clone();
        let make = move |site: &_| KeyedBroadcastProcess::new(function.clone(), keys.clone(), site);
        self.streams.then_as("Co-Process-Broadcast-Keyed", "", TwoInput::<A, B, F::Out, _>::body(make))
    }
}
