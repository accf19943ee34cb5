//! Figures over all checkpoints of a job that were completed.

use std::collections::VecDeque;

use flott_core::view::{CheckpointView, CheckpointsSummary, Extent, FigureSummary, Percentiles};

/// Checkpoints that percentiles are taken over.
const LATEST: usize = 256;

#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    stored_bytes: Figure,
    state_bytes: Figure,
    duration_ms: Figure,
    processed_bytes: Figure,
    persisted_bytes: Figure,
}

#[derive(Debug, Clone, Default)]
struct Figure {
    extent: Extent,
    /// Oldest first.
    latest: VecDeque<u64>,
}

impl Summary {
    pub fn completed(&mut self, checkpoint: &CheckpointView) {
        self.stored_bytes.add(checkpoint.stored_bytes);
        self.state_bytes.add(checkpoint.state_bytes);
        let ended_at = checkpoint.ended_at.unwrap_or(checkpoint.triggered_at);
        self.duration_ms.add(ended_at.saturating_sub(checkpoint.triggered_at));
        self.processed_bytes.add(checkpoint.processed_bytes);
        self.persisted_bytes.add(checkpoint.persisted_bytes);
    }

    pub fn view(&self) -> CheckpointsSummary {
        CheckpointsSummary {
            stored_bytes: self.stored_bytes.view(),
            state_bytes: self.state_bytes.view(),
            duration_ms: self.duration_ms.view(),
            processed_bytes: self.processed_bytes.view(),
            persisted_bytes: self.persisted_bytes.view(),
        }
    }
}

impl Figure {
    fn add(&mut self, value: u64) {
        self.extent.add(value);
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
    }

    fn view(&self) -> FigureSummary {
        let mut sorted: Vec<u64> = self.latest.iter().copied().collect();
        sorted.sort_unstable();
        FigureSummary { extent: self.extent, percentiles: Percentiles::of(&sorted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_over_all_and_percentiles_over_the_latest() {
        let mut figure = Figure::default();
        (0..1000).for_each(|value| figure.add(value));
        let view = figure.view();
        assert_eq!((view.extent.min, view.extent.max, view.extent.count), (0, 999, 1000));
        assert_eq!(view.percentiles.map(|percentiles| percentiles.p50), Some(871.5));
    }
}
