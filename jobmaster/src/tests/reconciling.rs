//! A JobMaster after another: what that one has left is taken over whole, or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, Behind, Origin, Overtaking, SnapshotKind},
    failure::Failure,
    id::{AttemptId, CheckpointId, Digest, JobId, JobMasterEpoch, OperatorId, ProcessId, SubtaskIndex, WorkerKey},
    journal::Journal,
    message::{Deployment, Found, HostToJob, JobToHost, JobToWorker, TaskDeployment, WorkerToJob},
};

use super::*;
use crate::{
    core::{Action, Event, FoundOn, JobMasterCore},
    time::Millis,
};

/// What was left, and the JobMaster that comes after.
struct Next {
    found: BTreeMap<WorkerKey, (Found, Journal)>,
    core: JobMasterCore,
    now: Millis,
}

impl Next {
    /// One of the TaskManagers, without one of its tasks, knows a checkpoint to be complete that the log has not.
    fn knows_a_later_one(&mut self) -> (WorkerKey, Found) {
        let (worker, (found, _)) = self.found.iter_mut().next().unwrap();
        found.completed = CheckpointId(3);
        found.tasks.pop();
        (worker.clone(), found.clone())
    }

    /// After one whose tasks run and have each a split of ten.
    fn after_one() -> Self {
        let mut cluster = running(word_count(), ONCE);
        for subtask in 0..2 {
            let source = attempt(&cluster, "source", subtask);
            cluster.work(source);
        }
        cluster.settle();
        let mut found = BTreeMap::new();
        for (key, worker) in &mut cluster.workers {
            let Some(WorkerToJob::Found(left)) = worker.followed() else { panic!("nothing runs on {key}") };
            let adopt = JobToWorker::Adopt { process: left.location.process };
            let Some(WorkerToJob::Adopted(journal)) = worker.receive_of(JobMasterEpoch(2), adopt).pop() else {
                panic!("{key} hands nothing over")
            };
            found.insert(key.clone(), (*left, *journal));
        }
        let spec = JobSpec { epoch: JobMasterEpoch(2), recovered: true, ..cluster.core.spec().clone() };
        let mut next = Self { found, core: JobMasterCore::new(spec).unwrap(), now: Millis(5000) };
        next.on(Event::Start);
        next
    }

    /// A reader, and what its process has told.
    fn reader(&mut self) -> (WorkerKey, ProcessId, AttemptId, OperatorId, &mut Journal) {
        let mut all = self.found.iter_mut().flat_map(|(worker, (found, journal))| {
            let reader = journal.tasks().find_map(|task| Some((task.attempt, *task.readers.keys().next()?)));
            reader.map(|(attempt, source)| (worker.clone(), found.location.process, attempt, source, journal))
        });
        all.next().expect("somebody reads")
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        let actions = self.core.handle(self.now, event);
        self.core.check_invariants().unwrap();
        actions
    }

    fn says(&mut self, worker: &WorkerKey, epoch: u64, message: WorkerToJob) -> Vec<Action> {
        self.on(Event::Worker { worker: worker.clone(), epoch: JobMasterEpoch(epoch), message })
    }

    /// Everything is found.
    fn find_all(&mut self) -> Vec<Action> {
        let found = self.found.clone();
        let say = |(worker, (found, _)): (WorkerKey, (Found, Journal))| {
            self.says(&worker, 1, WorkerToJob::Found(Box::new(found)))
        };
        found.into_iter().flat_map(say).collect()
    }

    fn hand_over_all(&mut self) -> Vec<Action> {
        let found = self.found.clone();
        let say = |(worker, (_, journal)): (WorkerKey, (Found, Journal))| {
            self.says(&worker, 2, WorkerToJob::Adopted(Box::new(journal)))
        };
        found.into_iter().flat_map(say).collect()
    }

    /// Wants the job to start over, and everyone to forget what there was.
    #[track_caller]
    fn check_starts_over(&self, actions: &[Action]) {
        assert_eq!(told(actions, |message| *message == JobToWorker::Forget), self.found.len(), "{actions:?}");
        assert_eq!(self.core.status(), JobStatus::Created);
        assert!(self.core.view().vertices.iter().all(|vertex| vertex.subtasks[0].current.attempt == 0));
    }
}

