//! All that one operator remembers in one subtask.

use super::{KeyedStates, OperatorStates};

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
