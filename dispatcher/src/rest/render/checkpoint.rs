use std::collections::BTreeMap;

use flott_core::{
    checkpoint::SnapshotKind,
    config::{
        Configuration,
        keys::{
            checkpointing::{self, CheckpointRetention, CheckpointingMode},
            state::{self, StateBackend},
        },
    },
    view::{
        CheckpointStatus, CheckpointView, CheckpointsView, Extent, FigureSummary, RestoredView, SubtaskSnapshotView,
        VertexSnapshotView,
    },
};

use super::{signed, time_or_not_yet};
use crate::rest::shapes::{
    AlignmentSummary, CheckpointConfig, CheckpointCounts, CheckpointStatistics, CheckpointSummary,
    CheckpointingStatistics, DurationSummary, Externalization, LatestCheckpoints, NumberOrNaN, RestoredCheckpoint,
    StatsSummary, SubtaskAlignment, SubtaskCheckpointFigures, SubtaskCheckpointStatistics, SubtaskDuration,
    TaskCheckpointDetails, TaskCheckpointStatistics, TaskCheckpointSummary,
};

/// The checkpoints of a job.
pub fn checkpointing(view: &CheckpointsView, now: u64) -> CheckpointingStatistics {
    let shown = |checkpoint: &CheckpointView| statistics(checkpoint, now);
    let zero = nothing(view.completed);
    CheckpointingStatistics {
        counts: CheckpointCounts {
            restored: view.restored,
            total: view.in_progress.saturating_add(view.completed).saturating_add(view.failed),
            in_progress: view.in_progress,
            completed: view.completed,
            failed: view.failed,
        },
        summary: CheckpointSummary {
            checkpointed_size: figure(&view.summary.stored_bytes),
            state_size: figure(&view.summary.state_bytes),
            end_to_end_duration: figure(&view.summary.duration_ms),
            alignment_buffered: zero,
            processed_data: figure(&view.summary.processed_bytes),
            persisted_data: figure(&view.summary.persisted_bytes),
        },
        latest: LatestCheckpoints {
            completed: view.latest_completed.as_ref().map(shown),
            savepoint: view.latest_savepoint.as_ref().map(shown),
            failed: view.latest_failed.as_ref().map(shown),
            restored: view.latest_restored.as_ref().map(restored),
        },
        history: view.history.iter().map(shown).collect(),
    }
}

fn restored(view: &RestoredView) -> RestoredCheckpoint {
    RestoredCheckpoint {
        id: view.id.0,
        restore_timestamp: signed(view.restored_at),
        is_savepoint: view.kind == SnapshotKind::Savepoint,
        external_path: view.location.clone(),
    }
}

/// A checkpoint with its vertices.
pub fn checkpoint_details(checkpoint: &CheckpointView, now: u64) -> CheckpointStatistics {
    let vertex = |vertex: &VertexSnapshotView| (vertex.id.to_string(), task(checkpoint, vertex));
    CheckpointStatistics { tasks: checkpoint.vertices.iter().map(vertex).collect(), ..statistics(checkpoint, now) }
}

fn status(checkpoint: &CheckpointView) -> (&'static str, &'static str) {
    match checkpoint.status {
        CheckpointStatus::InProgress => ("in_progress", "IN_PROGRESS"),
        CheckpointStatus::Completed => ("completed", "COMPLETED"),
        CheckpointStatus::Failed => ("failed", "FAILED"),
    }
}

