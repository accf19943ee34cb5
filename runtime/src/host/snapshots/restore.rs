//! Reads what a task starts from.

use std::collections::BTreeMap;

use flott_core::{
    checkpoint::{RestorePart, TaskRestore},
    failure::Failure,
    id::{OperatorId, SubtaskIndex},
    key_group::KeyGroupRange,
};
use flott_snapshot::{self as stored, Directory, Entries, S3Options};
use futures::TryStreamExt;

use super::refused;
use crate::{
    error::TaskResult,
    snapshot::{Chunk, Restored, RestoredTask, section},
};

/// Reads what a subtask needs of a snapshot: its key groups of all that has any, and all that has none.
pub(super) async fn read(
    restore: &TaskRestore,
    groups: KeyGroupRange,
    subtask: SubtaskIndex,
    parallelism: u32,
) -> TaskResult<RestoredTask> {
    let directory = Directory::open(&restore.directory, &S3Options::default()).map_err(refused)?;
    let mut operators: BTreeMap<OperatorId, Restored> = BTreeMap::new();
    for RestorePart { subtask: owner, files, .. } in &restore.parts {
        for (place, file) in files.iter().enumerate() {
            let is_last = place + 1 == files.len();
            let path = file.path.parse().map_err(|error: stored::DataPathError| {
                Failure::internal("a snapshot names a file that cannot be one").because(error)
            })?;
            let file = stored::StateFile { path, bytes: file.bytes, checksum: stored::Checksum(file.checksum) };
            let reader = directory.open_file(&file).await.map_err(refused)?;
            for (index, section) in (0..).map(stored::SectionIndex).zip(reader.sections()) {
                let mut chunks = std::pin::pin!(reader.read(index, Some(groups)));
                let restored = operators.entry(section.operator).or_insert_with(|| Restored::new(subtask, parallelism));
                let known = section::of_stored(section);
                if !is_last && !known.is_incremental() {
                    continue;
                }
                while let Some((chunk, payload)) = chunks.try_next().await.map_err(refused)? {
                    let removed = chunk.entries == Entries::Removed;
                    let chunk =
                        Chunk { group: chunk.group, removed, count: chunk.count as usize, bytes: payload.to_vec() };
                    restored.add(known.clone(), *owner, chunk);
                }
            }
        }
    }
    Ok(RestoredTask::new(operators, restore.ignore_unclaimed))
}
