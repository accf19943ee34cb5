//! What tasks of a job do and store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, CheckpointId, OperatorId, SubtaskIndex, VertexId, WorkerId},
    job_graph::{JobGraph, OperatorKind},
};
use flott_snapshot::{Manifest, VertexState};

/// What tasks of a job do.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Splits of each source.
    pub splits: u32,
    pub(super) sources: BTreeMap<VertexId, OperatorId>,
    pub(super) sinks: BTreeMap<VertexId, OperatorId>,
    /// What they store.
    pub(super) store: Arc<Mutex<FakeStore>>,
}

impl Profile {
    /// Tasks of `graph`, whose sources have so many splits each.
    pub fn of(graph: &JobGraph, splits: u32) -> Self {
        let of_kind = |kind| {
            let vertices = graph.vertices.iter();
            vertices
                .filter_map(|vertex| {
                    let operator = vertex.operators.iter().find(|operator| operator.kind == kind)?;
                    Some((vertex.id, operator.id))
                })
                .collect()
        };
        Self {
            splits,
            sources: of_kind(OperatorKind::Source),
            sinks: of_kind(OperatorKind::Sink),
            store: Arc::default(),
        }
    }

    /// What an attempt has prepared.
    pub fn prepared(&self, attempt: AttemptId, worker: &WorkerId) -> Vec<Bytes> {
        let store = self.store.lock().unwrap();
        store.prepared.get(&(attempt, worker.clone())).cloned().unwrap_or_default()
    }

    /// What commits that went well have made visible.
    pub fn visible(&self) -> BTreeSet<Bytes> {
        self.store.lock().unwrap().visible.clone()
    }

    /// A checkpoint is complete. An earlier JobMaster may have begun one of the same number that never was, with more subtasks, or
    /// with some that have finished since.
    pub fn stored(&self, manifest: &Manifest) {
        self.store.lock().unwrap().at.retain(|(checkpoint, vertex, subtask), _| {
            let of = manifest.vertices.iter().find(|of| of.id == *vertex);
            let took_part = |of: &VertexState| of.subtasks.get(subtask.0 as usize).is_some_and(|of| !of.finished);
            *checkpoint != manifest.checkpoint || of.is_some_and(took_part)
        });
    }

    /// Another JobMaster numbers its barriers by itself.
    pub fn forget_barriers(&self) {
        self.store.lock().unwrap().newest = None;
    }
}

/// What tasks have stored, as all TaskManagers of a cluster see it.
#[derive(Debug, Default)]
pub struct FakeStore {
    /// What a subtask had read at a barrier.
    pub(super) at: BTreeMap<(CheckpointId, VertexId, SubtaskIndex), Vec<Bytes>>,
    /// The newest barrier that sources have given.
    pub(super) newest: Option<CheckpointId>,
    /// What commits that went well have made visible.
    pub(super) visible: BTreeSet<Bytes>,
    /// What an attempt has prepared on a TaskManager, in the latest process there.
    pub(super) prepared: BTreeMap<(AttemptId, WorkerId), Vec<Bytes>>,
}