/// A job whose tasks know a checkpoint that its log lacks, and what is found of them.
pub(super) fn found_with_a_later_checkpoint() -> (JobSpec, BTreeMap<WorkerKey, Found>) {
    let mut next = Next::after_one();
    next.found.values_mut().for_each(|(found, _)| found.completed = CheckpointId(3));
    let found = next.found.into_iter().map(|(worker, (found, _))| (worker, found));
    (next.core.spec().clone(), found.collect())
}

fn told(actions: &[Action], wanted: impl Fn(&JobToWorker) -> bool) -> usize {
    let is_wanted = |action: &&Action| matches!(action, Action::Send { message, .. } if wanted(message));
    actions.iter().filter(is_wanted).count()
}

#[test]
fn all_that_runs_is_taken_over_as_it_is() {
    let mut next = Next::after_one();
    let actions = next.find_all();
    assert_eq!(told(&actions, |message| matches!(message, JobToWorker::Adopt { .. })), next.found.len());
    let actions = next.hand_over_all();
    assert_eq!(told(&actions, |_| true), 0, "nothing is deployed or started: {actions:?}");
    assert_eq!((next.core.status(), next.core.view().restarts), (JobStatus::Running, 0));
    let view = next.core.view();
    let current = view.vertices.iter().flat_map(|vertex| &vertex.subtasks).map(|subtask| &subtask.current);
    assert!(current.clone().all(|attempt| (attempt.attempt, attempt.state) == (0, ExecutionState::Running)));
}

#[test]
fn splits_go_on_behind_what_was_given() {
    let mut next = Next::after_one();
    next.find_all();
    // A request that was not answered, and one that comes before the last journal does.
    let (worker, process, attempt, source, journal) = next.reader();
    let request = HostToJob::RequestSplit { attempt, source };
    journal.said(&request);
    next.says(&worker, 2, WorkerToJob::Host { process, message: request });
    let actions = next.hand_over_all();
    let splits: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send {
                message: JobToWorker::Host { message: JobToHost::AssignSplit { split, .. }, .. }, ..
            } => split.clone(),
            _ => None,
        })
        .collect();
    let split = |place: u8| Bytes::from(format!("{source}/{place}"));
    assert_eq!(splits, [split(2), split(3)]);
}

#[test]
fn what_is_not_found_in_time_makes_the_job_start_over() {
    let mut next = Next::after_one();
    let (worker, (mut found, _)) = next.found.pop_first().unwrap();
    found.tasks.pop();
    next.says(&worker, 1, WorkerToJob::Found(Box::new(found.clone())));
    next.now = next.core.next_wake().unwrap();
    let actions = next.on(Event::Wake);
    assert_eq!(told(&actions, |message| *message == JobToWorker::Forget), 1);
    assert_eq!(next.core.status(), JobStatus::Created);
    let free = JobToWorker::FreeSlots(found.slots.clone());
    let late = next.says(&worker, 1, WorkerToJob::Found(Box::new(found)));
    assert_eq!(told(&late, |message| *message == free), 1, "slots that it was given since stay");
}

#[track_caller]
fn check_unfit(change: impl FnOnce(&mut Next)) {
    let mut next = Next::after_one();
    change(&mut next);
    let mut actions = next.find_all();
    actions.extend(next.hand_over_all());
    next.check_starts_over(&actions);
}

fn journals(next: &mut Next) -> impl Iterator<Item = &mut Journal> {
    next.found.values_mut().map(|(_, journal)| journal)
}