fn statistics(checkpoint: &CheckpointView, now: u64) -> CheckpointStatistics {
    let (class_name, status) = status(checkpoint);
    let is_savepoint = checkpoint.kind == SnapshotKind::Savepoint;
    let ended_at = checkpoint.ended_at.unwrap_or(now);
    let of = |wanted| checkpoint.status == wanted;
    CheckpointStatistics {
        class_name,
        id: checkpoint.id.0,
        status,
        is_savepoint,
        savepoint_format: is_savepoint.then_some("NATIVE"),
        trigger_timestamp: signed(checkpoint.triggered_at),
        latest_ack_timestamp: time_or_not_yet(checkpoint.latest_report_at),
        checkpointed_size: signed(checkpoint.stored_bytes),
        state_size: signed(checkpoint.state_bytes),
        end_to_end_duration: signed(ended_at.saturating_sub(checkpoint.triggered_at)),
        alignment_buffered: 0,
        processed_data: signed(checkpoint.processed_bytes),
        persisted_data: signed(checkpoint.persisted_bytes),
        num_subtasks: checkpoint.tasks,
        num_acknowledged_subtasks: checkpoint.reported,
        checkpoint_type: match (is_savepoint, checkpoint.unaligned) {
            (true, _) => "SAVEPOINT",
            (false, true) => "UNALIGNED_CHECKPOINT",
            (false, false) => "CHECKPOINT",
        },
        tasks: BTreeMap::new(),
        external_path: checkpoint.location.clone(),
        discarded: of(CheckpointStatus::Completed).then_some(checkpoint.discarded),
        failure_timestamp: checkpoint.ended_at.filter(|_| of(CheckpointStatus::Failed)).map(signed),
        failure_message: checkpoint.failure.as_ref().map(|failure| failure.report()),
    }
}

fn task(checkpoint: &CheckpointView, vertex: &VertexSnapshotView) -> TaskCheckpointStatistics {
    let duration = vertex.latest_report_at.map(|at| at.saturating_sub(checkpoint.triggered_at));
    TaskCheckpointStatistics {
        id: checkpoint.id.0,
        status: status(checkpoint).1,
        latest_ack_timestamp: time_or_not_yet(vertex.latest_report_at),
        checkpointed_size: signed(vertex.stored_bytes.sum),
        state_size: signed(vertex.state_bytes.sum),
        end_to_end_duration: time_or_not_yet(duration),
        alignment_buffered: 0,
        processed_data: signed(vertex.processed_bytes.sum),
        persisted_data: signed(vertex.persisted_bytes.sum),
        num_subtasks: vertex.tasks,
        num_acknowledged_subtasks: vertex.reported,
    }
}

/// A vertex in a checkpoint with its subtasks.
pub fn checkpoint_task(checkpoint: &CheckpointView, vertex: &VertexSnapshotView) -> TaskCheckpointDetails {
    let zero = StatsSummary::default();
    TaskCheckpointDetails {
        task: task(checkpoint, vertex),
        summary: TaskCheckpointSummary {
            checkpointed_size: extent(&vertex.stored_bytes),
            state_size: extent(&vertex.state_bytes),
            end_to_end_duration: extent(&vertex.duration_ms),
            checkpoint_duration: DurationSummary {
                sync: extent(&vertex.sync_ms),
                asynchronous: extent(&vertex.async_ms),
            },
            alignment: AlignmentSummary {
                buffered: nothing(vertex.duration_ms.count),
                processed: extent(&vertex.processed_bytes),
                persisted: extent(&vertex.persisted_bytes),
                duration: extent(&vertex.alignment_ms),
            },
            start_delay: zero,
        },
        subtasks: subtasks(checkpoint, vertex),
    }
}

fn subtasks(checkpoint: &CheckpointView, vertex: &VertexSnapshotView) -> Vec<SubtaskCheckpointStatistics> {
    if (vertex.subtasks.len() as u64) < vertex.duration_ms.count {
        // They are not kept any more.
        return Vec::new();
    }
    let reported: BTreeMap<u32, _> = vertex.subtasks.iter().map(|snapshot| (snapshot.subtask.0, snapshot)).collect();
    let subtask = |index| {
        let figures = match reported.get(&index) {
            Some(snapshot) => Some(reported_figures(checkpoint, snapshot)),
            // Who has not reported had finished.
            None if checkpoint.status == CheckpointStatus::Completed => Some(figures_of(-1, 0, &Default::default())),
            None => None,
        };
        let (class_name, status) = match figures {
            Some(_) => ("completed", "completed"),
            None => ("pending", "pending_or_failed"),
        };
        SubtaskCheckpointStatistics { class_name, index, figures, status }
    };
    (0..vertex.tasks).map(subtask).collect()
}

