//! What a pipeline remembers.

use std::fmt;

use flott_runtime::harness::HarnessSnapshot;

/// What all operators of a pipeline remember at a moment, as a checkpoint has it: a harness that is started from it
/// ([`HarnessOptions::from_snapshot`](super::HarnessOptions::from_snapshot)) goes on where this one stood. Cheap to copy it is
/// not: it holds all state, encoded.
#[derive(Clone)]
pub struct Snapshot(pub(super) HarnessSnapshot);

impl Snapshot {
    /// Entries that belong to keys: those of keyed states (one per key that has something in a state), timers, and what
    /// windows and other operators keep for a key. For tests that nothing is kept longer than it is needed.
    pub fn keyed_entries(&self) -> usize {
        self.0.keyed_entries()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("keyed_entries", &self.keyed_entries()).finish_non_exhaustive()
    }
}
