//! The commit at the end.

use flott_core::{failure::Failure, message::Committable};

use super::*;
use crate::{commit::WORKERS_LOST_MAX, core::Wait, testing::Outcome};

/// A job that waits for its manifest to be written.
fn all_done(restart: RestartStrategy) -> FakeCluster {
    let mut cluster = running(word_count(), restart);
    cluster.persists = false;
    cluster.run_to_end();
    assert_eq!(cluster.core.waits(), [Wait::Manifest]);
    check_sound(&cluster);
    cluster
}

fn manifest() -> Vec<Committable> {
    all_done(RestartStrategy::None).manifests.remove(0)
}

fn commits(cluster: &FakeCluster) -> usize {
    cluster.workers.values().map(|worker| worker.committed.len()).sum()
}

#[test]
fn it_comes_after_the_manifest_and_once() {
    let mut cluster = all_done(RestartStrategy::None);
    assert_eq!(commits(&cluster), 0);
    let expected = cluster.manifests[0].clone();
    assert_eq!(expected.len(), 2);
    cluster.persist(Ok(()));
    cluster.persist(Ok(()));
    let workers = cluster.workers.clone();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(workers.values().map(|worker| worker.committed.len()).sum::<usize>(), 0);
    assert_eq!(commits(&cluster), 1);
    assert_eq!(cluster.workers.values().find_map(|worker| worker.committed.first()), Some(&expected));
}

#[test]
fn a_manifest_that_cannot_be_written_fails_the_job_without_results() {
    let mut cluster = all_done(OFTEN);
    cluster.persist(Err(Failure::environment("disk full")));
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(commits(&cluster), 0);
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}

#[test]
fn another_process_takes_over_from_a_lost_one() {
    let mut cluster = all_done(RestartStrategy::None);
    cluster.persist(Ok(()));
    assert!(matches!(cluster.core.waits()[..], [Wait::Commit { .. }]));
    let first = cluster.workers.keys().next().unwrap().clone();
    // The asked process dies before it answers.
    cluster.kill_process(&first);
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 0);
}

