//! Which of the failures that come together is said to be the root.

use flott_core::{
    failure::Failure,
    id::{WorkerId, WorkerKey},
    view::ExceptionView,
};

use super::*;
use crate::core::{CAUSE_WAIT, Event, Wait};

const KILLED: &str = "the job process was killed by signal 9";
const GONE: &str = "no heartbeat for 8000 ms";
const HUNG_UP: &str = "lost the data connection";

fn hung_up() -> Failure {
    Failure::lost_peer(HUNG_UP)
}

/// Two sinks behind two sources, next to two sinks behind two sources: two regions, each on both TaskManagers.
fn twins() -> TestGraph {
    TestGraph::new("twins")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .vertex("other source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("other sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("other source", "other sink", ShipStrategy::Hash, Exchange::Pipelined)
}

/// A TaskManager of a running job that is to lose its process, or to be lost.
struct Victim {
    cluster: FakeCluster,
    worker: WorkerKey,
}

impl Victim {
    fn of(graph: TestGraph, restart: RestartStrategy) -> Self {
        let mut cluster = running(graph, restart);
        let worker = cluster.workers.keys().next().unwrap().clone();
        for each in cluster.workers.values_mut() {
            // What dies does not answer before.
            each.is_stuck = *each.key() == worker;
        }
        Self { cluster, worker }
    }

    /// A task of `vertex` on the other TaskManager has lost its connection, and the JobMaster hears of it.
    fn is_missed_by(&mut self, vertex: &str) {
        let on_other = |subtask: &u32| {
            let attempt = attempt(&self.cluster, vertex, *subtask);
            self.cluster.worker_of(attempt).is_some_and(|worker| worker != self.worker)
        };
        let subtask = (0..2).find(on_other).expect("each TaskManager has one");
        let failed = attempt(&self.cluster, vertex, subtask);
        self.cluster.fail(failed, hung_up());
        self.cluster.settle();
    }

    fn loses_its_process(&mut self) {
        self.cluster.kill_process(&self.worker);
        self.cluster.settle();
        self.cluster.workers.get_mut(&self.worker).unwrap().is_stuck = false;
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, &[&str])]) {
        check_sound(&self.cluster);
        check_history(&self.cluster.core.view().exceptions, expected);
    }
}

