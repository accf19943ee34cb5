use std::collections::BTreeMap;

use flott_core::{job_graph::plan::RestPlan, status::JobStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::IoMetrics;

/// Jobs by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobIds {
    /// One per job.
    pub jobs: Vec<JobIdWithStatus>,
}

/// A job by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobIdWithStatus {
    /// Its id.
    pub id: String,
    /// Its state.
    #[schema(value_type = String)]
    pub status: JobStatus,
}

/// Jobs in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobsOverview {
    /// One per job.
    pub jobs: Vec<JobOverview>,
}

/// A job in short. Times are milliseconds since the epoch, -1 for "not yet".
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobOverview {
    /// Its id.
    pub jid: String,
    /// Its name.
    pub name: String,
    /// `STREAMING` or `BATCH`.
    #[serde(rename = "jobType")]
    pub job_type: String,
    /// Always `Default`.
    #[serde(rename = "schedulerType")]
    pub scheduler_type: String,
    /// When it was accepted.
    pub start_time: i64,
    /// When it ended.
    pub end_time: i64,
    /// Milliseconds that it has run.
    pub duration: i64,
    /// Its state.
    #[schema(value_type = String)]
    pub state: JobStatus,
    /// When anything about it changed.
    pub last_modification: i64,
    /// Subtasks by state in lower case, and their `total`.
    pub tasks: BTreeMap<String, u32>,
    /// Always 0.
    pub pending_operators: u32,
}

/// The state of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobStatusInfo {
    /// The state.
    #[schema(value_type = String)]
    pub status: JobStatus,
}

/// A job with its vertices.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobDetails {
    /// Its id.
    pub jid: String,
    /// The same.
    pub application_id: String,
    /// Its name.
    pub name: String,
    /// Always false.
    #[serde(rename = "isStoppable")]
    pub is_stoppable: bool,
    /// Its state.
    #[schema(value_type = String)]
    pub state: JobStatus,
    /// `STREAMING` or `BATCH`.
    pub job_type: String,
    /// Always `Default`.
    #[serde(rename = "schedulerType")]
    pub scheduler_type: String,
    /// When it was accepted.
    pub start_time: i64,
    /// When it ended; -1 while it has not.
    pub end_time: i64,
    /// Milliseconds that it has run.
    pub duration: i64,
    /// Always -1.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: i64,
    /// When this was written.
    pub now: u64,
    /// When each state was entered; 0 for those that never were.
    pub timestamps: BTreeMap<String, u64>,
    /// Its vertices.
    pub vertices: Vec<JobVertexDetails>,
    /// Vertices by state.
    pub status_counts: BTreeMap<String, u32>,
    /// Its plan.
    #[schema(value_type = Object)]
    pub plan: RestPlan,
    /// Always 0.
    pub pending_operators: u32,
}

/// A vertex in the details of its job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobVertexDetails {
    /// Its id.
    pub id: String,
    /// Its slot sharing group, as an id.
    #[serde(rename = "slotSharingGroupId")]
    pub slot_sharing_group_id: String,
    /// Its name.
    pub name: String,
    /// Its key groups.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: u32,
    /// Its subtasks.
    pub parallelism: u32,
    /// The state of its subtasks together.
    pub status: String,
    /// When the first subtask was deployed; -1 for "not yet".
    pub start_time: i64,
    /// When the last subtask ended; -1 for "not yet".
    pub end_time: i64,
    /// Milliseconds between the two, or since the first.
    pub duration: i64,
    /// Subtasks by state.
    pub tasks: BTreeMap<String, u32>,
    /// Figures of all subtasks together.
    pub metrics: IoMetrics,
}

/// The plan of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanInfo {
    /// The plan.
    #[schema(value_type = Object)]
    pub plan: RestPlan,
}

/// The settings of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobConfig {
    /// Its id.
    pub jid: String,
    /// Its name.
    pub name: String,
    /// The settings.
    pub execution_config: ExecutionConfig,
}

/// The settings of a job that matter to its execution.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionConfig {
    /// The restart strategy in words.
    pub restart_strategy: String,
    /// `parallelism.default`.
    pub job_parallelism: u32,
    /// Always true: records are moved, never copied.
    pub object_reuse_mode: bool,
    /// The job's own configuration, secrets masked.
    pub user_config: BTreeMap<String, String>,
}

/// The failures of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobExceptions {
    /// Newest first.
    #[serde(rename = "exceptionHistory")]
    pub exception_history: ExceptionHistory,
}

/// Failures, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExceptionHistory {
    /// One per failure.
    pub entries: Vec<ExceptionEntry>,
    /// Whether there were more.
    pub truncated: bool,
}

/// A failure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionEntry {
    /// Its kind.
    pub exception_name: String,
    /// What happened, where, and why, over several lines.
    pub stacktrace: String,
    /// When.
    pub timestamp: u64,
    /// Always empty.
    pub failure_labels: BTreeMap<String, String>,
    /// The task that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_name: Option<String>,
    /// Host and data port of its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Its TaskManager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_manager_id: Option<String>,
    /// Failures that came with it; absent in these themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub concurrent_exceptions: Option<Vec<ExceptionEntry>>,
}

/// How a job ended, once it has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionResultInfo {
    /// Whether it has.
    pub status: QueueStatus,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_execution_result: Option<ExecutionResult>,
}

/// `IN_PROGRESS` or `COMPLETED`.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueStatus {
    /// Which.
    pub id: String,
}

/// How a job ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionResult {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `SUCCEEDED`, `FAILED` or `CANCELED`.
    pub application_status: String,
    /// Its accumulators; each value is JSON text.
    pub accumulator_results: BTreeMap<String, String>,
    /// Milliseconds that it has run.
    pub net_runtime: i64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<FailureCause>,
    /// The same id.
    pub application_id: String,
    /// When it was accepted.
    pub start_time: i64,
    /// When it ended.
    pub end_time: i64,
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FailureCause {
    /// Its kind.
    pub class: String,
    /// What happened, where, and why, over several lines.
    pub stack_trace: String,
    /// Always empty: there is no Java object.
    pub serialized_throwable: String,
}

/// The accumulators of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobAccumulators {
    /// Always empty.
    pub job_accumulators: Vec<String>,
    /// One per name.
    pub user_task_accumulators: Vec<UserAccumulator>,
    /// With `includeSerializedValue=true`: by name, as JSON text.
    pub serialized_user_task_accumulators: BTreeMap<String, String>,
}

/// An accumulator.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAccumulator {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value as text.
    pub value: String,
}

/// Where a submitted job is found.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobSubmitted {
    /// Path of the job.
    #[serde(rename = "jobUrl")]
    pub job_url: String,
}
