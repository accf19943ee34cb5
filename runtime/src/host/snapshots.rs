//! Where the tasks of a host store what they give at barriers, and find what they start from.
//!
//! One thread with an executor of its own does it all: it waits for a store, which must not hold up tasks, and is not
//! held up by them.
//!
//! # Layout
//! - `chain`: the files that snapshots of a task consist of

mod chain;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chain::Chains;
use flott_core::{
    checkpoint::{
        Barrier, RestorePart, SnapshotFigures, SnapshotKind, SnapshotReport, StateFile, SubtaskState, TaskRestore,
    },
    config::keys::checkpointing,
    failure::Failure,
    id::{AttemptId, CheckpointId, JobId, OperatorId, SubtaskIndex},
    key_group::KeyGroupRange,
    message::{Committable, HostToJob, JobSetup},
};
use flott_snapshot::{self as stored, Compression, DataPath, Directory, Entries, S3Options};
use futures::TryStreamExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use crate::{
    error::TaskResult,
    snapshot::{Chunk, Cut, Restored, RestoredTask, Section, SnapshotPort, section},
    state::Extent,
    task::wiring::Report,
};

/// Stores and restores the state of tasks.
pub(super) struct Snapshots {
    cuts: mpsc::UnboundedSender<(AttemptId, Cut)>,
    runtime: Handle,
    store: Arc<Store>,
}

impl Snapshots {
    /// Starts the thread. It ends when this is dropped.
    pub fn start(setup: &JobSetup, report: Report) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (sender, mut cuts) = mpsc::unbounded_channel::<(AttemptId, Cut)>();
        let store = Arc::new(Store {
            root: setup.configuration.get(checkpointing::DIR.key()).cloned(),
            job: setup.job,
            savepoints: watch::Sender::default(),
            chains: Chains::default(),
        });
        let own = store.clone();
        std::thread::Builder::new().name("flott-snapshots".into()).spawn(move || {
            runtime.block_on(async {
                while let Some((attempt, cut)) = cuts.recv().await {
                    let (store, report) = (own.clone(), report.clone());
                    tokio::spawn(async move { report(HostToJob::Snapshot(Box::new(store.store(attempt, cut).await))) });
                }
            });
        })?;
        Ok(Self { cuts: sender, runtime: handle, store })
    }

    /// The state of savepoint `checkpoint` goes to `directory`.
    pub fn savepoint(&self, checkpoint: CheckpointId, directory: String) {
        self.store.savepoints.send_modify(|known| {
            // One that is asked for again, or was given up, may be among them; few are under way.
            while known.len() >= SAVEPOINTS_MAX && known.pop_first().is_some() {}
            known.insert(checkpoint, directory);
        });
    }

    /// The attempt has ended.
    pub fn forget(&self, attempt: AttemptId) {
        self.store.chains.forget(attempt);
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
    fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent {
        self.store.chains.begin(attempt, barrier)
    }

    fn store(&self, attempt: AttemptId, cut: Cut) {
        // It is gone when the host goes down, and the task with it.
        let _ = self.cuts.send((attempt, cut));
    }
}

/// Savepoints whose directories are remembered.
const SAVEPOINTS_MAX: usize = 64;

/// How long a task waits to be told where its savepoint goes: the barrier may have come quicker by the streams.
const DIRECTORY_WAIT: Duration = Duration::from_secs(60);

struct Store {
    /// Directory of all checkpoints.
    root: Option<String>,
    job: JobId,
    /// Where savepoints go.
    savepoints: watch::Sender<BTreeMap<CheckpointId, String>>,
    chains: Chains,
}

impl Store {
    async fn store(&self, attempt: AttemptId, cut: Cut) -> SnapshotReport {
        let Cut { barrier, extent, chunks, splits, prepared, failure, alignment, began, sync } = cut;
        let result = match failure {
            Some(failure) => Err(*failure),
            None => self.write(attempt, barrier, extent, chunks).await.map_err(|failure| *failure),
        };
        let whole = began.elapsed();
        let stored_bytes = result.as_ref().map_or(0, |file| file.as_ref().map_or(0, |file| file.bytes));
        let result = match result {
            Ok(file) => Ok(self.chains.stored(attempt, barrier.checkpoint, file)),
            Err(failure) => {
                self.chains.failed(attempt, barrier.checkpoint);
                Err(failure)
            }
        };
        let state_bytes = result.iter().flatten().map(|file| file.bytes).sum();
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
                stored_bytes,
                state_bytes,
            },
        }
    }

    fn checkpoint_directory(&self) -> TaskResult<Directory> {
        let Some(root) = &self.root else {
            let message = format!("there is no directory for checkpoints; set {}", checkpointing::DIR.key());
            return Err(Box::new(Failure::environment(message)));
        };
        Ok(Directory::open(root, &S3Options::default()).map_err(refused)?.of_job(self.job))
    }

    async fn savepoint_directory(&self, checkpoint: CheckpointId) -> TaskResult<Directory> {
        let mut known = self.savepoints.subscribe();
        let told = tokio::time::timeout(DIRECTORY_WAIT, known.wait_for(|known| known.contains_key(&checkpoint))).await;
        let location = match told {
            Ok(Ok(known)) => known.get(&checkpoint).cloned(),
            Ok(Err(_)) | Err(_) => None,
        };
        let location = location.ok_or_else(|| {
            let wait = DIRECTORY_WAIT.as_secs();
            Failure::environment(format!("nobody said within {wait} s where savepoint {checkpoint} goes"))
        })?;
        Directory::open(&location, &S3Options::default()).map_err(refused)
    }

    async fn write(
        &self,
        attempt: AttemptId,
        barrier: Barrier,
        extent: Extent,
        chunks: Vec<(OperatorId, Section, Chunk)>,
    ) -> TaskResult<Option<StateFile>> {
        // What has changed may be that something is gone, which only a file without it says.
        if chunks.is_empty() && extent == Extent::Whole {
            return Ok(None);
        }
        let (kind, directory) = match barrier.kind {
            SnapshotKind::Checkpoint => (stored::SnapshotKind::Checkpoint, self.checkpoint_directory()?),
            SnapshotKind::Savepoint => {
                (stored::SnapshotKind::Savepoint, self.savepoint_directory(barrier.checkpoint).await?)
            }
        };
        let path = DataPath::unique(kind, barrier.checkpoint, attempt);
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
        Ok(Some(StateFile { path: path.as_str().to_owned(), bytes, checksum: checksum.0 }))
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

fn refused(error: stored::Error) -> Box<Failure> {
    Box::new(Failure::from(error))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
