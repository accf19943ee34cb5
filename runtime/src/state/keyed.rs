//! The states of one operator, and the key at hand.

mod place;
mod slot;
mod snapshot;

use std::any::TypeId;

use flott_core::failure::Failure;

pub(super) use place::Place;
use slot::{Slot, SlotTable};

use super::{
    aggregate::Aggregate,
    backend::Backend,
    descriptor::StateDescriptor,
    expiring::Perish,
    handle::{AggregatingState, ListState, MapState, ReducingState, ValueState},
    meta::{StateKind, StateMeta},
    migration::Migrations,
    size::StateSize,
    table::KeyHash,
    ttl::StateTtl,
};
use crate::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    snapshot::{Chunk, Restored},
    time::{TimeDomain, Timers},
};

/// All keyed states of one operator in one subtask.
///
/// Functions register their states by name when they are opened and get handles; the operator sets the time of each
/// batch and the key of each record before it calls them.
pub struct KeyedStates<K> {
    current: Option<(KeyHash, K)>,
    slots: Vec<Slot>,
    timers: Timers<K>,
    now: Timestamp,
    expires: bool,
    /// What states that are registered begin with.
    restored: Restored,
    /// Where they are kept.
    backend: Backend,
    /// What the snapshot goes on with: the timers of both kinds of time, then the states.
    giving: Option<usize>,
    /// A snapshot was given up, so that none can build on it.
    torn: bool,
}

/// Something that knows the key at hand and its states: contexts of user functions, and the states themselves.
pub trait KeyScope {
    /// Keys.
    type Key: Key;

    /// The states.
    fn states(&mut self) -> &mut KeyedStates<Self::Key>;
}

impl<K: Key> KeyScope for KeyedStates<K> {
    type Key = K;

    fn states(&mut self) -> &mut KeyedStates<K> {
        self
    }
}

impl<K> Default for KeyedStates<K> {
    fn default() -> Self {
        Self {
            current: None,
            slots: Vec::new(),
            timers: Timers::default(),
            now: 0,
            expires: false,
            restored: Restored::default(),
            backend: Backend::default(),
            giving: None,
            torn: false,
        }
    }
}

impl<K: Key> KeyedStates<K> {
    /// Sets the key that handles refer to from now on.
    #[inline]
    pub fn set_key(&mut self, hash: KeyHash, key: K) {
        self.current = Some((hash, key));
    }

    /// The key at hand.
    ///
    /// # Errors
    /// When no record has been processed yet.
    #[inline]
    pub fn key(&self) -> TaskResult<&K> {
        match &self.current {
            Some((_, key)) => Ok(key),
            None => Err(no_key()),
        }
    }

    /// Sets a timer for the key at hand. False if there is one at this time already.
    ///
    /// # Errors
    /// When there is no key at hand.
    pub fn set_timer(&mut self, domain: TimeDomain, at: Timestamp) -> TaskResult<bool> {
        let (hash, key) = self.current.as_ref().ok_or_else(no_key)?;
        Ok(self.timers.in_domain(domain).add(at, *hash, key, &()))
    }

    /// Deletes a timer of the key at hand. False if there is none at this time.
    ///
    /// # Errors
    /// When there is no key at hand.
    pub fn delete_timer(&mut self, domain: TimeDomain, at: Timestamp) -> TaskResult<bool> {
        let (hash, key) = self.current.as_ref().ok_or_else(no_key)?;
        Ok(self.timers.in_domain(domain).remove(at, *hash, key, &()))
    }

    /// The timers of all keys.
    pub fn timers(&mut self) -> &mut Timers<K> {
        &mut self.timers
    }

    /// Whether a state has a time-to-live, and so needs [`set_now`](Self::set_now).
    #[inline]
    pub fn expires(&self) -> bool {
        self.expires
    }

    /// Sets the processing time, once per batch and before its records: what its accesses count as, and what has expired.
    /// Goes on with the search for what nobody asks for any more, as far as the last batch's accesses have earned.
    ///
    /// # Errors
    /// When a backend cannot read or remove entries.
    pub fn set_now(&mut self, now: Timestamp) -> TaskResult {
        self.now = now;
        if self.expires {
            self.slots.iter_mut().try_for_each(|slot| slot.table.search(now))?;
        }
        Ok(())
    }

    /// Has states that are registered from now on kept there.
    pub fn keep_in(&mut self, backend: &Backend) {
        self.backend = backend.clone();
    }

    /// Begins to register the state `name`, or to find it again.
    pub fn state<'a>(&'a mut self, name: &'a str) -> StateDescriptor<'a, K> {
        StateDescriptor::new(self, name)
    }

    /// How much there is.
    pub fn size(&self) -> StateSize {
        StateSize {
            keys: self.slots.iter().map(|slot| slot.table.entries().keys()).sum(),
            timers: self.timers.event.len() + self.timers.processing.len(),
        }
    }

    /// Registers a state with one value per key, or finds it again.
    ///
    /// # Errors
    /// When the name stands for a state of another type; so it is with all states.
    pub fn value<V: Data>(&mut self, name: &str) -> TaskResult<ValueState<V>> {
        self.state(name).value()
    }

