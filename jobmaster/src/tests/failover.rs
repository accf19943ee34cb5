//! What fails, restarts or ends the job.

use flott_core::{failure::Failure, view::Accumulator};

use super::*;
use crate::core::Wait;

fn boom() -> Failure {
    Failure::user("boom")
}

#[test]
fn a_failed_task_takes_its_region_along() {
    let mut cluster = running(word_count(), ONCE);
    let failed = attempt(&cluster, "source", 0);
    cluster.fail(failed, boom());
    cluster.settle();
    check_sound(&cluster);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    assert_eq!(states(&cluster, "source"), [(0, ExecutionState::Failed), (0, ExecutionState::Canceled)]);
    assert_eq!(states(&cluster, "sink"), [(0, ExecutionState::Canceled); 2]);
    assert!(matches!(cluster.core.waits()[..], [Wait::Restart { .. }]));
    // Not a moment before the delay is over.
    cluster.pass(99);
    assert_eq!(cluster.live().count(), 0);
    cluster.pass(1);
    cluster.settle();
    assert_eq!(states(&cluster, "source"), [(1, ExecutionState::Deploying); 2]);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    let view = &cluster.ended[0];
    assert_eq!((view.restarts, view.exceptions.len()), (1, 1));
    assert_eq!(view.vertices[0].subtasks[0].previous.len(), 1);
    let failure = view.vertices[0].subtasks[0].previous[0].failure.clone().unwrap();
    assert_eq!(failure.to_string(), "source (1/2) attempt 0 on tm-1 @ 127.0.0.1:2: boom");
    let Accumulator::List(read) = &view.accumulators["splits"] else { panic!("splits are a list") };
    assert_eq!(read.len(), 10, "each split counts once: {read:?}");
}

#[test]
fn a_region_that_is_whole_is_left_alone() {
    let mut cluster = running(side_by_side(), ONCE);
    let failed = attempt(&cluster, "source", 1);
    cluster.fail(failed, boom());
    cluster.settle();
    assert_eq!(states(&cluster, "source"), [(0, ExecutionState::Running), (0, ExecutionState::Failed)]);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn with_the_strategy_full_every_region_starts_over() {
    for (graph, failing) in [(side_by_side(), "source"), (two_stages(), "sink")] {
        let mut spec = spec_of(graph, ONCE);
        spec.configuration.insert("jobmanager.execution.failover-strategy".to_owned(), "full".to_owned());
        let mut cluster = cluster(spec);
        cluster.add_worker(2);
        start_tasks(&mut cluster);
        // Of two stages the first has finished then.
        while states(&cluster, failing)[1].1 != ExecutionState::Running {
            assert!(cluster.work_all());
            cluster.settle();
        }
        let failed = attempt(&cluster, failing, 1);
        cluster.fail(failed, boom());
        cluster.settle();
        check_sound(&cluster);
        cluster.pass(100);
        cluster.settle();
        let attempts: Vec<_> = states(&cluster, "source").into_iter().map(|(attempt, _)| attempt).collect();
        assert_eq!(attempts, [1, 1]);
        cluster.run_to_end();
        check_ended(&mut cluster, JobStatus::Finished);
        assert_eq!(cluster.ended[0].restarts, 1);
    }
}

#[test]
fn failures_that_come_along_count_once() {
    let mut cluster = running(word_count(), ONCE);
    for subtask in 0..2 {
        let failed = attempt(&cluster, "source", subtask);
        cluster.fail(failed, boom());
    }
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    let exceptions = &cluster.ended[0].exceptions;
    assert_eq!((exceptions.len(), exceptions[0].concurrent.len()), (1, 1));
}

#[test]
fn the_job_fails_when_the_strategy_gives_up() {
    let mut cluster = running(word_count(), ONCE);
    for _ in 0..2 {
        let failed = attempt(&cluster, "sink", 0);
        cluster.fail(failed, boom());
        cluster.settle();
        cluster.pass(100);
        start_tasks(&mut cluster);
    }
    check_ended(&mut cluster, JobStatus::Failed);
    let states = [JobStatus::Created, JobStatus::Running, JobStatus::Restarting, JobStatus::Running];
    assert_eq!(cluster.statuses[..4], states);
    assert_eq!(cluster.statuses[4..], [JobStatus::Failing, JobStatus::Failed]);
    let failure = cluster.ended[0].failure.as_ref().unwrap();
    assert_eq!(failure.message, "boom (not restarted: all 1 restarts were used)");
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}

#[test]
fn what_a_restart_cannot_mend_ends_the_job() {
    let mut cluster = running(word_count(), OFTEN);
    let failed = attempt(&cluster, "sink", 0);
    cluster.fail(failed, boom().fatal());
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(cluster.ended[0].failure.as_ref().unwrap().message, "boom");
}

#[test]
fn a_lost_process_is_one_failure_and_keeps_its_slots() {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    cluster.kill_process(&worker);
    cluster.settle();
    assert_eq!(cluster.declared.values().sum::<u32>(), 2);
    assert!(cluster.core.view().pending.is_empty(), "no slot is missing");
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 1);
    assert_eq!(cluster.ended[0].exceptions[0].failure.location.worker, Some(worker.worker));
}