/// The failures, newest first, each with those that came along.
#[track_caller]
fn check_history(exceptions: &[ExceptionView], expected: &[(&str, &[&str])]) {
    let found: Vec<(&str, Vec<&str>)> = exceptions
        .iter()
        .map(|entry| {
            let along = entry.concurrent.iter().map(|failure| &failure.message[..]).collect();
            (&entry.failure.message[..], along)
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(|(root, along)| (*root, along.to_vec())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_lost_process_is_the_root_though_its_peers_speak_first() {
    let mut victim = Victim::of(word_count(), ONCE);
    victim.is_missed_by("sink");
    assert_eq!(victim.cluster.core.status(), JobStatus::Restarting, "nothing waits for the name");
    victim.check(&[(HUNG_UP, &[])]);
    victim.loses_its_process();
    victim.check(&[(KILLED, &[HUNG_UP])]);
    assert_eq!(victim.cluster.core.view().failure.unwrap().message, KILLED);
    victim.cluster.run_to_end();
    check_ended(&mut victim.cluster, JobStatus::Finished);
    assert_eq!(victim.cluster.ended[0].restarts, 1, "they are one failure");
}

#[test]
fn a_lost_process_is_the_root_when_it_is_heard_of_first() {
    let mut victim = Victim::of(word_count(), ONCE);
    let noticed = (0..2).map(|subtask| attempt(&victim.cluster, "sink", subtask));
    let noticed = noticed.into_iter().find(|sink| victim.cluster.worker_of(*sink) != Some(victim.worker.clone()));
    victim.cluster.kill_process(&victim.worker.clone());
    victim.cluster.fail(noticed.unwrap(), hung_up());
    victim.cluster.settle();
    victim.check(&[(KILLED, &[HUNG_UP])]);
}

#[test]
fn a_lost_task_manager_is_the_root_however_late_it_is_missed() {
    let mut victim = Victim::of(word_count(), ONCE);
    victim.is_missed_by("source");
    victim.cluster.pass(10 * CAUSE_WAIT);
    victim.check(&[(HUNG_UP, &[])]);
    victim.cluster.kill_worker(&victim.worker.clone());
    victim.check(&[(GONE, &[HUNG_UP])]);
    victim.cluster.add_worker(1);
    victim.cluster.run_to_end();
    check_ended(&mut victim.cluster, JobStatus::Finished);
}

#[test]
fn what_became_of_a_lost_task_manager_takes_the_place_of_its_loss() {
    let lost = |worker: &WorkerKey, reason: &str| Failure::lost_worker(worker.worker.clone(), "host".into(), reason);
    let mut victim = Victim::of(word_count(), ONCE);
    victim.is_missed_by("source");
    let worker = victim.worker.clone();
    victim.cluster.lose_worker(&worker, lost(&worker, "silent"));
    victim.check(&[("TaskManager lost: silent", &[HUNG_UP])]);
    victim.cluster.add_worker(1);
    victim.cluster.settle();
    let other = WorkerKey { worker: WorkerId("another".into()), ..worker.clone() };
    for worker in [&worker, &other, &other] {
        victim.cluster.tell(Event::WorkerLost { worker: worker.clone(), failure: lost(worker, "its node burns") });
    }
    victim.check(&[("TaskManager lost: its node burns", &[HUNG_UP])]);
    assert_eq!(victim.cluster.core.view().failure.unwrap().message, "TaskManager lost: its node burns");
    victim.cluster.run_to_end();
    check_ended(&mut victim.cluster, JobStatus::Finished);
    assert_eq!(victim.cluster.ended[0].restarts, 1);
}

#[test]
fn the_failure_that_ends_the_job_is_named_too() {
    let mut victim = Victim::of(word_count(), RestartStrategy::FixedDelay { attempts: 0, delay_ms: 0 });
    victim.is_missed_by("sink");
    assert_eq!(victim.cluster.core.status(), JobStatus::Failing);
    victim.loses_its_process();
    check_ended(&mut victim.cluster, JobStatus::Failed);
    let root = format!("{KILLED} (not restarted: all 0 restarts were used)");
    let symptom = format!("{HUNG_UP} (not restarted: all 0 restarts were used)");
    assert_eq!(victim.cluster.ended[0].failure.as_ref().unwrap().message, root);
    check_history(&victim.cluster.ended[0].exceptions, &[(&root, &[&symptom])]);
}

#[test]
fn a_job_ends_with_the_cause_of_a_process_whose_tasks_had_ended() {
    let mut victim = Victim::of(word_count(), RestartStrategy::None);
    for worker in victim.cluster.workers.values_mut() {
        worker.is_stuck = false;
    }
    victim.is_missed_by("sink");
    let until = victim.cluster.now.plus(CAUSE_WAIT);
    assert_eq!(victim.cluster.core.waits(), [Wait::Cause { until }]);
    victim.cluster.pass(CAUSE_WAIT - 1);
    victim.loses_its_process();
    check_ended(&mut victim.cluster, JobStatus::Failed);
    check_history(&victim.cluster.ended[0].exceptions, &[(KILLED, &[HUNG_UP])]);
}

#[test]
fn a_lost_connection_that_nothing_explains_is_the_root() {
    let mut victim = Victim::of(word_count(), RestartStrategy::None);
    for worker in victim.cluster.workers.values_mut() {
        worker.is_stuck = false;
    }
    victim.is_missed_by("sink");
    victim.cluster.pass(CAUSE_WAIT - 1);
    assert_eq!(victim.cluster.core.status(), JobStatus::Failing);
    victim.cluster.pass(1);
    check_ended(&mut victim.cluster, JobStatus::Failed);
    check_history(&victim.cluster.ended[0].exceptions, &[(HUNG_UP, &[])]);
}

#[test]
fn cancelling_does_not_wait_for_a_name() {
    let mut victim = Victim::of(word_count(), RestartStrategy::None);
    for worker in victim.cluster.workers.values_mut() {
        worker.is_stuck = false;
    }
    victim.is_missed_by("sink");
    victim.cluster.tell(Event::Cancel);
    check_ended(&mut victim.cluster, JobStatus::Canceled);
}

#[test]
fn a_process_that_dies_long_after_explains_nothing_and_is_noted() {
    let mut victim = Victim::of(word_count(), ONCE);
    victim.is_missed_by("sink");
    victim.cluster.pass(CAUSE_WAIT + 1);
    victim.loses_its_process();
    victim.check(&[(HUNG_UP, &[KILLED])]);
}

#[test]
fn a_process_lost_beside_another_failure_is_noted() {
    let mut victim = Victim::of(word_count(), ONCE);
    let failed = attempt(&victim.cluster, "source", 0);
    victim.cluster.fail(failed, Failure::user("boom"));
    victim.cluster.settle();
    victim.loses_its_process();
    victim.check(&[("boom", &[KILLED])]);
}

#[test]
fn a_task_manager_that_does_not_end_its_tasks_explains_nothing() {
    let mut victim = Victim::of(word_count(), ONCE);
    victim.is_missed_by("sink");
    let patience = victim.cluster.core.spec().timeouts.cancellation;
    victim.cluster.pass(patience);
    let stuck =
        format!("its tasks did not end within {patience} ms of being cancelled, and it did not end their process");
    victim.check(&[(HUNG_UP, &[&stuck])]);
}

#[test]
fn one_loss_is_one_failure_for_all_regions() {
    let mut victim = Victim::of(twins(), ONCE);
    victim.is_missed_by("sink");
    victim.is_missed_by("other sink");
    victim.check(&[(HUNG_UP, &[HUNG_UP])]);
    victim.loses_its_process();
    victim.check(&[(KILLED, &[HUNG_UP, HUNG_UP])]);
    victim.cluster.run_to_end();
    check_ended(&mut victim.cluster, JobStatus::Finished);
    assert_eq!(victim.cluster.ended[0].restarts, 1);
}

#[test]
fn regions_that_had_not_noticed_start_over_with_those_that_had() {
    let mut victim = Victim::of(twins(), ONCE);
    victim.is_missed_by("sink");
    victim.loses_its_process();
    victim.check(&[(KILLED, &[HUNG_UP])]);
    assert_eq!(victim.cluster.core.status(), JobStatus::Restarting);
    victim.cluster.run_to_end();
    check_ended(&mut victim.cluster, JobStatus::Finished);
    assert_eq!(victim.cluster.ended[0].restarts, 1);
}

#[test]
fn a_region_that_loses_a_connection_again_fails_again() {
    let mut cluster = running(word_count(), RestartStrategy::FixedDelay { attempts: 2, delay_ms: 0 });
    for _ in 0..2 {
        let failed = attempt(&cluster, "sink", 0);
        cluster.fail(failed, hung_up());
        cluster.settle();
        cluster.pass(0);
        start_tasks(&mut cluster);
    }
    assert_eq!(cluster.core.view().restarts, 2);
    check_history(&cluster.core.view().exceptions, &[(HUNG_UP, &[]), (HUNG_UP, &[])]);
}

#[test]
fn a_cause_that_no_restart_mends_ends_the_job_at_once() {
    let mut victim = Victim::of(word_count(), OFTEN);
    victim.is_missed_by("sink");
    let process = victim.cluster.workers[&victim.worker].process().unwrap().process;
    let failure = Failure::user("planned something else").fatal();
    let lost = flott_core::message::WorkerToJob::ProcessLost { process, failure };
    victim.cluster.kill_process_unheard(&victim.worker.clone());
    victim.cluster.inject(&victim.worker.clone(), victim.cluster.core.spec().epoch, lost);
    victim.cluster.settle();
    check_ended(&mut victim.cluster, JobStatus::Failed);
    check_history(&victim.cluster.ended[0].exceptions, &[("planned something else", &[HUNG_UP])]);
}