fn reported_figures(checkpoint: &CheckpointView, snapshot: &SubtaskSnapshotView) -> SubtaskCheckpointFigures {
    let duration = snapshot.reported_at.saturating_sub(checkpoint.triggered_at);
    figures_of(signed(snapshot.reported_at), signed(duration), &snapshot.figures)
}

fn figures_of(
    ack_timestamp: i64,
    end_to_end_duration: i64,
    figures: &flott_core::checkpoint::SnapshotFigures,
) -> SubtaskCheckpointFigures {
    SubtaskCheckpointFigures {
        ack_timestamp,
        end_to_end_duration,
        checkpointed_size: signed(figures.stored_bytes),
        state_size: signed(figures.state_bytes),
        checkpoint: SubtaskDuration { sync: signed(figures.sync_ms), asynchronous: signed(figures.async_ms) },
        alignment: SubtaskAlignment {
            buffered: 0,
            processed: signed(figures.processed_bytes),
            persisted: signed(figures.persisted_bytes),
            duration: signed(figures.alignment_ms),
        },
        start_delay: 0,
        unaligned_checkpoint: figures.unaligned,
        aborted: false,
    }
}

fn extent(extent: &Extent) -> StatsSummary {
    StatsSummary {
        min: signed(extent.min),
        max: signed(extent.max),
        avg: signed(extent.mean()),
        ..StatsSummary::default()
    }
}

pub(super) fn figure(summary: &FigureSummary) -> StatsSummary {
    let percentiles = summary.percentiles;
    StatsSummary {
        p50: NumberOrNaN(percentiles.map(|percentiles| percentiles.p50)),
        p90: NumberOrNaN(percentiles.map(|percentiles| percentiles.p90)),
        p95: NumberOrNaN(percentiles.map(|percentiles| percentiles.p95)),
        p99: NumberOrNaN(percentiles.map(|percentiles| percentiles.p99)),
        p999: NumberOrNaN(percentiles.map(|percentiles| percentiles.p999)),
        ..extent(&summary.extent)
    }
}

/// A figure that is 0 for all of `count`.
fn nothing(count: u64) -> StatsSummary {
    let zero = NumberOrNaN((count > 0).then_some(0.0));
    StatsSummary { p50: zero, p90: zero, p95: zero, p99: zero, p999: zero, ..StatsSummary::default() }
}

/// The settings of a job's checkpoints.
pub fn checkpoint_config(configuration: &Configuration) -> CheckpointConfig {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let retention = configuration.get(&checkpointing::RETENTION);
    let tolerable = configuration.get(&checkpointing::TOLERABLE_FAILED);
    CheckpointConfig {
        mode: match configuration.get(&checkpointing::MODE) {
            CheckpointingMode::ExactlyOnce => "exactly_once",
            CheckpointingMode::AtLeastOnce => "at_least_once",
        },
        interval: match millis(configuration.get(&checkpointing::INTERVAL)) {
            0 => i64::MAX,
            interval => interval,
        },
        timeout: millis(configuration.get(&checkpointing::TIMEOUT)),
        min_pause: millis(configuration.get(&checkpointing::MIN_PAUSE)),
        max_concurrent: configuration.get(&checkpointing::MAX_CONCURRENT),
        externalization: Externalization {
            enabled: retention != CheckpointRetention::NoExternalizedCheckpoints,
            delete_on_cancellation: retention != CheckpointRetention::RetainOnCancellation,
        },
        state_backend: match configuration.get(&state::TYPE) {
            StateBackend::Hashmap => "HashMapStateBackend",
            StateBackend::Disk => "EmbeddedRocksDBStateBackend",
        },
        checkpoint_storage: "FileSystemCheckpointStorage",
        unaligned_checkpoints: configuration.get(&checkpointing::UNALIGNED),
        tolerable_failed_checkpoints: tolerable.map_or(i32::MAX, |most| i32::try_from(most).unwrap_or(i32::MAX)),
        aligned_checkpoint_timeout: millis(configuration.get(&checkpointing::ALIGNED_TIMEOUT)),
        checkpoints_after_tasks_finish: true,
        state_changelog_enabled: false,
        changelog_periodic_materialization_interval: 0,
        changelog_storage: "memory",
    }
}
