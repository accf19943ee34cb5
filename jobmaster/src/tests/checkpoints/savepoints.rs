//! Savepoints, and what becomes of what they hold.

use super::*;

#[test]
fn a_savepoint_is_nothing_that_a_restart_goes_back_to() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    assert_eq!(cluster.answered.pop().unwrap().1.unwrap().location, "/savepoints/s");
    let source = attempt(&cluster, "source", 0);
    cluster.fail(source, Failure::user("division by zero"));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].checkpoints.restored, 0);
}

#[test]
fn a_manifest_holds_what_earlier_ones_have_not_made_visible_yet() {
    let mut cluster = checkpointed(word_count(), OFTEN);
    for worker in cluster.workers.values_mut() {
        worker.commits.extend(std::iter::repeat_n(Outcome::Bad(Failure::environment("disk full")), 3));
    }
    for _ in 0..3 {
        collect(&mut cluster);
        cluster.store(Ok(()));
        cluster.settle();
    }
    assert!(cluster.visible().is_empty());
    let [first, second, third] = &cluster.stored[..] else { panic!("{} are stored", cluster.stored.len()) };
    assert_eq!([data(first).len(), data(second).len(), data(third).len()], [2, 4, 6]);
    assert!(data(third).is_superset(&data(second)) && data(second).is_superset(&data(first)));
    let all = data(third);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert!(cluster.visible().is_superset(&all));
}

#[test]
fn a_job_that_is_cancelled_while_its_last_savepoint_is_stored_is_cancelled() {
    for cause in [Event::Cancel, Event::Wake] {
        let mut cluster = checkpointed(word_count(), ONCE);
        cluster.tell(savepoint(1, Behind::Stop));
        cluster.settle();
        sinks_work(&mut cluster);
        let is_cancelled = matches!(cause, Event::Cancel);
        cluster.tell(cause);
        if !is_cancelled {
            let worker = cluster.workers.keys().next().cloned().unwrap();
            cluster.kill_process(&worker);
        }
        cluster.settle();
        cluster.store(Ok(()));
        cluster.run_to_end();
        check_ended(&mut cluster, if is_cancelled { JobStatus::Canceled } else { JobStatus::Finished });
        assert_eq!(cluster.visible(), data(&cluster.stored[0]));
    }
}

/// A job whose last process has died when a checkpoint was complete, whose results nobody has made visible yet, and which is to
/// start over after an hour. Its only TaskManager is there.
fn between_attempts() -> (FakeCluster, WorkerKey) {
    let mut cluster = cluster(spec(word_count(), RestartStrategy::FixedDelay { attempts: 1, delay_ms: 3_600_000 }));
    let worker = cluster.add_worker(2);
    start_tasks(&mut cluster);
    let unheard = Outcome::Bad(Failure::environment("disk full"));
    cluster.workers.get_mut(&worker).unwrap().commits.push_back(unheard);
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.settle();
    cluster.kill_process(&worker);
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    assert!(cluster.visible().is_empty());
    (cluster, worker)
}

#[test]
fn what_a_checkpoint_holds_becomes_visible_though_the_job_ends_between_two_attempts() {
    let (mut cluster, worker) = between_attempts();
    cluster.tell(Event::Cancel);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Canceled);
    assert_eq!(cluster.visible(), data(&cluster.stored[0]));
    assert!(!cluster.ended[0].checkpoints.holds_results);
    // And what no checkpoint holds is removed.
    assert_eq!(cluster.workers[&worker].aborted, 1);
}

#[test]
fn a_job_that_ends_between_two_attempts_ends_though_no_process_comes_up() {
    for dies in [false, true] {
        let (mut cluster, worker) = between_attempts();
        let bad = Outcome::Bad(Failure::environment("no room"));
        cluster.workers.get_mut(&worker).unwrap().starts.push_back(bad);
        cluster.tell(Event::Cancel);
        if dies {
            cluster.kill_worker(&worker);
        }
        cluster.run_to_end();
        check_ended(&mut cluster, JobStatus::Canceled);
        assert!(cluster.visible().is_empty());
        let view = &cluster.ended[0];
        assert!(view.checkpoints.holds_results);
        let told = view.exceptions.iter().any(|entry| entry.failure.to_string().contains("no TaskManager any more"));
        assert!(told, "{:?}", view.exceptions);
    }
}

