//! What people see of a job's checkpoints.
//!
//! What is kept is bounded: so many checkpoints, and the figures of so many subtasks, of which the newest checkpoint that
//! has ended and the one under way keep all of theirs.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use flott_core::{
    checkpoint::{Barrier, SnapshotFigures, SnapshotKind},
    failure::Failure,
    id::{CheckpointId, SubtaskIndex, VertexId},
    view::{
        CheckpointStatus, CheckpointView, CheckpointsView, Extent, RestoredView, SubtaskSnapshotView,
        VertexSnapshotView,
    },
};

use super::summary::Summary;
use crate::{execution_graph::Resolved, index::ExecutionIndex, time::Millis};

/// Checkpoints that are remembered, unless more are under way.
pub const HISTORY_MAX: usize = 16;
/// Figures of subtasks that are remembered beyond those of the newest checkpoints. They are archived with the job.
const SUBTASKS_MAX: usize = 1024;

/// A vertex, as far as its checkpoints go.
#[derive(Debug, Clone, Copy)]
struct Vertex {
    id: VertexId,
    first: ExecutionIndex,
    parallelism: u32,
}

/// The latest checkpoints with their figures, and counts of all.
#[derive(Debug, Clone)]
pub struct CheckpointHistory {
    vertices: Vec<Vertex>,
    view: CheckpointsView,
    summary: Summary,
    /// Oldest first.
    entries: VecDeque<CheckpointView>,
    /// Why what the latest complete one holds is not visible.
    invisible: Option<Failure>,
}

fn vertices(graph: &Resolved) -> Vec<Vertex> {
    let vertex = |vertex: &crate::execution_graph::Vertex| Vertex {
        id: vertex.id,
        first: vertex.first,
        parallelism: vertex.parallelism,
    };
    graph.vertices.values().map(vertex).collect()
}

impl CheckpointHistory {
    /// Begins with those of earlier JobMasters, the oldest first. Counts and figures over all are of this one's own.
    pub(super) fn new(graph: &Resolved, found: Vec<CheckpointView>) -> Self {
        let excess = found.len().saturating_sub(HISTORY_MAX);
        let mut history = Self {
            vertices: vertices(graph),
            view: CheckpointsView::default(),
            summary: Summary::default(),
            entries: found.into_iter().skip(excess).collect(),
            invisible: None,
        };
        history.view.latest_completed = history.newest(CheckpointStatus::Completed);
        history.view.latest_failed = history.newest(CheckpointStatus::Failed);
        history
    }

    /// The newest checkpoint that is remembered of those that stand so, and are there.
    fn newest(&self, status: CheckpointStatus) -> Option<CheckpointView> {
        let is_it = |entry: &&CheckpointView| {
            entry.kind == SnapshotKind::Checkpoint && entry.status == status && !entry.discarded
        };
        self.entries.iter().rev().find(is_it).cloned()
    }

    pub(super) fn rescaled(&mut self, graph: &Resolved) {
        self.vertices = vertices(graph);
    }

    /// As it is shown, newest first.
    pub fn view(&self) -> CheckpointsView {
        let mut view = CheckpointsView { history: self.entries.iter().rev().cloned().collect(), ..self.view.clone() };
        if let (Some(_), Some(latest)) = (&self.invisible, &mut view.latest_completed) {
            let shown = view.history.iter_mut().filter(|entry| entry.id == latest.id);
            shown.for_each(|entry| entry.failure.clone_from(&self.invisible));
            latest.failure.clone_from(&self.invisible);
        }
        view
    }

    /// What the latest complete one holds has become visible, or cannot as yet.
    pub(super) fn visible(&mut self, result: Result<(), Failure>) {
        self.invisible = result.err();
    }

    pub(super) fn restored(&mut self, what: RestoredView) {
        self.view.restored += 1;
        self.view.latest_restored = Some(what);
    }

