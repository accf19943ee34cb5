//! A JobMaster after another: what that one has left is taken over whole, or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{AttemptId, AttemptNumber, JobMasterEpoch, SubtaskIndex, WorkerKey},
    message::{
        Found, HostToJob, JobToHost, JobToWorker, Journal, ListingJournal, ReaderJournal, TaskJournal, TaskStateChange,
        WorkerToJob,
    },
};

use super::*;
use crate::{
    core::{Action, Event, JobMasterCore},
    time::Millis,
};

/// What was left, and the JobMaster that comes after.
struct Next {
    found: BTreeMap<WorkerKey, (Found, Journal)>,
    core: JobMasterCore,
    now: Millis,
}

impl Next {
    /// After one whose tasks run and have each a split of ten.
    fn after_one() -> Self {
        let cluster = running(word_count(), ONCE);
        let view = cluster.core.view();
        let mut spec = cluster.core.spec().clone();
        let (secret, source) = (spec.secret, spec.graph.vertices[0].operators[0].id);
        let mut found: BTreeMap<WorkerKey, (Found, Journal)> = BTreeMap::new();
        for (vertex, subtask, current) in view.vertices.iter().flat_map(|vertex| {
            (0..).zip(&vertex.subtasks).map(move |(place, subtask)| (vertex, SubtaskIndex(place), &subtask.current))
        }) {
            let worker = cluster.workers.keys().find(|key| Some(&key.worker) == current.worker.as_ref()).unwrap();
            let attempt = AttemptId { vertex: vertex.id, subtask, attempt: AttemptNumber(3) };
            let location = cluster.workers[worker].process().unwrap().clone();
            let entry = || (Found { location, secret, attempts: Vec::new() }, Journal::default());
            let (found, journal) = found.entry(worker.clone()).or_insert_with(entry);
            found.attempts.push(attempt);
            let report = TaskStateChange {
                attempt,
                state: ExecutionState::Running,
                failure: None,
                metrics: Default::default(),
                committables: Vec::new(),
                accumulators: BTreeMap::new(),
            };
            let reader = ReaderJournal { source, given: vec![subtask.0], is_dismissed: false, unanswered: 0 };
            let readers = if vertex.name == "source" { vec![reader] } else { Vec::new() };
            if vertex.name == "source" && subtask.0 == 0 {
                let splits = Some((0..10u8).map(|split| Bytes::from(vec![split])).collect());
                journal.listings.push(ListingJournal { source, lister: attempt, splits });
            }
            let allocation = current.allocation.unwrap();
            journal.tasks.push(TaskJournal { attempt, allocation, report: Some(report), readers });
        }
        (spec.epoch, spec.recovered) = (JobMasterEpoch(2), true);
        let mut next = Self { found, core: JobMasterCore::new(spec).unwrap(), now: Millis(5000) };
        next.on(Event::Start);
        next
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
    assert!(current.clone().all(|attempt| (attempt.attempt, attempt.state) == (3, ExecutionState::Running)));
}

#[test]
fn splits_go_on_behind_what_was_given() {
    let mut next = Next::after_one();
    next.find_all();
    // A request that was not answered, and one that comes before the last journal does.
    let (worker, (found, journal)) = next.found.iter_mut().next().unwrap();
    let task = journal.tasks.iter_mut().find(|task| !task.readers.is_empty()).unwrap();
    task.readers[0].unanswered = 1;
    let request = HostToJob::RequestSplit { attempt: task.attempt, source: task.readers[0].source };
    let (worker, process) = (worker.clone(), found.location.process);
    next.says(&worker, 2, WorkerToJob::Host { process, message: request });
    let actions = next.hand_over_all();
    let places: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send {
                message: JobToWorker::Host { message: JobToHost::AssignSplit { place, split, .. }, .. },
                ..
            } => Some((*place, split.clone())),
            _ => None,
        })
        .collect();
    let split = |place: u8| (Some(u32::from(place)), Some(Bytes::from(vec![place])));
    assert_eq!(places, [split(2), split(3)]);
}

#[test]
fn what_is_not_found_in_time_makes_the_job_start_over() {
    let mut next = Next::after_one();
    let (worker, (mut found, _)) = next.found.pop_first().unwrap();
    found.attempts.pop();
    next.says(&worker, 1, WorkerToJob::Found(Box::new(found.clone())));
    next.now = next.core.next_wake().unwrap();
    let actions = next.on(Event::Wake);
    assert_eq!(told(&actions, |message| *message == JobToWorker::Forget), 1);
    assert_eq!(next.core.status(), JobStatus::Created);
    let late = next.says(&worker, 1, WorkerToJob::Found(Box::new(found)));
    assert_eq!(told(&late, |message| *message == JobToWorker::Forget), 1);
}

#[track_caller]
fn check_unfit(change: impl FnOnce(&mut Next)) {
    let mut next = Next::after_one();
    change(&mut next);
    let mut actions = next.find_all();
    actions.extend(next.hand_over_all());
    next.check_starts_over(&actions);
}

fn first(next: &mut Next) -> &mut (Found, Journal) {
    next.found.values_mut().next().unwrap()
}

#[test]
fn what_does_not_fit_makes_the_job_start_over() {
    check_unfit(|next| next.found.values_mut().for_each(|(_, journal)| journal.listings.clear()));
    check_unfit(|next| next.found.values_mut().for_each(|(_, journal)| journal.tasks.clear()));
    check_unfit(|next| {
        let (_, journal) = first(next);
        let twice = journal.tasks[0].clone();
        journal.tasks.push(twice);
    });
    check_unfit(|next| {
        let reader = first(next).1.tasks.iter_mut().find(|task| !task.readers.is_empty()).unwrap();
        reader.readers[0].given.push(99);
    });
    check_unfit(|next| first(next).1.tasks[0].attempt.subtask = SubtaskIndex(77));
    check_unfit(|next| first(next).1.snapshots = true);
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
