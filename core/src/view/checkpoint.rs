//! Checkpoints as people see them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::{SnapshotFigures, SnapshotKind},
    failure::Failure,
    id::{CheckpointId, SubtaskIndex, VertexId},
};

/// What has become of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointStatus {
    /// Its tasks report, or it is being stored.
    InProgress,
    /// It can be restored.
    Completed,
    /// It was given up.
    Failed,
}

/// Least, greatest and sum of a figure over those that have reported it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Extent {
    /// Least; 0 of none.
    pub min: u64,
    /// Greatest; 0 of none.
    pub max: u64,
    /// All together.
    pub sum: u64,
    /// How many have reported it.
    pub count: u64,
}

impl Extent {
    /// Takes in one more.
    pub fn add(&mut self, figure: u64) {
        self.min = if self.count == 0 { figure } else { self.min.min(figure) };
        self.max = self.max.max(figure);
        self.sum = self.sum.saturating_add(figure);
        self.count += 1;
    }

    /// The mean, rounded down; 0 of none.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }
}

/// How one subtask took part in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskSnapshotView {
    /// Which.
    pub subtask: SubtaskIndex,
    /// When it reported.
    pub reported_at: u64,
    /// Its figures.
    pub figures: SnapshotFigures,
}

/// How a vertex took part in a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VertexSnapshotView {
    /// Which.
    pub id: VertexId,
    /// Its subtasks, those that had finished included.
    pub tasks: u32,
    /// Those that have reported or had finished.
    pub reported: u32,
    /// When one reported last.
    pub latest_report_at: Option<u64>,
    /// Bytes stored for the checkpoint.
    pub stored_bytes: Extent,
    /// Bytes of all files that it needs.
    pub state_bytes: Extent,
    /// Milliseconds from the beginning of the checkpoint to the report.
    pub duration_ms: Extent,
    /// Milliseconds from the first barrier of an input to the last.
    pub alignment_ms: Extent,
    /// Milliseconds for which tasks stood still.
    pub sync_ms: Extent,
    /// Milliseconds from then until all was stored.
    pub async_ms: Extent,
    /// Bytes of records that were processed between the first barrier of an input and the last, as far as they were encoded.
    #[serde(default)]
    pub processed_bytes: Extent,
    /// Bytes of records that barriers have overtaken.
    #[serde(default)]
    pub persisted_bytes: Extent,
    /// Those that have reported, in that order; of old checkpoints of a large job they are not kept.
    pub subtasks: Arc<Vec<SubtaskSnapshotView>>,
}

/// A checkpoint with its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckpointView {
    /// Its number.
    pub id: CheckpointId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// What has become of it.
    pub status: CheckpointStatus,
    /// When it began.
    pub triggered_at: u64,
    /// When it was complete, or given up.
    pub ended_at: Option<u64>,
    /// When a task reported last.
    pub latest_report_at: Option<u64>,
    /// Tasks that take part, those that had finished included.
    pub tasks: u32,
    /// Tasks that have reported or had finished.
    pub reported: u32,
    /// Bytes stored for it.
    pub stored_bytes: u64,
    /// Bytes of all files that it needs.
    pub state_bytes: u64,
    /// Longest wait of a task for the last of its barriers.
    pub alignment_ms_max: u64,
    /// Longest standstill of a task.
    pub sync_ms_max: u64,
    /// Longest time that a task took to store its state.
    pub async_ms_max: u64,
    /// Bytes of records that were processed between the first barrier of an input and the last, as far as they were encoded.
    #[serde(default)]
    pub processed_bytes: u64,
    /// Bytes of records that barriers have overtaken.
    #[serde(default)]
    pub persisted_bytes: u64,
    /// Whether a barrier has overtaken anything, or was about to.
    #[serde(default)]
    pub unaligned: bool,
    /// Where it is, once it is complete: what a job can be started from.
    #[serde(default)]
    pub location: Option<String>,
    /// Whether it was removed since.
    #[serde(default)]
    pub discarded: bool,
    /// Its vertices, in the order of the job graph.
    #[serde(default)]
    pub vertices: Vec<VertexSnapshotView>,
    /// Why it was given up; or, of one in progress, why nobody knows yet whether it is complete.
    pub failure: Option<Failure>,
}

/// What tasks have gone back to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RestoredView {
    /// The checkpoint.
    pub id: CheckpointId,
    /// What it was.
    pub kind: SnapshotKind,
    /// When tasks went back to it.
    pub restored_at: u64,
    /// Where it is.
    pub location: String,
    /// Whether it was removed since.
    #[serde(default)]
    pub discarded: bool,
}

/// Percentiles of a figure over the latest checkpoints that were completed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Percentiles {
    /// Half of them are below.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
}

impl Percentiles {
    /// Of numbers that are sorted; nothing of none.
    pub fn of(sorted: &[u64]) -> Option<Self> {
        let at = |percent| percentile(sorted, percent);
        Some(Self { p50: at(50.0)?, p90: at(90.0)?, p95: at(95.0)?, p99: at(99.0)?, p999: at(99.9)? })
    }
}

/// Between the two nearest ranks of n + 1, as Flink's: number 6 of Hyndman and Fan, *Sample quantiles in statistical
/// packages*, 1996.
fn percentile(sorted: &[u64], percent: f64) -> Option<f64> {
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let position = percent / 100.0 * (sorted.len() + 1) as f64;
    if position < 1.0 {
        return Some(first as f64);
    }
    let rank = position.floor();
    let neighbours = (sorted.get(rank as usize - 1), sorted.get(rank as usize));
    Some(match neighbours {
        (Some(&lower), Some(&upper)) => lower as f64 + (position - rank) * (upper - lower) as f64,
        _ => last as f64,
    })
}

