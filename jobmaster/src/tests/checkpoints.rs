//! Checkpoints: what is awaited, what counts, and what a restart goes back to.

mod chains;
mod chance;
mod committing;
mod falling_back;
mod fits;
mod found;
mod promises;
mod savepoints;
mod settings;
mod silent;
mod unaligned;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    id::{CheckpointId, WorkerKey},
    message::Committable,
    view::{Accumulator, CheckpointStatus},
};
use flott_snapshot::SnapshotKind;
use proptest::prelude::*;

use super::*;
use crate::{
    checkpoints::{Purpose, RequestId},
    core::{Event, Wait},
    failover::random::SeededRandom,
    spec::{Adaptive, SnapshotSpec},
    testing::Outcome,
};

/// A spec with a checkpoint each second.
pub(super) fn spec(graph: TestGraph, restart: RestartStrategy) -> JobSpec {
    let mut spec = spec_of(graph, restart);
    spec.snapshots = SnapshotSpec { directory: Some("/checkpoints/job".to_owned()), ..SnapshotSpec::default() };
    spec.configuration.insert("execution.checkpointing.interval".to_owned(), "1 s".to_owned());
    spec
}

pub(super) fn checkpointed(graph: TestGraph, restart: RestartStrategy) -> FakeCluster {
    let mut cluster = cluster(spec(graph, restart));
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster
}

/// Each running task that is no source does what it does next: it comes to the barrier.
pub(super) fn sinks_work(cluster: &mut FakeCluster) {
    for subtask in 0..2 {
        let sink = attempt(cluster, "sink", subtask);
        cluster.work(sink);
    }
    cluster.settle();
}

/// A checkpoint comes to be stored.
fn collect(cluster: &mut FakeCluster) -> CheckpointId {
    cluster.pass(1_000);
    sinks_work(cluster);
    cluster.storing.back().expect("all tasks have reported").checkpoint
}

fn savepoint(request: u64, behind: Behind) -> Event {
    Event::Snapshot(Purpose::Savepoint { request: RequestId(request), directory: "/savepoints/s".to_owned(), behind })
}

/// What a manifest makes visible.
fn data(manifest: &flott_snapshot::Manifest) -> BTreeSet<Bytes> {
    manifest.committables.iter().map(|committable| committable.data.clone()).collect()
}

/// Wants one process to have removed what writers had left, but for what a snapshot holds.
#[track_caller]
fn check_removed(cluster: &FakeCluster, kept: &BTreeSet<Bytes>) {
    let removers: Vec<_> = cluster.workers.values().filter(|worker| worker.aborted > 0).collect();
    assert_eq!(removers.iter().map(|worker| worker.aborted).sum::<u32>(), 1);
    assert_eq!(removers[0].kept, *kept);
}

fn statuses(cluster: &FakeCluster) -> Vec<(u64, CheckpointStatus)> {
    let history = cluster.core.view().checkpoints.history;
    history.iter().rev().map(|entry| (entry.id.0, entry.status)).collect()
}

#[test]
fn one_is_taken_each_interval_and_is_complete_when_it_is_stored() {
    use CheckpointStatus::{Completed, InProgress};
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.pass(999);
    assert!(cluster.barriers.is_empty());
    cluster.pass(1);
    assert_eq!(cluster.barriers.keys().map(|id| id.0).collect::<Vec<_>>(), [1]);
    assert!(cluster.storing.is_empty(), "the sinks have not come to the barrier");
    sinks_work(&mut cluster);
    assert_eq!(statuses(&cluster), [(1, InProgress)]);
    // None begins while one is under way.
    cluster.pass(5_000);
    assert_eq!(cluster.barriers.len(), 1);
    assert!(cluster.core.waits().contains(&Wait::Checkpoint));
    assert!(cluster.store(Ok(())));
    assert_eq!(statuses(&cluster), [(1, Completed), (2, InProgress)]);
    check_sound(&cluster);
}