    pub(super) fn began(&mut self, barrier: Barrier, finished: &BTreeSet<ExecutionIndex>, now: Millis) {
        self.view.in_progress += 1;
        if self.entries.len() >= HISTORY_MAX
            && let Some(oldest) = self.entries.iter().position(|entry| entry.status != CheckpointStatus::InProgress)
        {
            self.entries.remove(oldest);
        }
        let vertex = |vertex: &Vertex| VertexSnapshotView {
            id: vertex.id,
            tasks: vertex.parallelism,
            reported: 0,
            latest_report_at: None,
            stored_bytes: Extent::default(),
            state_bytes: Extent::default(),
            duration_ms: Extent::default(),
            alignment_ms: Extent::default(),
            sync_ms: Extent::default(),
            async_ms: Extent::default(),
            processed_bytes: Extent::default(),
            persisted_bytes: Extent::default(),
            subtasks: Arc::default(),
        };
        self.entries.push_back(CheckpointView {
            id: barrier.checkpoint,
            kind: barrier.kind,
            status: CheckpointStatus::InProgress,
            triggered_at: now.0,
            ended_at: None,
            latest_report_at: None,
            tasks: self.vertices.iter().map(|vertex| vertex.parallelism).sum(),
            reported: 0,
            stored_bytes: 0,
            state_bytes: 0,
            alignment_ms_max: 0,
            sync_ms_max: 0,
            async_ms_max: 0,
            processed_bytes: 0,
            persisted_bytes: 0,
            unaligned: false,
            location: None,
            discarded: false,
            vertices: self.vertices.iter().map(vertex).collect(),
            failure: None,
        });
        finished.iter().for_each(|execution| self.finished(barrier.checkpoint, *execution));
    }

    fn entry(&mut self, checkpoint: CheckpointId) -> Option<&mut CheckpointView> {
        self.entries.iter_mut().rev().find(|entry| entry.id == checkpoint)
    }

    /// The place of its vertex, and which subtask of it.
    fn place_of(&self, execution: ExecutionIndex) -> Option<(usize, SubtaskIndex)> {
        let place = self.vertices.partition_point(|vertex| vertex.first <= execution).checked_sub(1)?;
        let subtask = execution.0 - self.vertices.get(place)?.first.0;
        Some((place, SubtaskIndex(subtask)))
    }

    /// A task had finished: nothing is awaited from it.
    pub(super) fn finished(&mut self, checkpoint: CheckpointId, execution: ExecutionIndex) {
        let place = self.place_of(execution);
        if let Some(entry) = self.entry(checkpoint) {
            entry.reported += 1;
            if let Some(vertex) = place.and_then(|(place, _)| entry.vertices.get_mut(place)) {
                vertex.reported += 1;
            }
        }
    }

    pub(super) fn reported(
        &mut self,
        checkpoint: CheckpointId,
        execution: ExecutionIndex,
        figures: SnapshotFigures,
        now: Millis,
    ) {
        let place = self.place_of(execution);
        let Some(entry) = self.entry(checkpoint) else { return };
        entry.reported += 1;
        entry.latest_report_at = Some(now.0);
        entry.stored_bytes = entry.stored_bytes.saturating_add(figures.stored_bytes);
        entry.state_bytes = entry.state_bytes.saturating_add(figures.state_bytes);
        entry.alignment_ms_max = entry.alignment_ms_max.max(figures.alignment_ms);
        entry.sync_ms_max = entry.sync_ms_max.max(figures.sync_ms);
        entry.async_ms_max = entry.async_ms_max.max(figures.async_ms);
        entry.processed_bytes = entry.processed_bytes.saturating_add(figures.processed_bytes);
        entry.persisted_bytes = entry.persisted_bytes.saturating_add(figures.persisted_bytes);
        entry.unaligned |= figures.unaligned;
        let triggered_at = entry.triggered_at;
        let Some((place, subtask)) = place else { return };
        let Some(vertex) = entry.vertices.get_mut(place) else { return };
        vertex.reported += 1;
        vertex.latest_report_at = Some(now.0);
        vertex.stored_bytes.add(figures.stored_bytes);
        vertex.state_bytes.add(figures.state_bytes);
        vertex.duration_ms.add(now.0.saturating_sub(triggered_at));
        vertex.alignment_ms.add(figures.alignment_ms);
        vertex.sync_ms.add(figures.sync_ms);
        vertex.async_ms.add(figures.async_ms);
        vertex.processed_bytes.add(figures.processed_bytes);
        vertex.persisted_bytes.add(figures.persisted_bytes);
        // Copied only if somebody is looking at it just now.
        Arc::make_mut(&mut vertex.subtasks).push(SubtaskSnapshotView { subtask, reported_at: now.0, figures });
    }

