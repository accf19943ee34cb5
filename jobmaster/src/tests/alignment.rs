//! Sources that wait for each other.

use flott_core::{failure::Failure, message::HostToJob};

use super::*;

/// An attempt says how far it has come, from the process that it runs in.
fn says(cluster: &mut FakeCluster, attempt: AttemptId, group: &str, watermark: Option<i64>) {
    let worker = cluster.worker_of(attempt).expect("the attempt is alive");
    let message = HostToJob::SourceWatermark { attempt, group: group.to_owned(), watermark };
    let message = cluster.from_process(&worker, message).expect("its process is up");
    cluster.inject(&worker, cluster.core.spec().epoch, message);
    cluster.settle();
    check_sound(cluster);
}

/// What an attempt was told last of its group, where it runs or ran.
fn told(cluster: &FakeCluster, attempt: AttemptId) -> Option<Option<i64>> {
    let mut workers = cluster.workers.values();
    workers.find_map(|worker| worker.aligned.get(&attempt)).copied()
}

#[track_caller]
fn check(cluster: &mut FakeCluster, attempt: AttemptId, watermark: Option<i64>, expected: Option<i64>) {
    says(cluster, attempt, "group", watermark);
    assert_eq!(told(cluster, attempt), Some(expected));
}

#[test]
fn who_asks_hears_of_the_slowest_of_the_others_in_its_group() {
    let mut cluster = running(word_count(), OFTEN);
    let (fast, slow) = (attempt(&cluster, "source", 0), attempt(&cluster, "source", 1));
    check(&mut cluster, fast, Some(1_000), None);
    check(&mut cluster, slow, Some(10), Some(1_000));
    check(&mut cluster, fast, Some(2_000), Some(10));
    assert_eq!(told(&cluster, slow), Some(Some(1_000)), "nobody is told who has not asked");
    says(&mut cluster, slow, "other", Some(20));
    check(&mut cluster, fast, Some(2_000), None);
    check(&mut cluster, slow, None, Some(2_000));
    check(&mut cluster, fast, None, None);
}

#[test]
fn nobody_waits_for_a_source_that_is_stopped_and_its_next_attempt_begins_anew() {
    let mut cluster = running(side_by_side(), OFTEN);
    let (fast, slow) = (attempt(&cluster, "source", 0), attempt(&cluster, "source", 1));
    check(&mut cluster, slow, Some(10), None);
    check(&mut cluster, fast, Some(1_000), Some(10));
    // Its sink fails, and it is stopped with it.
    cluster.fail(attempt(&cluster, "sink", 1), Failure::user("no"));
    cluster.settle();
    check(&mut cluster, fast, Some(1_000), None);
    cluster.sleep();
    start_tasks(&mut cluster);
    check(&mut cluster, fast, Some(1_000), None);
    let next = attempt(&cluster, "source", 1);
    assert_eq!(next.attempt, slow.attempt.next());
    // What the old one said comes again, and is of no account.
    let worker = cluster.worker_of(next).unwrap();
    let late = HostToJob::SourceWatermark { attempt: slow, group: "group".to_owned(), watermark: Some(1) };
    let late = cluster.from_process(&worker, late).unwrap();
    cluster.inject(&worker, cluster.core.spec().epoch, late);
    check(&mut cluster, fast, Some(1_000), None);
    check(&mut cluster, next, Some(5), Some(1_000));
    check(&mut cluster, fast, Some(1_000), Some(5));
}

#[test]
fn nobody_waits_for_a_source_that_has_finished() {
    let mut cluster = running(side_by_side(), RestartStrategy::None);
    let (fast, slow) = (attempt(&cluster, "source", 0), attempt(&cluster, "source", 1));
    check(&mut cluster, slow, Some(10), None);
    check(&mut cluster, fast, Some(1_000), Some(10));
    while cluster.worker_of(slow).is_some() {
        assert!(cluster.work(slow));
        cluster.settle();
    }
    check(&mut cluster, fast, Some(1_000), None);
}

#[test]
fn a_process_speaks_for_its_own_tasks_only() {
    let mut cluster = running(word_count(), OFTEN);
    let (fast, slow) = (attempt(&cluster, "source", 0), attempt(&cluster, "source", 1));
    let other = cluster.worker_of(fast).unwrap();
    let message = HostToJob::SourceWatermark { attempt: slow, group: "group".to_owned(), watermark: Some(1) };
    let message = cluster.from_process(&other, message).unwrap();
    cluster.inject(&other, cluster.core.spec().epoch, message);
    check(&mut cluster, fast, Some(1_000), None);
    assert_eq!(told(&cluster, slow), None);
}
