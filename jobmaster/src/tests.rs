//! The JobMaster against an in-memory cluster.

mod alignment;
mod cancel;
mod checkpoints;
mod commit;
mod counting;
mod failover;
mod naming;
mod old_news;
mod random;
mod reacting;
mod reconciling;
mod regions;
mod remembering;
mod rescale;
mod restart;
mod run;
mod scale;
mod service;
mod slots;
mod transitions;

use flott_core::{
    id::AttemptId,
    job_graph::{Exchange, OperatorKind, Parallelism, RestartStrategy, ShipStrategy},
    message::{HostToJob, TaskStateChange},
    status::{ExecutionState, JobStatus},
};

use crate::{
    spec::JobSpec,
    testing::{FakeCluster, Order, TestGraph, spec_of},
};

pub const ONCE: RestartStrategy = RestartStrategy::FixedDelay { attempts: 1, delay_ms: 100 };
pub const OFTEN: RestartStrategy = RestartStrategy::FixedDelay { attempts: 1_000, delay_ms: 100 };

/// source (2) → hash → sink (2).
pub fn word_count() -> TestGraph {
    TestGraph::new("words")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Pipelined)
}

/// source (2) → forward → sink (2): two regions.
pub fn side_by_side() -> TestGraph {
    TestGraph::new("side by side")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Forward, Exchange::Pipelined)
}

/// source (2) → hash, blocking → sink (2): three regions in two stages.
pub fn two_stages() -> TestGraph {
    TestGraph::new("stages")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Blocking)
}

pub fn cluster(spec: JobSpec) -> FakeCluster {
    FakeCluster::new(spec, 10, Order::Sent)
}

/// A job on two workers of one slot each, all of whose tasks run.
pub fn running(graph: TestGraph, restart: RestartStrategy) -> FakeCluster {
    let mut cluster = cluster(spec_of(graph, restart));
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    cluster
}

/// Brings every deployed task to RUNNING.
pub fn start_tasks(cluster: &mut FakeCluster) {
    cluster.settle();
    for _ in 0..2 {
        cluster.work_all();
        cluster.settle();
    }
}

/// The attempt of a subtask that is alive.
pub fn attempt(cluster: &FakeCluster, vertex: &str, subtask: u32) -> AttemptId {
    let wanted = TestGraph::id(vertex);
    let found = cluster.live().find(|attempt| attempt.vertex == wanted && attempt.subtask.0 == subtask);
    found.unwrap_or_else(|| panic!("{vertex} {subtask} is not alive"))
}

/// Its process says that an attempt is canceled, with no figures.
pub fn says_canceled(cluster: &mut FakeCluster, attempt: AttemptId) {
    let worker = cluster.worker_of(attempt).unwrap();
    let report = HostToJob::TaskState(Box::new(TaskStateChange {
        attempt,
        state: ExecutionState::Canceled,
        failure: None,
        metrics: Default::default(),
        committables: Vec::new(),
        accumulators: Default::default(),
    }));
    let message = cluster.from_process(&worker, report).unwrap();
    cluster.inject(&worker, cluster.core.spec().epoch, message);
}

/// The states of a vertex's subtasks, with their attempts.
pub fn states(cluster: &FakeCluster, vertex: &str) -> Vec<(u32, ExecutionState)> {
    let view = cluster.core.view();
    let vertex = view.vertices.iter().find(|candidate| candidate.name == vertex).expect("the vertex exists");
    vertex.subtasks.iter().map(|subtask| (subtask.current.attempt, subtask.current.state)).collect()
}

#[track_caller]
pub fn check_sound(cluster: &FakeCluster) {
    assert_eq!(cluster.faults, Vec::<String>::new());
    assert_eq!(cluster.core.check_invariants(), Ok(()));
}

/// The job has ended like this, once, and nothing of it is left.
#[track_caller]
pub fn check_ended(cluster: &mut FakeCluster, status: JobStatus) {
    cluster.settle();
    check_sound(cluster);
    let ends: Vec<_> = cluster.ended.iter().map(|view| view.status).collect();
    assert_eq!(ends, [status], "waits for {:?}", cluster.core.waits());
    assert_eq!(cluster.statuses.last(), Some(&status));
    assert!(cluster.declared.is_empty(), "still declared: {:?}", cluster.declared);
    for worker in cluster.workers.values() {
        assert!(worker.is_clean(), "something is left on {}", worker.key());
    }
}