#[test]
fn the_results_of_a_stopped_job_are_visible_though_all_its_processes_die() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(savepoint(1, Behind::Stop));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.persists = false;
    cluster.store(Ok(()));
    cluster.settle();
    assert!(cluster.visible().is_empty(), "first it is written down that the job ends so");
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.persists = true;
    cluster.add_worker(2);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.visible(), data(&cluster.stored[0]));
}

#[test]
fn what_a_savepoint_holds_is_not_removed_with_the_job() {
    for checkpoint_follows in [false, true] {
        let mut cluster = checkpointed(word_count(), ONCE);
        cluster.tell(savepoint(1, Behind::GoOn));
        cluster.settle();
        sinks_work(&mut cluster);
        cluster.store(Ok(()));
        if checkpoint_follows {
            collect(&mut cluster);
            cluster.store(Ok(()));
        }
        cluster.tell(Event::Cancel);
        cluster.run_to_end();
        check_ended(&mut cluster, JobStatus::Canceled);
        let held = data(&cluster.stored[0]);
        assert!(!held.is_empty());
        assert_eq!(cluster.visible().is_superset(&held), checkpoint_follows);
        check_removed(&cluster, &if checkpoint_follows { BTreeSet::new() } else { held });
    }
}

#[test]
fn what_a_checkpoint_holds_and_cannot_be_made_visible_is_not_removed_with_the_job() {
    let mut cluster = checkpointed(word_count(), ONCE);
    for worker in cluster.workers.values_mut() {
        worker.commits.push_back(Outcome::Bad(Failure::environment("the disk is gone").fatal()));
    }
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Failed);
    assert!(cluster.visible().is_empty() && cluster.ended[0].checkpoints.holds_results);
    check_removed(&cluster, &data(&cluster.stored[0]));
}

#[test]
fn what_a_savepoint_holds_of_a_commit_under_way_is_not_waited_for_again() {
    let mut cluster = checkpointed(word_count(), OFTEN);
    for worker in cluster.workers.values_mut() {
        worker.commits.push_back(Outcome::Bad(Failure::environment("disk full")));
    }
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    assert!(data(&cluster.stored[1]).is_superset(&data(&cluster.stored[0])), "the commit was still under way");
    for _ in 0..100 {
        if cluster.visible().is_superset(&data(&cluster.stored[0])) {
            break;
        }
        cluster.pass(100);
    }
    assert!(cluster.visible().is_superset(&data(&cluster.stored[0])), "it came to its end before the next checkpoint");
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.tell(Event::Cancel);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Canceled);
    assert!(cluster.visible().is_superset(&data(&cluster.stored[1])));
    check_removed(&cluster, &BTreeSet::new());
}

#[test]
fn a_job_that_stops_with_a_savepoint_has_finished() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(savepoint(1, Behind::Stop));
    cluster.settle();
    assert_eq!(cluster.barriers[&CheckpointId(1)].behind, Behind::Stop);
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    check_ended(&mut cluster, JobStatus::Finished);
    assert!(cluster.answered[0].1.is_ok());
    assert_eq!(cluster.stored[0].committables.len(), 2);
    assert_eq!(cluster.visible(), data(&cluster.stored[0]));
    // What writers have left that the savepoint does not hold.
    assert_eq!(cluster.workers.values().map(|worker| worker.aborted).sum::<u32>(), 1);
}

