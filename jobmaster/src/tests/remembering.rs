//! What a JobMaster knows by those before it.

use flott_core::{failure::Failure, past::Past};

use super::*;

const TWICE: RestartStrategy = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 100 };

fn fail(cluster: &mut FakeCluster, vertex: &str, subtask: u32, message: &str) {
    let failed = attempt(cluster, vertex, subtask);
    cluster.fail(failed, Failure::user(message));
    cluster.settle();
}

/// The delay of a restart is over, and all tasks run.
#[track_caller]
fn restart(cluster: &mut FakeCluster) {
    cluster.pass(100);
    start_tasks(cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
}

/// Failures that have counted, oldest first.
fn told(cluster: &FakeCluster) -> Vec<String> {
    cluster.core.view().exceptions.iter().rev().map(|told| told.failure.message.clone()).collect()
}

#[test]
fn failures_are_kept_and_restarts_counted_on() {
    let spec = spec_of(word_count(), TWICE);
    let mut cluster = running(word_count(), TWICE);
    fail(&mut cluster, "source", 1, "first");
    restart(&mut cluster);
    let before = cluster.core.view();
    cluster.replace_master(&spec, false);
    cluster.settle();
    let view = cluster.core.view();
    assert_eq!((view.status, view.restarts), (JobStatus::Running, 1));
    assert_eq!((&view.exceptions, &view.failure), (&before.exceptions, &before.failure));
    assert_eq!(view.exceptions[0].failure.location.subtask, Some((1, 2)));
    fail(&mut cluster, "sink", 0, "second");
    restart(&mut cluster);
    cluster.replace_master(&spec, false);
    cluster.settle();
    fail(&mut cluster, "sink", 0, "third");
    check_ended(&mut cluster, JobStatus::Failed);
    let view = &cluster.ended[0];
    assert!(view.failure.as_ref().unwrap().message.contains("third (not restarted: all 2 restarts were used"));
    assert_eq!((view.restarts, view.exceptions.len()), (2, 3));
}

#[test]
fn as_many_failures_are_kept_as_the_configuration_says() {
    let with = |kept: &str| {
        let mut spec = spec_of(word_count(), OFTEN);
        spec.configuration.insert("web.exception-history-size".to_owned(), kept.to_owned());
        spec
    };
    let mut cluster = cluster(with("2"));
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    for (place, message) in ["first", "second", "third"].into_iter().enumerate() {
        fail(&mut cluster, "sink", 0, message);
        assert_eq!(cluster.core.view().exceptions_truncated, place == 2);
        cluster.pass(3_600_000);
        start_tasks(&mut cluster);
    }
    assert_eq!(told(&cluster), ["second", "third"]);
    cluster.replace_master(&with("1"), false);
    assert_eq!(told(&cluster), ["third"]);
}

#[test]
fn a_failure_that_was_counted_costs_nothing_again() {
    let spec = spec_of(word_count(), ONCE);
    let mut cluster = running(word_count(), ONCE);
    fail(&mut cluster, "sink", 1, "boom");
    assert_eq!(cluster.live().count(), 0, "all have heard that they are to start over");
    cluster.replace_master(&spec, false);
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    restart(&mut cluster);
    assert_eq!((told(&cluster), cluster.core.view().restarts), (vec!["boom".to_owned()], 1));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn one_that_was_not_written_down_counts_when_it_is_heard_of() {
    let spec = spec_of(word_count(), ONCE);
    let mut cluster = running(word_count(), ONCE);
    fail(&mut cluster, "sink", 1, "boom");
    cluster.past = Past::default();
    cluster.replace_master(&spec, false);
    cluster.settle();
    restart(&mut cluster);
    assert_eq!((told(&cluster), cluster.core.view().restarts), (vec!["boom".to_owned()], 1));
    fail(&mut cluster, "sink", 1, "again");
    check_ended(&mut cluster, JobStatus::Failed);
}

#[test]
fn a_job_that_was_about_to_end_by_it_ends_by_it() {
    for (restart, failure) in [(ONCE, Failure::user("boom").fatal()), (RestartStrategy::None, Failure::user("boom"))] {
        let spec = spec_of(word_count(), restart);
        let mut cluster = running(word_count(), restart);
        let (failed, other) = (attempt(&cluster, "sink", 1), attempt(&cluster, "sink", 0));
        let stuck = cluster.worker_of(other).unwrap();
        assert_ne!(cluster.worker_of(failed).as_ref(), Some(&stuck));
        cluster.workers.get_mut(&stuck).unwrap().is_stuck = true;
        cluster.fail(failed, failure);
        cluster.settle();
        assert_eq!(cluster.core.status(), JobStatus::Failing);
        cluster.workers.get_mut(&stuck).unwrap().is_stuck = false;
        cluster.replace_master(&spec, false);
        cluster.settle();
        check_ended(&mut cluster, JobStatus::Failed);
        assert_eq!(told(&cluster), ["boom"]);
    }
}

/// The JobMaster behind it finds nothing of it and starts it once more: that it was to end is over.
#[test]
fn a_job_that_was_started_once_more_is_not_ended_by_what_was_before() {
    let spec = spec_of(word_count(), ONCE);
    let mut cluster = running(word_count(), ONCE);
    let workers: Vec<_> = cluster.workers.keys().cloned().collect();
    workers.iter().for_each(|worker| cluster.kill_worker(worker));
    cluster.past = Past { failing: true, failure: Some(Failure::user("boom").fatal()), ..Past::default() };
    cluster.replace_master(&spec, false);
    cluster.add_worker(1);
    cluster.add_worker(1);
    cluster.pass(cluster.core.spec().timeouts.reconcile);
    start_tasks(&mut cluster);
    assert_eq!((cluster.core.status(), cluster.past.failing), (JobStatus::Running, false));
    cluster.replace_master(&spec, false);
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn who_was_told_to_end_has_not_failed() {
    let mut spec = spec_of(side_by_side(), ONCE);
    spec.configuration.insert("jobmanager.execution.failover-strategy".to_owned(), "full".to_owned());
    let mut cluster = cluster(spec.clone());
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    fail(&mut cluster, "source", 0, "boom");
    assert_eq!(states(&cluster, "source")[1].1, ExecutionState::Canceled);
    cluster.replace_master(&spec, false);
    cluster.settle();
    restart(&mut cluster);
    assert_eq!((told(&cluster), cluster.core.view().restarts), (vec!["boom".to_owned()], 1));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn nothing_is_written_while_all_goes_well() {
    let mut cluster = running(word_count(), ONCE);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.past, Past::default());
}
