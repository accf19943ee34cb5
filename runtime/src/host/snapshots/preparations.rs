//! What sinks have prepared at barriers, until it is reported.
//!
//! Snapshots of a task are stored beside each other, and a later one may be done first: a checkpoint, while a savepoint goes to
//! a slow place. Who goes back to that checkpoint does not prepare again what the savepoint's barrier had sinks prepare. So the
//! report of a snapshot tells all that was prepared up to its barrier, unless an earlier report has.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, CheckpointId, OperatorId},
    message::Committable,
};
use parking_lot::Mutex;

/// By attempt, and by the barrier that it was prepared at.
#[derive(Debug, Default)]
pub(super) struct Preparations(Mutex<HashMap<AttemptId, BTreeMap<CheckpointId, Vec<Committable>>>>);

impl Preparations {
    /// Sinks of `attempt` have prepared this at the barrier of `checkpoint`.
    pub fn note(&self, attempt: AttemptId, checkpoint: CheckpointId, prepared: Vec<(OperatorId, Bytes)>) {
        if !prepared.is_empty() {
            let committables = prepared.into_iter().map(|(sink, data)| Committable { sink, attempt, data });
            self.0.lock().entry(attempt).or_default().entry(checkpoint).or_default().extend(committables);
        }
    }

    /// Takes all that was prepared up to the barrier of `checkpoint`, for the report that comes next.
    pub fn take(&self, attempt: AttemptId, checkpoint: CheckpointId) -> BTreeMap<CheckpointId, Vec<Committable>> {
        let mut all = self.0.lock();
        let Some(prepared) = all.get_mut(&attempt) else { return BTreeMap::new() };
        let taken = prepared.extract_if(..=checkpoint, |_, _| true).collect();
        if prepared.is_empty() {
            all.remove(&attempt);
        }
        taken
    }

    /// The attempt has ended.
    pub fn forget(&self, attempt: AttemptId) {
        self.0.lock().remove(&attempt);
    }
}

#[cfg(test)]
mod tests {
    use flott_core::id::{AttemptNumber, SubtaskIndex, VertexId};

    use super::*;

    #[test]
    fn a_snapshot_that_is_stored_first_tells_what_earlier_barriers_had_prepared() {
        let attempt = |subtask| AttemptId {
            vertex: VertexId::from_bytes([1; 16]),
            subtask: SubtaskIndex(subtask),
            attempt: AttemptNumber(0),
        };
        let preparations = Preparations::default();
        let note = |subtask, checkpoint| {
            let data = Bytes::from(format!("{subtask} at {checkpoint}"));
            let sink = OperatorId::from_bytes([2; 16]);
            preparations.note(attempt(subtask), CheckpointId(checkpoint), vec![(sink, data)]);
        };
        let take = |subtask, checkpoint| -> Vec<(u64, Bytes)> {
            let taken = preparations.take(attempt(subtask), CheckpointId(checkpoint)).into_iter();
            taken.flat_map(|(id, all)| all.into_iter().map(move |committable| (id.0, committable.data))).collect()
        };
        note(0, 4);
        note(1, 4);
        note(0, 5);
        note(0, 6);
        assert_eq!(take(0, 5), [(4, Bytes::from("0 at 4")), (5, Bytes::from("0 at 5"))]);
        assert_eq!(take(0, 4), [], "it has been told");
        assert_eq!(take(1, 4), [(4, Bytes::from("1 at 4"))]);
        preparations.forget(attempt(0));
        assert_eq!(take(0, 6), []);
    }
}