#[test]
fn a_job_that_stops_does_not_run_on_under_the_next_jobmaster() {
    let stops = |graph: TestGraph, is_written: bool| {
        let spec = spec(graph, ONCE);
        let mut cluster = cluster(spec.clone());
        let workers = [cluster.add_worker(1), cluster.add_worker(1)];
        start_tasks(&mut cluster);
        collect(&mut cluster);
        cluster.store(Ok(()));
        cluster.tell(savepoint(1, Behind::Stop));
        cluster.settle();
        sinks_work(&mut cluster);
        cluster.persists = is_written;
        workers.iter().for_each(|worker| cluster.workers.get_mut(worker).unwrap().is_stuck = true);
        cluster.store(Ok(()));
        cluster.settle();
        assert_eq!(cluster.live().count(), 4, "tasks are still being ended");
        cluster.replace_master(&spec, true);
        cluster.persists = true;
        workers.iter().for_each(|worker| cluster.workers.get_mut(worker).unwrap().is_stuck = false);
        cluster
    };
    let mut stopped = stops(word_count(), true);
    stopped.run_to_end();
    check_ended(&mut stopped, JobStatus::Finished);
    let all: BTreeSet<_> = stopped.stored.iter().flat_map(|manifest| data(manifest)).collect();
    assert_eq!((stopped.visible(), all.len()), (all, 4));
    assert_eq!(stopped.ended[0].checkpoints.restored, 0, "nothing is started again");

    // What cannot be made visible is not removed either: whoever starts from the savepoint makes it so.
    let mut lost = stops(word_count(), true);
    for worker in lost.workers.values_mut() {
        worker.commits.push_back(Outcome::Bad(Failure::environment("the disk is gone").fatal()));
    }
    lost.run_to_end();
    check_ended(&mut lost, JobStatus::Failed);
    check_removed(&lost, &data(&lost.stored[1]));
    assert!(lost.ended[0].checkpoints.holds_results);

    // Nor does one of which the savepoint makes nothing visible.
    let quiet = TestGraph::new("quiet")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Operator)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Pipelined);
    check_ended(&mut stops(quiet, true), JobStatus::Finished);

    // Before that is durable, nobody knows of it.
    let mut goes_on = stops(word_count(), false);
    goes_on.pass(10_000);
    start_tasks(&mut goes_on);
    assert_eq!((goes_on.core.status(), restored(&goes_on)), (JobStatus::Running, 1));
    // But of what the savepoint holds: it is complete, and somebody may start from it.
    goes_on.tell(Event::Cancel);
    goes_on.run_to_end();
    check_ended(&mut goes_on, JobStatus::Canceled);
    let held: BTreeSet<_> = data(&goes_on.stored[1]).difference(&data(&goes_on.stored[0])).cloned().collect();
    assert!(!held.is_empty());
    check_removed(&goes_on, &held);
}

fn restored(cluster: &FakeCluster) -> u64 {
    cluster.core.view().checkpoints.restored
}

#[test]
fn what_writers_have_left_is_removed_though_the_only_process_dies_over_it() {
    let mut cluster = cluster(spec(word_count(), ONCE));
    let worker = cluster.add_worker(2);
    start_tasks(&mut cluster);
    cluster.tell(savepoint(1, Behind::Stop));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    let removes = |cluster: &FakeCluster| cluster.core.waits().iter().any(|wait| matches!(wait, Wait::Abort { .. }));
    for _ in 0..1000 {
        if removes(&cluster) {
            break;
        }
        if !cluster.deliver() {
            cluster.persist(Ok(()));
        }
    }
    assert!(removes(&cluster), "{:?}", cluster.core.waits());
    cluster.kill_process(&worker);
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.workers[&worker].aborted, 1);
}

#[test]
fn a_job_whose_last_savepoint_fails_goes_back_and_runs_on() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(savepoint(1, Behind::Drain));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    assert!(cluster.answered[0].1.is_err());
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 1);
}

/// The savepoint may be there, and somebody may start from it.
#[test]
fn what_a_savepoint_may_hold_that_nobody_knows_of_stays_when_the_job_is_cancelled() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    let held = data(&cluster.storing[0]);
    assert!(!held.is_empty());
    let (checkpoint, failure) =
        (cluster.storing[0].checkpoint, Failure::environment("nobody knows whether it is complete"));
    cluster.tell(Event::CheckpointUndecided { checkpoint, failure: failure.clone() });
    cluster.store(Err(failure));
    assert!(cluster.answered[0].1.is_err());
    cluster.tell(Event::Cancel);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Canceled);
    check_removed(&cluster, &held);
}
