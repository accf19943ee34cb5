//! Names of state files.

use std::{fmt, str::FromStr};

use flott_core::id::{AttemptId, CheckpointId};
use serde::{Deserialize, Serialize};

use super::SnapshotKind;

/// Bytes of a path.
const BYTES_MAX: usize = 512;
/// Bytes of one of its names; file systems take no more than 255, and some of these are for temporary files.
const NAME_BYTES_MAX: usize = 200;
/// Where the state files of a job's checkpoints lie.
pub(crate) const SHARED: &str = "shared";

/// Where a state file lies, relative to the directory of its job or savepoint: names of ASCII letters, digits, `.`, `_`
/// and `-`, divided by `/`. Never absolute, and never leads out of the directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataPath(String);

/// Why a text is not the path of a state file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} {problem}")]
pub struct DataPathError {
    path: String,
    problem: &'static str,
}

impl DataPath {
    /// A new name for what an attempt writes for a checkpoint; no two calls give the same.
    pub fn unique(kind: SnapshotKind, checkpoint: CheckpointId, attempt: AttemptId) -> Self {
        let directory = match kind {
            SnapshotKind::Checkpoint => "shared/",
            SnapshotKind::Savepoint => "",
        };
        Self(format!("{directory}{checkpoint}_{attempt}_{}", crate::directory::random_hex(8)))
    }

    /// As it stands in a manifest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The checkpoint that a path from [`unique`](Self::unique) was made for.
    pub fn checkpoint(&self) -> Option<CheckpointId> {
        let name = self.0.rsplit('/').next()?;
        let (checkpoint, _) = name.split_once('_')?;
        checkpoint.parse().ok().map(CheckpointId)
    }
}

impl FromStr for DataPath {
    type Err = DataPathError;

    fn from_str(text: &str) -> Result<Self, DataPathError> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.starts_with('/') {
            "is absolute, expected one relative to the directory of the job or savepoint"
        } else if text.len() > BYTES_MAX {
            "is longer than 512 bytes"
        } else {
            match text.split('/').find_map(bad_name) {
                None => return Ok(Self(text.to_owned())),
                Some(problem) => problem,
            }
        };
        Err(DataPathError { path: text.chars().take(80).collect(), problem })
    }
}

fn bad_name(name: &str) -> Option<&'static str> {
    if matches!(name, "." | "..") {
        Some("has a name of dots, which could lead elsewhere")
    } else if name.is_empty() {
        Some("has an empty name")
    } else if name.len() > NAME_BYTES_MAX {
        Some("has a name of more than 200 bytes")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        Some("has other characters than letters, digits, dots, underscores and dashes")
    } else {
        None
    }
}

impl fmt::Display for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DataPath {
    type Error = DataPathError;

    fn try_from(text: String) -> Result<Self, DataPathError> {
        text.parse()
    }
}

impl From<DataPath> for String {
    fn from(path: DataPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flott_core::id::{AttemptNumber, SubtaskIndex, VertexId};

    use super::*;

    #[track_caller]
    fn refused(path: &str, problem: &str) {
        let message = path.parse::<DataPath>().unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
        assert!(message.len() < 300, "{message}");
    }

    #[test]
    fn paths_stay_in_their_directory() {
        for path in ["a", "shared/1_a-b_0_0_ff", "a/b/c.d", "..a", "a..", "..."] {
            assert_eq!(path.parse::<DataPath>().unwrap().as_str(), path);
        }
        refused("", "is empty");
        refused("/etc/passwd", "is absolute");
        refused("shared/../../x", "could lead elsewhere");
        refused("..", "could lead elsewhere");
        refused("./a", "could lead elsewhere");
        refused("a//b", "an empty name");
        refused("a/", "an empty name");
        refused("a\\b", "other characters");
        refused("a#1", "other characters");
        refused("s3://bucket/a", "other characters");
        refused("a\0b", "other characters");
        refused("é", "other characters");
        refused(&"é".repeat(1000), "longer than 512 bytes");
        refused(&"a".repeat(201), "more than 200 bytes");
    }

    #[test]
    fn names_of_files_are_unique_and_say_for_which_checkpoint() {
        let attempt = AttemptId {
            vertex: VertexId::from_bytes([0xff; 16]),
            subtask: SubtaskIndex(u32::MAX),
            attempt: AttemptNumber(u32::MAX),
        };
        let name = |kind| DataPath::unique(kind, CheckpointId(u64::MAX), attempt);
        let names: BTreeSet<_> = (0..100).map(|_| name(SnapshotKind::Checkpoint)).collect();
        assert_eq!(names.len(), 100);
        for name in names.into_iter().chain([name(SnapshotKind::Savepoint)]) {
            assert_eq!(name.as_str().parse::<DataPath>().as_ref(), Ok(&name));
            assert_eq!(name.checkpoint(), Some(CheckpointId(u64::MAX)));
        }
        assert_eq!("shared/x_1".parse::<DataPath>().unwrap().checkpoint(), None);
    }
}
