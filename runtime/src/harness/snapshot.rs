//! Snapshots of all tasks of a harness, kept in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    checkpoint::Barrier,
    failure::Failure,
    id::{AttemptId, OperatorId, SubtaskIndex},
    job_graph::JobGraph,
    message::TaskDeployment,
};
use parking_lot::Mutex;

use crate::{
    batch::Timestamp,
    error::TaskResult,
    snapshot::{
        Chunk, Cut, Piece, Restored, RestoredTask, Section, SnapshotPort, TaskSnapshots, groups, in_flight::Segment,
    },
    state::Extent,
};

/// What all operators remembered where barriers cut the streams.
#[derive(Debug, Clone)]
pub struct HarnessSnapshot {
    /// What the clock said.
    pub now: Timestamp,
    pub(super) operators: BTreeMap<OperatorId, OperatorState>,
    /// Records that barriers have overtaken.
    pub(super) in_flight: Vec<Segment>,
}

/// What an operator remembered.
#[derive(Debug, Clone)]
pub(super) struct OperatorState {
    max_parallelism: u32,
    chunks: Vec<(SubtaskIndex, Section, Chunk)>,
}

impl HarnessSnapshot {
    /// Entries that belong to keys, in states, timers and what operators keep by themselves.
    pub fn keyed_entries(&self) -> usize {
        let chunks = self.operators.values().flat_map(|operator| &operator.chunks);
        chunks.filter(|(_, _, chunk)| chunk.group.is_some()).map(|(_, _, chunk)| chunk.count).sum()
    }

    /// Checks that every operator in it is one of `graph`, with as many key groups.
    pub(super) fn fits(&self, graph: &JobGraph, tasks: &[TaskDeployment]) -> TaskResult {
        for (operator, OperatorState { max_parallelism, .. }) in &self.operators {
            let vertex =
                graph.vertices.iter().find(|vertex| vertex.operators.iter().any(|known| known.id == *operator));
            let Some(vertex) = vertex else {
                let message =
                    format!("the snapshot holds the state of operator {operator}, which the pipeline does not have");
                return Err(Box::new(Failure::user(message).fatal()));
            };
            let task = tasks.iter().find(|task| task.attempt.vertex == vertex.id);
            if let Some(task) = task.filter(|task| task.max_parallelism != *max_parallelism) {
                let message = format!(
                    "{:?} has {} key groups, and had {max_parallelism} in the snapshot: set its maximum parallelism",
                    vertex.name, task.max_parallelism
                );
                return Err(Box::new(Failure::user(message).fatal()));
            }
        }
        Ok(())
    }
}

/// Where tasks give what they remember.
#[derive(Default)]
pub(super) struct Cuts(Mutex<Vec<Given>>);

/// A cut of a task, with the state of its operators.
pub(super) struct Given {
    pub attempt: AttemptId,
    pub pieces: Vec<Piece>,
    pub in_flight: Vec<Piece>,
    /// When all was given.
    pub cut: Option<Cut>,
}

impl SnapshotPort for Cuts {
    fn begin(&self, attempt: AttemptId, _: Barrier) -> Extent {
        self.0.lock().push(Given { attempt, pieces: Vec::new(), in_flight: Vec::new(), cut: None });
        Extent::Whole
    }

    fn give(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(given) = self.0.lock().iter_mut().rfind(|given| given.attempt == attempt) {
            given.pieces.extend(pieces);
        }
    }

    fn give_in_flight(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(given) = self.0.lock().iter_mut().rfind(|given| given.attempt == attempt) {
            given.in_flight.extend(pieces);
        }
    }

    fn has_room(&self, _: AttemptId) -> bool {
        true
    }

    fn store(&self, attempt: AttemptId, cut: Cut) {
        if let Some(given) = self.0.lock().iter_mut().rfind(|given| given.attempt == attempt) {
            given.cut = Some(cut);
        }
    }
}

impl Cuts {
    /// Whether as many tasks as are `running` have given all of theirs.
    pub fn are_whole(&self, running: usize) -> bool {
        let given = self.0.lock();
        given.len() == running && given.iter().all(|given| given.cut.is_some())
    }

    /// Takes out what was given.
    pub fn take(&self) -> Vec<Given> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// What a task knows of snapshots when it starts from one, or from nothing.
pub(super) fn of_task(
    task: &TaskDeployment,
    graph: &JobGraph,
    from: Option<&HarnessSnapshot>,
    cuts: &Arc<Cuts>,
) -> TaskSnapshots {
    let (subtask, parallelism, max) = (task.attempt.subtask, task.parallelism, task.max_parallelism);
    let held = groups(subtask, parallelism, max).held;
    let mut operators = BTreeMap::new();
    let own: BTreeSet<OperatorId> =
        graph.vertex(task.attempt.vertex).iter().flat_map(|vertex| &vertex.operators).map(|known| known.id).collect();
    for (operator, state) in from.iter().flat_map(|from| &from.operators).filter(|(id, _)| own.contains(id)) {
        let restored = Restored::new(subtask, parallelism);
        for (before, section, chunk) in &state.chunks {
            if chunk.group.is_none_or(|group| held.contains(group)) {
                restored.add(section.clone(), *before, chunk.clone());
            }
        }
        operators.insert(*operator, restored);
    }
    let snapshots = TaskSnapshots::new(subtask, parallelism, max, &graph.configuration, cuts.clone());
    let is_own = |segment: &&Segment| {
        own.contains(&segment.edge.consumer) && (segment.consumers != parallelism || segment.to == subtask)
    };
    let segments = from.iter().flat_map(|from| &from.in_flight).filter(is_own).cloned();
    snapshots.restore(RestoredTask::new(operators, false).with_in_flight(segments));
    snapshots
}

/// Puts together what all tasks have given for one barrier; `max_parallelism` says it of a task.
pub(super) fn gather(
    now: Timestamp,
    cuts: Vec<Given>,
    max_parallelism: impl Fn(AttemptId) -> u32,
) -> TaskResult<HarnessSnapshot> {
    let (mut operators, mut segments) = (BTreeMap::new(), Vec::new());
    for Given { attempt, pieces, in_flight, cut } in cuts {
        let cut = cut.ok_or_else(|| Failure::internal("a task has not given all that it remembers"))?;
        if let Some(failure) = cut.failure {
            return Err(failure);
        }
        for (operator, section, chunk) in pieces {
            let state = || OperatorState { max_parallelism: max_parallelism(attempt), chunks: Vec::new() };
            operators.entry(operator).or_insert_with(state).chunks.push((attempt.subtask, section, chunk));
        }
        for (_, _, chunk) in in_flight {
            segments.extend(Segment::of_chunk(&chunk)?);
        }
    }
    Ok(HarnessSnapshot { now, operators, in_flight: segments })
}
