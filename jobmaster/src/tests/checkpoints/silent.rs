//! Checkpoints that are given up, and stores that do not say what has become of one.

use super::*;

fn id(number: u64) -> CheckpointId {
    CheckpointId(number)
}

/// What each TaskManager was told that nothing becomes of.
#[track_caller]
fn check_told(cluster: &mut FakeCluster, expected: &[u64]) {
    cluster.settle();
    let expected: Vec<_> = expected.iter().map(|number| (id(*number), id(*number))).collect();
    for worker in cluster.workers.values() {
        assert_eq!(worker.given_up, expected, "{}", worker.key());
    }
}

fn configured(settings: &[(&str, &str)]) -> FakeCluster {
    let mut spec = spec(word_count(), ONCE);
    spec.configuration.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let mut cluster = cluster(spec);
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    cluster
}

/// What there is to say of the newest checkpoint, and why.
fn newest(cluster: &FakeCluster) -> (CheckpointStatus, Option<String>) {
    let newest = cluster.core.view().checkpoints.history.remove(0);
    (newest.status, newest.failure.map(|failure| failure.to_string()))
}

#[test]
fn tasks_hear_of_a_checkpoint_that_has_taken_too_long_before_the_next_begins() {
    let mut cluster = configured(&[("execution.checkpointing.timeout", "5 s")]);
    cluster.pass(5_999);
    check_told(&mut cluster, &[]);
    cluster.pass(1);
    check_told(&mut cluster, &[1]);
    assert_eq!(cluster.barriers.len(), 2);
    check_sound(&cluster);
}

#[test]
fn tasks_hear_of_a_checkpoint_that_another_task_could_not_store_and_of_no_other() {
    let mut cluster = configured(&[]);
    collect(&mut cluster);
    cluster.store(Ok(()));
    check_told(&mut cluster, &[]);
    cluster.pass(1_000);
    // The sources have reported.
    let source = attempt(&cluster, "source", 0);
    cluster.fail(source, Failure::user("division by zero"));
    check_told(&mut cluster, &[2]);
}

#[test]
fn tasks_hear_of_a_checkpoint_that_a_later_one_has_overtaken() {
    let mut cluster = configured(&[("execution.checkpointing.max-concurrent-checkpoints", "2")]);
    cluster.pass(1_000);
    let first = attempt(&cluster, "sink", 0);
    cluster.work(first);
    cluster.settle();
    cluster.pass(1_000);
    assert_eq!(cluster.barriers.len(), 2);
    // Tasks of this cluster report the newest barrier that there is.
    sinks_work(&mut cluster);
    assert_eq!(cluster.storing.front().map(|manifest| manifest.checkpoint), Some(id(2)));
    check_told(&mut cluster, &[]);
    cluster.store(Ok(()));
    check_told(&mut cluster, &[1]);
}

#[test]
fn a_store_that_does_not_say_shows_until_it_has_said() {
    let mut cluster = configured(&[]);
    let checkpoint = collect(&mut cluster);
    let trouble = |checkpoint, why: &str| Event::CheckpointUndecided { checkpoint, failure: Failure::environment(why) };
    cluster.tell(trouble(checkpoint.next(), "of another"));
    assert_eq!(newest(&cluster), (CheckpointStatus::InProgress, None));
    for why in ["no answer", "still no answer"] {
        cluster.tell(trouble(checkpoint, why));
        assert_eq!(newest(&cluster), (CheckpointStatus::InProgress, Some(why.to_owned())));
    }
    cluster.pass(600_000);
    assert_eq!(cluster.barriers.len(), 1, "none begins meanwhile");
    cluster.store(Ok(()));
    let history = cluster.core.view().checkpoints.history;
    assert_eq!((history[1].status, &history[1].failure), (CheckpointStatus::Completed, &None));
    cluster.tell(trouble(checkpoint, "late"));
    assert_eq!(cluster.core.view().checkpoints.history[1].failure, None);
    check_sound(&cluster);
}

#[test]
fn a_job_that_has_finished_does_not_wait_for_ever_for_a_store_that_does_not_say() {
    let mut cluster = configured(&[]);
    collect(&mut cluster);
    cluster.persists = true;
    while cluster.live().next().is_some() {
        cluster.work_all();
        cluster.settle();
    }
    let patience = cluster.core.spec().timeouts.store;
    cluster.pass(patience - 1);
    assert!(cluster.ended.is_empty() && cluster.manifests.is_empty());
    cluster.pass(1);
    // Not as the tail of a checkpoint, too.
    cluster.store(Ok(()));
    check_ended(&mut cluster, JobStatus::Finished);
    let held = data(&cluster.stored[0]);
    let committed: Vec<_> = cluster.manifests.concat().into_iter().map(|committable| committable.data).collect();
    assert!(!held.is_empty() && held.iter().all(|data| committed.contains(data)), "{held:?} {committed:?}");
    assert_eq!(commits(&cluster).len(), 1);
    let checkpoints = &cluster.ended[0].checkpoints;
    assert!(!checkpoints.holds_results);
    assert!(checkpoints.history[0].failure.as_ref().is_some_and(|why| why.message.contains("the store did not say")));
}

/// The checkpoint that nobody knows of may have it all the same.
#[test]
fn what_a_finished_job_could_not_make_visible_is_left_to_the_checkpoint_that_may_hold_it() {
    let mut cluster = configured(&[("restart-strategy.type", "fixed-delay")]);
    collect(&mut cluster);
    cluster.persists = true;
    for worker in cluster.workers.values_mut() {
        worker.commits.extend(std::iter::repeat_n(Outcome::Bad(Failure::environment("no room").fatal()), 20));
    }
    while cluster.live().next().is_some() {
        cluster.work_all();
        cluster.settle();
    }
    cluster.pass(cluster.core.spec().timeouts.store);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Failed);
    assert!(cluster.ended[0].checkpoints.holds_results);
    let last: BTreeSet<_> = cluster.manifests.concat().into_iter().map(|committable| committable.data).collect();
    // Who starts from it makes again what is behind it.
    let held = data(&cluster.storing[0]);
    assert!(held.len() < last.len() && last.is_superset(&held), "{held:?} {last:?}");
    check_removed(&cluster, &held);
}

#[test]
fn a_job_that_is_cancelled_does_not_wait_for_ever_and_leaves_what_the_checkpoint_may_hold() {
    let mut cluster = configured(&[]);
    collect(&mut cluster);
    cluster.tell(Event::Cancel);
    let patience = cluster.core.spec().timeouts.store;
    cluster.pass(patience - 1);
    assert_eq!(cluster.core.status(), JobStatus::Cancelling);
    cluster.pass(1);
    cluster.store(Ok(()));
    check_ended(&mut cluster, JobStatus::Canceled);
    let view = &cluster.ended[0];
    assert!(view.checkpoints.holds_results, "whoever starts from it makes it visible");
    assert!(view.exceptions[0].failure.to_string().contains("60000 ms"), "{:?}", view.exceptions);
    assert!(cluster.visible().is_empty());
    check_removed(&cluster, &data(&cluster.stored[0]));
}
