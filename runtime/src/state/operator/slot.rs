//! States without their types.

use std::any::{Any, TypeId};

use super::{OperatorSnapshot, OperatorStateMeta, unbound};
use crate::error::TaskResult;

/// What a state holds: a list or a map.
pub(super) trait Content: OperatorSnapshot + Any {}
impl<T: OperatorSnapshot + Any> Content for T {}

/// A state.
pub(super) struct Slot {
    pub meta: OperatorStateMeta,
    /// The type of its handles.
    pub handle: TypeId,
    /// What it was registered as, in words.
    pub what: String,
    pub content: Box<dyn Content>,
}

/// States of one sort, in the order in which they were registered; a handle has the place of its own.
#[derive(Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    pub fn add(&mut self, slot: Slot) -> usize {
        self.0.push(slot);
        self.0.len() - 1
    }

    pub fn find(&self, name: &str) -> Option<(usize, &Slot)> {
        self.0.iter().enumerate().find(|(_, slot)| &*slot.meta.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.0.iter_mut()
    }

    pub fn content<C: Content>(&self, index: usize) -> TaskResult<&C> {
        let content: &dyn Any = &*self.0.get(index).ok_or_else(unbound)?.content;
        content.downcast_ref().ok_or_else(unbound)
    }

    pub fn content_mut<C: Content>(&mut self, index: usize) -> TaskResult<&mut C> {
        let content: &mut dyn Any = &mut *self.0.get_mut(index).ok_or_else(unbound)?.content;
        content.downcast_mut().ok_or_else(unbound)
    }
}
