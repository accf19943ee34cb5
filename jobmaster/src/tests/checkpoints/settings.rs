//! What settings change: the pause after a checkpoint, how many are under way, and which are kept.

use super::*;

const MIN_PAUSE: &str = "execution.checkpointing.min-pause";
const CONCURRENT: &str = "execution.checkpointing.max-concurrent-checkpoints";
const RETAINED: &str = "execution.checkpointing.num-retained";

/// A job with a checkpoint each second, all of whose tasks run, with `value` for `key`.
fn with(key: &str, value: &str) -> FakeCluster {
    let mut spec = spec(word_count(), ONCE);
    spec.configuration.insert(key.to_owned(), value.to_owned());
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster
}

fn begun(cluster: &FakeCluster) -> Vec<u64> {
    cluster.barriers.keys().map(|checkpoint| checkpoint.0).collect()
}

#[test]
fn a_pause_follows_the_end_of_each_whether_it_is_complete_or_not() {
    for result in [Ok(()), Err(Failure::environment("disk full"))] {
        let mut cluster = with(MIN_PAUSE, "3 s");
        collect(&mut cluster);
        // It takes longer than the interval: the pause counts from its end.
        cluster.pass(1_500);
        cluster.store(result);
        cluster.pass(2_999);
        assert_eq!(begun(&cluster), [1], "the pause is not over");
        cluster.pass(1);
        assert_eq!(begun(&cluster), [1, 2]);
        check_sound(&cluster);
    }
}

#[test]
fn an_interval_that_is_longer_than_the_pause_is_what_counts() {
    let mut cluster = with(MIN_PAUSE, "600 ms");
    collect(&mut cluster);
    cluster.pass(100);
    cluster.store(Ok(()));
    cluster.pass(899);
    assert_eq!(begun(&cluster), [1]);
    cluster.pass(1);
    assert_eq!(begun(&cluster), [1, 2]);
}

#[test]
fn as_many_are_under_way_as_may_be_and_no_more() {
    use CheckpointStatus::{Completed, Failed, InProgress};
    let mut cluster = with(CONCURRENT, "2");
    cluster.pass(2_000);
    assert_eq!(statuses(&cluster), [(1, InProgress), (2, InProgress)]);
    cluster.pass(10_000);
    assert_eq!(begun(&cluster), [1, 2]);
    // One that is asked for is not counted.
    cluster.tell(Event::Snapshot(Purpose::Checkpoint { request: RequestId(1), full: false }));
    cluster.settle();
    assert_eq!(begun(&cluster), [1, 2, 3]);
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    cluster.pass(1_000);
    // Those before it are needless, and make room for two.
    assert_eq!(statuses(&cluster), [(1, Failed), (2, Failed), (3, Completed), (4, InProgress), (5, InProgress)]);
    check_sound(&cluster);
}

#[test]
fn one_is_under_way_at_a_time_unless_more_may_be() {
    let mut cluster = with(CONCURRENT, "1");
    cluster.pass(10_000);
    assert_eq!(begun(&cluster), [1]);
}

#[test]
fn the_newest_are_kept_and_none_beside_them() {
    for (count, kept) in [("1", [5].as_slice()), ("2", &[4, 5]), ("3", &[3, 4, 5]), ("9", &[1, 2, 3, 4, 5])] {
        let mut cluster = with(RETAINED, count);
        for _ in 0..5 {
            collect(&mut cluster);
            cluster.store(Ok(()));
            cluster.settle();
        }
        // What the owner is told to keep, and what people are told is there.
        assert_eq!(cluster.retained.iter().map(|checkpoint| checkpoint.0).collect::<Vec<_>>(), kept);
        let history = cluster.core.view().checkpoints.history;
        let there =
            history.iter().rev().filter(|entry| entry.status == CheckpointStatus::Completed && !entry.discarded);
        assert_eq!(there.map(|entry| entry.id.0).collect::<Vec<_>>(), kept, "num-retained: {count}");
        check_sound(&cluster);
    }
}

#[test]
fn one_that_cannot_be_stored_takes_no_place_of_those_that_are_kept() {
    let mut cluster = with(RETAINED, "2");
    let failed = || Err(Failure::environment("disk full"));
    for result in [Ok(()), failed(), failed(), Ok(())] {
        collect(&mut cluster);
        cluster.store(result);
        cluster.settle();
    }
    assert_eq!(cluster.retained.iter().map(|checkpoint| checkpoint.0).collect::<Vec<_>>(), [1, 4]);
}
