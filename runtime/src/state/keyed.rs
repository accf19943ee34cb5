//! The states of one operator, and the key at hand.

use std::{
    any::{Any, type_name},
    sync::Arc,
};

use flott_core::failure::Failure;

use super::{
    handle::{ListState, MapState, ValueState},
    heap::HeapTable,
    size::StateSize,
    table::{GroupEntries, GroupSpace, KeyHash, Snapshot, StateTable},
};
use crate::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    time::{TimeDomain, Timers},
};

/// All keyed states of one operator in one subtask.
///
/// Functions register their states by name when they are opened and get handles; the operator sets the key of each
/// record before it calls them.
pub struct KeyedStates<K> {
    current: Option<(KeyHash, K)>,
    slots: Vec<Slot>,
    timers: Timers<K>,
}

struct Slot {
    name: Arc<str>,
    table: Box<dyn AnyTable>,
}

/// A table without its types; it is a `Held<K, V>`.
trait AnyTable: Snapshot {
    fn as_any(&mut self) -> &mut dyn Any;
}

struct Held<K, V>(Box<dyn StateTable<K, V>>);

impl<K: Key, V: Data> Snapshot for Held<K, V> {
    fn keys(&self) -> usize {
        self.0.keys()
    }

    fn snapshot(&self, groups: GroupSpace, sink: &mut dyn FnMut(GroupEntries<'_>) -> TaskResult) -> TaskResult {
        self.0.snapshot(groups, sink)
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.0.restore(count, bytes)
    }
}

impl<K: Key, V: Data> AnyTable for Held<K, V> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
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
        Self { current: None, slots: Vec::new(), timers: Timers::default() }
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

    /// How much there is.
    pub fn size(&self) -> StateSize {
        StateSize {
            keys: self.slots.iter().map(|slot| slot.table.keys()).sum(),
            timers: self.timers.event.len() + self.timers.processing.len(),
        }
    }

    /// Registers a state with one value per key, or finds it again.
    ///
    /// # Errors
    /// When the name stands for a state of another type.
    pub fn value<V: Data>(&mut self, name: &str) -> TaskResult<ValueState<V>> {
        self.register::<V>(name).map(ValueState::at)
    }

    /// Registers a state with a list per key, or finds it again.
    ///
    /// # Errors
    /// When the name stands for a state of another type.
    pub fn list<V: Data>(&mut self, name: &str) -> TaskResult<ListState<V>> {
        self.register::<Vec<V>>(name).map(ListState::at)
    }

    /// Registers a state with a map per key, or finds it again.
    ///
    /// # Errors
    /// When the name stands for a state of another type.
    pub fn map<MK: Key, MV: Data>(&mut self, name: &str) -> TaskResult<MapState<MK, MV>> {
        self.register::<super::EntryMap<MK, MV>>(name).map(MapState::at)
    }

    fn register<V: Data>(&mut self, name: &str) -> TaskResult<usize> {
        if let Some(index) = self.slots.iter().position(|slot| &*slot.name == name) {
            self.table::<V>(index)?;
            return Ok(index);
        }
        let table: Box<dyn StateTable<K, V>> = Box::new(HeapTable::default());
        self.slots.push(Slot { name: name.into(), table: Box::new(Held(table)) });
        Ok(self.slots.len() - 1)
    }

    fn table<V: Data>(&mut self, index: usize) -> TaskResult<&mut dyn StateTable<K, V>> {
        let slot = self.slots.get_mut(index).ok_or_else(unbound)?;
        match slot.table.as_any().downcast_mut::<Held<K, V>>() {
            Some(held) => Ok(&mut *held.0),
            None => Err(Box::new(Failure::user(format!(
                "keyed state {:?} is registered with another type than {}",
                slot.name,
                type_name::<V>()
            )))),
        }
    }

    /// The table at `index` and the key at hand.
    #[inline]
    pub(super) fn access<V: Data>(&mut self, index: usize) -> TaskResult<(&mut dyn StateTable<K, V>, KeyHash, &K)> {
        let Self { current, slots, .. } = self;
        let (hash, key) = current.as_ref().ok_or_else(no_key)?;
        let slot = slots.get_mut(index).ok_or_else(unbound)?;
        let held = slot.table.as_any().downcast_mut::<Held<K, V>>().ok_or_else(unbound)?;
        Ok((&mut *held.0, *hash, key))
    }

    /// Gives every state's entries by key group, with the state's name.
    ///
    /// # Errors
    /// As [`Snapshot::snapshot`].
    pub fn snapshot(
        &self,
        groups: GroupSpace,
        sink: &mut dyn FnMut(&str, GroupEntries<'_>) -> TaskResult,
    ) -> TaskResult {
        for slot in &self.slots {
            slot.table.snapshot(groups, &mut |entries| sink(&slot.name, entries))?;
        }
        Ok(())
    }

    /// Puts back what [`snapshot`](Self::snapshot) gave for the state `name`, which must be registered.
    ///
    /// # Errors
    /// When there is no such state, or the bytes are not entries of it.
    pub fn restore(&mut self, name: &str, count: usize, bytes: &[u8]) -> TaskResult {
        match self.slots.iter_mut().find(|slot| &*slot.name == name) {
            Some(slot) => slot.table.restore(count, bytes),
            None => Err(Box::new(Failure::user(format!("the program has no keyed state {name:?}")))),
        }
    }
}

#[cold]
fn no_key() -> Box<Failure> {
    Box::new(Failure::user("keyed state can only be used while a record is processed"))
}

#[cold]
fn unbound() -> Box<Failure> {
    Box::new(Failure::user("state handle is not bound: get it from the context in `open`"))
}
