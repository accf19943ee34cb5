//! Writes what tasks give at barriers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use flott_core::{
    checkpoint::{Barrier, SnapshotFigures, SnapshotKind, SnapshotReport, StateFile, SubtaskState},
    config::keys::checkpointing,
    failure::Failure,
    id::{AttemptId, CheckpointId, JobId, OperatorId},
};
use flott_snapshot::{
    self as stored, Compression, DataPath, Directory, Entries, S3Options, SectionIndex, StateFileWriter,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{chain::Chains, preparations::Preparations, refused};
use crate::{
    error::TaskResult,
    snapshot::{Chunk, Cut, Piece, Section, section},
    state::Extent,
};

/// How long a task waits to be told where its savepoint goes: the barrier may have come quicker by the streams.
const DIRECTORY_WAIT: Duration = Duration::from_secs(60);

/// Bytes of state that may wait to be written before a task is asked for no more of it.
const QUEUED_BYTES_MAX: usize = 32 << 20;

/// What a task gives of a cut.
enum Given {
    Pieces(Vec<Piece>),
    InFlight(Vec<Piece>),
    All(Cut),
}

/// A cut that is being given.
pub(super) struct Writing {
    given: mpsc::UnboundedSender<Given>,
    queued: Arc<AtomicUsize>,
    abort: CancellationToken,
}

impl Writing {
    pub fn give(&self, pieces: Vec<Piece>) {
        self.queued.fetch_add(bytes(&pieces), Relaxed);
        // Who writes goes when it has failed to; the cut is reported then, and the rest is of no use.
        let _ = self.given.send(Given::Pieces(pieces));
    }

    pub fn give_in_flight(&self, pieces: Vec<Piece>) {
        self.queued.fetch_add(bytes(&pieces), Relaxed);
        let _ = self.given.send(Given::InFlight(pieces));
    }

    pub fn has_room(&self) -> bool {
        self.queued.load(Relaxed) < QUEUED_BYTES_MAX || self.is_given_up()
    }

    pub fn give_up(&self) {
        self.abort.cancel();
    }

    pub fn is_given_up(&self) -> bool {
        self.abort.is_cancelled()
    }

    pub fn finish(self, cut: Cut) {
        let _ = self.given.send(Given::All(cut));
    }
}

fn bytes(pieces: &[Piece]) -> usize {
    pieces.iter().map(|(_, _, chunk)| chunk.bytes.len()).sum()
}

/// Where the state of a job's tasks goes.
pub(super) struct Store {
    /// Directory of all checkpoints; none where nobody takes any.
    pub root: Option<TaskResult<Directory>>,
    /// How other directories are reached.
    pub s3: S3Options,
    pub job: JobId,
    /// How long a cut is of use.
    pub timeout: Duration,
    /// Where savepoints go.
    pub savepoints: watch::Sender<BTreeMap<CheckpointId, String>>,
    pub chains: Chains,
    pub preparations: Preparations,
}

/// How long a cut is of use.
struct Term {
    checkpoint: CheckpointId,
    until: Instant,
    abort: CancellationToken,
}

impl Term {
    /// What `work` gives, unless the cut is given up before: then it is dropped.
    async fn within<T>(&self, work: impl Future<Output = TaskResult<T>>) -> TaskResult<T> {
        let checkpoint = self.checkpoint;
        let why = match timeout_at(self.until, self.abort.run_until_cancelled(work)).await {
            Ok(Some(done)) => return done,
            Ok(None) => format!("snapshot {checkpoint} was given up before it was stored"),
            Err(_) => {
                self.abort.cancel();
                format!("snapshot {checkpoint} was not stored in time ({})", checkpointing::TIMEOUT.key())
            }
        };
        Err(Box::new(Failure::environment(why)))
    }
}

/// What a cut is written to.
#[derive(Default)]
struct Files {
    state: Option<File>,
    in_flight: Option<File>,
}

/// A file that is being written.
struct File {
    writer: StateFileWriter,
    sections: BTreeMap<(OperatorId, Section), SectionIndex>,
}

impl Store {
    /// Takes a cut of `attempt` from its barrier on. What comes of it is the report, when all was given and is stored, or was given
    /// up because of `abort` or for lack of time; nothing if the attempt ends before.
    pub fn open(
        self: &Arc<Self>,
        attempt: AttemptId,
        barrier: Barrier,
        extent: Extent,
        abort: CancellationToken,
    ) -> (Writing, impl Future<Output = Option<SnapshotReport>> + Send + use<>) {
        let (given, mut receiver) = mpsc::unbounded_channel();
        let queued = Arc::<AtomicUsize>::default();
        let (store, waiting) = (Arc::clone(self), Arc::clone(&queued));
        let term = Term { checkpoint: barrier.checkpoint, until: Instant::now() + self.timeout, abort: abort.clone() };
        let writing = async move {
            let mut files = Ok(Files::default());
            loop {
                let given = match &files {
                    Ok(_) => term.within(async { Ok(receiver.recv().await) }).await,
                    // No more is written, but what the cut tells besides is waited for.
                    Err(_) => Ok(receiver.recv().await),
                };
                let (is_state, pieces) = match given {
                    Ok(Some(Given::Pieces(pieces))) => (true, pieces),
                    Ok(Some(Given::InFlight(pieces))) => (false, pieces),
                    Ok(Some(Given::All(cut))) => {
                        return Some(store.complete(attempt, barrier, extent, (files, &term), cut).await);
                    }
                    Ok(None) => break,
                    Err(failure) => {
                        files = Err(failure);
                        continue;
                    }
                };
                let size = bytes(&pieces);
                if let Ok(Files { state, in_flight }) = files {
                    let (begun, other) = if is_state { (state, in_flight) } else { (in_flight, state) };
                    let written = term.within(store.write(attempt, barrier, begun, pieces)).await;
                    files = written.map(|file| match is_state {
                        true => Files { state: file, in_flight: other },
                        false => Files { state: other, in_flight: file },
                    });
                }
                waiting.fetch_sub(size, Relaxed);
            }
            store.chains.failed(attempt, barrier.checkpoint);
            None
        };
        (Writing { given, queued, abort }, writing)
    }

    async fn write(
        &self,
        attempt: AttemptId,
        barrier: Barrier,
        file: Option<File>,
        pieces: Vec<Piece>,
    ) -> TaskResult<Option<File>> {
        if pieces.is_empty() {
            return Ok(file);
        }
        let mut file = match file {
            Some(file) => file,
            None => self.create(attempt, barrier).await?,
        };
        for (operator, section, Chunk { group, removed, count, bytes }) in pieces {
            let index = match file.sections.get(&(operator, section.clone())) {
                Some(index) => *index,
                None => {
                    let index = file.writer.section(section::to_stored(operator, &section)).map_err(refused)?;
                    file.sections.insert((operator, section), index);
                    index
                }
            };
            let entries = if removed { Entries::Removed } else { Entries::Values };
            file.writer.chunk(index, group, entries, count as u64, bytes).await.map_err(refused)?;
        }
        Ok(Some(file))
    }

    async fn create(&self, attempt: AttemptId, barrier: Barrier) -> TaskResult<File> {
        let (kind, directory) = match barrier.kind {
            SnapshotKind::Checkpoint => (stored::SnapshotKind::Checkpoint, self.checkpoint_directory()?),
            SnapshotKind::Savepoint => {
                (stored::SnapshotKind::Savepoint, self.savepoint_directory(barrier.checkpoint).await?)
            }
        };
        let path = DataPath::unique(kind, barrier.checkpoint, attempt);
        Ok(File { writer: directory.create_file(path, Compression::None), sections: BTreeMap::new() })
    }

    fn checkpoint_directory(&self) -> TaskResult<Directory> {
        let Some(root) = &self.root else {
            let message = format!("there is no directory for checkpoints; set {}", checkpointing::DIR.key());
            return Err(Box::new(Failure::environment(message)));
        };
        Ok(root.as_ref().map_err(Clone::clone)?.of_job(self.job))
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
        Directory::open(&location, &self.s3).map_err(refused)
    }

    /// All was given.
    async fn complete(
        &self,
        attempt: AttemptId,
        barrier: Barrier,
        extent: Extent,
        (files, term): (TaskResult<Files>, &Term),
        cut: Cut,
    ) -> SnapshotReport {
        let Cut { splits, failure, alignment, began, sync, unaligned, persisted, processed, .. } = cut;
        let stored = match (failure, files) {
            (Some(failure), _) | (None, Err(failure)) => Err(failure),
            (None, Ok(Files { state, in_flight })) => {
                let finish = async {
                    let in_flight = finished(in_flight).await?;
                    Ok((self.finish(attempt, barrier, extent, state).await?, in_flight))
                };
                term.within(finish).await
            }
        };
        let whole = began.elapsed();
        let (result, stored_bytes) = match stored {
            Ok((file, in_flight)) => {
                let bytes = file.iter().chain(&in_flight).map(|file| file.bytes).sum();
                let files = self.chains.stored(attempt, barrier.checkpoint, file);
                (Ok(SubtaskState { files, in_flight: in_flight.into_iter().collect(), splits }), bytes)
            }
            Err(failure) => {
                self.chains.failed(attempt, barrier.checkpoint);
                (Err(*failure), 0)
            }
        };
        let state_bytes =
            result.iter().flat_map(|state| state.files.iter().chain(&state.in_flight)).map(|file| file.bytes).sum();
        SnapshotReport {
            attempt,
            checkpoint: barrier.checkpoint,
            result,
            // Whatever else is prepared: nothing is reported between this and the report.
            committables: self.preparations.take(attempt, barrier.checkpoint),
            figures: SnapshotFigures {
                alignment_ms: millis(alignment),
                sync_ms: millis(sync),
                async_ms: millis(whole.saturating_sub(sync)),
                stored_bytes,
                state_bytes,
                processed_bytes: processed,
                persisted_bytes: persisted,
                unaligned,
            },
        }
    }

    async fn finish(
        &self,
        attempt: AttemptId,
        barrier: Barrier,
        extent: Extent,
        file: Option<File>,
    ) -> TaskResult<Option<StateFile>> {
        let file = match file {
            Some(file) => file,
            // What has changed may be that something is gone, which only a file without it says.
            None if extent == Extent::Changed => self.create(attempt, barrier).await?,
            None => return Ok(None),
        };
        finished(Some(file)).await
    }
}

async fn finished(file: Option<File>) -> TaskResult<Option<StateFile>> {
    let Some(file) = file else { return Ok(None) };
    let stored::StateFile { path, bytes, checksum } = file.writer.finish().await.map_err(refused)?;
    Ok(Some(StateFile { path: path.as_str().to_owned(), bytes, checksum: checksum.0 }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
