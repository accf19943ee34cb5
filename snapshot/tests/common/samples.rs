//! A small job and its state.

use bytes::Bytes;
use flott_core::{
    id::{
        AttemptId, AttemptNumber, CheckpointId, Fingerprint, JobId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId,
    },
    key_group::{KeyGroup, KeyGroupRange, MaxParallelism},
};
use flott_snapshot::{
    Compression, DataPath, Directory, Entries, Error, KeyedKind, Manifest, OperatorIdentity, Section, SectionKind,
    SnapshotKind, SourceSplits, StateFile, SubtaskState, VertexState,
};

pub const JOB: JobId = JobId::from_bytes([7; 16]);
pub const GROUPS: u16 = 8;

fn counter() -> OperatorId {
    OperatorId::from_uid("counter")
}

fn attempt() -> AttemptId {
    AttemptId { vertex: VertexId::of_chain(counter()), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) }
}

/// A state file with a chunk for each key group, which says where it is from.
pub async fn write_file(
    directory: &Directory,
    kind: SnapshotKind,
    checkpoint: CheckpointId,
) -> Result<StateFile, Error> {
    let path = DataPath::unique(kind, checkpoint, attempt());
    let mut writer = directory.create_file(path, Compression::None);
    let kind = SectionKind::Keyed { kind: KeyedKind::Value, expires: false };
    let section = Section { operator: counter(), name: "counts".to_owned(), kind, schema: None };
    let section = writer.section(section)?;
    for group in (0..GROUPS).map(KeyGroup) {
        let payload = Bytes::from(format!("checkpoint {checkpoint} group {group}"));
        writer.chunk(section, Some(group), Entries::Values, 1, payload).await?;
    }
    writer.finish().await
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
        subtasks: vec![SubtaskState { finished: false, key_groups: Some(KeyGroupRange::all(max)), files }],
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
