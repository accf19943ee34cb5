//! The store that outlives its JobManager's machine: a log of changes in a shared directory, each written by a create that only one
//! can win. The state that they amount to is in memory, and a snapshot of it takes the place of old changes.
//!
//! Whoever begins to lead writes so into the log; what an older leader writes from then on is refused with
//! [`StoreError::Deposed`], whatever clocks say and whoever thinks to hold a lease.

use bytes::Bytes;
use flott_core::{
    id::{Digest, JobId, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use flott_snapshot::Directory;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    ArchivedJob, JobRecord, Leftover, StoreError,
    format::{decode, encode},
    memory::{Journal, Log, StateStore},
    record::{Header, Tombstone},
    state::{Change, Json, State},
};
use crate::{
    ha::{AppendError, Contents, Records},
    operations::OperationRecord,
};

/// A snapshot is written after so many changes, or bytes of them: what a new leader has to read stays small.
const CHANGES_MAX: u32 = 256;
const BYTES_MAX: usize = 16 << 20;

/// See the module.
pub type SharedStore = StateStore<SharedJournal>;
/// The same for those who may not block.
pub type SharedLog = Log<SharedJournal>;

/// Where a [`SharedStore`] keeps its changes.
#[derive(Debug)]
pub struct SharedJournal {
    records: Records,
    /// The change of which it is not known whether it is durable.
    open: Option<(Change, Vec<u8>)>,
    changes: u32,
    bytes: usize,
    deposed: CancellationToken,
}

/// A record of the log.
#[derive(Serialize, Deserialize)]
struct Record<C> {
    /// Has each record differ from all others.
    nonce: [u8; 16],
    change: C,
}

/// A snapshot.
#[derive(Serialize, Deserialize)]
struct Image {
    leader: LeaderEpoch,
    jobs: Vec<Unfinished>,
    archive: Vec<(Json<JobView>, Bytes)>,
    known: Vec<(JobId, Tombstone)>,
    leftovers: Vec<Leftover>,
    operations: Vec<Json<OperationRecord>>,
}

/// A [`JobRecord`].
#[derive(Serialize, Deserialize)]
struct Unfinished {
    job: JobId,
    header: Header,
    graph: Bytes,
    manifest: Option<Vec<Committable>>,
    scale: Scale,
    past: Json<Past>,
}

impl SharedStore {
    /// Opens or creates the store in `directory`, and reads it. `deposed` is cancelled when it turns out that another leads. Blocks on
    /// the store, also later; `runtime` is what reaches it.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read or made, [`StoreError::OtherFormat`], [`StoreError::Damaged`].
    pub fn open(directory: Directory, runtime: Handle, deposed: CancellationToken) -> Result<Self, StoreError> {
        let log = runtime.block_on(SharedLog::open(directory, deposed))?;
        Ok(Self::new(log, runtime))
    }
}

impl SharedLog {
    /// Opens the log of `directory` as `SharedStore::open` does, without blocking.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read or made, [`StoreError::OtherFormat`], [`StoreError::Damaged`].
    pub async fn open(directory: Directory, deposed: CancellationToken) -> Result<Self, StoreError> {
        let location = directory.location().to_owned();
        let (records, contents) = Records::open(directory).await.map_err(io)?;
        let Contents { snapshot, records: changes } = contents;
        let mut state = match snapshot {
            Some(snapshot) => decode::<Image>(&format!("the snapshot in {location}"), &snapshot)?.into_state(),
            None => State::default(),
        };
        let (count, mut bytes) = (u32::try_from(changes.len()).unwrap_or(u32::MAX), 0);
        for change in changes {
            bytes += change.len();
            state.apply(decode::<Record<Change>>(&format!("a change in {location}"), &change)?.change);
        }
        let journal = SharedJournal { records, open: None, changes: count, bytes, deposed };
        Ok(Self::new(journal, state))
    }
}

impl SharedJournal {
    async fn append(&mut self, change: &Change, content: Vec<u8>) -> Result<(), StoreError> {
        if self.deposed.is_cancelled() {
            return Err(StoreError::Deposed("another one leads".to_owned()));
        }
        match self.records.append(content.clone().into()).await {
            Ok(()) => {
                self.changes += 1;
                self.bytes += content.len();
                Ok(())
            }
            Err(error) => {
                if let AppendError::Unknown(_) = error {
                    self.open = Some((change.clone(), content));
                }
                Err(self.failed(error))
            }
        }
    }

    fn failed(&self, error: AppendError) -> StoreError {
        match error {
            AppendError::Overtaken(_) => {
                self.deposed.cancel();
                StoreError::Deposed(error.to_string())
            }
            AppendError::NotWritten(error) => io(error),
            AppendError::Unknown(_) => io(error),
        }
    }
}

impl Journal for SharedJournal {
    async fn write(&mut self, change: &Change) -> Result<(), StoreError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(io)?;
        let content = encode(&Record { nonce, change })?;
        self.append(change, content).await
    }

    async fn settle(&mut self) -> Result<Option<Change>, StoreError> {
        let Some((change, content)) = self.open.take() else { return Ok(None) };
        self.append(&change, content).await.map(|()| Some(change))
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        self.records.look().await.map_err(|error| self.failed(error))
    }

    async fn applied(&mut self, state: &State) {
        if self.changes < CHANGES_MAX && self.bytes < BYTES_MAX {
            return;
        }
        // Also after a failure: it is tried again when as much has come to it.
        (self.changes, self.bytes) = (0, 0);
        let compacted = match encode(&Image::of(state)) {
            Ok(image) => self.records.compact(image.into()).await.map_err(io),
            Err(error) => Err(error),
        };
        if let Err(error) = compacted {
            tracing::warn!(%error, "the log of jobs is not compacted now");
        }
    }
}

impl Image {
    fn of(state: &State) -> Self {
        let job = |record: &JobRecord| {
            let JobRecord { job, graph, program, accepted_at, epoch, cancelled, manifest, scale, past } =
                record.clone();
            let header = Header { graph: Digest::of(&graph), program, accepted_at, epoch, cancelled };
            Unfinished { job, header, graph, manifest, scale, past: Json(past) }
        };
        Self {
            leader: state.leader,
            jobs: state.jobs.values().map(job).collect(),
            archive: state.archive.values().map(|job| (Json(job.view.clone()), job.graph.clone())).collect(),
            known: state.known.iter().map(|(job, tombstone)| (*job, *tombstone)).collect(),
            leftovers: state.leftovers.iter().cloned().collect(),
            operations: state.operations.values().cloned().map(Json).collect(),
        }
    }

    fn into_state(self) -> State {
        let job = |Unfinished { job, header, graph, manifest, scale, past: Json(past) }| {
            let Header { program, accepted_at, epoch, cancelled, .. } = header;
            (job, JobRecord { job, graph, program, accepted_at, epoch, cancelled, manifest, scale, past })
        };
        State {
            leader: self.leader,
            jobs: self.jobs.into_iter().map(job).collect(),
            archive: self
                .archive
                .into_iter()
                .map(|(Json(view), graph)| (view.job, ArchivedJob { view, graph }))
                .collect(),
            known: self.known.into_iter().collect(),
            leftovers: self.leftovers.into_iter().collect(),
            operations: self.operations.into_iter().map(|Json(operation)| (operation.key(), operation)).collect(),
        }
    }
}

fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}
