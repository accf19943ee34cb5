use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The checkpoints of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointingStatistics {
    /// How many there were.
    pub counts: CheckpointCounts,
    /// Figures over all that were completed.
    pub summary: CheckpointSummary,
    /// The latest of each kind.
    pub latest: LatestCheckpoints,
    /// The latest, newest first.
    pub history: Vec<CheckpointStatistics>,
}

/// Checkpoints and savepoints by what has become of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointCounts {
    /// Times that tasks went back to one.
    pub restored: u64,
    /// All that were begun.
    pub total: u64,
    /// Those under way.
    pub in_progress: u64,
    /// Complete ones.
    pub completed: u64,
    /// Failed ones.
    pub failed: u64,
}

/// Figures over several checkpoints: extents over all, percentiles over the latest.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointSummary {
    /// Bytes stored for one.
    pub checkpointed_size: StatsSummary,
    /// Bytes of all files that one needs.
    pub state_size: StatsSummary,
    /// Milliseconds from the beginning until it was complete.
    pub end_to_end_duration: StatsSummary,
    /// Always 0.
    pub alignment_buffered: StatsSummary,
    /// Bytes of records that were processed between the first barrier of a task's input and the last, as far as they were
    /// encoded: behind barriers that overtake.
    pub processed_data: StatsSummary,
    /// Bytes of records that barriers have overtaken.
    pub persisted_data: StatsSummary,
}

/// A number, or the text `NaN` where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberOrNaN(pub Option<f64>);

impl Serialize for NumberOrNaN {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(number) => serializer.serialize_f64(number),
            None => serializer.serialize_str("NaN"),
        }
    }
}

/// A figure over several. Percentiles are numbers, or the text `NaN` where they are not known.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct StatsSummary {
    /// Least; 0 of none.
    pub min: i64,
    /// Greatest; 0 of none.
    pub max: i64,
    /// Mean, rounded down; 0 of none.
    pub avg: i64,
    /// Half of them are below.
    #[schema(value_type = Object)]
    pub p50: NumberOrNaN,
    /// 90 of 100.
    #[schema(value_type = Object)]
    pub p90: NumberOrNaN,
    /// 95 of 100.
    #[schema(value_type = Object)]
    pub p95: NumberOrNaN,
    /// 99 of 100.
    #[schema(value_type = Object)]
    pub p99: NumberOrNaN,
    /// 999 of 1000.
    #[schema(value_type = Object)]
    pub p999: NumberOrNaN,
}

/// The latest of each kind; null where there was none.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatestCheckpoints {
    /// The latest complete checkpoint.
    pub completed: Option<CheckpointStatistics>,
    /// The latest complete savepoint.
    pub savepoint: Option<CheckpointStatistics>,
    /// The latest that failed.
    pub failed: Option<CheckpointStatistics>,
    /// What tasks went back to last.
    pub restored: Option<RestoredCheckpoint>,
}

/// What tasks went back to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestoredCheckpoint {
    /// Its number.
    pub id: u64,
    /// When they did.
    pub restore_timestamp: i64,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// Where it is.
    pub external_path: String,
}

/// A checkpoint. Times are milliseconds since the epoch, -1 for "not yet".
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointStatistics {
    /// `in_progress`, `completed` or `failed`.
    #[serde(rename = "className")]
    pub class_name: &'static str,
    /// Its number.
    pub id: u64,
    /// The same in capitals.
    pub status: &'static str,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// `NATIVE`, of savepoints.
    #[serde(rename = "savepointFormat")]
    pub savepoint_format: Option<&'static str>,
    /// When it began.
    pub trigger_timestamp: i64,
    /// When a subtask reported last.
    pub latest_ack_timestamp: i64,
    /// Bytes stored for it.
    pub checkpointed_size: i64,
    /// Bytes of all files that it needs.
    pub state_size: i64,
    /// Milliseconds until it was complete or had failed; until now as long as it is under way.
    pub end_to_end_duration: i64,
    /// Always 0.
    pub alignment_buffered: i64,
    /// Bytes of records that were processed between the first barrier of a task's input and the last, as far as they were
    /// encoded: behind barriers that overtake.
    pub processed_data: i64,
    /// Bytes of records that barriers have overtaken.
    pub persisted_data: i64,
    /// Subtasks that take part.
    pub num_subtasks: u32,
    /// Subtasks that have reported or had finished.
    pub num_acknowledged_subtasks: u32,
    /// `CHECKPOINT`, `UNALIGNED_CHECKPOINT` or `SAVEPOINT`.
    pub checkpoint_type: &'static str,
    /// Its vertices by id; empty but in the details of one checkpoint.
    pub tasks: BTreeMap<String, TaskCheckpointStatistics>,
    /// Where it is, once it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_path: Option<String>,
    /// Whether it was removed since, of complete ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discarded: Option<bool>,
    /// When it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_timestamp: Option<i64>,
    /// Why; or, of one in progress, why nobody knows yet whether it is complete; or, of the latest complete one, why its results are not
    /// visible yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
}

/// A vertex in a checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskCheckpointStatistics {
    /// Number of the checkpoint.
    pub id: u64,
    /// State of the checkpoint.
    pub status: &'static str,
    /// When a subtask reported last; -1 for "not yet".
    pub latest_ack_timestamp: i64,
    /// Bytes stored for the checkpoint.
    pub checkpointed_size: i64,
    /// Bytes of all files that it needs.
    pub state_size: i64,
    /// Milliseconds from the beginning to the last report; -1 for "not yet".
    pub end_to_end_duration: i64,
    /// Always 0.
    pub alignment_buffered: i64,
    /// Bytes of records that were processed between the first barrier of a task's input and the last, as far as they were
    /// encoded: behind barriers that overtake.
    pub processed_data: i64,
    /// Bytes of records that barriers have overtaken.
    pub persisted_data: i64,
    /// Its subtasks.
    pub num_subtasks: u32,
    /// Those that have reported or had finished.
    pub num_acknowledged_subtasks: u32,
}

