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
        FigureSummary { extent: self.extent, percentiles: percentiles(&sorted) }
    }
}

fn percentiles(sorted: &[u64]) -> Option<Percentiles> {
    let at = |percent| percentile(sorted, percent);
    Some(Percentiles { p50: at(50.0)?, p90: at(90.0)?, p95: at(95.0)?, p99: at(99.0)?, p999: at(99.9)? })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_nearest_ranks() {
        #[track_caller]
        fn check(sorted: &[u64], expected: Option<(f64, f64, f64)>) {
            assert_eq!(percentiles(sorted).map(|found| (found.p50, found.p90, found.p999)), expected);
        }
        check(&[], None);
        check(&[7], Some((7.0, 7.0, 7.0)));
        check(&[10, 20], Some((15.0, 20.0, 20.0)));
        // Ranks 7 and 8 of 14, and 13.5.
        check(&[35, 36, 37, 38, 40, 41, 43, 44, 45, 50, 63, 80, 117, 329], Some((43.5, 223.0, 329.0)));
    }

    #[test]
    fn extents_are_over_all_and_percentiles_over_the_latest() {
        let mut figure = Figure::default();
        (0..1000).for_each(|value| figure.add(value));
        let view = figure.view();
        assert_eq!((view.extent.min, view.extent.max, view.extent.count), (0, 999, 1000));
        assert_eq!(view.percentiles.map(|percentiles| percentiles.p50), Some(871.5));
    }
}