    fn ended(&mut self, checkpoint: CheckpointId, end: impl FnOnce(&mut CheckpointView)) -> Option<CheckpointView> {
        self.view.in_progress = self.view.in_progress.saturating_sub(1);
        let entry = self.entry(checkpoint)?;
        end(entry);
        let ended = entry.clone();
        self.forget_subtasks();
        Some(ended)
    }

    /// Drops the figures of subtasks of the oldest checkpoints that have ended, when there are too many.
    fn forget_subtasks(&mut self) {
        let mut kept = 0;
        let ended = |entry: &&mut CheckpointView| entry.status != CheckpointStatus::InProgress;
        for (place, entry) in self.entries.iter_mut().rev().filter(ended).enumerate() {
            kept += entry.vertices.iter().map(|vertex| vertex.subtasks.len()).sum::<usize>();
            if place > 0 && kept > SUBTASKS_MAX {
                entry.vertices.iter_mut().for_each(|vertex| vertex.subtasks = Arc::default());
            }
        }
    }

    /// One is complete; of the checkpoints, only those in `retained` are still there.
    pub(super) fn completed(
        &mut self,
        checkpoint: CheckpointId,
        location: String,
        retained: &VecDeque<CheckpointId>,
        now: Millis,
    ) {
        self.view.completed += 1;
        let ended = self.ended(checkpoint, |entry| {
            entry.status = CheckpointStatus::Completed;
            entry.failure = None;
            entry.ended_at = Some(now.0);
            entry.location = Some(location);
        });
        for entry in &mut self.entries {
            entry.discarded |= entry.kind == SnapshotKind::Checkpoint
                && entry.status == CheckpointStatus::Completed
                && !retained.contains(&entry.id);
        }
        let Some(ended) = ended else { return };
        self.summary.completed(&ended);
        self.view.summary = self.summary.view();
        match ended.kind {
            SnapshotKind::Checkpoint => self.view.latest_completed = Some(ended),
            SnapshotKind::Savepoint => self.view.latest_savepoint = Some(ended),
        }
    }

    /// One that was complete cannot be restored.
    pub(super) fn damaged(&mut self, checkpoint: CheckpointId, failure: &Failure, now: Millis) {
        if let Some(entry) = self.entry(checkpoint) {
            entry.status = CheckpointStatus::Failed;
            entry.ended_at = Some(now.0);
            entry.failure = Some(failure.clone());
            self.view.latest_failed = Some(entry.clone());
        }
        if self.view.latest_completed.as_ref().is_some_and(|latest| latest.id == checkpoint) {
            self.view.latest_completed = self.newest(CheckpointStatus::Completed);
        }
    }

    /// All have reported, and whether it is complete is not known; this is why.
    pub(super) fn undecided(&mut self, checkpoint: CheckpointId, failure: Failure) {
        if let Some(entry) = self.entry(checkpoint) {
            entry.failure = Some(failure);
        }
    }

    pub(super) fn failed(&mut self, checkpoint: CheckpointId, failure: Failure, now: Millis) {
        self.view.failed += 1;
        let ended = self.ended(checkpoint, |entry| {
            entry.status = CheckpointStatus::Failed;
            entry.ended_at = Some(now.0);
            entry.failure = Some(failure);
        });
        self.view.latest_failed = ended.or_else(|| self.view.latest_failed.take());
    }
}
