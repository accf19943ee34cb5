//! States to be registered.

use std::{any::type_name, sync::Arc};

use super::{
    aggregate::Aggregate,
    entry_map::EntryMap,
    expiring::{Expiring, ExpiringList, ExpiringMap, Perish},
    handle::{AggregatingState, ListState, MapState, ReducingState, ValueState},
    keyed::KeyedStates,
    meta::StateKind,
    migration::Migrations,
    ttl::StateTtl,
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// The name of a state and how long it is kept; the kind and the types come with the last call, which gives a handle.
#[must_use = "nothing is registered before the kind of the state is said"]
pub struct StateDescriptor<'a, K> {
    states: &'a mut KeyedStates<K>,
    name: &'a str,
    ttl: Option<StateTtl>,
    migrations: Migrations,
}

impl<'a, K: Key> StateDescriptor<'a, K> {
    pub(super) fn new(states: &'a mut KeyedStates<K>, name: &'a str) -> Self {
        Self { states, name, ttl: None, migrations: Migrations::default() }
    }

    /// What is in the state expires.
    pub fn ttl(mut self, ttl: StateTtl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What a snapshot holds as `Then`, where the state has another type now: `migrate` makes of it what is held instead. It is
    /// for the value of a value state, each element of a list, and what is reduced or accumulated.
    ///
    /// Several may be declared; the one is used whose `Then` is what the snapshot holds, or is read from it as well as that. What can
    /// be read as what the state is now goes through none, unless it is just some `Then`. Keys of the stream, the kind of the state and whether it has a time-to-live must be as
    /// they were; so a state that is stored without a known schema cannot be migrated.
    pub fn migrated_from<Then: Data, Now: Data>(
        mut self,
        migrate: impl Fn(Then) -> Now + Send + Sync + 'static,
    ) -> Self {
        self.migrations.of_values::<K, Then, Now>(migrate);
        self
    }

    /// As [`migrated_from`](Self::migrated_from), for the entries of a map state. Of entries whose keys become equal one is kept.
    pub fn entries_migrated_from<ThenKey: Key, Then: Data, NowKey: Key, Now: Data>(
        mut self,
        migrate: impl Fn(ThenKey, Then) -> (NowKey, Now) + Send + Sync + 'static,
    ) -> Self {
        self.migrations.of_entries::<K, ThenKey, Then, NowKey, Now>(migrate);
        self
    }

    /// One value per key.
    ///
    /// # Errors
    /// When the name stands for a state of another kind, type or time-to-live, or the time-to-live is zero; so it is with
    /// all kinds.
    pub fn value<V: Data>(self) -> TaskResult<ValueState<V>> {
        let what = format!("a value of {}", type_name::<V>());
        self.register::<ValueState<V>, V, Expiring<V>>(StateKind::Value, what).map(ValueState::at)
    }

    /// A list per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn list<V: Data>(self) -> TaskResult<ListState<V>> {
        let what = format!("a list of {}", type_name::<V>());
        self.register::<ListState<V>, Vec<V>, ExpiringList<V>>(StateKind::List, what).map(ListState::at)
    }

    /// A map per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn map<MK: Key, MV: Data>(self) -> TaskResult<MapState<MK, MV>> {
        let what = format!("a map of {} to {}", type_name::<MK>(), type_name::<MV>());
        self.register::<MapState<MK, MV>, EntryMap<MK, MV>, ExpiringMap<MK, MV>>(StateKind::Map, what).map(MapState::at)
    }

    /// A value per key that others are reduced into: `reduce` puts the second into the first.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn reducing<V: Data>(self, reduce: impl Fn(&mut V, V) + Send + Sync + 'static) -> TaskResult<ReducingState<V>> {
        let what = format!("a reduction of {}", type_name::<V>());
        let index = self.register::<ReducingState<V>, V, Expiring<V>>(StateKind::Reducing, what)?;
        Ok(ReducingState::at(index, Arc::new(reduce)))
    }

    /// An aggregation per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn aggregating<A: Aggregate>(self, aggregate: A) -> TaskResult<AggregatingState<A>> {
        let what = format!("an aggregation by {}", type_name::<A>());
        let kind = StateKind::Aggregating;
        let index = self.register::<AggregatingState<A>, A::Accumulator, Expiring<A::Accumulator>>(kind, what)?;
        Ok(AggregatingState::at(index, aggregate))
    }

    fn register<H: 'static, V: Data, E: Data + Perish>(self, kind: StateKind, what: String) -> TaskResult<usize> {
        self.states.register::<H, V, E>(self.name, kind, self.ttl, &self.migrations, what)
    }
}