/// A figure over all checkpoints that were completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct FigureSummary {
    /// Over all.
    pub extent: Extent,
    /// Over the latest; `None` of none.
    pub percentiles: Option<Percentiles>,
}

/// Figures over all checkpoints and savepoints that were completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CheckpointsSummary {
    /// Bytes stored for one.
    pub stored_bytes: FigureSummary,
    /// Bytes of all files that one needs.
    pub state_bytes: FigureSummary,
    /// Milliseconds from its beginning until it was complete.
    pub duration_ms: FigureSummary,
    /// Bytes of records that were processed while some inputs of a task waited for others.
    pub processed_bytes: FigureSummary,
    /// Bytes of records that barriers have overtaken.
    pub persisted_bytes: FigureSummary,
}

/// The checkpoints of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CheckpointsView {
    /// Complete ones.
    pub completed: u64,
    /// Failed ones.
    pub failed: u64,
    /// Those under way.
    pub in_progress: u64,
    /// Times that tasks went back to one.
    pub restored: u64,
    /// Figures over all.
    pub summary: CheckpointsSummary,
    /// The latest checkpoint that is complete.
    pub latest_completed: Option<CheckpointView>,
    /// The latest savepoint that is complete.
    pub latest_savepoint: Option<CheckpointView>,
    /// The latest that was given up.
    pub latest_failed: Option<CheckpointView>,
    /// What tasks went back to last.
    pub latest_restored: Option<RestoredView>,
    /// Whether the job has ended without making visible what the latest holds. Nothing else knows of that, so it is kept whatever
    /// its retention.
    pub holds_results: bool,
    /// The latest, newest first.
    pub history: Vec<CheckpointView>,
}

impl CheckpointsView {
    /// One by its number, as long as it is remembered.
    pub fn find(&self, id: CheckpointId) -> Option<&CheckpointView> {
        let latest = [&self.latest_completed, &self.latest_savepoint, &self.latest_failed];
        self.history.iter().chain(latest.into_iter().flatten()).find(|checkpoint| checkpoint.id == id)
    }

    /// What a job that goes on from here is started from: the latest checkpoint or savepoint that is there, else what this
    /// one has gone back to.
    pub fn resumable(&self) -> Option<&str> {
        let complete = [&self.latest_completed, &self.latest_savepoint].into_iter().flatten();
        let latest = complete.filter(|view| !view.discarded).max_by_key(|view| view.id);
        let restored = self.latest_restored.as_ref().filter(|restored| !restored.discarded);
        latest.and_then(|view| view.location.as_deref()).or(restored.map(|restored| restored.location.as_str()))
    }

    /// Notes that all checkpoints were removed; savepoints stay.
    pub fn note_discarded(&mut self) {
        let all = self.history.iter_mut().chain(&mut self.latest_completed);
        all.filter(|view| view.kind == SnapshotKind::Checkpoint && view.status == CheckpointStatus::Completed)
            .for_each(|view| view.discarded = true);
        if let Some(restored) = &mut self.latest_restored {
            restored.discarded |= restored.kind == SnapshotKind::Checkpoint;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_of_none_is_zero_and_of_one_is_that() {
        let mut extent = Extent::default();
        assert_eq!((extent.min, extent.max, extent.mean()), (0, 0, 0));
        extent.add(7);
        assert_eq!((extent.min, extent.max, extent.mean()), (7, 7, 7));
        extent.add(2);
        assert_eq!((extent.min, extent.max, extent.mean(), extent.count), (2, 7, 4, 2));
    }

    #[test]
    fn a_job_goes_on_from_the_latest_that_is_there() {
        #[track_caller]
        fn check(view: &CheckpointsView, expected: Option<&str>) {
            assert_eq!(view.resumable(), expected);
        }
        let complete = |id, kind, location: &str| CheckpointView {
            id: CheckpointId(id),
            kind,
            status: CheckpointStatus::Completed,
            triggered_at: 0,
            ended_at: Some(1),
            latest_report_at: Some(1),
            tasks: 1,
            reported: 1,
            stored_bytes: 0,
            state_bytes: 0,
            alignment_ms_max: 0,
            sync_ms_max: 0,
            async_ms_max: 0,
            processed_bytes: 0,
            persisted_bytes: 0,
            unaligned: false,
            location: Some(location.to_owned()),
            discarded: false,
            vertices: Vec::new(),
            failure: None,
        };
        let mut view = CheckpointsView::default();
        check(&view, None);
        view.latest_restored = Some(RestoredView {
            id: CheckpointId(9),
            kind: SnapshotKind::Savepoint,
            restored_at: 0,
            location: "/other".to_owned(),
            discarded: false,
        });
        check(&view, Some("/other"));
        view.latest_savepoint = Some(complete(2, SnapshotKind::Savepoint, "/savepoint"));
        check(&view, Some("/savepoint"));
        view.latest_completed = Some(complete(3, SnapshotKind::Checkpoint, "/checkpoint"));
        check(&view, Some("/checkpoint"));
        view.note_discarded();
        check(&view, Some("/savepoint"));
    }

    #[test]
    fn percentiles_lie_between_the_nearest_ranks() {
        #[track_caller]
        fn check(sorted: &[u64], expected: Option<(f64, f64, f64)>) {
            assert_eq!(Percentiles::of(sorted).map(|found| (found.p50, found.p90, found.p999)), expected);
        }
        check(&[], None);
        check(&[7], Some((7.0, 7.0, 7.0)));
        check(&[10, 20], Some((15.0, 20.0, 20.0)));
        // Ranks 7 and 8 of 14, and 13.5.
        check(&[35, 36, 37, 38, 40, 41, 43, 44, 45, 50, 63, 80, 117, 329], Some((43.5, 223.0, 329.0)));
    }
}
