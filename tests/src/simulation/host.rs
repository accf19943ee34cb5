//! A job process: tasks that initialize, run for a while or read splits, take part in checkpoints, and end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Behind, SnapshotFigures, SnapshotReport, StateFile, SubtaskState},
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
/// Longest time that a commit takes which is slow, in milliseconds.
const COMMIT_MS: u64 = 2000;
/// Tasks with state among a thousand.
const STATEFUL: u32 = 300;
/// How much likelier than otherwise a task fails when it has just written its state.
const UNREPORTED: u32 = 6;
/// What is in a state file, and its CRC-32.
pub const STATE: &[u8] = b"state";
const STATE_CHECKSUM: u32 = 0xa393_d2fb;

/// A task, and what it will do next.
#[derive(Debug)]
struct Task {
    state: ExecutionState,
    stuck: bool,
    /// It is about to fail.
    fails: bool,
    /// The state file of its latest checkpoint, if it has state.
    state_files: Option<Vec<StateFile>>,
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
    stored_ever: u64,
}

/// What a message makes a process do.
#[derive(Debug, Default)]
pub struct Reaction {
    pub says: Vec<HostToJob>,
    /// Tasks that go on by a step, after that many milliseconds.
    pub steps: Vec<(u64, AttemptId)>,
    /// Rounds of commits that are half done, and go on after that many milliseconds.
    pub commits: Vec<(u64, Round)>,
    /// State files that it writes, at these locations.
    pub files: Vec<String>,
}

/// A round of a commit.
#[derive(Debug, Clone)]
pub struct Round {
    round: u32,
    committables: Vec<Committable>,
}

/// What goes wrong in a process, as shares in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mishaps {
    /// Tasks that fail.
    pub tasks: u32,
    /// Tasks that do not stop.
    pub stuck: u32,
    /// Tasks that fail when another has just finished.
    pub spoils: u32,
    /// Commits that fail when they are half done.
    pub commits: u32,
    /// Commits that take long.
    pub slow: u32,
}

/// What a process sees of the world.
pub struct Surroundings<'a> {
    pub random: &'a mut Random,
    pub profile: &'a Profile,
    pub outside: &'a mut Outside,
    /// Where the job's checkpoints are; empty if it takes none.
    pub directory: &'a str,
    pub mishaps: Mishaps,
    pub now: u64,
}

