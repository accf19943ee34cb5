//! What a checkpoint consists of, from what its tasks have reported.

use bytes::Bytes;
use flott_core::{
    id::{OperatorId, SubtaskIndex},
    job_graph::{JobVertex, OperatorSpec},
    key_group::{KeyGroupAssignment, MaxParallelism},
    message::Committable,
};
use flott_snapshot::{
    Checksum, Manifest, OperatorIdentity, ReaderSplits, SnapshotKind, SourceSplits, StateFile, SubtaskState,
    VertexState,
};

use super::promises::promise;
use crate::{
    checkpoints::Pending,
    commit::CommitQueue,
    execution_graph::{ExecutionGraph, Vertex},
    spec::JobSpec,
    time::Millis,
};

/// Puts a manifest together.
pub(super) struct Composer<'a> {
    pub graph: &'a ExecutionGraph,
    pub spec: &'a JobSpec,
    pub now: Millis,
    /// What earlier ones have made certain.
    pub commits: &'a CommitQueue,
}

impl Composer<'_> {
    pub fn manifest(&self, pending: &Pending) -> Manifest {
        let Pending { barrier, began, finished, sources, .. } = pending;
        let graph = &self.spec.graph;
        let vertices = graph.vertices.iter().zip(self.graph.resolved().vertices.values());
        let vertices = vertices.map(|(spec, vertex)| self.vertex_state(spec, vertex, pending)).collect();
        let sources = sources.iter().map(|cut| SourceSplits {
            source: cut.source,
            known: cut.known,
            splits: cut.unassigned.clone(),
        });
        let committables = self.graph.resolved().executions().flat_map(|execution| {
            let finished = finished.contains(&execution);
            self.graph.execution(execution).to_commit(barrier.checkpoint, finished)
        });
        Manifest {
            job_id: graph.job_id,
            job_name: graph.name.clone(),
            fingerprint: graph.fingerprint,
            kind: match barrier.kind {
                flott_core::checkpoint::SnapshotKind::Checkpoint => SnapshotKind::Checkpoint,
                flott_core::checkpoint::SnapshotKind::Savepoint => SnapshotKind::Savepoint,
            },
            checkpoint: barrier.checkpoint,
            epoch: self.spec.epoch,
            triggered_ms: began.0,
            completed_ms: self.now.0,
            vertices,
            sources: sources.collect(),
            committables: self.certain(pending).cloned().chain(committables).collect(),
        }
    }

    /// What earlier ones have made certain and is not visible yet.
    fn certain(&self, pending: &Pending) -> impl Iterator<Item = &Committable> {
        let is_held =
            |certain: &&Committable| pending.certain.as_ref().is_none_or(|held| held.contains(&promise(certain)));
        self.commits.open().filter(is_held)
    }

    fn vertex_state(&self, spec: &JobVertex, vertex: &Vertex, pending: &Pending) -> VertexState {
        let max = MaxParallelism::new(vertex.max_parallelism).unwrap_or(MaxParallelism::LARGEST);
        let groups = KeyGroupAssignment::new(max, vertex.parallelism).ok();
        let subtasks = vertex.executions().zip(0..).map(|(execution, subtask)| {
            let (files, in_flight, splits) = match pending.states.get(&execution) {
                Some(state) => (&state.files[..], &state.in_flight[..], &state.splits[..]),
                None => Default::default(),
            };
            let finished = pending.finished.contains(&execution);
            SubtaskState {
                finished,
                key_groups: groups.and_then(|groups| groups.range_of(SubtaskIndex(subtask))),
                files: files.iter().filter_map(stored_file).collect(),
                in_flight: in_flight.iter().filter_map(stored_file).collect(),
                splits: splits.iter().filter(|(_, left)| !left.is_empty()).map(reader_splits).collect(),
                accumulators: self.graph.execution(execution).results_at(finished),
            }
        });
        let operator = |operator: &OperatorSpec| OperatorIdentity {
            id: operator.id,
            name: operator.name.clone(),
            uid: operator.uid.clone(),
        };
        VertexState {
            id: vertex.id,
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            max_parallelism: max,
            operators: spec.operators.iter().map(operator).collect(),
            subtasks: subtasks.collect(),
        }
    }
}

fn reader_splits((source, splits): &(OperatorId, Vec<Bytes>)) -> ReaderSplits {
    ReaderSplits { source: *source, splits: splits.clone() }
}

fn stored_file(file: &flott_core::checkpoint::StateFile) -> Option<StateFile> {
    // Paths were looked at when they were reported.
    let path = file.path.parse().ok()?;
    Some(StateFile { path, bytes: file.bytes, checksum: Checksum(file.checksum) })
}