    /// Registers a state with a list per key, or finds it again.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn list<V: Data>(&mut self, name: &str) -> TaskResult<ListState<V>> {
        self.state(name).list()
    }

    /// Registers a state with a map per key, or finds it again.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn map<MK: Key, MV: Data>(&mut self, name: &str) -> TaskResult<MapState<MK, MV>> {
        self.state(name).map()
    }

    /// Registers a state with a value per key that others are reduced into, or finds it again.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn reducing<V: Data>(
        &mut self,
        name: &str,
        reduce: impl Fn(&mut V, V) + Send + Sync + 'static,
    ) -> TaskResult<ReducingState<V>> {
        self.state(name).reducing(reduce)
    }

    /// Registers a state with an aggregation per key, or finds it again.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn aggregating<A: Aggregate>(&mut self, name: &str, aggregate: A) -> TaskResult<AggregatingState<A>> {
        self.state(name).aggregating(aggregate)
    }

    /// Registers the state of handles of type `H`: a table of `V`, or of `E` where there is a time-to-live.
    pub(super) fn register<H: 'static, V: Data, E: Data + Perish>(
        &mut self,
        name: &str,
        kind: StateKind,
        ttl: Option<StateTtl>,
        migrations: &Migrations,
        what: String,
    ) -> TaskResult<usize> {
        if ttl.is_some_and(StateTtl::is_zero) {
            return Err(misuse(format!("keyed state {name:?} must have a time-to-live longer than 0 ms")));
        }
        let handle = TypeId::of::<H>();
        if let Some(index) = self.slots.iter().position(|slot| &*slot.meta.name == name) {
            let known = &self.slots[index];
            if known.handle != handle {
                return Err(misuse(format!("keyed state {name:?} is {}, and cannot be {what} too", known.what)));
            }
            if known.table.ttl() != ttl {
                let [known, given] = [known.table.ttl(), ttl].map(|ttl| match ttl {
                    Some(ttl) => format!("a time-to-live of {ttl}"),
                    None => "no time-to-live".to_owned(),
                });
                return Err(misuse(format!("keyed state {name:?} has {known}, and cannot have {given} too")));
            }
            return Ok(index);
        }
        self.expires |= ttl.is_some();
        let mut table = SlotTable::new::<K, V, E>(&self.backend, ttl)?;
        let meta = StateMeta { name: name.into(), kind, expires: ttl.is_some(), schema: table.entries().schema() };
        if let Some((stored, chunks)) = self.restored.take_keyed(name) {
            let held = if meta.expires { TypeId::of::<E>() } else { TypeId::of::<V>() };
            let migration =
                if meta.is_like(&stored) { migrations.find(held, &stored.schema, &meta.schema) } else { None };
            if migration.is_none() {
                meta.accept(&stored)?;
            }
            let entries = table.entries_mut();
            for chunk in chunks {
                let Chunk { removed, count, bytes, .. } = chunk?;
                match migration {
                    // Keys are as they were.
                    _ if removed => entries.forget(count, &bytes)?,
                    None => entries.restore(count, &bytes)?,
                    Some(transcode) => entries.restore(count, &transcode(count, &bytes)?)?,
                }
            }
        }
        self.slots.push(Slot { table, meta, handle, what });
        Ok(self.slots.len() - 1)
    }

    /// The place of the key at hand in the state at `index`.
    #[inline]
    pub(super) fn place<V: Data, E: Data + Perish>(&mut self, index: usize) -> TaskResult<Place<'_, K, V, E>> {
        let Self { current, slots, now, .. } = self;
        let (hash, key) = current.as_ref().ok_or_else(no_key)?;
        let slot = slots.get_mut(index).ok_or_else(unbound)?;
        slot.table.place(*hash, key, *now).ok_or_else(unbound)
    }

    /// The keys that have something in the state at `index`.
    pub(super) fn held_keys<V: Data, E: Data + Perish>(&mut self, index: usize) -> TaskResult<Vec<K>> {
        self.slots.get_mut(index).and_then(|slot| slot.table.held_keys::<K, V, E>()).ok_or_else(unbound)?
    }

    /// Begins with what there was in a snapshot: timers at once, and states when they are registered.
    ///
    /// # Errors
    /// When timers cannot be decoded.
    pub fn restore_from(&mut self, restored: &Restored) -> TaskResult {
        self.restored = restored.clone();
        for domain in TimeDomain::ALL {
            restored.timers(domain, self.timers.in_domain(domain))?;
        }
        if let Some(heard) = restored.heard()? {
            self.timers.hear(&[heard]);
        }
        Ok(())
    }
}

#[cold]
fn misuse(problem: String) -> Box<Failure> {
    Box::new(Failure::user(problem))
}

#[cold]
fn no_key() -> Box<Failure> {
    Box::new(Failure::user("keyed state can only be used while a record is processed"))
}

#[cold]
pub(super) fn unbound() -> Box<Failure> {
    Box::new(Failure::user("state handle is not bound: get it from the context in `open`"))
}
