//! A job process: tasks that initialize, run for a while or read splits, take part in checkpoints, and end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Behind, SnapshotFigures, SnapshotReport, SubtaskState},
    failure::Failure,
    id::{AttemptId, CheckpointId, JobId, JobMasterEpoch, OperatorId, ProcessId},
    message::{Committable, HostToJob, JobToHost, TaskStateChange},
    status::ExecutionState,
    view::TaskMetrics,
};

use super::{
    jobs::Profile,
    outside::{Newest, Outside, Split},
};
use crate::random::Random;

/// Longest time between two records of a source, and two looks for a barrier, in milliseconds.
const PACE_MS: u64 = 200;

/// A task, and what it will do next.
#[derive(Debug)]
struct Task {
    state: ExecutionState,
    stuck: bool,
    /// It has nothing to do: its subtask had finished in the checkpoint that it starts from.
    had_finished: bool,
    /// The newest barrier that it has come to.
    barrier: Newest,
    /// When one that reads no splits has worked for long enough.
    ends_at: Option<u64>,
    reading: Reading,
}

/// How far a source is.
#[derive(Debug, Default)]
struct Reading {
    /// What it has of splits; more than one if what it said has come twice.
    splits: VecDeque<Split>,
    has_asked: bool,
    /// There are no more.
    is_over: bool,
    /// It reads nothing more: the job stops.
    stands_still: bool,
    /// What was read and nothing was prepared for.
    records: Vec<String>,
}

/// A job process.
#[derive(Debug)]
pub struct Host {
    pub job: JobId,
    /// Does not end before it is killed.
    pub is_stuck: bool,
    /// Of the newest JobMaster that it has heard of.
    pub epoch: JobMasterEpoch,
    process: ProcessId,
    tasks: BTreeMap<AttemptId, Task>,
    known: BTreeSet<AttemptId>,
    prepared_ever: u64,
}

/// What a message makes a process do.
#[derive(Debug, Default)]
pub struct Reaction {
    pub says: Vec<HostToJob>,
    /// Tasks that go on by a step, after that many milliseconds.
    pub steps: Vec<(u64, AttemptId)>,
}

/// What goes wrong in a process, as shares in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mishaps {
    /// Tasks that fail.
    pub tasks: u32,
    /// Tasks that do not stop.
    pub stuck: u32,
    /// Commits that fail when they are half done.
    pub commits: u32,
}

/// What a process sees of the world.
pub struct Surroundings<'a> {
    pub random: &'a mut Random,
    pub profile: &'a Profile,
    pub outside: &'a mut Outside,
    pub mishaps: Mishaps,
    pub now: u64,
}

impl Host {
    pub fn new(job: JobId, process: ProcessId, epoch: JobMasterEpoch) -> Self {
        let (tasks, known) = Default::default();
        Self { job, is_stuck: false, epoch, process, tasks, known, prepared_ever: 0 }
    }

    /// Attempts that run.
    pub fn running(&self) -> usize {
        self.tasks.values().filter(|task| task.state == ExecutionState::Running).count()
    }

