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
fn a_whole_checkpoint_that_waits_behind_a_slow_savepoint_for_too_long_has_not_failed() {
    let settings = [("timeout", "5 s"), ("tolerable-failed-checkpoints", "0")];
    let settings = settings.map(|(key, value)| (format!("execution.checkpointing.{key}"), value));
    let mut cluster = configured(&settings.each_ref().map(|(key, value)| (key.as_str(), *value)));
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.pass(1_000);
    sinks_work(&mut cluster);
    assert_eq!(cluster.storing.len(), 1, "the checkpoint waits for its turn");
    cluster.pass(5_000);
    let history = cluster.core.view().checkpoints.history;
    let given_up = history.iter().find(|entry| entry.id == id(2)).unwrap();
    let why = given_up.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
    assert!(given_up.status == CheckpointStatus::Failed && why.contains("the store does not say whether 1"), "{why}");
    assert_eq!((cluster.core.status(), cluster.core.view().restarts), (JobStatus::Running, 0));
    cluster.store(Ok(()));
    // One that a task is late for has.
    cluster.pass(5_000);
    assert_eq!((cluster.core.status(), cluster.core.view().restarts), (JobStatus::Restarting, 1));
    check_sound(&cluster);
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

/// A job whose first checkpoint is being stored, and then a savepoint, which is whole.
fn savepoint_beside(behind: Behind) -> FakeCluster {
    let mut cluster = configured(&[]);
    collect(&mut cluster);
    cluster.tell(savepoint(7, behind));
    cluster.settle();
    sinks_work(&mut cluster);
    assert_eq!(cluster.storing.iter().map(|manifest| manifest.checkpoint.0).collect::<Vec<_>>(), [1, 2]);
    // It has what the checkpoint has.
    assert!(data(&cluster.storing[1]).is_superset(&data(&cluster.storing[0])) && data(&cluster.storing[0]).len() == 2);
    cluster
}

#[test]
fn a_savepoint_does_not_wait_for_a_checkpoint_whose_store_does_not_say() {
    let mut cluster = savepoint_beside(Behind::GoOn);
    cluster.store_one(id(2), Ok(()));
    assert_eq!(cluster.answered.pop().unwrap().1.unwrap().location, "/savepoints/s");
    assert_eq!(cluster.core.status(), JobStatus::Running);
    // No more than one beside it.
    for request in 8..=9 {
        cluster.tell(savepoint(request, Behind::GoOn));
        cluster.settle();
        sinks_work(&mut cluster);
    }
    assert_eq!(cluster.storing.iter().map(|manifest| manifest.checkpoint.0).collect::<Vec<_>>(), [1, 3]);
    cluster.store_one(id(3), Ok(()));
    cluster.store_one(id(4), Err(Failure::environment("disk full")));
    cluster.store_one(id(1), Ok(()));
    let [savepoint, _, checkpoint] = &cluster.stored[..] else { panic!("{} are stored", cluster.stored.len()) };
    let (held, certain) = (data(savepoint), data(checkpoint));
    assert!(held.is_superset(&certain) && held.len() == 4);
    cluster.settle();
    assert_eq!(cluster.visible(), certain);
    cluster.tell(Event::Cancel);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Canceled);
    let kept = cluster.workers.values().find(|worker| worker.aborted > 0).map(|worker| worker.kept.clone()).unwrap();
    assert!(kept.is_disjoint(&certain) && kept.is_superset(&held.difference(&certain).cloned().collect()));
}

#[test]
fn a_job_stops_with_a_savepoint_though_the_store_of_its_checkpoints_does_not_say() {
    let mut cluster = savepoint_beside(Behind::Stop);
    let held = data(&cluster.storing[1]);
    cluster.store_one(id(2), Ok(()));
    assert!(cluster.answered.pop().unwrap().1.is_ok());
    cluster.settle();
    let patience = cluster.core.spec().timeouts.store;
    cluster.pass(patience - 1);
    assert!(cluster.ended.is_empty() && cluster.live().count() == 0);
    cluster.pass(1);
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.visible(), held);
    check_removed(&cluster, &BTreeSet::new());
    assert!(!cluster.ended[0].checkpoints.holds_results);
}

#[test]
fn what_a_job_stops_with_becomes_visible_though_an_earlier_checkpoint_is_complete_later() {
    let mut cluster = savepoint_beside(Behind::Stop);
    let held = data(&cluster.storing[1]);
    cluster.persists = false;
    cluster.store_one(id(2), Ok(()));
    cluster.store_one(id(1), Ok(()));
    cluster.persist(Ok(()));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.visible(), held);
    check_removed(&cluster, &BTreeSet::new());
}

#[test]
fn a_checkpoint_that_was_asked_for_does_not_wait_for_ever_for_its_turn() {
    let mut cluster = configured(&[]);
    collect(&mut cluster);
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(7), full: false }));
    cluster.settle();
    sinks_work(&mut cluster);
    assert_eq!(cluster.storing.len(), 1);
    cluster.pass(599_999);
    assert!(cluster.answered.is_empty());
    cluster.pass(1);
    let failure = cluster.answered.pop().expect("it is answered").1.unwrap_err();
    assert!(failure.message.contains("does not say whether 1 is complete"), "{failure}");
    assert_eq!(cluster.core.status(), JobStatus::Running);
    check_told(&mut cluster, &[2]);
    // What was prepared for it comes with the next.
    cluster.store(Ok(()));
    collect(&mut cluster);
    assert_eq!(data(&cluster.storing[0]).iter().filter(|data| data.ends_with(b"at 2")).count(), 2);
    check_sound(&cluster);
}
