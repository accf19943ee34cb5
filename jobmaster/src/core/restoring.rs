//! What tasks start from, and what a job takes over of what had finished in the snapshot that it starts from.
//!
//! State is found by operator. That a subtask had finished, and its results by name, are kept by subtask of a chain, and the chains of the job
//! may be cut otherwise than those of the snapshot: its operators have other vertices then.
//!
//! - A subtask had finished if that of all chains had which its operators come from (all subtasks, where there were more or fewer), if it has
//!   no source that is new, and if all of whatever feeds it had finished too. What had finished and is run again has no state and no splits
//!   left; its functions are told the end of their input a second time.
//! - Results by name go with the first operator of their chain that the job has. Those of a chain of which it has none are left behind, and a
//!   warning says so.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    checkpoint::{RestorePart, TaskRestore},
    failure::Failure,
    id::{OperatorId, SubtaskIndex, VertexId},
    key_group::KeyGroupRange,
    view::Accumulator,
};
use flott_snapshot::{Manifest, StateFile, VertexState};

use super::{JobMasterCore, RestorePoint, checkpointing::origin_of};
use crate::{execution_graph::add_accumulators, index::ExecutionIndex};

impl JobMasterCore {
    /// What a subtask starts from.
    pub(crate) fn restore_of(&self, execution: ExecutionIndex) -> Option<Box<TaskRestore>> {
        let RestorePoint { manifest, directory } = &**self.latest.as_ref()?;
        let vertex = self.graph.vertex_of(execution);
        let operators = self.operators_of(vertex.id);
        let owned = |stored: &&VertexState| shares(stored, &operators);
        // What its producers had not sent is in their files, which all subtasks read in the same order.
        let inputs: BTreeSet<OperatorId> =
            self.spec.graph.inputs_of(vertex.id).flat_map(|(_, edge)| self.operators_of(edge.source)).collect();
        let sends = |stored: &VertexState| shares(stored, &inputs);
        let streams = manifest.vertices.iter().filter(|stored| sends(stored) || owned(stored));
        let in_flight = streams.flat_map(|stored| &stored.subtasks).flat_map(|state| &state.in_flight);
        let in_flight = in_flight.map(named_file).collect();
        let mut parts = Vec::new();
        for stored in manifest.vertices.iter().filter(owned) {
            for (subtask, state) in (0..).zip(&stored.subtasks) {
                let files: Vec<_> = state.files.iter().map(named_file).collect();
                if !files.is_empty() {
                    let groups = state.key_groups.unwrap_or_else(|| KeyGroupRange::all(stored.max_parallelism));
                    parts.push(RestorePart {
                        subtask: SubtaskIndex(subtask),
                        parallelism: stored.parallelism,
                        groups,
                        files,
                    });
                }
            }
        }
        Some(Box::new(TaskRestore {
            origin: origin_of(manifest),
            directory: directory.clone(),
            parts,
            in_flight,
            finished: self.had_finished(execution, manifest),
            ignore_unclaimed: self.spec.snapshots.ignore_unclaimed,
        }))
    }

    /// The operators of a vertex of the job.
    fn operators_of(&self, vertex: VertexId) -> BTreeSet<OperatorId> {
        let spec = self.spec.graph.vertex(vertex);
        spec.into_iter().flat_map(|spec| &spec.operators).map(|operator| operator.id).collect()
    }

    fn has_operator(&self, operator: OperatorId) -> bool {
        self.spec.graph.vertices.iter().flat_map(|vertex| &vertex.operators).any(|known| known.id == operator)
    }

    /// Results by name of what had finished of a subtask. With another parallelism, the first takes those of all.
    pub(super) fn inherited_results(&self, execution: ExecutionIndex) -> BTreeMap<String, Accumulator> {
        let (vertex, mut inherited) = (self.graph.vertex_of(execution), BTreeMap::new());
        let Some(point) = &self.latest else { return inherited };
        let (operators, subtask) = (self.operators_of(vertex.id), self.graph.execution(execution).subtask);
        for stored in &point.manifest.vertices {
            let Some(place) = stored.operators.iter().position(|operator| operators.contains(&operator.id)) else {
                continue;
            };
            if stored.operators.iter().take(place).any(|earlier| self.has_operator(earlier.id)) {
                continue;
            }
            let results =
                stored.subtasks.iter().zip(0..).filter(|(_, index)| match stored.parallelism == vertex.parallelism {
                    true => *index == subtask.0,
                    false => subtask.0 == 0,
                });
            results.for_each(|(state, _)| add_accumulators(&mut inherited, state.accumulators.clone()));
        }
        inherited
    }

