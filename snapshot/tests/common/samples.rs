//! A small job.

use bytes::Bytes;
use flott_core::{
    id::{CheckpointId, Fingerprint, JobId, JobMasterEpoch, OperatorId, VertexId},
    key_group::{KeyGroupRange, MaxParallelism},
};
use flott_snapshot::{Manifest, OperatorIdentity, SnapshotKind, SourceSplits, StateFile, SubtaskState, VertexState};

pub const JOB: JobId = JobId::from_bytes([7; 16]);
pub const GROUPS: u16 = 8;

/// The one operator.
pub fn counter() -> OperatorId {
    OperatorId::from_uid("counter")
}

/// A manifest of a job with one subtask.
pub fn manifest(kind: SnapshotKind, checkpoint: CheckpointId, epoch: u64, files: Vec<StateFile>) -> Manifest {
    let max = MaxParallelism::new(u32::from(GROUPS)).unwrap();
    let vertex = VertexState {
        id: VertexId::of_chain(counter()),
        name: "count".to_owned(),
        parallelism: 1,
        max_parallelism: max,
        operators: vec![OperatorIdentity { id: counter(), name: "count".to_owned(), uid: Some("counter".to_owned()) }],
        subtasks: vec![SubtaskState {
            finished: false,
            key_groups: Some(KeyGroupRange::all(max)),
            files,
            ..SubtaskState::default()
        }],
    };
    Manifest {
        job_id: JOB,
        job_name: "word count".to_owned(),
        fingerprint: Fingerprint::of(b"plan"),
        kind,
        checkpoint,
        epoch: JobMasterEpoch(epoch),
        triggered_ms: 1,
        completed_ms: 2,
        vertices: vec![vertex],
        sources: vec![SourceSplits { source: counter(), known: true, splits: vec![Bytes::from_static(b"split")] }],
        committables: Vec::new(),
    }
}
