//! Operator state: what a subtask remembers apart from keys.
//!
//! A subtask has a list ([`ListOperatorState`]) or a map that is the same on all subtasks ([`BroadcastState`]). There are
//! no key groups to move it by; a snapshot is a list of opaque [`Elements`], and [`Spread`] says who gets which of them
//! when a job starts from one.
//!
//! # Layout
//! - `elements`: what a snapshot is made of
//! - `spread`: how elements find their subtasks
//! - `list`, `broadcast`: the two sorts of state

mod broadcast;
mod elements;
mod list;
mod spread;

use std::{
    any::{Any, TypeId, type_name},
    fmt::Display,
    sync::Arc,
};

use flott_core::{codec::CodecError, failure::Failure};
use serde::{Deserialize, Serialize};

pub use broadcast::BroadcastState;
pub use elements::{BrokenElements, Elements};
pub use list::ListOperatorState;
pub use spread::Spread;

use crate::{
    batch::{Data, Key},
    error::TaskResult,
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
}

/// All operator states of one operator in one subtask.
///
/// Functions register their states by name when they are opened and get handles.
#[derive(Default)]
pub struct OperatorStates {
    slots: Vec<Slot>,
}

struct Slot {
    meta: OperatorStateMeta,
    /// The type of its handles.
    handle: TypeId,
    /// What it was registered as, in words.
    what: String,
    content: Box<dyn Content>,
}

/// What a state holds, without its types: a list or a map.
trait Content: OperatorSnapshot + Any {}
impl<T: OperatorSnapshot + Any> Content for T {}

/// Something that has operator states to be read: contexts of user functions, and the states themselves. A context of the
/// side that is not broadcast is only this, and so cannot write broadcast state.
pub trait OperatorScope {
    /// The states.
    fn operator_states(&self) -> &OperatorStates;
}

/// Something that has operator states to be read and written.
pub trait OperatorScopeMut: OperatorScope {
    /// The states.
    fn operator_states_mut(&mut self) -> &mut OperatorStates;
}

impl OperatorScope for OperatorStates {
    fn operator_states(&self) -> &OperatorStates {
        self
    }
}

impl OperatorScopeMut for OperatorStates {
    fn operator_states_mut(&mut self) -> &mut OperatorStates {
        self
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
        let what = format!("{} of {} to {}", Spread::Broadcast, type_name::<K>(), type_name::<V>());
        let create = || Box::new(broadcast::Map::<K, V>::default()) as Box<dyn Content>;
        self.register::<BroadcastState<K, V>>(name, Spread::Broadcast, what, create).map(BroadcastState::at)
    }

    fn list_with<V: Data>(&mut self, name: &str, spread: Spread) -> TaskResult<ListOperatorState<V>> {
        let what = format!("{spread} of {}", type_name::<V>());
        let create = || Box::new(list::List::<V>::default()) as Box<dyn Content>;
        self.register::<ListOperatorState<V>>(name, spread, what, create).map(ListOperatorState::at)
    }

    fn register<H: 'static>(
        &mut self,
        name: &str,
        spread: Spread,
        what: String,
        create: impl FnOnce() -> Box<dyn Content>,
    ) -> TaskResult<usize> {
        let handle = TypeId::of::<H>();
        if let Some(index) = self.slots.iter().position(|slot| &*slot.meta.name == name) {
            let known = &self.slots[index];
            if known.handle == handle && known.meta.spread == spread {
                return Ok(index);
            }
            return Err(problem(format!("operator state {name:?} is {}, and cannot be {what} too", known.what)));
        }
        let meta = OperatorStateMeta { name: name.into(), spread };
        self.slots.push(Slot { meta, handle, what, content: create() });
        Ok(self.slots.len() - 1)
    }

    fn content<C: Content>(&self, index: usize) -> TaskResult<&C> {
        let content: &dyn Any = &*self.slots.get(index).ok_or_else(unbound)?.content;
        content.downcast_ref().ok_or_else(unbound)
    }

    fn content_mut<C: Content>(&mut self, index: usize) -> TaskResult<&mut C> {
        let content: &mut dyn Any = &mut *self.slots.get_mut(index).ok_or_else(unbound)?.content;
        content.downcast_mut().ok_or_else(unbound)
    }

    /// Gives every state's elements, with what the state is.
    ///
    /// # Errors
    /// When an element cannot be encoded, or `sink` fails.
    pub fn snapshot(&self, sink: &mut dyn FnMut(&OperatorStateMeta, Elements) -> TaskResult) -> TaskResult {
        self.slots.iter().try_for_each(|slot| sink(&slot.meta, slot.content.snapshot()?))
    }

    /// Puts back this subtask's share of what [`snapshot`](Self::snapshot) gave for a state, which must be registered.
    ///
    /// # Errors
    /// When there is no such state, when it is spread in another way now, or when the bytes are no elements of it.
    pub fn restore(&mut self, stored: &OperatorStateMeta, elements: &Elements) -> TaskResult {
        let OperatorStateMeta { name, spread } = stored;
        match self.slots.iter_mut().find(|slot| slot.meta.name == *name) {
            Some(slot) if slot.meta.spread == *spread => slot.content.restore(elements),
            Some(slot) => {
                let now = slot.meta.spread;
                let message = format!("operator state {name:?} was stored as {spread}, and is {now} now");
                Err(Box::new(Failure::user(message).fatal()))
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
