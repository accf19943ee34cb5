//! Checkpoints of earlier JobMasters, as they are shown: what their manifests tell of them.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    checkpoint::SnapshotKind,
    view::{CheckpointStatus, CheckpointView, Extent, VertexSnapshotView},
};
use flott_snapshot::{Manifest, StateFile, VertexState};

/// A complete checkpoint that lies at `location`. A manifest has sizes, and when the checkpoint began and was complete; times of
/// single tasks it does not have.
pub fn found(manifest: &Manifest, location: String) -> CheckpointView {
    let vertices: Vec<_> = manifest.vertices.iter().map(|vertex| of_vertex(manifest, vertex)).collect();
    let tasks = manifest.vertices.iter().map(|vertex| vertex.parallelism).sum();
    let mut in_flight = manifest.vertices.iter().flat_map(|vertex| &vertex.subtasks).flat_map(|state| &state.in_flight);
    CheckpointView {
        id: manifest.checkpoint,
        kind: SnapshotKind::Checkpoint,
        status: CheckpointStatus::Completed,
        triggered_at: manifest.triggered_ms,
        ended_at: Some(manifest.completed_ms),
        latest_report_at: Some(manifest.completed_ms),
        tasks,
        reported: tasks,
        stored_bytes: bytes(manifest.files().filter(|file| is_new(manifest, file))),
        state_bytes: manifest.state_bytes(),
        alignment_ms_max: 0,
        sync_ms_max: 0,
        async_ms_max: 0,
        processed_bytes: 0,
        persisted_bytes: 0,
        unaligned: in_flight.next().is_some(),
        location: Some(location),
        discarded: false,
        vertices,
        failure: None,
    }
}

fn of_vertex(manifest: &Manifest, vertex: &VertexState) -> VertexSnapshotView {
    let (mut stored_bytes, mut state_bytes) = (Extent::default(), Extent::default());
    // Who had finished has not reported.
    for state in vertex.subtasks.iter().filter(|state| !state.finished) {
        let files = state.files.iter().chain(&state.in_flight);
        stored_bytes.add(bytes(files.clone().filter(|file| is_new(manifest, file))));
        state_bytes.add(bytes(files));
    }
    VertexSnapshotView {
        id: vertex.id,
        tasks: vertex.parallelism,
        reported: vertex.parallelism,
        latest_report_at: Some(manifest.completed_ms),
        stored_bytes,
        state_bytes,
        duration_ms: Extent::default(),
        alignment_ms: Extent::default(),
        sync_ms: Extent::default(),
        async_ms: Extent::default(),
        processed_bytes: Extent::default(),
        persisted_bytes: Extent::default(),
        subtasks: Arc::default(),
    }
}

/// Whether a file was written for this checkpoint: others are those of earlier ones that it builds on.
fn is_new(manifest: &Manifest, file: &StateFile) -> bool {
    file.path.checkpoint() == Some(manifest.checkpoint)
}

/// A file that several subtasks share counts once.
fn bytes<'a>(files: impl Iterator<Item = &'a StateFile>) -> u64 {
    let distinct: BTreeMap<_, _> = files.map(|file| (&file.path, file.bytes)).collect();
    distinct.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
}
