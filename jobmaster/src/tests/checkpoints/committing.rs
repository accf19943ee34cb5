//! Commits of checkpoints that cannot be made.

use flott_core::{
    checkpoint::{SnapshotFigures, SnapshotReport, SubtaskState},
    message::HostToJob,
};

use super::*;

const DISK_FULL: &str = "disk full";

fn refuse(cluster: &mut FakeCluster, times: usize, failure: &Failure) {
    for worker in cluster.workers.values_mut() {
        worker.commits.extend(std::iter::repeat_n(Outcome::Bad(failure.clone()), times));
    }
}

/// A job whose checkpoint is complete, and whose results cannot be made visible.
fn refused(failure: &Failure) -> FakeCluster {
    let mut cluster = checkpointed(word_count(), ONCE);
    refuse(&mut cluster, 10_000, failure);
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.settle();
    cluster
}

fn tries(cluster: &FakeCluster) -> usize {
    commits(cluster).len()
}

/// What is shown of the latest complete checkpoint.
fn shown(cluster: &FakeCluster) -> Option<String> {
    let checkpoints = cluster.core.view().checkpoints;
    let latest = checkpoints.latest_completed.expect("one is complete");
    let listed = checkpoints.history.iter().find(|entry| entry.id == latest.id);
    assert_eq!(listed.map(|entry| &entry.failure), Some(&latest.failure));
    latest.failure.map(|failure| failure.message)
}

#[test]
fn it_is_tried_until_what_is_in_its_way_is_mended_and_shows_meanwhile() {
    let mut cluster = refused(&Failure::environment(DISK_FULL));
    assert_eq!((tries(&cluster), shown(&cluster).as_deref()), (1, Some(DISK_FULL)));
    cluster.pass(63_000);
    assert_eq!(tries(&cluster), 7, "after 1, 2, 4, 8, 16 and 32 s");
    cluster.pass(600_000);
    assert_eq!((tries(&cluster), cluster.core.status()), (17, JobStatus::Running), "each minute");
    // Records flow, and checkpoints are taken.
    for _ in 0..3 {
        collect(&mut cluster);
        cluster.store(Ok(()));
    }
    assert_eq!(shown(&cluster).as_deref(), Some(DISK_FULL));
    let view = cluster.core.view();
    assert_eq!((view.exceptions.len(), view.restarts), (1, 0), "{:?}", view.exceptions);
    cluster.workers.values_mut().for_each(|worker| worker.commits.clear());
    cluster.pass(60_000);
    assert_eq!((cluster.visible(), shown(&cluster)), (data(&cluster.stored[3]), None));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

/// A process in which rounds hang refuses more at once. What the ones that hang say in the end, when they were given up, is no answer to
/// another round, nor to none.
#[test]
fn an_answer_to_a_round_that_was_given_up_changes_nothing() {
    let mut cluster = refused(&Failure::environment("4 rounds of commits hang in this process"));
    let workers: Vec<_> = cluster.workers.keys().cloned().collect();
    let late = |cluster: &mut FakeCluster| {
        for worker in &workers {
            let answer = HostToJob::Committed { round: 1, result: Ok(Vec::new()) };
            let message = cluster.from_process(worker, answer).expect("its process is up");
            cluster.inject(worker, cluster.core.spec().epoch, message);
        }
        // Time stands still: only answers at hand are given.
        cluster.settle();
    };
    for tried in 1..4 {
        late(&mut cluster);
        assert_eq!((tries(&cluster), shown(&cluster).is_some()), (tried, true), "it waits for its pause to end");
        cluster.now = cluster.now.plus(60_000);
        cluster.tell(Event::Wake);
        late(&mut cluster);
        assert_eq!((tries(&cluster), shown(&cluster).is_some()), (tried + 1, true), "another round was under way");
    }
    assert!(cluster.visible().is_empty());
}

#[test]
fn another_trouble_is_told_too() {
    let mut cluster = refused(&Failure::environment(DISK_FULL));
    cluster.workers.values_mut().for_each(|worker| worker.commits.clear());
    refuse(&mut cluster, 100, &Failure::environment("no answer"));
    cluster.pass(10_000);
    let told: Vec<_> = cluster.core.view().exceptions.into_iter().map(|entry| entry.failure.message).collect();
    assert_eq!((told, shown(&cluster).as_deref()), (vec!["no answer".into(), DISK_FULL.into()], Some("no answer")));
}

#[test]
fn a_job_that_is_cancelled_meanwhile_ends_and_keeps_what_the_checkpoint_holds() {
    let mut cluster = refused(&Failure::environment(DISK_FULL));
    cluster.pass(300_000);
    let before = tries(&cluster);
    cluster.tell(Event::Cancel);
    cluster.settle();
    assert_eq!(tries(&cluster), before + 1, "it is tried at once");
    cluster.pass(9_000);
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(tries(&cluster), before + 10);
    assert!(cluster.visible().is_empty() && cluster.ended[0].checkpoints.holds_results);
    check_removed(&cluster, &data(&cluster.stored[0]));
}

#[test]
fn a_fault_of_the_program_ends_the_job_after_some_tries() {
    let mut cluster = refused(&Failure::user("no such table"));
    cluster.pass(8_999);
    assert_eq!((tries(&cluster), cluster.core.status()), (9, JobStatus::Running));
    cluster.pass(1);
    check_ended(&mut cluster, JobStatus::Failed);
    assert!(cluster.ended[0].checkpoints.holds_results);
}

#[test]
fn no_checkpoint_begins_while_too_much_is_not_visible() {
    let mut cluster = checkpointed(word_count(), ONCE);
    refuse(&mut cluster, 10_000, &Failure::environment(DISK_FULL));
    cluster.pass(1_000);
    let (sink, worker) = {
        let sink = attempt(&cluster, "sink", 0);
        (sink, cluster.worker_of(sink).expect("it is alive"))
    };
    let data = Bytes::from(vec![7; 17 << 20]);
    let committable = Committable { sink: flott_core::id::OperatorId::from_uid("sink"), attempt: sink, data };
    let report = HostToJob::Snapshot(Box::new(SnapshotReport {
        attempt: sink,
        checkpoint: CheckpointId(1),
        result: Ok(SubtaskState::default()),
        committables: [(CheckpointId(1), vec![committable])].into(),
        figures: SnapshotFigures::default(),
    }));
    let message = cluster.from_process(&worker, report).expect("its process is up");
    cluster.inject(&worker, cluster.core.spec().epoch, message);
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    cluster.pass(100_000);
    assert_eq!((cluster.barriers.len(), cluster.core.status()), (1, JobStatus::Running));
    cluster.workers.values_mut().for_each(|worker| worker.commits.clear());
    cluster.pass(60_000);
    assert_eq!(cluster.barriers.len(), 2);
    check_sound(&cluster);
}

#[test]
fn what_sinks_have_to_say_of_a_commit_is_among_the_exceptions_once() {
    let mut cluster = checkpointed(word_count(), ONCE);
    for _ in 0..2 {
        for worker in cluster.workers.values_mut() {
            worker.tells = vec![Failure::environment("part-0 is not there")];
        }
        collect(&mut cluster);
        cluster.store(Ok(()));
        cluster.settle();
    }
    let view = cluster.core.view();
    let told: Vec<_> = view.exceptions.into_iter().map(|entry| entry.failure.message).collect();
    assert_eq!((told, cluster.core.status()), (vec!["part-0 is not there".to_owned()], JobStatus::Running));
    assert_eq!(cluster.visible(), cluster.stored.iter().flat_map(|manifest| data(manifest)).collect());
}
