use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::StatsSummary;

/// The settings after which a job's parallelism is changed. Times are milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaleConfig {
    /// Changes that are remembered.
    pub rescale_history_max: usize,
    /// `REACTIVE`, or null.
    pub scheduler_execution_mode: Option<&'static str>,
    /// For the fewest slots that the job can run with.
    pub submission_resource_wait_timeout_in_millis: u64,
    /// For slots that are missing, before it makes do with those that are there.
    pub submission_resource_stabilization_timeout_in_millis: u64,
    /// Slots that a job does not need are given back at once.
    pub slot_idle_timeout_in_millis: u64,
    /// After a change.
    pub executing_cooldown_timeout_in_millis: u64,
    /// For more slots, before those that have come are used.
    pub executing_resource_stabilization_timeout_in_millis: u64,
    /// For the checkpoint that the job goes on from; then the latest one serves.
    pub maximum_delay_for_triggering_rescale_in_millis: u64,
    /// A checkpoint that fails is not tried again for it.
    pub rescale_on_failed_checkpoint_count: u32,
}

/// A change of a job's parallelism.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaleRecord {
    /// Of the change.
    pub rescale_uuid: String,
    /// Of what was wanted: the same for equal numbers.
    pub resource_requirements_uuid: String,
    /// 1: none is tried again.
    pub rescale_attempt_id: u64,
    /// By id; empty in lists.
    pub vertices: BTreeMap<String, RescaledVertex>,
    /// Empty: slots are not told.
    pub slots: BTreeMap<String, u32>,
    /// What the job went through; empty in lists.
    pub scheduler_states: Vec<SchedulerState>,
    /// When it was asked for, or seen to be possible.
    pub start_timestamp_in_millis: u64,
    /// When it was through or given up; null before.
    pub end_timestamp_in_millis: Option<u64>,
    /// `COMPLETED`, `FAILED`, or `IGNORED` where there was nothing to do; null before.
    pub terminal_state: Option<&'static str>,
    /// `UPDATE_REQUIREMENT`, `NEW_RESOURCE_AVAILABLE` or `RECOVERABLE_FAILOVER`.
    pub trigger_cause: &'static str,
    /// `SUCCEEDED`, `EXCEPTION_OCCURRED` or `NO_RESOURCES_OR_PARALLELISMS_CHANGE`; null before.
    pub terminated_reason: Option<&'static str>,
}

/// A vertex of a job whose parallelism is changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaledVertex {
    /// Which.
    pub job_vertex_id: String,
    /// Its name.
    pub job_vertex_name: String,
    /// Of those that share slots.
    pub slot_sharing_group_id: Option<String>,
    /// Its name.
    pub slot_sharing_group_name: Option<String>,
    /// Subtasks that were wanted.
    pub desired_parallelism: u32,
    /// Those that would do; the same.
    pub sufficient_parallelism: u32,
    /// Subtasks before.
    pub pre_rescale_parallelism: u32,
    /// Subtasks after; null where it was given up, or is under way.
    pub post_rescale_parallelism: Option<u32>,
}

/// Something that a job goes through while it is rescaled.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerState {
    /// `Executing` or `Restarting`.
    pub state: &'static str,
    /// When it began.
    pub enter_timestamp_in_millis: u64,
    /// When it ended; null before.
    pub leave_timestamp_in_millis: Option<u64>,
    /// How long it took; null before.
    pub duration_in_millis: Option<u64>,
    /// Why it ended so, if something went wrong.
    pub stringified_exception: Option<String>,
}

/// How many changes have ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaleCounts {
    /// There was nothing to do.
    pub ignored: u64,
    /// Under way.
    pub in_progress: u64,
    /// Through.
    pub completed: u64,
    /// Given up.
    pub failed: u64,
}

/// How a job's parallelism was changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaleOverview {
    /// How many.
    pub rescales_counts: RescaleCounts,
    /// The latest of each kind.
    pub latest: LatestRescales,
}

/// The latest of each kind; null where there was none.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatestRescales {
    /// That is through.
    pub completed: Option<RescaleRecord>,
    /// That was given up.
    pub failed: Option<RescaleRecord>,
    /// Without anything to do.
    pub ignored: Option<RescaleRecord>,
}

/// How long the changes of a job's parallelism took, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescaleSummary {
    /// How many.
    pub rescales_counts: RescaleCounts,
    /// Of all that have ended.
    pub rescales_duration_stats_in_millis: StatsSummary,
    /// Of those that are through.
    pub completed_rescales_duration_stats_in_millis: StatsSummary,
    /// Of those without anything to do.
    pub ignored_rescales_duration_stats_in_millis: StatsSummary,
    /// Of those that were given up.
    pub failed_rescales_duration_stats_in_millis: StatsSummary,
}
