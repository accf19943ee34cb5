//! All that one operator remembers in one subtask.

use super::{KeyedStates, OperatorStates};
use crate::{batch::Key, error::TaskResult, snapshot::Restored};

/// All states of one keyed operator in one subtask, at one place: what a snapshot of it is made of. An operator without
/// keys has [`OperatorStates`] alone.
///
/// Keyed and operator states do not share their names: there may be one of each with the same.
pub struct States<K> {
    /// What is remembered per key.
    pub keyed: KeyedStates<K>,
    /// What is remembered apart from keys.
    pub operator: OperatorStates,
}

impl<K> Default for States<K> {
    fn default() -> Self {
        Self { keyed: KeyedStates::default(), operator: OperatorStates::default() }
    }
}

impl<K: Key> States<K> {
    /// Begins with what there was in a snapshot: each state has it when it is registered.
    ///
    /// # Errors
    /// When timers cannot be decoded.
    pub fn restore_from(&mut self, restored: &Restored) -> TaskResult {
        self.operator.restore_from(restored);
        self.keyed.restore_from(restored)
    }
}
