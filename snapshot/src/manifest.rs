//! What a checkpoint consists of.
//!
//! A manifest names its files by paths relative to the directory that holds the data of the job, or the savepoint: a
//! tree that was copied elsewhere still restores. Whoever holds a manifest that was [read](document::read) need not look
//! again whether its parts fit together; whether the files are there is for [`verify`](crate::verify).

mod accumulators;
mod check;
pub mod document;
mod hex;
mod path;

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::Bytes;
use flott_core::{
    id::{CheckpointId, Fingerprint, JobId, JobMasterEpoch, OperatorId, VertexId},
    key_group::{KeyGroupRange, MaxParallelism},
    message::Committable,
    view::Accumulator,
};
use serde::{Deserialize, Serialize};

pub use check::{ManifestError, check, limits};
pub(crate) use hex::write as hex;
pub(crate) use path::SHARED;
pub use path::{DataPath, DataPathError};

/// Who owns a snapshot, and where its files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// Flott's own: shares files with others of its job, and is collected.
    Checkpoint,
    /// A person's: complete in its directory, and never collected.
    Savepoint,
}

/// CRC-32 (IEEE) of a whole file; eight hex digits for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(pub u32);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A checksum that is not eight hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checksum must be 8 hex digits, not {0:?}")]
pub struct ChecksumError(String);

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let refused = || ChecksumError(text.chars().take(80).collect());
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| refused())
    }
}

impl TryFrom<String> for Checksum {
    type Error = ChecksumError;

    fn try_from(text: String) -> Result<Self, ChecksumError> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

/// One immutable state file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// Where it lies.
    pub path: DataPath,
    /// Its length.
    pub bytes: u64,
    /// Of all of its bytes.
    pub checksum: Checksum,
}

/// An operator of a vertex, so that its state is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorIdentity {
    /// Under which its state is stored.
    pub id: OperatorId,
    /// For people.
    pub name: String,
    /// The uid that the user gave, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// What one subtask left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubtaskState {
    /// Whether it had processed all of its input.
    pub finished: bool,
    /// The key groups that it held; `None` if it has no keyed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_groups: Option<KeyGroupRange>,
    /// Its state: the base first, then what changed since, oldest first. Empty if it has none.
    pub files: Vec<StateFile>,
    /// Records that its barrier has overtaken, of its inputs and outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<StateFile>,
    /// What its readers had left of the splits that they read, by source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<ReaderSplits>,
    /// Results by name of what had finished of it: of all, if it had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "accumulators")]
    pub accumulators: BTreeMap<String, Accumulator>,
}

impl SubtaskState {
    /// What its reader of `source` had left.
    pub fn left_of(&self, source: OperatorId) -> &[Bytes] {
        let of_source = self.splits.iter().find(|reader| reader.source == source);
        of_source.map(|reader| &reader.splits[..]).unwrap_or_default()
    }
}

/// What a reader had left of the splits that it read, in the order in which they are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderSplits {
    /// Its source.
    pub source: OperatorId,
    /// Opaque to everyone but the source.
    #[serde(with = "hex::list")]
    pub splits: Vec<Bytes>,
}

/// What the subtasks of a vertex left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VertexState {
    /// Which.
    pub id: VertexId,
    /// For people.
    pub name: String,
    /// How many subtasks it had.
    pub parallelism: u32,
    /// How many key groups it had. A restored job must have as many.
    pub max_parallelism: MaxParallelism,
    /// Its chain.
    pub operators: Vec<OperatorIdentity>,
    /// By subtask, in order.
    pub subtasks: Vec<SubtaskState>,
}

/// What is left to read of a source, beside what its readers had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSplits {
    /// The source.
    pub source: OperatorId,
    /// Whether the list of splits is known; if not, they are to be enumerated.
    pub known: bool,
    /// Splits that nobody has begun, in the order in which they are to be read. Opaque to everyone but the source.
    #[serde(with = "hex::list")]
    pub splits: Vec<Bytes>,
}

/// A complete checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub job_name: String,
    /// Of the plan that ran.
    pub fingerprint: Fingerprint,
    /// Checkpoint or savepoint.
    pub kind: SnapshotKind,
    /// Its number among the job's.
    pub checkpoint: CheckpointId,
    /// The JobMaster that committed it.
    pub epoch: JobMasterEpoch,
    /// When it was triggered, in milliseconds since 1970.
    pub triggered_ms: u64,
    /// When the last task had written its state, in milliseconds since 1970.
    pub completed_ms: u64,
    /// All vertices of the job.
    pub vertices: Vec<VertexState>,
    /// All sources of the job that read splits.
    pub sources: Vec<SourceSplits>,
    /// What sinks had prepared and a commit makes visible.
    #[serde(with = "hex::committables")]
    pub committables: Vec<Committable>,
}

impl Manifest {
    /// Every mention of a file; one that several subtasks share is there several times.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        let subtasks = self.vertices.iter().flat_map(|vertex| &vertex.subtasks);
        subtasks.flat_map(|subtask| subtask.files.iter().chain(&subtask.in_flight))
    }

    /// All that is left to read of a source, in order: what was begun, then what was not. `None` if its splits are to be
    /// enumerated.
    pub fn left_to_read(&self, source: OperatorId) -> Option<Vec<Bytes>> {
        let whole = self.sources.iter().find(|stored| stored.source == source && stored.known)?;
        let subtasks = self.vertices.iter().flat_map(|vertex| &vertex.subtasks);
        let begun = subtasks.flat_map(|subtask| subtask.left_of(source));
        Some(begun.chain(&whole.splits).cloned().collect())
    }

    /// Bytes of state, where a file that several subtasks share counts once.
    pub fn state_bytes(&self) -> u64 {
        let files: std::collections::HashMap<_, _> = self.files().map(|file| (&file.path, file.bytes)).collect();
        files.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}
