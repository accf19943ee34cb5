use std::collections::BTreeMap;

use flott_core::status::ExecutionState;
use serde::Serialize;
use utoipa::ToSchema;

use super::UserAccumulator;

/// Figures of one or more subtasks.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct IoMetrics {
    /// Bytes that came in over the network.
    pub read_bytes: u64,
    /// Always true.
    pub read_bytes_complete: bool,
    /// Bytes that went out over the network.
    pub write_bytes: u64,
    /// Always true.
    pub write_bytes_complete: bool,
    /// Records that came in, or were read by sources.
    pub read_records: u64,
    /// Always true.
    pub read_records_complete: bool,
    /// Records that went out.
    pub write_records: u64,
    /// Always true.
    pub write_records_complete: bool,
    /// Milliseconds with full outputs.
    pub accumulated_backpressured_time: u64,
    /// Milliseconds without input.
    pub accumulated_idle_time: u64,
    /// Milliseconds of work.
    pub accumulated_busy_time: f64,
}

/// A vertex with its subtasks.
#[derive(Debug, Serialize, ToSchema)]
pub struct VertexDetails {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its subtasks.
    pub parallelism: u32,
    /// Its key groups.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: u32,
    /// When this was written.
    pub now: u64,
    /// One per subtask.
    pub subtasks: Vec<SubtaskDetails>,
    /// Distributions over the subtasks.
    pub aggregated: Aggregated,
}

/// The current attempt of a subtask. Times are milliseconds since the epoch, -1 for "not yet".
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskDetails {
    /// Its index.
    pub subtask: u32,
    /// Its state.
    #[schema(value_type = String)]
    pub status: ExecutionState,
    /// Which attempt.
    pub attempt: u32,
    /// Host and data port of its process; `(unassigned)` without one.
    pub endpoint: String,
    /// When it was deployed.
    pub start_time: i64,
    /// When it ended.
    pub end_time: i64,
    /// Milliseconds between the two, or since the first.
    pub duration: i64,
    /// Its figures.
    pub metrics: IoMetrics,
    /// Its TaskManager; `(unassigned)` without one.
    pub taskmanager_id: String,
    /// Milliseconds in each state so far.
    pub status_duration: BTreeMap<String, i64>,
    /// `start-time` again, under an old name.
    #[serde(rename = "start_time")]
    pub start_time_old: i64,
}

/// Distributions over subtasks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Aggregated {
    /// By figure.
    pub metrics: BTreeMap<String, Distribution>,
    /// Of milliseconds, by state.
    pub status_duration: BTreeMap<String, Distribution>,
}

/// A distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Distribution {
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
    /// Mean.
    pub avg: i64,
    /// Sum.
    pub sum: i64,
    /// Median.
    pub median: i64,
    /// 25th percentile.
    pub p25: i64,
    /// 75th percentile.
    pub p75: i64,
    /// 95th percentile.
    pub p95: i64,
}

/// When the subtasks of a vertex entered their states.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskTimes {
    /// The vertex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When this was written.
    pub now: u64,
    /// One per subtask.
    pub subtasks: Vec<SubtaskTime>,
}

/// When a subtask entered its states.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskTime {
    /// Its index.
    pub subtask: u32,
    /// Host and data port of its process.
    pub endpoint: String,
    /// Milliseconds since it was scheduled, or until it ended; -1 before.
    pub duration: i64,
    /// By state; 0 for those that it never entered.
    pub timestamps: BTreeMap<String, u64>,
}

/// A figure of a subtask.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskMetric {
    /// The subtask's index, a point, and the name of the figure.
    pub id: String,
    /// The figure.
    pub value: String,
}

/// A vertex by TaskManager.
#[derive(Debug, Serialize, ToSchema)]
pub struct VertexTaskManagers {
    /// The vertex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When this was written.
    pub now: u64,
    /// One per TaskManager that has subtasks of it.
    pub taskmanagers: Vec<VertexOnTaskManager>,
}

/// The subtasks of a vertex on one TaskManager.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VertexOnTaskManager {
    /// Host and data port of their process.
    pub endpoint: String,
    /// Their state together.
    pub status: String,
    /// When the first was deployed.
    pub start_time: i64,
    /// When the last ended.
    pub end_time: i64,
    /// Milliseconds between the two, or since the first.
    pub duration: i64,
    /// Figures of all together.
    pub metrics: IoMetrics,
    /// Subtasks by state.
    pub status_counts: BTreeMap<String, u32>,
    /// The TaskManager.
    pub taskmanager_id: String,
    /// Distributions over these subtasks.
    pub aggregated: Aggregated,
}

/// What the subtasks of a vertex count, added up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VertexAccumulators {
    /// The vertex.
    pub id: String,
    /// One per name. Records that were collected are the job's, and left out.
    pub user_accumulators: Vec<UserAccumulator>,
}

/// What the subtasks of a vertex count, each for itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtasksAccumulators {
    /// The vertex.
    pub id: String,
    /// Its subtasks.
    pub parallelism: u32,
    /// One per subtask.
    pub subtasks: Vec<SubtaskAccumulators>,
}

/// What the current attempt of a subtask counts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskAccumulators {
    /// Which.
    pub subtask: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Host and data port of its process.
    pub endpoint: String,
    /// One per name.
    pub user_accumulators: Vec<UserAccumulator>,
}

/// What an attempt of a subtask counts, or has counted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AttemptAccumulators {
    /// Which subtask.
    pub subtask: u32,
    /// Which attempt of it.
    pub attempt: u32,
    /// Both, and the vertex.
    pub id: String,
    /// One per name.
    pub user_accumulators: Vec<UserAccumulator>,
}
