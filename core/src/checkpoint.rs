//! What is said of checkpoints between a JobMaster and the tasks of its job.
//!
//! A checkpoint is a consistent cut through all streams of a job: the sources put a barrier into their streams, every task
//! snapshots its state where it meets the barrier of all its inputs, and what the tasks have stored is put together into a
//! manifest. (Chandy and Lamport, *Distributed snapshots*, 1985; Carbone et al., *Lightweight asynchronous snapshots for
//! distributed dataflows*, 2015.)

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{AttemptId, CheckpointId, JobId, OperatorId, SubtaskIndex},
    key_group::KeyGroupRange,
    message::Committable,
};

/// What a snapshot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// To recover from failures; removed when newer ones are there.
    Checkpoint,
    /// Asked for by hand, self-contained, and removed by hand.
    Savepoint,
}

/// What sources do behind a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behind {
    /// They read on.
    GoOn,
    /// Nothing: the job stops with the savepoint.
    Stop,
    /// Nothing, and time has come to its end before the barrier, so that all windows and timers have fired: the job stops for
    /// good.
    Drain,
}

/// Whether a barrier goes past records that wait, which are then part of the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overtaking {
    /// It stays in its place in each stream, and inputs wait for each other.
    #[default]
    Never,
    /// So it is until somebody has waited for so long with it; from there on it overtakes.
    After {
        /// Milliseconds.
        ms: u64,
    },
    /// At once.
    Now,
}

/// The point of a stream at which a snapshot cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// What follows it.
    pub behind: Behind,
    /// Whether it goes past what waits.
    #[serde(default)]
    pub overtaking: Overtaking,
    /// Whether all state is stored anew for it, as for a savepoint, though it is a checkpoint.
    #[serde(default)]
    pub full: bool,
}

impl Barrier {
    /// The same, past all that waits.
    #[must_use]
    pub fn hurried(self) -> Self {
        Self { overtaking: Overtaking::Now, ..self }
    }

    /// Whether what is stored for it builds on nothing that was stored before.
    pub fn is_whole(self) -> bool {
        self.full || self.kind == SnapshotKind::Savepoint
    }

    /// Whether it may come to overtake.
    pub fn may_overtake(self) -> bool {
        self.overtaking != Overtaking::Never
    }
}

/// A file of state that a task has stored. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StateFile {
    /// Where it is, from the directory of the job's snapshots on.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32 of all of it.
    pub checksum: u32,
}

/// What one subtask has stored for one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SubtaskState {
    /// Its state: a whole one, then what changed, in order. Empty if it has none.
    pub files: Vec<StateFile>,
    /// Records that its barrier has overtaken, in its inputs and outputs.
    #[serde(default)]
    pub in_flight: Vec<StateFile>,
    /// What its sources have left of the splits that they read, each as a split that begins where the snapshot cuts.
    pub splits: Vec<(OperatorId, Vec<Bytes>)>,
}

/// How a task got on with a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotReport {
    /// The attempt.
    pub attempt: AttemptId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// What it stored; or why it could not.
    pub result: Result<SubtaskState, Failure>,
    /// What its sinks have prepared up to this barrier and no report has told yet, by the barrier that it was prepared at: also
    /// that of earlier ones whose state takes longer to store, as whoever goes back to this checkpoint does not prepare it
    /// again. It becomes visible with the next checkpoint that is complete, whether this one is or not.
    pub committables: BTreeMap<CheckpointId, Vec<Committable>>,
    /// Figures of it.
    pub figures: SnapshotFigures,
}

/// What a snapshot of a task took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SnapshotFigures {
    /// Milliseconds from the first barrier of an input to the last.
    pub alignment_ms: u64,
    /// Milliseconds for which the task stood still.
    pub sync_ms: u64,
    /// Milliseconds from then until all was stored.
    pub async_ms: u64,
    /// Bytes stored for this snapshot alone.
    pub stored_bytes: u64,
    /// Bytes of all files it needs.
    pub state_bytes: u64,
    /// Bytes of records that were processed between the first barrier of an input and the last, as far as they were encoded.
    pub processed_bytes: u64,
    /// Bytes of records that its barrier has overtaken.
    pub persisted_bytes: u64,
    /// Whether its barrier has overtaken, or was about to.
    pub unaligned: bool,
}

/// Which snapshot something starts from. No two that are complete are called the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The job that took it.
    pub job: JobId,
    /// Checkpoint or savepoint.
    pub kind: SnapshotKind,
    /// Its number among those of that job.
    pub checkpoint: CheckpointId,
}

/// What a subtask starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRestore {
    /// The snapshot.
    pub origin: Origin,
    /// Directory that paths of files begin from.
    pub directory: String,
    /// Those that it may need something of, in order of vertices and subtasks.
    pub parts: Vec<RestorePart>,
    /// Where records are that were under way to its vertex.
    #[serde(default)]
    pub in_flight: Vec<StateFile>,
    /// Whether the subtask had finished: it has nothing more to do but to say so.
    pub finished: bool,
    /// Whether state that no operator asks for is left behind, rather than refused.
    pub ignore_unclaimed: bool,
}

/// What one subtask of the snapshot has left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestorePart {
    /// Which of the subtasks of its vertex it was.
    pub subtask: SubtaskIndex,
    /// How many there were.
    pub parallelism: u32,
    /// The key groups it had.
    pub groups: KeyGroupRange,
    /// Its files, in order.
    pub files: Vec<StateFile>,
}