    /// Whether a subtask had finished, so that it has nothing to do any more: it and whatever feeds it, however far away, have [left
    /// nothing](Self::had_ended) to be done. (A subtask that ends at once takes nothing in, and whoever sends to it would wait for ever.)
    fn had_finished(&self, execution: ExecutionIndex, manifest: &Manifest) -> bool {
        let (mut open, mut seen, mut edges) = (vec![execution], BTreeSet::from([execution]), BTreeSet::new());
        let resolved = self.graph.resolved();
        while let Some(execution) = open.pop() {
            if !self.had_ended(execution, manifest) {
                return false;
            }
            let subtask = self.graph.execution(execution).subtask.0;
            for place in &self.graph.vertex_of(execution).inputs {
                let Some(edge) = resolved.edges.get(*place) else { continue };
                // All read from all of the same ones.
                if edge.ship.is_pointwise() || edges.insert(*place) {
                    open.extend(resolved.producers(edge, subtask).filter(|producer| seen.insert(*producer)));
                }
            }
        }
        true
    }

    /// Whether what a subtask consists of had processed all of its input then. Of each chain that its operators come from that is the
    /// same subtask, or all of them where there were more or fewer; a source that is new had not.
    fn had_ended(&self, execution: ExecutionIndex, manifest: &Manifest) -> bool {
        let vertex = self.graph.vertex_of(execution);
        let operators = self.operators_of(vertex.id);
        let subtask = self.graph.execution(execution).subtask.0 as usize;
        let mut owners = manifest.vertices.iter().filter(|stored| shares(stored, &operators)).peekable();
        let is_known = |source| manifest.vertices.iter().flat_map(|stored| &stored.operators).any(|of| of.id == source);
        owners.peek().is_some()
            && vertex.sources.iter().all(|source| is_known(*source))
            && owners.all(|stored| match stored.parallelism == vertex.parallelism {
                true => stored.subtasks.get(subtask).is_some_and(|state| state.finished),
                false => stored.subtasks.iter().all(|state| state.finished),
            })
    }

    /// Says what had finished, or has left results, and is of nobody any more.
    pub(super) fn warn_of_lost_results(&mut self) {
        let Some(point) = self.latest.clone() else { return };
        for stored in &point.manifest.vertices {
            let finished = stored.subtasks.iter().any(|state| state.finished);
            let names: BTreeSet<&String> = stored.subtasks.iter().flat_map(|state| state.accumulators.keys()).collect();
            let is_owned = stored.operators.iter().any(|operator| self.has_operator(operator.id));
            if is_owned || (!finished && names.is_empty()) {
                continue;
            }
            let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
            let results =
                if names.is_empty() { String::new() } else { format!(" with its results {}", names.join(", ")) };
            let warning = Failure::user(format!(
                "{:?} of the snapshot{} is left behind{results}: the job has none of its operators; give them the uids that they had",
                stored.name,
                if finished { " had finished, and" } else { "" },
            ));
            tracing::warn!(job = %self.spec.graph.job_id, %warning, "a job starts without something of its snapshot");
            // The next JobMaster may start from the same one.
            self.history.warn(self.now, warning);
        }
    }

    /// Regions are started again.
    pub(super) fn note_restored(&mut self) {
        if let Some(point) = &self.latest {
            self.checkpoints.note_restored(point.view(self.now));
        }
    }
}

/// Whether a vertex of the snapshot had one of these.
fn shares(stored: &VertexState, operators: &BTreeSet<OperatorId>) -> bool {
    stored.operators.iter().any(|operator| operators.contains(&operator.id))
}

fn named_file(file: &StateFile) -> flott_core::checkpoint::StateFile {
    flott_core::checkpoint::StateFile {
        path: file.path.as_str().to_owned(),
        bytes: file.bytes,
        checksum: file.checksum.0,
    }
}
