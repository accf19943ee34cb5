//! A subtask, its current attempt, and those before it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use flott_core::{
    failure::Failure,
    id::{AllocationId, AttemptNumber, CheckpointId, SubtaskIndex, WorkerKey},
    message::{Committable, ProcessLocation},
    status::ExecutionState,
    view::{Accumulator, AttemptView, SubtaskView, TaskMetrics},
};

use super::transition::{self, ExecutionStep};
use crate::{index::VertexIndex, time::Millis};

/// Earlier attempts that are kept for people.
pub const PREVIOUS_MAX: usize = 16;

/// A job process in one of its lives; shared by all that runs in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its TaskManager.
    pub worker: WorkerKey,
    /// The process.
    pub location: ProcessLocation,
}

/// Where an attempt runs, or ran.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The slot.
    pub allocation: AllocationId,
    /// The process.
    pub host: Arc<Host>,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: ExecutionState,
    /// After.
    pub to: ExecutionState,
}

/// A subtask with its current attempt.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its vertex.
    pub vertex: VertexIndex,
    /// Which of its subtasks.
    pub subtask: SubtaskIndex,
    /// The current attempt.
    pub attempt: AttemptNumber,
    /// State of the current attempt.
    pub state: ExecutionState,
    /// When the current attempt entered each state.
    entered: [Option<Millis>; ExecutionState::ALL.len()],
    /// Where it runs; from its deployment on.
    pub placement: Option<Placement>,
    /// Latest figures.
    pub metrics: TaskMetrics,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What its sinks have prepared for checkpoints, and no complete checkpoint holds yet.
    pub prepared: Vec<(CheckpointId, Vec<Committable>)>,
    /// What its sinks have prepared at the end.
    pub committables: Vec<Committable>,
    /// Results by name of those that had finished in what it began from.
    pub inherited: BTreeMap<String, Accumulator>,
    /// Its own results by name, once it has finished. What it counts is in `metrics`.
    pub accumulators: BTreeMap<String, Accumulator>,
    /// Whether it has finished and its output still counts: what was lost, or is to be made again, does not.
    pub done: bool,
    /// Whether it has finished, but a process that held its output is gone.
    pub output_lost: bool,
    previous: VecDeque<AttemptView>,
}

impl Execution {
    /// Attempt 0, created at `now`.
    pub fn new(vertex: VertexIndex, subtask: SubtaskIndex, now: Millis) -> Self {
        let mut execution = Self {
            vertex,
            subtask,
            attempt: AttemptNumber(0),
            state: ExecutionState::Created,
            entered: Default::default(),
            placement: None,
            metrics: TaskMetrics::default(),
            failure: None,
            prepared: Vec::new(),
            committables: Vec::new(),
            inherited: BTreeMap::new(),
            accumulators: BTreeMap::new(),
            done: false,
            output_lost: false,
            previous: VecDeque::new(),
        };
        execution.enter(ExecutionState::Created, now);
        execution
    }

    fn enter(&mut self, state: ExecutionState, now: Millis) {
        self.state = state;
        self.entered[state as usize] = Some(now);
    }

    /// When the current attempt entered `state` last.
    pub fn entered(&self, state: ExecutionState) -> Option<Millis> {
        self.entered[state as usize]
    }

    /// Takes `step`; `None` if it changes nothing.
    pub fn step(&mut self, step: ExecutionStep, now: Millis) -> Option<Transition> {
        let from = self.state;
        let to = transition::step(from, step)?;
        self.enter(to, now);
        Some(Transition { from, to })
    }

    /// Takes the latest figures of the current attempt, whole; whoever knows none says that all are 0, and takes nothing away.
    pub fn note(&mut self, metrics: TaskMetrics) {
        if metrics != TaskMetrics::default() {
            self.metrics = metrics;
        }
    }

    /// Puts the current attempt, which has ended, into the history, and begins the next.
    pub fn reset(&mut self, now: Millis) {
        debug_assert!(self.state.is_terminal(), "an attempt is followed by another only when it has ended");
        if self.previous.len() == PREVIOUS_MAX {
            self.previous.pop_front();
        }
        let ended = self.view();
        self.previous.push_back(ended);
        let previous = std::mem::take(&mut self.previous);
        let attempt = self.attempt.next();
        *self = Self { attempt, previous, ..Self::new(self.vertex, self.subtask, now) };
    }

    /// What becomes visible with `checkpoint`, in which the subtask had `finished` or not.
    pub fn to_commit(&self, checkpoint: CheckpointId, finished: bool) -> impl Iterator<Item = Committable> {
        let prepared = self.prepared.iter().filter(move |(id, _)| *id <= checkpoint || finished);
        let last = self.committables.iter().filter(move |_| finished);
        prepared.flat_map(|(_, committables)| committables).chain(last).cloned()
    }

    /// Its results by name for a checkpoint in which it had `finished` or not.
    pub fn results_at(&self, finished: bool) -> BTreeMap<String, Accumulator> {
        if finished { self.results() } else { self.inherited.clone() }
    }

    /// Its results by name, as far as they are known.
    pub fn results(&self) -> BTreeMap<String, Accumulator> {
        let mut results = self.inherited.clone();
        add_accumulators(&mut results, self.accumulators.clone());
        add_accumulators(&mut results, self.metrics.counters.accumulators());
        results
    }

    /// All that is not part of a complete checkpoint.
    pub fn uncommitted(&self) -> impl Iterator<Item = Committable> {
        self.prepared.iter().flat_map(|(_, committables)| committables).chain(&self.committables).cloned()
    }

    /// `checkpoint` is complete: what [`to_commit`](Self::to_commit) gave is part of it.
    pub fn committed(&mut self, checkpoint: CheckpointId, finished: bool) {
        self.prepared.retain(|(id, _)| *id > checkpoint && !finished);
        if finished {
            self.committables.clear();
        }
    }

    /// The current attempt as people see it.
    pub fn view(&self) -> AttemptView {
        let entered = ExecutionState::ALL.iter().zip(&self.entered);
        let host = self.placement.as_ref().map(|placement| &placement.host);
        AttemptView {
            attempt: self.attempt.0,
            state: self.state,
            entered: entered.filter_map(|(state, at)| at.map(|at| (*state, at.0))).collect(),
            allocation: self.placement.as_ref().map(|placement| placement.allocation),
            worker: host.map(|host| host.worker.worker.clone()),
            endpoint: host.map(|host| host.location.data_address.to_string()),
            metrics: self.metrics.clone(),
            failure: self.failure.clone(),
        }
    }

    /// The subtask as people see it.
    pub fn subtask_view(&self) -> SubtaskView {
        SubtaskView { current: self.view(), previous: self.previous.iter().cloned().collect() }
    }
}

/// Adds results to those that are there. What is of another type than its namesake is kept beside it.
pub fn add_accumulators(known: &mut BTreeMap<String, Accumulator>, results: BTreeMap<String, Accumulator>) {
    for (name, result) in results {
        match known.get_mut(&name) {
            None => drop(known.insert(name, result)),
            Some(before) => {
                if !before.merge(result.clone()) {
                    known.insert(format!("{name} (later)"), result);
                }
            }
        }
    }
}
