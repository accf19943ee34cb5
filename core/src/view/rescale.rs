//! How the parallelism of a running job was changed.

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{CheckpointId, VertexId},
};

/// Why the parallelism of a job is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RescaleCause {
    /// Somebody asked for it.
    #[default]
    Asked,
    /// There are slots for more subtasks.
    MoreSlots,
    /// Slots are missing, and the others suffice for fewer subtasks.
    FewerSlots,
}

/// A change of parallelism.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RescaleView {
    /// Why.
    #[serde(default)]
    pub cause: RescaleCause,
    /// When it was asked for, or seen to be possible.
    pub began_at: u64,
    /// When it was through, or given up.
    pub ended_at: Option<u64>,
    /// When the tasks were told to end.
    pub stopped_at: Option<u64>,
    /// The checkpoint that the job went on from.
    pub checkpoint: Option<CheckpointId>,
    /// Milliseconds from then until all tasks ran again.
    pub pause_ms: Option<u64>,
    /// Why it was given up.
    pub failure: Option<Failure>,
    /// Vertices whose parallelism is another.
    pub vertices: Vec<VertexRescaleView>,
}

/// A vertex of a job that is rescaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexRescaleView {
    /// Which.
    pub id: VertexId,
    /// Name.
    pub name: String,
    /// Subtasks before.
    pub before: u32,
    /// Subtasks wanted.
    pub after: u32,
}
