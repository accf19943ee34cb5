//! Reads what a task starts from.

use std::collections::BTreeMap;

use bytes::Bytes;
use flott_core::{
    checkpoint::{RestorePart, StateFile, TaskRestore},
    failure::Failure,
    id::{OperatorId, SubtaskIndex, VertexId},
    job_graph::{JobGraph, JobVertex},
    key_group::KeyGroupRange,
};
use flott_snapshot::{self as stored, Directory, Entries, S3Options, StateFileReader};
use futures::TryStreamExt;
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::refused;
use crate::{
    error::TaskResult,
    snapshot::{
        Chunk, Chunks, Restored, RestoredTask,
        in_flight::{Place, Segment},
        section,
    },
};

/// Chunks that are read ahead of whoever takes them, besides those that the reader of the file has read.
const CHUNKS_AHEAD: usize = 4;

/// Opens what a subtask needs of a snapshot, to be read when its operators take it: its key groups of all that has any, all that
/// has none. The records under way to operators that `belong` to it are read at once. What is read later ends when `cancel` says so.
pub(super) async fn read(
    restore: &TaskRestore,
    groups: KeyGroupRange,
    belong: impl Fn(OperatorId) -> Belongs,
    (subtask, parallelism): (SubtaskIndex, u32),
    s3: &S3Options,
    cancel: &CancellationToken,
) -> TaskResult<RestoredTask> {
    let directory = Directory::open(&restore.directory, s3).map_err(refused)?;
    let mut operators: BTreeMap<OperatorId, Restored> = BTreeMap::new();
    for RestorePart { subtask: owner, files, .. } in &restore.parts {
        for (place, file) in files.iter().enumerate() {
            let is_last = place + 1 == files.len();
            let reader = directory.open_file(&stored_file(file)?).await.map_err(refused)?;
            for (index, section) in (0..).map(stored::SectionIndex).zip(reader.sections()) {
                let restored = operators.entry(section.operator).or_insert_with(|| Restored::new(subtask, parallelism));
                let known = section::of_stored(section);
                if !is_last && !known.is_incremental() {
                    continue;
                }
                if reader.chunks(index, Some(groups)).next().is_some() {
                    let (runtime, reader, cancel) = (Handle::current(), reader.clone(), cancel.clone());
                    restored.add_later(known, *owner, move || read_later(&runtime, reader, index, groups, cancel));
                }
            }
        }
    }
    let mut segments = Vec::new();
    for file in &restore.in_flight {
        let reader = directory.open_file(&stored_file(file)?).await.map_err(refused)?;
        for (index, section) in (0..).map(stored::SectionIndex).zip(reader.sections()) {
            match belong(section.operator) {
                Belongs::Here if Place::of(&section.name).is_some_and(|place| place.is_for(subtask, parallelism)) => {}
                Belongs::Nowhere if !restore.ignore_unclaimed => {
                    let message = format!(
                        "the snapshot holds records under way to operator {}, which the program does not have any more; \
                         start with -n (--allowNonRestoredState) to leave them behind",
                        section.operator
                    );
                    return Err(Box::new(Failure::user(message).fatal()));
                }
                Belongs::Here | Belongs::Elsewhere | Belongs::Nowhere => continue,
            }
            let mut chunks = std::pin::pin!(reader.read(index, None));
            while let Some((chunk, payload)) = chunks.try_next().await.map_err(refused)? {
                let (count, bytes) = (chunk.count as usize, payload);
                segments.extend(Segment::of_chunk(&Chunk { group: None, removed: false, count, bytes })?);
            }
        }
    }
    Ok(RestoredTask::new(operators, restore.ignore_unclaimed).with_in_flight(segments))
}

fn of_stored((chunk, bytes): (stored::Chunk, Bytes)) -> Chunk {
    let removed = chunk.entries == Entries::Removed;
    Chunk { group: chunk.group, removed, count: chunk.count as usize, bytes }
}

/// Reads entries a little ahead of whoever takes them, who blocks for them.
fn read_later(
    runtime: &Handle,
    reader: StateFileReader,
    index: stored::SectionIndex,
    groups: KeyGroupRange,
    cancel: CancellationToken,
) -> Chunks {
    let (sender, mut receiver) = mpsc::channel::<TaskResult<Option<Chunk>>>(CHUNKS_AHEAD);
    runtime.spawn(async move {
        let mut chunks = std::pin::pin!(reader.read(index, Some(groups)));
        loop {
            let next = match cancel.run_until_cancelled(chunks.try_next()).await {
                Some(next) => next.map_err(refused).map(|next| next.map(of_stored)),
                None => Err(cancelled()),
            };
            let is_last = !matches!(next, Ok(Some(_)));
            // Who takes them may have failed.
            if sender.send(next).await.is_err() || is_last {
                return;
            }
        }
    });
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        // What was cut short must not be taken for all there is.
        let gone = || Err(Failure::internal("the thread that reads snapshots is gone").into());
        let next = receiver.blocking_recv().unwrap_or_else(gone);
        ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }))
}

/// The task ends before it has begun.
pub(super) fn cancelled() -> Box<Failure> {
    Box::new(Failure::environment("the task was cancelled while it read what it starts from"))
}

/// Where an operator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Belongs {
    /// In the task that is restored.
    Here,
    /// In another one.
    Elsewhere,
    /// In no task of the program.
    Nowhere,
}

impl Belongs {
    /// Seen from `vertex` of `graph`.
    pub fn to(vertex: VertexId, graph: &JobGraph, operator: OperatorId) -> Self {
        let has = |vertex: &&JobVertex| vertex.operators.iter().any(|known| known.id == operator);
        match graph.vertices.iter().find(has) {
            Some(found) if found.id == vertex => Self::Here,
            Some(_) => Self::Elsewhere,
            None => Self::Nowhere,
        }
    }
}

fn stored_file(file: &StateFile) -> TaskResult<stored::StateFile> {
    let path = file.path.parse().map_err(|error: stored::DataPathError| {
        Failure::internal("a snapshot names a file that cannot be one").because(error)
    })?;
    Ok(stored::StateFile { path, bytes: file.bytes, checksum: stored::Checksum(file.checksum) })
}
