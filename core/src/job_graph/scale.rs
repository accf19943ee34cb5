//! How many subtasks the vertices of a job have, where that is not what its graph says: a job that runs may be rescaled.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::id::VertexId;

/// Between how many subtasks a vertex is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ParallelismBounds {
    /// At least.
    pub lower: u32,
    /// At most: as many as there are slots for.
    pub upper: u32,
}

impl ParallelismBounds {
    /// So many, no fewer and no more.
    pub const fn exactly(parallelism: u32) -> Self {
        Self { lower: parallelism, upper: parallelism }
    }
}

impl fmt::Display for ParallelismBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lower == self.upper { self.upper.fmt(f) } else { write!(f, "{} to {}", self.lower, self.upper) }
    }
}

/// The numbers of one vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexScale {
    /// Subtasks.
    pub parallelism: u32,
    /// Key groups. They stay as they were when the job began, whatever is derived from the parallelism.
    pub max_parallelism: u32,
    /// What was asked for.
    pub bounds: ParallelismBounds,
}

/// The numbers of all vertices of a job that was rescaled; empty for one that never was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scale {
    /// By vertex.
    pub vertices: BTreeMap<VertexId, VertexScale>,
}
