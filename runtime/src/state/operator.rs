//! Operator state: what a subtask remembers apart from keys.
//!
//! A subtask has a list ([`ListOperatorState`]) or a map that is the same on all subtasks ([`BroadcastState`]). There are
//! no key groups to move it by; a snapshot is a list of opaque [`Elements`], and [`Spread`] says who gets which of them
//! when a job starts from one.
//!
//! Lists and broadcast maps have their names in common, but are kept apart: who may write the lists is not thereby able to
//! write what must be the same on all subtasks.
//!
//! # Layout
//! - `elements`: what a snapshot is made of
//! - `spread`: how elements find their subtasks
//! - `slot`: a state without its types
//! - `list`, `broadcast`: the two sorts of state

mod broadcast;
mod elements;
mod list;
mod slot;
mod spread;

use std::{
    any::{TypeId, type_name},
    fmt::Display,
    sync::Arc,
};

use flott_core::{codec::CodecError, failure::Failure};
use serde::{Deserialize, Serialize};

pub use broadcast::{BroadcastState, BroadcastStates};
pub use elements::{BrokenElements, Elements};
pub use list::{ListOperatorState, OperatorLists, OperatorScope};
use slot::Slot;
pub use spread::Spread;

use super::schema::{self, StoredSchema};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    snapshot::Restored,
};

/// The part of an operator state that does not depend on its types.
pub trait OperatorSnapshot: Send {
    /// All that is there.
    ///
    /// # Errors
    /// When an element cannot be encoded.
    fn snapshot(&self) -> TaskResult<Elements>;

    /// Adds what [`snapshot`](Self::snapshot) gave.
    ///
    /// # Errors
    /// When the bytes are no elements of the state's type.
    fn restore(&mut self, elements: &Elements) -> TaskResult;
}

/// Which operator state elements belong to, and how they are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorStateMeta {
    /// Its name.
    pub name: Arc<str>,
    /// Who gets its elements.
    pub spread: Spread,
    /// What they look like, if that is known.
    pub schema: StoredSchema,
}

impl OperatorStateMeta {
    /// Whether what was stored for this spread, with this schema, can be restored here.
    fn accept(&self, stored: Spread, stored_schema: &StoredSchema) -> TaskResult {
        let Self { name, spread, schema } = self;
        if stored == *spread {
            return schema::accept(&format!("operator state {name:?}"), stored_schema, schema);
        }
        let message = format!("operator state {name:?} was stored as {stored}, and is {spread} now");
        Err(Box::new(Failure::user(message).fatal()))
    }
}

/// All operator states of one operator in one subtask.
///
/// Functions register their states by name when they are opened and get handles.
pub struct OperatorStates {
    /// The lists.
    pub lists: OperatorLists,
    /// The maps that are the same on all subtasks.
    pub broadcast: BroadcastStates,
    /// What states that are registered begin with.
    restored: Restored,
}

impl Default for OperatorStates {
    fn default() -> Self {
        Self { lists: OperatorLists::new(), broadcast: BroadcastStates::new(), restored: Restored::default() }
    }
}

impl OperatorScope for OperatorStates {
    fn lists(&self) -> &OperatorLists {
        &self.lists
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        &mut self.lists
    }
}

impl OperatorStates {
    /// Registers a list whose elements are split over the subtasks, or finds it again.
    ///
    /// # Errors
    /// When the name stands for a state of another type or spread; so it is with all states.
    pub fn list<V: Data>(&mut self, name: &str) -> TaskResult<ListOperatorState<V>> {
        self.list_with(name, Spread::Split)
    }

