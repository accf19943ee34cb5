//! The job at run time: every vertex, each of its subtasks, and each subtask's current attempt.
//!
//! The graph knows states and counts them, and nothing of slots, regions or processes beyond where an attempt was put.
//! A state changes by [`ExecutionGraph::step`] alone, so the counts are always right.

use std::collections::BTreeMap;

use flott_core::{
    failure::Failure,
    id::{AttemptId, AttemptNumber, SubtaskIndex},
    status::ExecutionState,
    view::{Accumulator, FURTHER_COUNTERS, VertexView},
};

use crate::{
    error::JobMasterError,
    index::{ExecutionIndex, Table, VertexIndex},
    time::Millis,
};

mod execution;
pub mod job_transition;
mod resolve;
pub mod transition;

pub use execution::{Execution, Host, Placement, Transition, add_accumulators};
pub use resolve::{Edge, Overrides, Resolved, SUBTASKS_MAX, Vertex};
use transition::{ExecutionStep, is_deployed};

/// Results of a job that have names of their own, other than those that finished subtasks have gathered.
const COUNTERS_MAX: usize = 4096;

/// All subtasks of a job with their current attempts.
#[derive(Debug, Clone)]
pub struct ExecutionGraph {
    resolved: Resolved,
    executions: Table<ExecutionIndex, Execution>,
    /// Attempts in each state.
    counts: [u32; ExecutionState::ALL.len()],
    /// Subtasks whose output is not there yet.
    undone: u32,
    /// Of each vertex.
    undone_of: Table<VertexIndex, u32>,
    /// The greatest number of an attempt of subtasks that there are no more, so that none has a number twice.
    retired: Option<AttemptNumber>,
}

impl ExecutionGraph {
    /// All attempts are number 0 and created at `now`.
    pub fn new(resolved: Resolved, now: Millis) -> Self {
        let executions: Vec<_> =
            resolved.owners().map(|(vertex, subtask)| Execution::new(vertex, SubtaskIndex(subtask), now)).collect();
        let mut counts = [0; ExecutionState::ALL.len()];
        counts[ExecutionState::Created as usize] = resolved.subtasks;
        let undone_of = resolved.vertices.values().map(|vertex| vertex.parallelism).collect();
        Self {
            undone: resolved.subtasks,
            undone_of: Table::new(undone_of),
            executions: Table::new(executions),
            counts,
            resolved,
            retired: None,
        }
    }

    /// Builds the graph of a job.
    ///
    /// # Errors
    /// When the job graph is inconsistent, or the default parallelism does not fit it.
    pub fn of_job(
        graph: &flott_core::job_graph::JobGraph,
        default_parallelism: u32,
        now: Millis,
    ) -> Result<Self, JobMasterError> {
        Ok(Self::new(Resolved::new(graph, default_parallelism)?, now))
    }

    /// The same job with other numbers of subtasks, all of them before their next attempts, which have one number. Every attempt
    /// has ended.
    #[must_use]
    pub fn rescaled(&self, resolved: Resolved, now: Millis) -> Self {
        let mut next = Self::new(resolved, now);
        next.retired = self.executions.values().map(|execution| execution.attempt).chain(self.retired).max();
        for execution in self.executions.values() {
            if let Some(index) = next.resolved.vertices[execution.vertex].execution(execution.subtask.0) {
                let mut kept = execution.clone();
                kept.reset(now);
                next.executions[index] = kept;
            }
        }
        let attempt = next.retired.map_or(AttemptNumber(0), AttemptNumber::next);
        for index in next.resolved.executions() {
            next.executions[index].attempt = attempt;
        }
        next
    }

    /// There was an attempt of a subtask that there is no more.
    pub fn note_retired(&mut self, attempt: AttemptNumber) {
        self.retired = self.retired.max(Some(attempt));
    }

    /// Vertices, edges and numbers.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// The vertex of a subtask.
    pub fn vertex_of(&self, execution: ExecutionIndex) -> &Vertex {
        &self.resolved.vertices[self.executions[execution].vertex]
    }

    /// A subtask.
    pub fn execution(&self, execution: ExecutionIndex) -> &Execution {
        &self.executions[execution]
    }

    /// A subtask, to write down what is not its state.
    pub fn execution_mut(&mut self, execution: ExecutionIndex) -> &mut Execution {
        &mut self.executions[execution]
    }

    /// All subtasks, in order.
    pub fn executions(&self) -> impl Iterator<Item = (ExecutionIndex, &Execution)> {
        self.executions.iter()
    }

    /// The full name of the current attempt.
    pub fn attempt_id(&self, execution: ExecutionIndex) -> AttemptId {
        let Execution { subtask, attempt, .. } = self.executions[execution];
        AttemptId { vertex: self.vertex_of(execution).id, subtask, attempt }
    }

