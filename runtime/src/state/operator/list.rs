//! Lists of subtasks.

use flott_core::codec;

use super::{Elements, OperatorSnapshot, broken, slot::Slots};
use crate::{batch::Data, error::TaskResult, state::handle::handle};

/// All lists of one operator in one subtask.
pub struct OperatorLists(pub(super) Slots);

impl OperatorLists {
    pub(super) fn new() -> Self {
        Self(Slots::default())
    }
}

/// Something that has the lists of an operator in a subtask: contexts of user functions, and the states
/// themselves.
pub trait OperatorScope {
    /// The lists, to be read.
    fn lists(&self) -> &OperatorLists;

    /// The lists, to be written.
    fn lists_mut(&mut self) -> &mut OperatorLists;
}

/// What is behind a handle.
pub(super) struct List<V>(Vec<V>);

impl<V> Default for List<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Data> OperatorSnapshot for List<V> {
    fn snapshot(&self) -> TaskResult<Elements> {
        let mut elements = Elements::default();
        self.0.iter().try_for_each(|value| elements.encode(value))?;
        Ok(elements)
    }

    fn restore(&mut self, elements: &Elements) -> TaskResult {
        for element in elements.iter() {
            self.0.push(codec::decode(element).map_err(broken)?);
        }
        Ok(())
    }
}

handle! {
    /// A list that a subtask has by itself, whatever the keys of its records. When a job starts from a snapshot, the
    /// elements that all subtasks had are split among them, or all given to each: that was said when the handle was got.
    ListOperatorState<V>
}

impl<V: Data> ListOperatorState<V> {
    fn list<'s, S: OperatorScope>(&self, scope: &'s mut S) -> TaskResult<&'s mut Vec<V>> {
        scope.lists_mut().0.content_mut::<List<V>>(self.index).map(|list| &mut list.0)
    }

    /// The list, oldest first.
    ///
    /// # Errors
    /// When the handle is not bound; so it is with all methods.
    pub fn get<'s, S: OperatorScope>(&self, scope: &'s S) -> TaskResult<&'s [V]> {
        scope.lists().0.content::<List<V>>(self.index).map(|list| &*list.0)
    }

    /// Adds to the end.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add<S: OperatorScope>(&self, scope: &mut S, value: V) -> TaskResult {
        self.list(scope).map(|list| list.push(value))
    }

    /// Adds to the end, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all<S: OperatorScope>(&self, scope: &mut S, values: impl IntoIterator<Item = V>) -> TaskResult {
        self.list(scope).map(|list| list.extend(values))
    }

    /// Replaces the list.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn set<S: OperatorScope>(&self, scope: &mut S, values: Vec<V>) -> TaskResult {
        self.list(scope).map(|list| *list = values)
    }

    /// Takes all elements out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<S: OperatorScope>(&self, scope: &mut S) -> TaskResult<Vec<V>> {
        self.list(scope).map(std::mem::take)
    }

    /// Forgets all elements.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: OperatorScope>(&self, scope: &mut S) -> TaskResult {
        self.list(scope).map(Vec::clear)
    }
}