    /// Registers a list of which each subtask gets all elements of all subtasks when the job starts from a snapshot, or
    /// finds it again.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn union_list<V: Data>(&mut self, name: &str) -> TaskResult<ListOperatorState<V>> {
        self.list_with(name, Spread::Union)
    }

    /// Registers a map that is the same on all subtasks, or finds it again.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn broadcast<K: Key, V: Data>(&mut self, name: &str) -> TaskResult<BroadcastState<K, V>> {
        let spread = Spread::Broadcast;
        let handle = TypeId::of::<BroadcastState<K, V>>();
        let what = format!("{spread} of {} to {}", type_name::<K>(), type_name::<V>());
        let meta = OperatorStateMeta { name: name.into(), spread, schema: schema::elements::<(K, V)>() };
        let content = Box::new(broadcast::Map::<K, V>::default());
        self.register(Slot { meta, handle, what, content }).map(BroadcastState::at)
    }

    fn list_with<V: Data>(&mut self, name: &str, spread: Spread) -> TaskResult<ListOperatorState<V>> {
        let handle = TypeId::of::<ListOperatorState<V>>();
        let what = format!("{spread} of {}", type_name::<V>());
        let meta = OperatorStateMeta { name: name.into(), spread, schema: schema::elements::<V>() };
        let content = Box::new(list::List::<V>::default());
        self.register(Slot { meta, handle, what, content }).map(ListOperatorState::at)
    }

    /// Adds `slot` to those of its sort, unless it is there already.
    fn register(&mut self, mut slot: Slot) -> TaskResult<usize> {
        let Self { lists: OperatorLists(lists), broadcast: BroadcastStates(broadcast), restored } = self;
        let Slot { meta: OperatorStateMeta { name, spread, .. }, handle, what, .. } = &slot;
        match lists.find(name).or_else(|| broadcast.find(name)) {
            Some((index, known)) if known.handle == *handle && known.meta.spread == *spread => Ok(index),
            Some((_, known)) => {
                Err(problem(format!("operator state {name:?} is {}, and cannot be {what} too", known.what)))
            }
            None => {
                if let Some((stored, stored_schema, elements)) = restored.take_elements(name)? {
                    slot.meta.accept(stored, &stored_schema)?;
                    slot.content.restore(&elements)?;
                }
                Ok(match slot.meta.spread {
                    Spread::Split | Spread::Union => lists.add(slot),
                    Spread::Broadcast => broadcast.add(slot),
                })
            }
        }
    }

    /// Begins with what there was in a snapshot: each state has its share of it when it is registered.
    pub fn restore_from(&mut self, restored: &Restored) {
        self.restored = restored.clone();
    }

    /// Gives every state's elements, with what the state is.
    ///
    /// # Errors
    /// When an element cannot be encoded, or `sink` fails.
    pub fn snapshot(&self, sink: &mut dyn FnMut(&OperatorStateMeta, Elements) -> TaskResult) -> TaskResult {
        let mut slots = self.lists.0.iter().chain(self.broadcast.0.iter());
        slots.try_for_each(|slot| sink(&slot.meta, slot.content.snapshot()?))
    }

    /// Puts back this subtask's share of what [`snapshot`](Self::snapshot) gave for a state, which must be registered.
    ///
    /// # Errors
    /// When there is no such state, when it is spread in another way now, or when the bytes are no elements of it.
    pub fn restore(&mut self, stored: &OperatorStateMeta, elements: &Elements) -> TaskResult {
        let OperatorStateMeta { name, spread, schema } = stored;
        let mut slots = self.lists.0.iter_mut().chain(self.broadcast.0.iter_mut());
        match slots.find(|slot| slot.meta.name == *name) {
            Some(slot) => {
                slot.meta.accept(*spread, schema)?;
                slot.content.restore(elements)
            }
            None => Err(problem(format!("the program has no operator state {name:?}"))),
        }
    }
}

#[cold]
fn problem(message: impl Display) -> Box<Failure> {
    Box::new(Failure::user(message.to_string()))
}

#[cold]
fn broken(error: CodecError) -> Box<Failure> {
    Box::new(Failure::user("operator state cannot be decoded").caused_by(&error))
}

#[cold]
fn unbound() -> Box<Failure> {
    problem("operator state handle is not bound: get it from the context in `open`")
}