#[test]
fn a_lost_task_manager_is_replaced() {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    cluster.kill_worker(&worker);
    cluster.settle();
    assert_eq!(cluster.declared.values().sum::<u32>(), 2, "asked for at once, during the delay");
    assert!(cluster.idle, "the other slot may go to another job");
    cluster.pass(200);
    assert_eq!(cluster.core.waits(), [Wait::Slots { missing: 1 }]);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.add_worker(1);
    assert!(cluster.idle);
    cluster.settle();
    assert!(!cluster.idle);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn all_task_managers_may_go_at_once() {
    let mut cluster = running(word_count(), OFTEN);
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.settle();
    cluster.add_worker(2);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].exceptions.len(), 1, "the second loss came while the first was cleared up");
}

#[test]
fn a_task_manager_lost_before_anything_ran_is_no_failure() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    let worker = cluster.add_worker(1);
    cluster.settle();
    cluster.kill_worker(&worker);
    cluster.add_worker(2);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 0);
}

#[test]
fn a_slot_that_is_taken_back_is_replaced() {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    let allocation = cluster.workers[&worker].allocations().next().unwrap().allocation;
    cluster.take_back(&worker, allocation);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 1);
}

#[test]
fn a_process_that_does_not_start_is_a_failure() {
    let mut cluster = cluster(spec_of(word_count(), ONCE));
    let worker = cluster.add_worker(2);
    let unfit = Failure::user("exited with code 1 before it was ready");
    cluster.workers.get_mut(&worker).unwrap().starts.push_back(crate::testing::Outcome::Bad(unfit));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 1);
}

#[test]
fn a_program_that_plans_something_else_ends_the_job() {
    let mut cluster = cluster(spec_of(word_count(), OFTEN));
    let worker = cluster.add_worker(2);
    let unfit = Failure::user("the program planned something else").fatal();
    cluster.workers.get_mut(&worker).unwrap().starts.push_back(crate::testing::Outcome::Bad(unfit));
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(cluster.statuses, [JobStatus::Created, JobStatus::Failing, JobStatus::Failed]);
}

#[test]
fn a_process_that_never_answers_is_given_up() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(2);
    while !cluster.core.waits().iter().any(|wait| matches!(wait, Wait::Processes { .. })) {
        assert!(cluster.deliver());
    }
    cluster.sleep();
    assert_eq!(cluster.core.status(), JobStatus::Failed);
    let failure = cluster.ended[0].failure.as_ref().unwrap();
    assert_eq!(failure.message, "the job process did not come up within 120000 ms");
    assert_eq!(failure.location.worker.as_ref().unwrap().0, "tm-1");
}

#[test]
fn output_that_is_still_to_be_read_is_made_again() {
    let mut cluster = running(two_stages(), OFTEN);
    while states(&cluster, "sink")[0].1 != ExecutionState::Running {
        cluster.work_all();
        cluster.settle();
        if states(&cluster, "sink")[0].1 == ExecutionState::Deploying {
            break;
        }
    }
    let worker = cluster.worker_of(attempt(&cluster, "sink", 0)).unwrap();
    cluster.kill_process(&worker);
    cluster.settle();
    check_sound(&cluster);
    cluster.pass(100);
    let again = states(&cluster, "source").iter().filter(|(attempt, _)| *attempt == 1).count();
    assert_eq!(again, 1, "the source whose process is gone, and no other: {:?}", states(&cluster, "source"));
    assert_eq!(states(&cluster, "sink"), [(1, ExecutionState::Created); 2], "both read from it");
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn a_task_that_stops_unasked_has_failed() {
    let mut cluster = running(word_count(), ONCE);
    let stopped = attempt(&cluster, "sink", 1);
    says_canceled(&mut cluster, stopped);
    cluster.deliver();
    let view = cluster.core.view();
    assert_eq!(view.exceptions[0].failure.message, "the task stopped without being told to");
}

#[test]
fn the_history_is_bounded() {
    let mut cluster = running(word_count(), OFTEN);
    for _ in 0..20 {
        let failed = attempt(&cluster, "sink", 0);
        cluster.fail(failed, boom());
        cluster.settle();
        cluster.pass(100);
        start_tasks(&mut cluster);
    }
    let view = cluster.core.view();
    assert_eq!((view.exceptions.len(), view.exceptions_truncated, view.restarts), (16, true, 20));
    assert_eq!(view.vertices[0].subtasks[0].previous.len(), 16);
    assert!(view.exceptions[0].at > view.exceptions[15].at, "newest first");
}