impl Host {
    pub fn new(job: JobId, process: ProcessId, epoch: JobMasterEpoch) -> Self {
        let (tasks, known, prepared_ever, stored_ever) = Default::default();
        Self { job, is_stuck: false, epoch, process, tasks, known, prepared_ever, stored_ever }
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
                        let has_state = around.random.per_mille(STATEFUL);
                        let newest = around.outside.newest(self.epoch);
                        self.tasks.insert(task.attempt, Task::new(had_finished, newest, has_state));
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
            JobToHost::Snapshot { barrier, attempts, directory } => {
                // For a savepoint, processes without sources are told too.
                if !attempts.is_empty() {
                    around.outside.give(self.epoch, barrier.checkpoint, directory);
                }
                for attempt in attempts {
                    self.snapshot(around, attempt, barrier.checkpoint, &mut reaction);
                    if let Some(task) = self.tasks.get_mut(&attempt).filter(|_| barrier.behind != Behind::GoOn) {
                        task.reading.stands_still = true;
                    }
                }
            }
            JobToHost::Commit { round, committables } => {
                let round = Round { round, committables };
                if around.random.per_mille(around.mishaps.slow) {
                    commit_half(around, &round.committables);
                    reaction.commits.push((around.random.within(1..=COMMIT_MS), round));
                } else {
                    reaction.says.push(commit(around, round));
                }
            }
            JobToHost::Abort { .. } => reaction.says.push(HostToJob::Aborted { result: Ok(()) }),
        }
        reaction
    }

    /// A commit that was half done goes on.
    pub fn commit(&self, around: &mut Surroundings<'_>, round: Round) -> Reaction {
        Reaction { says: vec![commit(around, round)], ..Reaction::default() }
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
        if std::mem::take(&mut task.fails) || around.random.per_mille(around.mishaps.tasks) {
            self.tasks.remove(&attempt);
            let mut said = report(attempt, ExecutionState::Failed);
            if let HostToJob::TaskState(change) = &mut said {
                change.failure = Some(Failure::user("division by zero"));
            }
            reaction.says.push(said);
            return reaction;
        }
        if task.had_finished {
            self.finish(around, attempt, &mut reaction);
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
                self.finish(around, attempt, &mut reaction);
            } else if !std::mem::replace(&mut reading.has_asked, true) {
                reaction.says.push(HostToJob::RequestSplit { attempt, source: *source });
            }
            return reaction;
        }
        let newest = around.outside.newest(self.epoch);
        if let Some((_, checkpoint)) = newest.filter(|_| task.barrier < newest) {
            self.snapshot(around, attempt, checkpoint, &mut reaction);
        }
        let is_over = self.tasks.get(&attempt).is_none_or(|task| task.ends_at.is_none_or(|at| at <= around.now));
        if is_over {
            self.finish(around, attempt, &mut reaction);
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
        reaction: &mut Reaction,
    ) {
        let Some(task) = self.tasks.get_mut(&attempt).filter(|task| task.state == ExecutionState::Running) else {
            return;
        };
        task.barrier = around.outside.newest(self.epoch);
        let left: Vec<Bytes> = task.reading.splits.iter().map(Split::to_bytes).collect();
        let source = around.profile.sources.get(&attempt.vertex);
        let splits = source.map(|(source, _)| (*source, left)).into_iter().collect();
        let files = self.store(around, attempt, checkpoint, reaction);
        if !files.is_empty()
            && around.random.per_mille(around.mishaps.tasks * UNREPORTED)
            && let Some(task) = self.tasks.get_mut(&attempt)
        {
            // What it has written nobody hears of.
            task.fails = true;
            reaction.steps.push((around.random.within(1..=PACE_MS), attempt));
            return;
        }
        let committables = self.prepare(around.profile, attempt).map(|prepared| (checkpoint, vec![prepared]));
        reaction.says.push(HostToJob::Snapshot(Box::new(SnapshotReport {
            attempt,
            checkpoint,
            result: Ok(SubtaskState { files, splits, ..SubtaskState::default() }),
            committables: committables.into_iter().collect(),
            figures: SnapshotFigures::default(),
        })));
    }

    /// Writes the state of a task, if it has any; gives all its files. As in a real one, a checkpoint builds on what was reported for
    /// the one before it, and a savepoint on nothing.
    fn store(
        &mut self,
        around: &Surroundings<'_>,
        attempt: AttemptId,
        checkpoint: CheckpointId,
        reaction: &mut Reaction,
    ) -> Vec<StateFile> {
        let Some(before) = self.tasks.get_mut(&attempt).and_then(|task| task.state_files.as_mut()) else {
            return Vec::new();
        };
        self.stored_ever += 1;
        let name = format!("{checkpoint}_{}-{}", self.process, self.stored_ever);
        let savepoint = around.outside.savepoint(self.epoch, checkpoint);
        let (directory, path) = match savepoint {
            Some(directory) => (directory, name),
            None => (around.directory, format!("shared/{name}")),
        };
        reaction.files.push(format!("{directory}/{path}"));
        let file = StateFile { path, bytes: STATE.len() as u64, checksum: STATE_CHECKSUM };
        if savepoint.is_some() {
            before.clear();
            return vec![file];
        }
        let files = before.pop().into_iter().chain([file]).collect();
        before.clone_from(&files);
        files
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

    fn finish(&mut self, around: &mut Surroundings<'_>, attempt: AttemptId, reaction: &mut Reaction) {
        let had_finished = self.tasks.get(&attempt).is_some_and(|task| task.had_finished);
        let prepared = if had_finished { None } else { self.prepare(around.profile, attempt) };
        self.tasks.remove(&attempt);
        let mut said = report(attempt, ExecutionState::Finished);
        if let HostToJob::TaskState(change) = &mut said {
            change.committables.extend(prepared);
        }
        reaction.says.push(said);
        if around.random.per_mille(around.mishaps.spoils) {
            let others: Vec<_> = self.tasks.iter().filter(|(_, task)| task.state == ExecutionState::Running).collect();
            let spoiled = around.random.choose(others.into_iter().map(|(attempt, _)| *attempt));
            if let Some(task) = spoiled.and_then(|spoiled| self.tasks.get_mut(&spoiled)) {
                task.fails = true;
                reaction.steps.extend(spoiled.map(|spoiled| (around.random.within(1..=PACE_MS), spoiled)));
            }
        }
    }
}

impl Task {
    fn new(had_finished: bool, barrier: Newest, has_state: bool) -> Self {
        let (state, reading, state_files) = (ExecutionState::Deploying, Reading::default(), has_state.then(Vec::new));
        Self { state, stuck: false, fails: false, state_files, had_finished, barrier, ends_at: None, reading }
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

/// Makes prepared results visible, or some of them; gives the answer.
fn commit(around: &mut Surroundings<'_>, Round { round, committables }: Round) -> HostToJob {
    if around.random.per_mille(around.mishaps.commits) {
        commit_half(around, &committables);
        return HostToJob::Committed { round, result: Err(Failure::environment("the disk is full")) };
    }
    around.outside.commit(committables.iter().map(|committable| committable.data.clone()));
    HostToJob::Committed { round, result: Ok(Vec::new()) }
}

fn commit_half(around: &mut Surroundings<'_>, committables: &[Committable]) {
    around.outside.commit(committables.iter().take(committables.len() / 2).map(|committable| committable.data.clone()));
}

fn report(attempt: AttemptId, state: ExecutionState) -> HostToJob {
    HostToJob::TaskState(Box::new(TaskStateChange {
        attempt,
        state,
        failure: None,
        metrics: TaskMetrics::default(),
        committables: Vec::new(),
        accumulators: BTreeMap::new(),
    }))
}
