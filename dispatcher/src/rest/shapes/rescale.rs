use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FailureCause, QueueStatus};

/// Between how many subtasks the vertices of a job are to have, by id. A vertex that is not named stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ResourceRequirements {
    /// By vertex.
    pub vertices: BTreeMap<String, VertexRequirements>,
}

/// What a vertex is to have.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct VertexRequirements {
    /// How many subtasks.
    pub parallelism: ParallelismRange,
}

/// Between how many.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParallelismRange {
    /// At least.
    pub lower_bound: u32,
    /// At most: as many as there are slots for.
    pub upper_bound: u32,
}

/// Another parallelism is asked for. Every field may be absent, but not both of the first two.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RescaleTriggerRequest {
    /// Of all vertices that have the parallelism of the job, and none of their own.
    pub parallelism: Option<u32>,
    /// Of single vertices, by id.
    pub vertices: BTreeMap<String, VertexRequirements>,
    /// Under which the outcome is read: 32 hex digits; drawn when absent. The same again is the same request.
    pub trigger_id: Option<String>,
}

/// A change of parallelism that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RescaleOperation {
    /// Whether it has ended.
    pub status: QueueStatus,
    /// How; null before.
    pub operation: Option<RescaleOutcomeInfo>,
}

/// How a change of parallelism has ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RescaleOutcomeInfo {
    /// The checkpoint that the job went on from; absent if it had that parallelism already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<u64>,
    /// Milliseconds in which not all tasks ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// Vertices whose parallelism is another now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertices: Option<Vec<VertexRescale>>,
    /// Why the job runs on as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<FailureCause>,
}

/// A vertex of a job that is rescaled.
#[derive(Debug, Serialize, ToSchema)]
pub struct VertexRescale {
    /// Which.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Subtasks before.
    pub before: u32,
    /// Subtasks after.
    pub after: u32,
}

/// The changes of a job's parallelism.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rescales {
    /// Newest first; the last 16 of the JobMaster's life.
    pub rescales: Vec<RescaleEntry>,
}

/// A change of a job's parallelism.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RescaleEntry {
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// `UPDATE_REQUIREMENT`: somebody asked for it; `NEW_RESOURCE_AVAILABLE`: there were slots for more subtasks;
    /// `RECOVERABLE_FAILOVER`: slots were missing, and the job made do with the others.
    pub cause: String,
    /// When it was asked for, or seen to be possible, in milliseconds since the epoch.
    pub start_time: i64,
    /// When it was through or given up; -1 before.
    pub end_time: i64,
    /// When the tasks were told to end; -1 before.
    pub stop_time: i64,
    /// Milliseconds from then until all tasks ran again.
    pub pause_ms: Option<u64>,
    /// The checkpoint that the job went on from.
    pub checkpoint_id: Option<u64>,
    /// Vertices whose parallelism changes.
    pub vertices: Vec<VertexRescale>,
    /// Why it was given up.
    pub failure_cause: Option<FailureCause>,
}
