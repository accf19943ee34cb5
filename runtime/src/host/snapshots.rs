//! Where the tasks of a host store what they give at barriers, and find what they start from.
//!
//! One thread with an executor of its own does it all: it waits for a store, which must not hold up tasks, and is not
//! held up by them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flott_core::{
    checkpoint::{RestorePart, SnapshotFigures, SnapshotReport, StateFile, SubtaskState, TaskRestore},
    config::keys::checkpointing,
    failure::Failure,
    id::{AttemptId, JobId, OperatorId, SubtaskIndex},
    key_group::KeyGroupRange,
    message::{Committable, HostToJob, JobSetup},
};
use flott_snapshot::{self as stored, Compression, DataPath, Directory, Entries, S3Options};
use futures::TryStreamExt;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    error::TaskResult,
    snapshot::{Chunk, Cut, Restored, RestoredTask, SnapshotPort, section},
    task::wiring::Report,
};

/// Stores and restores the state of tasks.
pub(super) struct Snapshots {
    cuts: mpsc::UnboundedSender<(AttemptId, Cut)>,
    runtime: Handle,
}

impl Snapshots {
    /// Starts the thread. It ends when this is dropped.
    pub fn start(setup: &JobSetup, report: Report) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (sender, mut cuts) = mpsc::unbounded_channel::<(AttemptId, Cut)>();
        let store =
            Arc::new(Store { root: setup.configuration.get(checkpointing::DIR.key()).cloned(), job: setup.job });
        std::thread::Builder::new().name("flott-snapshots".into()).spawn(move || {
            runtime.block_on(async {
                while let Some((attempt, cut)) = cuts.recv().await {
                    let (store, report) = (store.clone(), report.clone());
                    tokio::spawn(async move { report(HostToJob::Snapshot(Box::new(store.store(attempt, cut).await))) });
                }
            });
        })?;
        Ok(Self { cuts: sender, runtime: handle })
    }

    /// Reads what a task starts from. Blocks.
    pub fn restore(
        &self,
        restore: &TaskRestore,
        groups: KeyGroupRange,
        subtask: SubtaskIndex,
        parallelism: u32,
    ) -> TaskResult<RestoredTask> {
        let (sender, answer) = std::sync::mpsc::channel();
        let restore = restore.clone();
        self.runtime.spawn(async move {
            // Who asks may have gone.
            let _ = sender.send(read(&restore, groups, subtask, parallelism).await);
        });
        answer.recv().map_err(|_| Failure::internal("the thread that reads snapshots is gone"))?
    }
}

impl SnapshotPort for Snapshots {
    fn store(&self, attempt: AttemptId, cut: Cut) {
        // It is gone when the host goes down, and the task with it.
        let _ = self.cuts.send((attempt, cut));
    }
}

struct Store {
    root: Option<String>,
    job: JobId,
}

impl Store {
    async fn store(&self, attempt: AttemptId, cut: Cut) -> SnapshotReport {
        let Cut { barrier, chunks, splits, prepared, failure, alignment, began, sync } = cut;
        let result = match failure {
            Some(failure) => Err(*failure),
            None => self.write(attempt, barrier.checkpoint, chunks).await.map_err(|failure| *failure),
        };
        let whole = began.elapsed();
        let bytes = result.as_ref().map_or(0, |files| files.iter().map(|file| file.bytes).sum());
        let committable = |(sink, data)| Committable { sink, attempt, data };
        SnapshotReport {
            attempt,
            checkpoint: barrier.checkpoint,
            result: result.map(|files| SubtaskState { files, splits }),
            committables: prepared.into_iter().map(committable).collect(),
            figures: SnapshotFigures {
                alignment_ms: millis(alignment),
                sync_ms: millis(sync),
                async_ms: millis(whole.saturating_sub(sync)),
                stored_bytes: bytes,
                state_bytes: bytes,
            },
        }
    }

    async fn write(
        &self,
        attempt: AttemptId,
        checkpoint: flott_core::id::CheckpointId,
        chunks: Vec<(OperatorId, crate::snapshot::Section, Chunk)>,
    ) -> TaskResult<Vec<StateFile>> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let Some(root) = &self.root else {
            let message = format!("there is no directory for checkpoints; set {}", checkpointing::DIR.key());
            return Err(Box::new(Failure::environment(message)));
        };
        let directory = Directory::open(root, &S3Options::default()).map_err(refused)?.of_job(self.job);
        let path = DataPath::unique(stored::SnapshotKind::Checkpoint, checkpoint, attempt);
        let mut file = directory.create_file(path, Compression::None);
        let mut sections = BTreeMap::new();
        for (operator, section, Chunk { group, removed, count, bytes }) in chunks {
            let index = match sections.get(&(operator, section.clone())) {
                Some(index) => *index,
                None => {
                    let index = file.section(section::to_stored(operator, &section)).map_err(refused)?;
                    sections.insert((operator, section), index);
                    index
                }
            };
            let entries = if removed { Entries::Removed } else { Entries::Values };
            file.chunk(index, group, entries, count as u64, bytes.into()).await.map_err(refused)?;
        }
        let stored::StateFile { path, bytes, checksum } = file.finish().await.map_err(refused)?;
        Ok(vec![StateFile { path: path.as_str().to_owned(), bytes, checksum: checksum.0 }])
    }
}

/// Reads what a subtask needs of a snapshot: its key groups of all that has any, and all that has none.
async fn read(
    restore: &TaskRestore,
    groups: KeyGroupRange,
    subtask: SubtaskIndex,
    parallelism: u32,
) -> TaskResult<RestoredTask> {
    let directory = Directory::open(&restore.directory, &S3Options::default()).map_err(refused)?;
    let mut operators: BTreeMap<OperatorId, Restored> = BTreeMap::new();
    for RestorePart { subtask: owner, files, .. } in &restore.parts {
        for file in files {
            let path = file.path.parse().map_err(|error: stored::DataPathError| {
                Failure::internal("a snapshot names a file that cannot be one").because(error)
            })?;
            let file = stored::StateFile { path, bytes: file.bytes, checksum: stored::Checksum(file.checksum) };
            let reader = directory.open_file(&file).await.map_err(refused)?;
            for (index, section) in (0..).map(stored::SectionIndex).zip(reader.sections()) {
                let mut chunks = std::pin::pin!(reader.read(index, Some(groups)));
                let restored = operators.entry(section.operator).or_insert_with(|| Restored::new(subtask, parallelism));
                let known = section::of_stored(section);
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

fn refused(error: stored::Error) -> Box<Failure> {
    Box::new(Failure::from(error))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