#[test]
fn what_does_not_fit_makes_the_job_start_over() {
    // The list of splits is lost.
    check_unfit(|next| {
        let (_, _, attempt, source, _) = next.reader();
        let lost = HostToJob::SplitsEnumerated { attempt, source, result: Err(Failure::environment("lost")) };
        journals(next).for_each(|journal| journal.said(&lost));
    });
    check_unfit(|next| journals(next).for_each(|journal| *journal = Journal::default()));
    // One attempt is found twice.
    check_unfit(|next| {
        let first = journals(next).next().unwrap().clone();
        journals(next).for_each(|journal| journal.clone_from(&first));
    });
    // A split is none of the list.
    check_unfit(|next| {
        let (_, _, attempt, source, journal) = next.reader();
        let split = Some(Bytes::from_static(b"strange"));
        journal.told(&JobToHost::AssignSplit { attempt, source, split, share: 1 });
    });
    // A task is none of the graph.
    check_unfit(|next| {
        let (_, _, attempt, _, journal) = next.reader();
        let allocation = journal.tasks().next().unwrap().allocation;
        let attempt = AttemptId { subtask: SubtaskIndex(77), ..attempt };
        let task = TaskDeployment { attempt, allocation, parallelism: 78, max_parallelism: 128, restore: None };
        let deployment =
            Deployment { epoch: JobMasterEpoch(1), tasks: vec![task], edges: Vec::new(), processes: [].into() };
        journal.told(&JobToHost::Deploy(Box::new(deployment)));
    });
    // Some of a region have heard that it starts over.
    check_unfit(|next| {
        let (_, _, attempt, _, journal) = next.reader();
        let allocation = journal.tasks().next().unwrap().allocation;
        let attempt = AttemptId { attempt: attempt.attempt.next(), ..attempt };
        let task = TaskDeployment { attempt, allocation, parallelism: 2, max_parallelism: 128, restore: None };
        let deployment =
            Deployment { epoch: JobMasterEpoch(1), tasks: vec![task], edges: Vec::new(), processes: [].into() };
        journal.told(&JobToHost::Deploy(Box::new(deployment)));
    });
    // A checkpoint was complete that is not there any more.
    check_unfit(|next| journals(next).for_each(|journal| journal.complete(CheckpointId(3))));
    // The processes know other settings.
    check_unfit(|next| next.found.values_mut().for_each(|(found, _)| found.configuration = Digest::of(b"other")));
    // Sources stand still behind a barrier.
    check_unfit(|next| {
        let barrier = Barrier {
            checkpoint: CheckpointId(1),
            kind: SnapshotKind::Savepoint,
            behind: Behind::Stop,
            overtaking: Overtaking::Never,
            full: false,
        };
        let stop = JobToHost::Snapshot { barrier, attempts: Vec::new(), directory: None };
        journals(next).for_each(|journal| journal.told(&stop));
    });
}

/// The log is another one: the JobMaster leaves everything as it is, and hands on what it was told.
#[track_caller]
fn check_steps_aside(next: &Next, actions: &[Action], found: usize) {
    assert_eq!(told(actions, |_| true), 0, "nobody hears of it: {actions:?}");
    assert!(
        !actions.iter().any(|action| matches!(action, Action::StatusChanged(_))),
        "nor has the job another state: {actions:?}"
    );
    let mut asides = actions.iter().filter_map(|action| match action {
        Action::StepAside { checkpoint, found } => Some((*checkpoint, found)),
        _ => None,
    });
    let (checkpoint, handed_on) = asides.next().expect("it steps aside");
    assert_eq!((checkpoint, handed_on.len(), asides.next()), (CheckpointId(3), found, None));
    let as_told = |(worker, epoch, found): &FoundOn| {
        *epoch == JobMasterEpoch(1) && next.found.get(worker).is_some_and(|(told, _)| *told == **found)
    };
    assert!(handed_on.iter().all(as_told), "{handed_on:?}");
    assert!(next.core.is_over() && next.core.status() == JobStatus::Suspended);
}