    /// The subtask whose current attempt is `attempt`; `None` for older attempts and for what does not exist.
    pub fn current(&self, attempt: AttemptId) -> Option<ExecutionIndex> {
        let vertex = &self.resolved.vertices[*self.resolved.by_id.get(&attempt.vertex)?];
        let execution = vertex.execution(attempt.subtask.0)?;
        (self.executions[execution].attempt == attempt.attempt).then_some(execution)
    }

    /// Moves the current attempt; `None` if the step is late or repeated.
    pub fn step(&mut self, execution: ExecutionIndex, step: ExecutionStep, now: Millis) -> Option<Transition> {
        let transition = self.executions[execution].step(step, now)?;
        self.counts[transition.from as usize] -= 1;
        self.counts[transition.to as usize] += 1;
        Some(transition)
    }

    /// Begins the next attempt of a subtask whose current one has ended.
    pub fn reset(&mut self, execution: ExecutionIndex, now: Millis) {
        self.set_done(execution, false);
        self.counts[self.executions[execution].state as usize] -= 1;
        self.counts[ExecutionState::Created as usize] += 1;
        self.executions[execution].reset(now);
    }

    /// Says whether a subtask's output is there; `true` if that is news.
    pub fn set_done(&mut self, execution: ExecutionIndex, done: bool) -> bool {
        let entry = &mut self.executions[execution];
        if entry.done == done {
            return false;
        }
        entry.done = done;
        let of_vertex = &mut self.undone_of[entry.vertex];
        if done {
            self.undone -= 1;
            *of_vertex -= 1;
        } else {
            self.undone += 1;
            *of_vertex += 1;
        }
        true
    }

    /// Subtasks of `vertex` whose output is not there.
    pub fn undone_of(&self, vertex: VertexIndex) -> u32 {
        self.undone_of[vertex]
    }

    /// Whether every subtask has finished and nothing of it was lost.
    pub fn is_done(&self) -> bool {
        self.undone == 0
    }

    /// Whether all that has not finished runs, and something does.
    pub fn all_run(&self) -> bool {
        self.undone > 0 && self.count(ExecutionState::Running) == self.undone
    }

    /// Attempts that may be alive in a job process.
    pub fn deployed(&self) -> u32 {
        ExecutionState::ALL
            .iter()
            .zip(self.counts)
            .filter(|(state, _)| is_deployed(**state))
            .map(|(_, count)| count)
            .sum()
    }

    /// Attempts in `state`.
    pub fn count(&self, state: ExecutionState) -> u32 {
        self.counts[state as usize]
    }

    /// Fills in the place of a failure of `execution`, where it does not say more itself.
    pub fn locate(&self, execution: ExecutionIndex, failure: Failure) -> Failure {
        let (entry, vertex) = (&self.executions[execution], self.vertex_of(execution));
        failure.at(|place| {
            place.task.get_or_insert_with(|| vertex.name.clone());
            place.subtask.get_or_insert((entry.subtask.0, vertex.parallelism));
            place.attempt.get_or_insert(entry.attempt.0);
            if let Some(placement) = &entry.placement {
                place.worker.get_or_insert_with(|| placement.host.worker.worker.clone());
                place.host.get_or_insert_with(|| placement.host.location.data_address.to_string());
            }
        })
    }

    /// Results of all subtasks, merged by name: what those that have finished have left, and what the others have counted up to now. A
    /// result of another type than its namesakes is kept beside them under a name that says whose it is. Counters that find no place
    /// any more are added up as the further ones.
    pub fn accumulators(&self) -> BTreeMap<String, Accumulator> {
        let mut merged: BTreeMap<String, Accumulator> = BTreeMap::new();
        for (index, execution) in self.executions.iter() {
            for (name, value) in execution.results() {
                let finds_place = merged.len() < COUNTERS_MAX || merged.contains_key(&name);
                let name = match &value {
                    Accumulator::LongCounter(_) if !finds_place => FURTHER_COUNTERS.to_owned(),
                    _ => name,
                };
                match merged.get_mut(&name) {
                    None => drop(merged.insert(name, value)),
                    Some(sum) => {
                        if !sum.merge(value.clone()) {
                            merged.insert(format!("{name} ({})", self.attempt_id(index)), value);
                        }
                    }
                }
            }
        }
        merged
    }

    /// Vertices as people see them.
    pub fn views(&self) -> Vec<VertexView> {
        let view = |vertex: &Vertex| VertexView {
            id: vertex.id,
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            bounds: None,
            slot_sharing_group: vertex.group.clone(),
            subtasks: vertex.executions().map(|execution| self.executions[execution].subtask_view()).collect(),
        };
        self.resolved.vertices.values().map(view).collect()
    }
}
