//! Checkpoints that are given up.

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