#[test]
fn tasks_are_left_alone_that_know_a_checkpoint_which_the_log_lacks() {
    let mut next = Next::after_one();
    next.found.values_mut().next().unwrap().0.completed = CheckpointId(3);
    let actions = next.find_all();
    check_steps_aside(&next, &actions, next.found.len());
    // One that has started over since knows it by what it has begun from.
    let mut next = Next::after_one();
    let (job, kind) = (next.core.spec().graph.job_id, SnapshotKind::Checkpoint);
    let begins_from = |next: &mut Next, origin| {
        next.found.values_mut().flat_map(|(found, _)| &mut found.tasks).for_each(|task| task.origin = Some(origin));
    };
    begins_from(&mut next, Origin { job, kind, checkpoint: CheckpointId(3) });
    let actions = next.find_all();
    check_steps_aside(&next, &actions, next.found.len());
    // A savepoint is in no log, nor is what another job has taken.
    let another = JobId::from_bytes([9; 16]);
    for (job, kind) in [(job, SnapshotKind::Savepoint), (another, SnapshotKind::Checkpoint)] {
        let mut next = Next::after_one();
        begins_from(&mut next, Origin { job, kind, checkpoint: CheckpointId(3) });
        let actions = next.find_all();
        assert_eq!(told(&actions, |message| matches!(message, JobToWorker::Adopt { .. })), next.found.len());
    }
}

#[test]
fn a_job_does_not_start_over_without_a_checkpoint_that_its_tasks_know() {
    let mut next = Next::after_one();
    let (worker, found) = next.knows_a_later_one();
    let actions = next.says(&worker, 1, WorkerToJob::Found(Box::new(found)));
    assert_eq!(told(&actions, |_| true), 0, "others may be found yet");
    next.now = next.core.next_wake().unwrap();
    let actions = next.on(Event::Wake);
    check_steps_aside(&next, &actions, 1);
}

#[test]
fn what_a_lost_task_manager_knew_counts() {
    let mut next = Next::after_one();
    let (worker, found) = next.knows_a_later_one();
    next.says(&worker, 1, WorkerToJob::Found(Box::new(found)));
    let actions = next.on(Event::WorkerLost { worker, failure: Failure::environment("no heartbeat") });
    check_steps_aside(&next, &actions, 1);
}

#[test]
fn a_barrier_that_some_may_wait_for_is_followed_by_another_at_once() {
    let mut next = Next::after_one();
    let barrier = Barrier {
        checkpoint: CheckpointId(7),
        kind: SnapshotKind::Checkpoint,
        behind: Behind::GoOn,
        overtaking: Overtaking::Never,
        full: false,
    };
    let cut = JobToHost::Snapshot { barrier, attempts: Vec::new(), directory: None };
    next.reader().4.told(&cut);
    next.find_all();
    let actions = next.hand_over_all();
    let is_next = |message: &JobToWorker| match message {
        JobToWorker::Host { message: JobToHost::Snapshot { barrier, .. }, .. } => barrier.checkpoint.0 == 8,
        _ => false,
    };
    assert!(told(&actions, is_next) > 0, "{actions:?}");
    // Nobody gathers what comes of those before.
    let gives_up = JobToHost::AbortCheckpoints { first: CheckpointId(0), last: CheckpointId(7) };
    let is_end = |message: &JobToWorker| matches!(message, JobToWorker::Host { message, .. } if *message == gives_up);
    assert_eq!(told(&actions, is_end), next.found.len());
    assert_eq!(next.core.status(), JobStatus::Running);
}

#[test]
fn a_loss_meanwhile_makes_the_job_start_over() {
    let mut next = Next::after_one();
    next.find_all();
    let (worker, (found, _)) = next.found.first_key_value().map(|(key, value)| (key.clone(), value.clone())).unwrap();
    let failure = Failure::environment("exit");
    let lost = WorkerToJob::ProcessLost { process: found.location.process, failure };
    let actions = next.says(&worker, 2, lost);
    next.check_starts_over(&actions);
}

#[test]
fn a_cancellation_meanwhile_ends_the_job() {
    let mut next = Next::after_one();
    let actions = next.find_all();
    assert!(told(&actions, |message| matches!(message, JobToWorker::Adopt { .. })) > 0);
    next.on(Event::Cancel);
    assert_eq!(next.core.status(), JobStatus::Canceled);
}