#[test]
fn what_was_read_before_a_checkpoint_is_not_read_again() {
    let mut cluster = checkpointed(word_count(), ONCE);
    for _ in 0..3 {
        for subtask in 0..2 {
            let source = attempt(&cluster, "source", subtask);
            cluster.work(source);
        }
        cluster.settle();
    }
    collect(&mut cluster);
    cluster.store(Ok(()));
    // One more, which goes back.
    let source = attempt(&cluster, "source", 0);
    cluster.work(source);
    cluster.settle();
    cluster.fail(source, Failure::user("division by zero"));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    let view = &cluster.ended[0];
    assert_eq!((view.restarts, view.checkpoints.restored), (1, 1));
    let Some(Accumulator::List(mut read)) = view.accumulators.get("splits").cloned() else {
        panic!("nothing was read")
    };
    read.sort();
    let all = read.len();
    read.dedup();
    assert_eq!((read.len(), all), (10, 10));
}

#[test]
fn nothing_starts_over_before_it_is_known_what_counts() {
    let mut cluster = checkpointed(word_count(), OFTEN);
    let checkpoint = collect(&mut cluster);
    let source = attempt(&cluster, "source", 0);
    cluster.fail(source, Failure::user("division by zero"));
    cluster.pass(10_000);
    assert_eq!(cluster.live().count(), 0);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.store(Ok(()));
    start_tasks(&mut cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    let restored = cluster.core.view().checkpoints;
    assert_eq!((restored.completed, restored.restored), (1, 1));
    assert_eq!(statuses(&cluster)[0], (checkpoint.0, CheckpointStatus::Completed));
    check_sound(&cluster);
}

#[test]
fn one_that_cannot_be_stored_is_followed_by_the_next() {
    use CheckpointStatus::{Completed, Failed};
    let mut cluster = checkpointed(word_count(), RestartStrategy::None);
    collect(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    assert_eq!(cluster.core.status(), JobStatus::Running);
    collect(&mut cluster);
    cluster.store(Ok(()));
    assert_eq!(statuses(&cluster)[..2], [(1, Failed), (2, Completed)]);
    check_sound(&cluster);
}

#[test]
fn more_failures_in_a_row_than_are_tolerated_fail_the_tasks() {
    let mut spec = spec(word_count(), RestartStrategy::None);
    spec.configuration.insert("execution.checkpointing.tolerable-failed-checkpoints".to_owned(), "1".to_owned());
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    collect(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    assert_eq!(cluster.core.status(), JobStatus::Running);
    collect(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    check_ended(&mut cluster, JobStatus::Failed);
    let failure = format!("{:?}", cluster.ended[0].failure);
    assert!(failure.contains("tolerable-failed-checkpoints") && failure.contains("disk full"), "{failure}");
}

#[test]
fn as_many_failures_are_tolerated_again_when_tasks_have_gone_back_for_them() {
    let mut spec = spec(word_count(), OFTEN);
    spec.configuration.insert("execution.checkpointing.tolerable-failed-checkpoints".to_owned(), "1".to_owned());
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    for round in 1..=2 {
        collect(&mut cluster);
        cluster.store(Err(Failure::environment("disk full")));
        assert_eq!(cluster.core.status(), JobStatus::Running, "round {round}: one is tolerated");
        collect(&mut cluster);
        cluster.store(Err(Failure::environment("disk full")));
        assert_eq!(cluster.core.status(), JobStatus::Restarting, "round {round}");
        cluster.pass(100);
        start_tasks(&mut cluster);
        assert_eq!((cluster.core.status(), cluster.core.view().restarts), (JobStatus::Running, round));
    }
    check_sound(&cluster);
}

#[test]
fn one_that_takes_too_long_is_given_up_and_says_who_is_late() {
    let mut spec = spec(word_count(), ONCE);
    spec.configuration.insert("execution.checkpointing.timeout".to_owned(), "5 s".to_owned());
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    cluster.pass(6_000);
    let history = cluster.core.view().checkpoints.history;
    let given_up = history.last().unwrap();
    assert_eq!(given_up.status, CheckpointStatus::Failed);
    let failure = given_up.failure.clone().unwrap().to_string();
    assert!(failure.contains("within 5000 ms; 2 tasks had not reported"), "{failure}");
    check_sound(&cluster);
}

#[test]
fn tasks_that_have_finished_are_part_of_it_and_do_not_run_again() {
    let mut cluster = checkpointed(side_by_side(), ONCE);
    // The first region reads all there is.
    while cluster.live().any(|live| live.subtask.0 == 0) {
        for live in cluster.live().filter(|live| live.subtask.0 == 0).collect::<Vec<_>>() {
            cluster.work(live);
        }
        cluster.settle();
    }
    cluster.pass(1_000);
    let sink = attempt(&cluster, "sink", 1);
    cluster.work(sink);
    cluster.settle();
    let manifest = cluster.storing.back().expect("the others have reported").clone();
    let finished: Vec<Vec<bool>> = manifest
        .vertices
        .iter()
        .map(|vertex| vertex.subtasks.iter().map(|subtask| subtask.finished).collect())
        .collect();
    assert_eq!(finished, [[true, false], [true, false]]);
    // What the one that has finished had prepared is part of it, beside what the other has at the barrier.
    assert_eq!(manifest.committables.len(), 2);
    cluster.store(Ok(()));
    cluster.settle();
    assert_eq!(commits(&cluster).concat(), manifest.committables);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    // The rest comes at the end, and nothing twice.
    assert_eq!(cluster.manifests.concat().len(), 1);
}

fn commits(cluster: &FakeCluster) -> Vec<Vec<Committable>> {
    cluster.workers.values().flat_map(|worker| worker.committed.clone()).collect()
}

#[test]
fn tasks_are_told_which_are_to_be_full() {
    let mut cluster = checkpointed(word_count(), ONCE);
    for (request, full) in [(1, false), (2, true)] {
        cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(request), full }));
    }
    cluster.settle();
    let barriers: Vec<_> = cluster.barriers.values().map(|barrier| (barrier.full, barrier.is_whole())).collect();
    assert_eq!(barriers, [(false, false), (true, true)]);
}

/// It may be what they get who have asked for a full one.
#[test]
fn what_begins_beside_a_full_one_is_full_too() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(1), full: true }));
    cluster.tell(savepoint(2, Behind::GoOn));
    cluster.pass(1_000);
    let full = |cluster: &FakeCluster| cluster.barriers.values().map(|barrier| barrier.full).collect::<Vec<_>>();
    assert_eq!(full(&cluster), [true, false, true]);
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    let [(RequestId(1), Ok(taken))] = &cluster.answered[..] else { panic!("{:?}", cluster.answered) };
    assert_eq!(taken.checkpoint, CheckpointId(3));
    cluster.pass(1_000);
    assert_eq!(full(&cluster), [true, false, true, false]);
    check_sound(&cluster);
}