    pub fn receive(&mut self, around: &mut Surroundings<'_>, message: JobToHost) -> Reaction {
        let mut reaction = Reaction::default();
        match message {
            JobToHost::Deploy(deployment) => {
                for task in deployment.tasks {
                    if self.known.insert(task.attempt) {
                        let had_finished = task.restore.is_some_and(|restore| restore.finished);
                        self.tasks.insert(task.attempt, Task::new(had_finished, around.outside.newest(self.epoch)));
                        reaction.steps.push((around.random.within(1..=20), task.attempt));
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
                let splits = around.profile.sources.get(&attempt.vertex).map_or(0, |(_, splits)| *splits);
                let splits = (0..splits).map(|number| Split::whole(source, number).to_bytes()).collect();
                reaction.says.push(HostToJob::SplitsEnumerated { attempt, source, result: Ok(splits) });
            }
            JobToHost::AssignSplit { attempt, split, .. } => {
                if let Some(task) = self.tasks.get_mut(&attempt) {
                    task.reading.has_asked = false;
                    task.reading.is_over |= split.is_none();
                    task.reading.splits.extend(split.as_ref().and_then(Split::of_bytes));
                    reaction.steps.push((around.random.within(1..=PACE_MS), attempt));
                }
            }
            // What is taken at a barrier is reported at once.
            JobToHost::GroupWatermark { .. } | JobToHost::AbortCheckpoints { .. } => {}
            JobToHost::Snapshot { barrier, attempts, .. } => {
                // For a savepoint, processes without sources are told too.
                if !attempts.is_empty() {
                    around.outside.give(self.epoch, barrier.checkpoint);
                }
                for attempt in attempts {
                    reaction.says.extend(self.snapshot(around, attempt, barrier.checkpoint));
                    if let Some(task) = self.tasks.get_mut(&attempt).filter(|_| barrier.behind != Behind::GoOn) {
                        task.reading.stands_still = true;
                    }
                }
            }
            JobToHost::Commit { round, committables } => {
                let result = commit(around, &committables);
                reaction.says.push(HostToJob::Committed { round, result });
            }
            JobToHost::Abort { .. } => reaction.says.push(HostToJob::Aborted { result: Ok(()) }),
        }
        reaction
    }

    /// A task goes on.
    pub fn step(&mut self, around: &mut Surroundings<'_>, attempt: AttemptId) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(task) = self.tasks.get_mut(&attempt) else { return reaction };
        match task.state {
            ExecutionState::Deploying => {
                reaction.steps.push((around.random.within(1..=50), attempt));
                task.state = ExecutionState::Initializing;
                reaction.says.push(report(attempt, task.state));
            }
            ExecutionState::Initializing => {
                task.stuck = around.random.per_mille(around.mishaps.stuck);
                let work = around.random.within(1..=around.profile.work_ms_max);
                task.ends_at = Some(around.now + work);
                let looks = !around.profile.sources.is_empty();
                reaction.steps.push((if looks { work.min(PACE_MS) } else { work }, attempt));
                task.state = ExecutionState::Running;
                reaction.says.push(report(attempt, task.state));
            }
            ExecutionState::Running => return self.work(around, attempt),
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Finished
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Failed
            | ExecutionState::Reconciling => {}
        }
        reaction
    }

    /// A running task goes on.
    fn work(&mut self, around: &mut Surroundings<'_>, attempt: AttemptId) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(task) = self.tasks.get_mut(&attempt) else { return reaction };
        if around.random.per_mille(around.mishaps.tasks) {
            self.tasks.remove(&attempt);
            let mut said = report(attempt, ExecutionState::Failed);
            if let HostToJob::TaskState(change) = &mut said {
                change.failure = Some(Failure::user("division by zero"));
            }
            reaction.says.push(said);
            return reaction;
        }
        if task.had_finished {
            reaction.says.push(self.finish(around, attempt));
            return reaction;
        }
        if let Some((source, _)) = around.profile.sources.get(&attempt.vertex) {
            let reading = &mut task.reading;
            if reading.stands_still {
                return reaction;
            }
            if let Some(record) = reading.next() {
                reading.records.push(record);
                reaction.steps.push((around.random.within(1..=PACE_MS), attempt));
            } else if reading.is_over {
                reaction.says.push(self.finish(around, attempt));
            } else if !std::mem::replace(&mut reading.has_asked, true) {
                reaction.says.push(HostToJob::RequestSplit { attempt, source: *source });
            }
            return reaction;
        }
        let newest = around.outside.newest(self.epoch);
        if let Some((_, checkpoint)) = newest.filter(|_| task.barrier < newest) {
            reaction.says.extend(self.snapshot(around, attempt, checkpoint));
        }
        let is_over = self.tasks.get(&attempt).is_none_or(|task| task.ends_at.is_none_or(|at| at <= around.now));
        if is_over {
            reaction.says.push(self.finish(around, attempt));
        } else {
            reaction.steps.push((around.random.within(1..=PACE_MS), attempt));
        }
        reaction
    }

    /// A running task comes to a barrier.
    fn snapshot(
        &mut self,
        around: &mut Surroundings<'_>,
        attempt: AttemptId,
        checkpoint: CheckpointId,
    ) -> Option<HostToJob> {
        let task = self.tasks.get_mut(&attempt).filter(|task| task.state == ExecutionState::Running)?;
        task.barrier = around.outside.newest(self.epoch);
        let left: Vec<Bytes> = task.reading.splits.iter().map(Split::to_bytes).collect();
        let source = around.profile.sources.get(&attempt.vertex);
        let splits = source.map(|(source, _)| (*source, left)).into_iter().collect();
        let committables = self.prepare(around.profile, attempt).map(|prepared| (checkpoint, vec![prepared]));
        Some(HostToJob::Snapshot(Box::new(SnapshotReport {
            attempt,
            checkpoint,
            result: Ok(SubtaskState { splits, ..SubtaskState::default() }),
            committables: committables.into_iter().collect(),
            figures: SnapshotFigures::default(),
        })))
    }

    /// What the sink of a task has for a commit.
    fn prepare(&mut self, profile: &Profile, attempt: AttemptId) -> Option<Committable> {
        let sink: OperatorId = *profile.sinks.get(&attempt.vertex)?;
        let records = std::mem::take(&mut self.tasks.get_mut(&attempt)?.reading.records);
        self.prepared_ever += 1;
        // Nobody else prepares the same: attempts are counted anew in every process.
        let data = format!("{} {attempt} {}|{}", self.process, self.prepared_ever, records.join(","));
        Some(Committable { sink, attempt, data: data.into() })
    }

    fn finish(&mut self, around: &Surroundings<'_>, attempt: AttemptId) -> HostToJob {
        let had_finished = self.tasks.get(&attempt).is_some_and(|task| task.had_finished);
        let prepared = if had_finished { None } else { self.prepare(around.profile, attempt) };
        self.tasks.remove(&attempt);
        let mut said = report(attempt, ExecutionState::Finished);
        if let HostToJob::TaskState(change) = &mut said {
            change.committables.extend(prepared);
        }
        said
    }
}

impl Task {
    fn new(had_finished: bool, barrier: Newest) -> Self {
        let (state, reading) = (ExecutionState::Deploying, Reading::default());
        Self { state, stuck: false, had_finished, barrier, ends_at: None, reading }
    }
}

impl Reading {
    fn next(&mut self) -> Option<String> {
        while let Some(split) = self.splits.front_mut() {
            let record = split.next();
            if record.is_some() {
                return record;
            }
            self.splits.pop_front();
        }
        None
    }
}

/// Makes prepared results visible, or some of them.
fn commit(around: &mut Surroundings<'_>, committables: &[Committable]) -> Result<(), Failure> {
    let fails = around.random.per_mille(around.mishaps.commits);
    let done = if fails { committables.len() / 2 } else { committables.len() };
    around.outside.commit(committables.iter().take(done).map(|committable| committable.data.clone()));
    if fails { Err(Failure::environment("the disk is full")) } else { Ok(()) }
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
