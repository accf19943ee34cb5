//! State files of the small job.

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, SubtaskIndex, VertexId},
    key_group::KeyGroup,
};
use flott_snapshot::{
    Compression, DataPath, Directory, Entries, Error, KeyedKind, Section, SectionKind, SnapshotKind, StateFile,
};

use crate::samples::{GROUPS, counter};

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
