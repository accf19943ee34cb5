//! A job process: tasks that initialize, run for a while, and end.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    failure::Failure,
    id::{AttemptId, JobId},
    message::{Committable, HostToJob, JobToHost, TaskStateChange},
    status::ExecutionState,
    view::TaskMetrics,
};

use super::jobs::Profile;
use crate::random::Random;

/// A task, and what it will do next.
#[derive(Debug)]
struct Task {
    state: ExecutionState,
    stuck: bool,
}

/// A job process.
#[derive(Debug)]
pub struct Host {
    pub job: JobId,
    /// Does not end before it is killed.
    pub is_stuck: bool,
    tasks: BTreeMap<AttemptId, Task>,
    known: BTreeSet<AttemptId>,
}

/// What a message makes a process do.
#[derive(Debug, Default)]
pub struct Reaction {
    pub says: Vec<HostToJob>,
    /// Tasks that go on by a step, after that many milliseconds.
    pub steps: Vec<(u64, AttemptId)>,
}

impl Host {
    pub fn new(job: JobId) -> Self {
        Self { job, is_stuck: false, tasks: BTreeMap::new(), known: BTreeSet::new() }
    }

    /// Attempts that run.
    pub fn running(&self) -> usize {
        self.tasks.values().filter(|task| task.state == ExecutionState::Running).count()
    }

    pub fn receive(&mut self, random: &mut Random, message: JobToHost) -> Reaction {
        let mut reaction = Reaction::default();
        match message {
            JobToHost::Deploy(deployment) => {
                for attempt in deployment.tasks.into_iter().map(|task| task.attempt) {
                    if self.known.insert(attempt) {
                        self.tasks.insert(attempt, Task { state: ExecutionState::Deploying, stuck: false });
                        reaction.steps.push((random.within(1..=20), attempt));
                    }
                }
            }
            JobToHost::Cancel(attempts) => {
                for attempt in attempts {
                    let ended = self.known.contains(&attempt) && !self.tasks.contains_key(&attempt);
                    if self.tasks.get(&attempt).is_some_and(|task| task.stuck) || ended {
                        continue;
                    }
                    // An attempt that was never deployed must not come up later.
                    self.known.insert(attempt);
                    self.tasks.remove(&attempt);
                    reaction.says.push(report(attempt, ExecutionState::Canceled));
                }
            }
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                reaction.says.push(HostToJob::SplitsEnumerated { attempt, source, result: Ok(Vec::new()) });
            }
            JobToHost::AssignSplit { .. } | JobToHost::GroupWatermark { .. } | JobToHost::Snapshot { .. } => {}
            JobToHost::Commit { round, .. } => reaction.says.push(HostToJob::Committed { round, result: Ok(()) }),
            JobToHost::Abort => reaction.says.push(HostToJob::Aborted { result: Ok(()) }),
        }
        reaction
    }

    /// A task goes on. `failures` and `stuck` are shares in a thousand.
    pub fn step(
        &mut self,
        random: &mut Random,
        profile: &Profile,
        (failures, stuck): (u32, u32),
        attempt: AttemptId,
    ) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(task) = self.tasks.get_mut(&attempt) else { return reaction };
        task.state = match task.state {
            ExecutionState::Deploying => {
                reaction.steps.push((random.within(1..=50), attempt));
                ExecutionState::Initializing
            }
            ExecutionState::Initializing => {
                task.stuck = random.per_mille(stuck);
                reaction.steps.push((random.within(1..=profile.work_ms_max), attempt));
                ExecutionState::Running
            }
            ExecutionState::Running if random.per_mille(failures) => ExecutionState::Failed,
            ExecutionState::Running => ExecutionState::Finished,
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Finished
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Failed
            | ExecutionState::Reconciling => return reaction,
        };
        let state = task.state;
        let mut said = report(attempt, state);
        if let HostToJob::TaskState(change) = &mut said {
            if state == ExecutionState::Failed {
                change.failure = Some(Failure::user("division by zero"));
            }
            if let Some(sink) = profile.sinks.get(&attempt.vertex).filter(|_| state == ExecutionState::Finished) {
                change.committables.push(Committable { sink: *sink, attempt, data: attempt.to_string().into() });
            }
        }
        reaction.says.push(said);
        if state.is_terminal() {
            self.tasks.remove(&attempt);
        }
        reaction
    }
}

fn report(attempt: AttemptId, state: ExecutionState) -> HostToJob {
    HostToJob::TaskState(TaskStateChange {
        attempt,
        state,
        failure: None,
        metrics: TaskMetrics::default(),
        committables: Vec::new(),
        accumulators: BTreeMap::new(),
    })
}
