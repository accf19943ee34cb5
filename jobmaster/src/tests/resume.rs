//! Connections that break and come back: what was lost on the way to a TaskManager is repeated.

use flott_core::{
    failure::Failure,
    id::ProcessId,
    message::{ProcessLocation, WorkerToJob},
};

use super::*;
use crate::{
    core::{Event, Wait},
    testing::Outcome,
};

/// Delivers messages until the JobMaster waits like this, with the ones that come of it still on their way.
#[track_caller]
fn deliver_until(cluster: &mut FakeCluster, reached: impl Fn(&[Wait]) -> bool) {
    while !reached(&cluster.core.waits()) {
        assert!(cluster.deliver(), "waits for {:?}", cluster.core.waits());
    }
}

#[track_caller]
fn reconnect_all(cluster: &mut FakeCluster) {
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.reconnect(&worker);
    }
    check_sound(cluster);
}

#[test]
fn while_processes_are_asked_for() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    deliver_until(&mut cluster, |waits| waits.iter().any(|wait| matches!(wait, Wait::Processes { .. })));
    reconnect_all(&mut cluster);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn while_tasks_are_deployed() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    deliver_until(&mut cluster, |waits| waits == [Wait::Tasks { deployed: 4 }]);
    assert_eq!(cluster.live().count(), 0);
    reconnect_all(&mut cluster);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn while_splits_are_listed() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    cluster.settle();
    cluster.work_all();
    cluster.settle();
    cluster.work_all();
    while cluster.incoming().next().is_some() {
        cluster.deliver();
    }
    reconnect_all(&mut cluster);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn while_tasks_are_cancelled() {
    let mut cluster = running(word_count(), RestartStrategy::None);
    cluster.tell(Event::Cancel);
    reconnect_all(&mut cluster);
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn while_results_are_committed_or_removed() {
    let mut committing = running(word_count(), RestartStrategy::None);
    committing.persists = false;
    committing.run_to_end();
    committing.persist(Ok(()));
    reconnect_all(&mut committing);
    check_ended(&mut committing, JobStatus::Finished);

    let mut aborting = running(word_count(), RestartStrategy::None);
    aborting.tell(Event::Cancel);
    deliver_until(&mut aborting, |waits| matches!(waits, [Wait::Abort { .. }]));
    reconnect_all(&mut aborting);
    check_ended(&mut aborting, JobStatus::Canceled);
    assert_eq!(aborting.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}

#[test]
fn while_the_end_of_a_process_is_told() {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    cluster.kill_process_unheard(&worker);
    cluster.reconnect(&worker);
    cluster.settle();
    check_sound(&cluster);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    assert_eq!(cluster.core.view().exceptions[0].failure.message, "the job process is gone from its TaskManager");
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn while_the_end_of_a_process_is_told_and_no_other_comes_up() {
    let mut cluster = running(word_count(), OFTEN);
    let worker = cluster.workers.keys().next().unwrap().clone();
    cluster.kill_process_unheard(&worker);
    let failure = Failure::environment("no room");
    cluster.workers.get_mut(&worker).unwrap().starts.push_back(Outcome::Bad(failure));
    cluster.reconnect(&worker);
    cluster.settle();
    check_sound(&cluster);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    let exceptions: Vec<_> = cluster.ended[0].exceptions.iter().map(|entry| &entry.failure.message[..]).collect();
    assert_eq!(exceptions, ["no room", "the job process is gone from its TaskManager"]);
}

/// News of another life than the one that runs changes nothing, even if the connection was interrupted and the end of
/// the one that runs may have been missed.
#[track_caller]
fn check_old_news(news: impl FnOnce(ProcessLocation) -> WorkerToJob, interrupted: bool) {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    let mut location = cluster.workers[&worker].process().unwrap().clone();
    location.process = ProcessId::from_bytes([99; 16]);
    let alive: Vec<_> = cluster.live().collect();
    if interrupted {
        cluster.tell(Event::WorkerResumed(worker.clone()));
    }
    let epoch = cluster.core.spec().epoch;
    cluster.inject(&worker, epoch, news(location));
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Running);
    assert_eq!(cluster.live().collect::<Vec<_>>(), alive);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 0);
}

#[test]
fn old_news_of_another_life_changes_nothing() {
    for interrupted in [false, true] {
        check_old_news(WorkerToJob::ProcessReady, interrupted);
        let lost = |location: ProcessLocation| {
            let failure = Failure::environment("the job process was killed by signal 9");
            WorkerToJob::ProcessLost { process: location.process, failure }
        };
        check_old_news(lost, interrupted);
    }
}