#[test]
fn a_process_is_started_when_none_is_left() {
    let mut cluster = all_done(RestartStrategy::None);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_process(&worker);
    }
    cluster.settle();
    check_sound(&cluster);
    cluster.persist(Ok(()));
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn a_slot_is_asked_for_when_none_is_left() {
    let mut cluster = all_done(RestartStrategy::None);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.persist(Ok(()));
    cluster.settle();
    assert_eq!(cluster.core.waits(), [Wait::Slots { missing: 1 }]);
    cluster.add_worker(4);
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn task_managers_that_are_lost_count_for_none_of_its_tries() {
    let mut cluster = all_done(RestartStrategy::None);
    cluster.persist(Ok(()));
    for _ in 0..30 {
        lose_workers(&mut cluster);
        assert!(cluster.ended.is_empty(), "{:?}", cluster.ended[0].failure);
    }
    cluster.settle();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn a_commit_that_takes_task_managers_down_comes_to_an_end() {
    let mut cluster = all_done(RestartStrategy::None);
    cluster.persist(Ok(()));
    let lost = (1..=2 * WORKERS_LOST_MAX).find(|_| {
        lose_workers(&mut cluster);
        !cluster.ended.is_empty()
    });
    assert!(lost.is_some_and(|lost| lost > WORKERS_LOST_MAX / 2), "{lost:?}");
    let failure = cluster.ended[0].failure.clone().expect("it has failed");
    assert!(failure.message.contains("100 TaskManagers were lost"), "{failure}");
    check_ended(&mut cluster, JobStatus::Failed);
}

/// Each time the commit is on its way to a new one.
fn lose_workers(cluster: &mut FakeCluster) {
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.add_worker(1);
    // The slot is offered and taken, and the process comes up.
    for _ in 0..4 {
        cluster.deliver();
    }
}

#[test]
fn without_a_slot_it_fails_in_time() {
    let mut cluster = all_done(RestartStrategy::None);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.persist(Ok(()));
    cluster.pass(cluster.core.spec().timeouts.slot_request);
    check_ended(&mut cluster, JobStatus::Failed);
}

fn refuse(cluster: &mut FakeCluster, times: usize, failure: &Failure) {
    for worker in cluster.workers.values_mut() {
        worker.commits.extend(std::iter::repeat_n(Outcome::Bad(failure.clone()), times));
    }
}

#[test]
fn a_refused_commit_is_tried_again_after_the_delay() {
    let mut cluster = all_done(OFTEN);
    refuse(&mut cluster, 1, &Failure::user("no such table"));
    cluster.persist(Ok(()));
    cluster.settle();
    assert!(matches!(cluster.core.waits()[..], [Wait::Commit { .. }]));
    cluster.pass(99);
    assert_eq!(commits(&cluster), 1);
    cluster.pass(101);
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(commits(&cluster), 3, "the other process was asked in between");
}

#[test]
fn a_commit_that_is_always_refused_fails_the_job() {
    let mut cluster = all_done(OFTEN);
    refuse(&mut cluster, 100, &Failure::user("no such table"));
    cluster.persist(Ok(()));
    cluster.pass(10_000);
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(commits(&cluster), 10);
    assert_eq!(cluster.ended[0].failure.as_ref().unwrap().message, "no such table");
}

/// A job whose last commit cannot be made until something is mended, whatever the restart strategy.
fn stuck(restart: RestartStrategy) -> FakeCluster {
    let mut cluster = all_done(restart);
    refuse(&mut cluster, 10_000, &Failure::environment("disk full"));
    cluster.persist(Ok(()));
    cluster.pass(3_600_000);
    assert_eq!((cluster.core.status(), cluster.ended.len()), (JobStatus::Running, 0));
    let view = cluster.core.view();
    assert_eq!(view.failure.map(|failure| failure.message).as_deref(), Some("disk full"));
    assert_eq!((view.exceptions.len(), view.restarts), (1, 0));
    cluster
}

#[test]
fn a_commit_waits_for_what_is_in_its_way_to_be_mended() {
    for restart in [RestartStrategy::None, ONCE] {
        let mut cluster = stuck(restart);
        let tries = commits(&cluster);
        assert!((60..70).contains(&tries), "{tries} tries in an hour");
        cluster.workers.values_mut().for_each(|worker| worker.commits.clear());
        cluster.pass(60_000);
        check_ended(&mut cluster, JobStatus::Finished);
    }
}

#[test]
fn where_nobody_mends_anything_tries_are_counted() {
    let mut spec = spec_of(word_count(), OFTEN);
    spec.timeouts.mending = 0;
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    cluster.settle();
    refuse(&mut cluster, 100, &Failure::environment("disk full"));
    cluster.run_to_end();
    cluster.pass(10_000);
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(commits(&cluster), 10);
}

#[test]
fn a_job_whose_commit_waits_can_be_cancelled() {
    let mut cluster = stuck(RestartStrategy::None);
    cluster.tell(crate::core::Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}

#[test]
fn a_job_that_is_cancelled_while_a_process_commits_ends_so_if_that_fails() {
    for fails in [true, false] {
        let mut cluster = all_done(RestartStrategy::None);
        refuse(&mut cluster, usize::from(fails) * 100, &Failure::environment("disk full"));
        cluster.persist(Ok(()));
        assert!(matches!(cluster.core.waits()[..], [Wait::Commit { .. }]));
        cluster.tell(crate::core::Event::Cancel);
        assert_eq!(cluster.core.status(), JobStatus::Running);
        check_ended(&mut cluster, if fails { JobStatus::Canceled } else { JobStatus::Finished });
    }
}

#[test]
fn a_commit_that_kills_every_process_fails_the_job() {
    let mut cluster = all_done(OFTEN);
    cluster.persist(Ok(()));
    let mut killed = 0;
    while cluster.ended.is_empty() {
        if cluster.core.waits().iter().any(|wait| matches!(wait, Wait::Commit { .. })) {
            // The message is on its way to it.
            let workers: Vec<_> = cluster.workers.keys().cloned().collect();
            workers.iter().for_each(|worker| cluster.kill_process(worker));
            killed += 1;
        }
        assert!(cluster.deliver(), "waits for {:?}", cluster.core.waits());
    }
    assert!((5..=10).contains(&killed), "{killed}");
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(commits(&cluster), 0);
}

#[test]
fn a_commit_that_never_answers_goes_to_another_process() {
    let mut cluster = all_done(OFTEN);
    cluster.persist(Ok(()));
    // Nothing is delivered for so long.
    cluster.now = cluster.now.plus(cluster.core.spec().timeouts.commit);
    cluster.tell(crate::core::Event::Wake);
    cluster.pass(1_000);
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn a_restored_manifest_is_committed_without_running_anything() {
    let mut spec = spec_of(word_count(), RestartStrategy::None);
    spec.restored_commit = Some(manifest());
    spec.epoch = spec.epoch.next();
    let mut cluster = cluster(spec);
    assert_eq!(cluster.declared.values().sum::<u32>(), 1);
    cluster.add_worker(4);
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!((commits(&cluster), cluster.manifests.len()), (1, 0));
    assert_eq!(cluster.live().count(), 0);
    assert_eq!(cluster.ended[0].vertices[0].subtasks[0].current.state, ExecutionState::Finished);
}

#[test]
fn a_restored_manifest_survives_losses() {
    let mut spec = spec_of(two_stages(), RestartStrategy::None);
    spec.restored_commit = Some(manifest());
    let mut cluster = cluster(spec);
    let worker = cluster.add_worker(1);
    cluster.settle();
    if cluster.ended.is_empty() {
        cluster.kill_worker(&worker);
        cluster.add_worker(1);
    }
    check_ended(&mut cluster, JobStatus::Finished);
}
