//! The keys of a state, for what is to be done with all of them.

use super::{AggregatingState, ListState, MapState, ReducingState, ValueState};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        aggregate::Aggregate,
        entry_map::EntryMap,
        expiring::{Expiring, ExpiringList, ExpiringMap},
        keyed::KeyedStates,
    },
};

/// A handle to a keyed state of any kind.
pub trait KeyedHandle {
    /// The keys that have something in the state, in no order. What is there may have expired.
    ///
    /// # Errors
    /// When the handle is not bound, or the backend fails.
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>>;
}

impl<V: Data> KeyedHandle for ValueState<V> {
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>> {
        states.held_keys::<V, Expiring<V>>(self.index)
    }
}

impl<V: Data> KeyedHandle for ListState<V> {
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>> {
        states.held_keys::<Vec<V>, ExpiringList<V>>(self.index)
    }
}

impl<MK: Key, MV: Data> KeyedHandle for MapState<MK, MV> {
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>> {
        states.held_keys::<EntryMap<MK, MV>, ExpiringMap<MK, MV>>(self.index)
    }
}

impl<V: Data> KeyedHandle for ReducingState<V> {
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>> {
        self.value.held_keys(states)
    }
}

impl<A: Aggregate> KeyedHandle for AggregatingState<A> {
    fn held_keys<K: Key>(&self, states: &mut KeyedStates<K>) -> TaskResult<Vec<K>> {
        self.accumulator.held_keys(states)
    }
}
