//! Cancelling, in every state of a job.

use flott_core::failure::Failure;

use super::*;
use crate::core::{Event, Wait};

#[test]
fn before_there_are_slots() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(cluster.statuses, [JobStatus::Created, JobStatus::Cancelling, JobStatus::Canceled]);
    assert_eq!(cluster.ended[0].failure, None);
}

#[test]
fn while_processes_start() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    while !cluster.core.waits().iter().any(|wait| matches!(wait, Wait::Processes { .. })) {
        assert!(cluster.deliver());
    }
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn while_tasks_run() {
    let mut cluster = running(word_count(), OFTEN);
    cluster.tell(Event::Cancel);
    assert_eq!(cluster.core.status(), JobStatus::Cancelling);
    assert_eq!(cluster.core.waits(), [Wait::Tasks { deployed: 4 }]);
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1, "prepared results are removed");
}

#[test]
fn while_tasks_are_deployed_and_silent() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    cluster.settle();
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn while_a_restart_is_waited_for() {
    let mut cluster = running(word_count(), OFTEN);
    let failed = attempt(&cluster, "source", 0);
    cluster.fail(failed, Failure::user("boom"));
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn while_it_fails() {
    let mut cluster = running(word_count(), RestartStrategy::None);
    let failed = attempt(&cluster, "source", 0);
    cluster.fail(failed, Failure::user("boom"));
    while cluster.core.status() != JobStatus::Failing {
        assert!(cluster.deliver());
    }
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn while_it_commits_is_too_late() {
    let mut cluster = running(word_count(), OFTEN);
    cluster.persists = false;
    cluster.run_to_end();
    assert_eq!(cluster.core.waits(), [Wait::Manifest]);
    cluster.tell(Event::Cancel);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster.persist(Ok(()));
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn after_the_end_changes_nothing() {
    let mut cluster = running(word_count(), OFTEN);
    cluster.run_to_end();
    cluster.tell(Event::Cancel);
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn twice_is_once() {
    let mut cluster = running(word_count(), OFTEN);
    cluster.tell(Event::Cancel);
    cluster.tell(Event::Cancel);
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(cluster.statuses.iter().filter(|status| **status == JobStatus::Cancelling).count(), 1);
}

#[test]
fn a_worker_that_does_not_end_its_tasks_is_given_up() {
    let mut cluster = running(word_count(), OFTEN);
    let worker = cluster.workers.keys().next().unwrap().clone();
    cluster.workers.get_mut(&worker).unwrap().is_stuck = true;
    cluster.tell(Event::Cancel);
    cluster.settle();
    assert_eq!(cluster.core.waits(), [Wait::Tasks { deployed: 2 }]);
    cluster.pass(cluster.core.spec().timeouts.cancellation);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn workers_lost_meanwhile_do_not_hold_it_up() {
    let mut cluster = running(word_count(), OFTEN);
    for worker in cluster.workers.values_mut() {
        worker.is_stuck = true;
    }
    cluster.tell(Event::Cancel);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn a_process_that_died_is_started_again_to_clean_up() {
    let mut cluster = running(word_count(), RestartStrategy::None);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_process(&worker);
    }
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}
