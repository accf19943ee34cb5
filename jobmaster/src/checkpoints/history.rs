//! What people see of a job's checkpoints.

use std::collections::VecDeque;

use flott_core::{
    checkpoint::{Barrier, SnapshotFigures},
    failure::Failure,
    id::CheckpointId,
    view::{CheckpointStatus, CheckpointView, CheckpointsView},
};

use crate::time::Millis;

/// Checkpoints that are remembered.
pub const HISTORY_MAX: usize = 16;

/// The latest checkpoints with their figures, and counts of all.
#[derive(Debug, Clone, Default)]
pub struct CheckpointHistory {
    view: CheckpointsView,
    /// Oldest first.
    entries: VecDeque<CheckpointView>,
}

impl CheckpointHistory {
    pub(super) fn new(restored: Option<CheckpointId>) -> Self {
        let mut history = Self::default();
        if restored.is_some() {
            history.restored();
        }
        history
    }

    /// As it is shown, newest first.
    pub fn view(&self) -> CheckpointsView {
        CheckpointsView { history: self.entries.iter().rev().cloned().collect(), ..self.view.clone() }
    }

    pub(super) fn restored(&mut self) {
        self.view.restored += 1;
    }

    pub(super) fn began(&mut self, barrier: Barrier, tasks: usize, now: Millis) {
        self.view.in_progress += 1;
        if self.entries.len() == HISTORY_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(CheckpointView {
            id: barrier.checkpoint,
            kind: barrier.kind,
            status: CheckpointStatus::InProgress,
            triggered_at: now.0,
            ended_at: None,
            latest_report_at: None,
            tasks: tasks as u32,
            reported: 0,
            stored_bytes: 0,
            state_bytes: 0,
            alignment_ms_max: 0,
            sync_ms_max: 0,
            async_ms_max: 0,
            failure: None,
        });
    }

    fn entry(&mut self, checkpoint: CheckpointId) -> Option<&mut CheckpointView> {
        self.entries.iter_mut().rev().find(|entry| entry.id == checkpoint)
    }

    pub(super) fn reported(&mut self, checkpoint: CheckpointId, figures: SnapshotFigures, now: Millis) {
        if let Some(entry) = self.entry(checkpoint) {
            entry.reported += 1;
            entry.latest_report_at = Some(now.0);
            entry.stored_bytes += figures.stored_bytes;
            entry.state_bytes += figures.state_bytes;
            entry.alignment_ms_max = entry.alignment_ms_max.max(figures.alignment_ms);
            entry.sync_ms_max = entry.sync_ms_max.max(figures.sync_ms);
            entry.async_ms_max = entry.async_ms_max.max(figures.async_ms);
        }
    }

    fn ended(&mut self, checkpoint: CheckpointId, status: CheckpointStatus, failure: Option<Failure>, now: Millis) {
        self.view.in_progress = self.view.in_progress.saturating_sub(1);
        if let Some(entry) = self.entry(checkpoint) {
            entry.status = status;
            entry.ended_at = Some(now.0);
            entry.failure = failure;
        }
    }

    pub(super) fn completed(&mut self, checkpoint: CheckpointId, now: Millis) {
        self.view.completed += 1;
        self.ended(checkpoint, CheckpointStatus::Completed, None, now);
    }

    pub(super) fn failed(&mut self, checkpoint: CheckpointId, failure: Failure, now: Millis) {
        self.view.failed += 1;
        self.ended(checkpoint, CheckpointStatus::Failed, Some(failure), now);
    }
}