/// A vertex in a checkpoint with its subtasks.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskCheckpointDetails {
    /// The vertex.
    #[serde(flatten)]
    pub task: TaskCheckpointStatistics,
    /// Extents over its subtasks.
    pub summary: TaskCheckpointSummary,
    /// Its subtasks by index. Empty for an old checkpoint of a large job: figures of so many are not kept.
    pub subtasks: Vec<SubtaskCheckpointStatistics>,
}

/// Extents over the subtasks of a vertex.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskCheckpointSummary {
    /// Bytes stored for the checkpoint.
    pub checkpointed_size: StatsSummary,
    /// Bytes of all files that it needs.
    pub state_size: StatsSummary,
    /// Milliseconds from the beginning to the report.
    pub end_to_end_duration: StatsSummary,
    /// Milliseconds of the snapshot itself.
    pub checkpoint_duration: DurationSummary,
    /// The wait for the last barrier.
    pub alignment: AlignmentSummary,
    /// Always 0: not measured.
    pub start_delay: StatsSummary,
}

/// Milliseconds of snapshots.
#[derive(Debug, Serialize, ToSchema)]
pub struct DurationSummary {
    /// During which the task stood still.
    pub sync: StatsSummary,
    /// From then until all was stored.
    #[serde(rename = "async")]
    pub asynchronous: StatsSummary,
}

/// Waits for the last barrier.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlignmentSummary {
    /// Always 0.
    pub buffered: StatsSummary,
    /// Bytes of records that were processed between the first barrier of a task's input and the last, as far as they were
    /// encoded: behind barriers that overtake.
    pub processed: StatsSummary,
    /// Bytes of records that barriers have overtaken.
    pub persisted: StatsSummary,
    /// Milliseconds.
    pub duration: StatsSummary,
}

/// A subtask in a checkpoint. Only its index and state are there until it has reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskCheckpointStatistics {
    /// `completed` or `pending`.
    #[serde(rename = "className")]
    pub class_name: &'static str,
    /// Its index.
    pub index: u32,
    /// How it took part.
    #[serde(flatten)]
    pub figures: Option<SubtaskCheckpointFigures>,
    /// `completed` or `pending_or_failed`.
    pub status: &'static str,
}

/// How a subtask took part in a checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskCheckpointFigures {
    /// When it reported; -1 if it had finished before.
    pub ack_timestamp: i64,
    /// Milliseconds from the beginning to the report.
    pub end_to_end_duration: i64,
    /// Bytes stored for the checkpoint.
    pub checkpointed_size: i64,
    /// Bytes of all files that it needs.
    pub state_size: i64,
    /// Milliseconds of the snapshot itself.
    pub checkpoint: SubtaskDuration,
    /// The wait for the last barrier.
    pub alignment: SubtaskAlignment,
    /// Always 0: not measured.
    pub start_delay: i64,
    /// Whether its barrier has overtaken records, or was about to.
    pub unaligned_checkpoint: bool,
    /// Always false.
    pub aborted: bool,
}

/// Milliseconds of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskDuration {
    /// During which the task stood still.
    pub sync: i64,
    /// From then until all was stored.
    #[serde(rename = "async")]
    pub asynchronous: i64,
}

/// A wait for the last barrier.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubtaskAlignment {
    /// Always 0.
    pub buffered: i64,
    /// Bytes of records that were processed between the first barrier of a task's input and the last, as far as they were
    /// encoded: behind barriers that overtake.
    pub processed: i64,
    /// Bytes of records that barriers have overtaken.
    pub persisted: i64,
    /// Milliseconds.
    pub duration: i64,
}

/// The settings of a job's checkpoints; times in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointConfig {
    /// `exactly_once` or `at_least_once`.
    pub mode: &'static str,
    /// From the beginning of one to that of the next; 9223372036854775807 when none is taken but on request.
    pub interval: i64,
    /// After which one is given up.
    pub timeout: i64,
    /// Least time from the end of one to the beginning of the next.
    pub min_pause: i64,
    /// That may be under way at a time.
    pub max_concurrent: u32,
    /// What stays when the job ends without finishing.
    pub externalization: Externalization,
    /// `HashMapStateBackend`, or `EmbeddedRocksDBStateBackend` where state is kept on disk, as what that is closest to.
    pub state_backend: &'static str,
    /// Always `FileSystemCheckpointStorage`.
    pub checkpoint_storage: &'static str,
    /// Whether barriers may overtake records.
    pub unaligned_checkpoints: bool,
    /// That may fail in a row; 2147483647 for all.
    pub tolerable_failed_checkpoints: i32,
    /// Milliseconds that barriers wait before they do.
    pub aligned_checkpoint_timeout: i64,
    /// Always true.
    pub checkpoints_after_tasks_finish: bool,
    /// Always false.
    pub state_changelog_enabled: bool,
    /// Always 0: there is no changelog.
    pub changelog_periodic_materialization_interval: i64,
    /// Always `memory`: there is no changelog.
    pub changelog_storage: &'static str,
}

/// What stays when a job ends without finishing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Externalization {
    /// Whether checkpoints stay when the job fails.
    pub enabled: bool,
    /// Whether they go when it is cancelled.
    pub delete_on_cancellation: bool,
}