#[test]
fn who_asks_for_one_is_answered() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(7), full: false }));
    cluster.settle();
    sinks_work(&mut cluster);
    assert!(cluster.answered.is_empty());
    cluster.store(Ok(()));
    let (request, taken) = cluster.answered.pop().unwrap();
    assert_eq!((request, taken.unwrap().location.as_str()), (RequestId(7), "/checkpoints/job/chk-1"));
    // One that fails.
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(8), full: false }));
    let source = attempt(&cluster, "source", 0);
    cluster.fail(source, Failure::user("division by zero"));
    cluster.settle();
    assert!(matches!(&cluster.answered[..], [(RequestId(8), Err(_))]), "{:?}", cluster.answered);
    // One that cannot begin.
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(9), full: false }));
    let refused = cluster.answered.pop().unwrap().1.unwrap_err().to_string();
    assert!(refused.contains("not all tasks of the job run"), "{refused}");
    check_sound(&cluster);
}

#[test]
fn a_new_job_master_goes_on_from_the_checkpoint_of_the_last() {
    let mut cluster = checkpointed(word_count(), ONCE);
    let source = attempt(&cluster, "source", 0);
    cluster.work(source);
    cluster.settle();
    collect(&mut cluster);
    let manifest = cluster.storing.pop_front().unwrap();
    let spec = JobSpec {
        snapshots: SnapshotSpec {
            restore: Some(std::sync::Arc::new(crate::RestorePoint {
                manifest,
                directory: "/checkpoints/job".to_owned(),
            })),
            next: CheckpointId(3),
            ..spec(word_count(), ONCE).snapshots
        },
        ..spec(word_count(), ONCE)
    };
    let mut next = super::cluster(spec);
    next.add_worker(2);
    start_tasks(&mut next);
    let left: u32 = 9;
    next.run_to_end();
    check_ended(&mut next, JobStatus::Finished);
    let Some(Accumulator::List(read)) = next.ended[0].accumulators.get("splits") else { panic!("nothing was read") };
    assert_eq!(read.len() as u32, left);
    assert!(next.barriers.keys().all(|checkpoint| checkpoint.0 >= 3));
}
