//! What tasks count: known while they run, kept when they end, and counted once.

use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    view::{Accumulator, COUNTERS_MAX, FURTHER_COUNTERS, JobView},
};

use super::{
    checkpoints::{checkpointed, sinks_work, spec},
    *,
};
use crate::{
    checkpoints::{Purpose, RequestId},
    core::Event,
};

fn counter(view: &JobView, name: &str) -> i64 {
    match view.accumulators.get(name) {
        None => 0,
        Some(Accumulator::LongCounter(sum)) => *sum,
        Some(other) => panic!("{name} is {other:?}"),
    }
}

/// Splits that tasks say to have been given, and tasks that say so.
fn counted(view: &JobView) -> (i64, i64) {
    (counter(view, "counted"), counter(view, "tasks"))
}

/// A source is given so many splits.
fn read(cluster: &mut FakeCluster, subtask: u32, splits: u32) {
    for _ in 0..splits {
        let source = attempt(cluster, "source", subtask);
        cluster.work(source);
        cluster.settle();
    }
}

/// All processes say what their tasks count.
fn tell(cluster: &mut FakeCluster) {
    let keys: Vec<_> = cluster.workers.keys().cloned().collect();
    for key in keys {
        let worker = cluster.workers.get_mut(&key).unwrap();
        let epoch = worker.epoch();
        if let Some(message) = worker.figures() {
            cluster.inject(&key, epoch, message);
        }
    }
    cluster.settle();
}

/// A job each of whose sources has been given two splits, and nobody has said so.
fn reading(restart: RestartStrategy) -> FakeCluster {
    let mut cluster = running(word_count(), restart);
    (0..2).for_each(|subtask| read(&mut cluster, subtask, 2));
    assert_eq!(counted(&cluster.core.view()), (0, 4), "as they began");
    cluster
}

#[test]
fn a_running_job_shows_what_its_tasks_said_last_and_new_attempts_begin_anew() {
    let mut cluster = reading(ONCE);
    for _ in 0..2 {
        tell(&mut cluster);
        assert_eq!(counted(&cluster.core.view()), (4, 4));
    }
    read(&mut cluster, 1, 1);
    let failed = attempt(&cluster, "source", 0);
    cluster.fail(failed, Failure::user("boom"));
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    assert_eq!(counted(&cluster.core.view()), (5, 4), "as each of them ended");
    cluster.pass(100);
    start_tasks(&mut cluster);
    let view = cluster.core.view();
    assert_eq!(counted(&view), (0, 4));
    let before = &view.vertices[0].subtasks[1].previous[0];
    assert_eq!(before.metrics.counters.get("counted"), 3);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(counted(&cluster.ended[0]), (10, 4), "none of the first attempts' splits is in it twice");
}

#[test]
fn what_was_counted_is_kept_however_a_job_ends() {
    #[track_caller]
    fn check(mut cluster: FakeCluster, status: JobStatus) {
        check_ended(&mut cluster, status);
        assert_eq!(counted(&cluster.ended[0]), (4, 4));
    }
    let mut cancelled = reading(OFTEN);
    cancelled.tell(Event::Cancel);
    check(cancelled, JobStatus::Canceled);

    let mut failed = reading(RestartStrategy::None);
    let source = attempt(&failed, "source", 0);
    failed.fail(source, Failure::user("boom"));
    check(failed, JobStatus::Failed);

    // Whoever is gone cannot say more.
    let mut killed = reading(RestartStrategy::None);
    tell(&mut killed);
    read(&mut killed, 0, 1);
    let workers: Vec<_> = killed.workers.keys().cloned().collect();
    workers.iter().for_each(|worker| killed.kill_process(worker));
    check(killed, JobStatus::Failed);

    let mut stopped = checkpointed(word_count(), ONCE);
    (0..2).for_each(|subtask| read(&mut stopped, subtask, 2));
    let (request, directory) = (RequestId(1), "/savepoints/s".to_owned());
    stopped.tell(Event::Snapshot(Purpose::Savepoint { request, directory, behind: Behind::Stop }));
    stopped.settle();
    sinks_work(&mut stopped);
    stopped.store(Ok(()));
    check(stopped, JobStatus::Finished);
}

#[test]
fn who_knows_nothing_of_an_attempt_takes_nothing_away() {
    let mut cluster = reading(OFTEN);
    tell(&mut cluster);
    cluster.workers.values_mut().for_each(|worker| worker.is_stuck = true);
    cluster.tell(Event::Cancel);
    cluster.settle();
    let all: Vec<_> = cluster.live().collect();
    for attempt in all {
        says_canceled(&mut cluster, attempt);
    }
    cluster.settle();
    let view = cluster.core.view();
    assert_eq!((view.vertices[0].subtasks[0].current.state, counted(&view)), (ExecutionState::Canceled, (4, 4)));
}

#[test]
fn the_next_jobmaster_counts_nothing_twice() {
    let spec = spec(word_count(), ONCE);
    let mut cluster = checkpointed(word_count(), ONCE);
    // One has finished before the checkpoint, which holds what it has counted; another behind it.
    read(&mut cluster, 0, 4);
    let first = attempt(&cluster, "source", 0);
    read(&mut cluster, 1, 6);
    cluster.work(first);
    cluster.settle();
    cluster.work(first);
    cluster.settle();
    assert_eq!(states(&cluster, "source")[0].1, ExecutionState::Finished);
    cluster.pass(1_000);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    cluster.replace_master(&spec, true);
    cluster.settle();
    assert_eq!((cluster.core.status(), cluster.core.view().restarts), (JobStatus::Running, 0));
    assert_eq!(states(&cluster, "source"), [(0, ExecutionState::Finished), (0, ExecutionState::Running)]);
    for _ in 0..2 {
        tell(&mut cluster);
        assert_eq!(counted(&cluster.core.view()), (10, 4));
    }
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(counted(&cluster.ended[0]), (10, 4));
}

#[test]
fn names_without_end_are_counted_together() {
    const TASKS: u32 = 20;
    let graph = TestGraph::new("names").vertex("source", Parallelism::Fixed(TASKS), OperatorKind::Source);
    let mut cluster = cluster(spec_of(graph, RestartStrategy::None));
    let worker = cluster.add_worker(TASKS);
    start_tasks(&mut cluster);
    let figures = cluster.live().map(|attempt| {
        let mut metrics = flott_core::view::TaskMetrics::default();
        (0..2 * COUNTERS_MAX).for_each(|name| metrics.counters.add(&format!("{attempt} {name}"), 1));
        (attempt, metrics)
    });
    let message = cluster.from_process(&worker, HostToJob::Metrics(figures.collect())).unwrap();
    cluster.inject(&worker, cluster.core.spec().epoch, message);
    cluster.settle();
    let view = cluster.core.view();
    let sums: Vec<_> = view.accumulators.keys().map(|name| counter(&view, name)).collect();
    assert_eq!((sums.len(), sums.iter().sum::<i64>()), (4096, i64::from(TASKS) * 2 * COUNTERS_MAX as i64));
    assert!(counter(&view, FURTHER_COUNTERS) > 1);
}
