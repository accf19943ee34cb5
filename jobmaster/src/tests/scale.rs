//! Ten thousand subtasks on a thousand TaskManagers.

use super::*;

fn large(ship: ShipStrategy) -> FakeCluster {
    let graph = TestGraph::new("large")
        .vertex("source", Parallelism::Fixed(5_000), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(5_000), OperatorKind::Sink)
        .edge("source", "sink", ship, Exchange::Pipelined)
        .with(|graph| graph.vertices.iter_mut().for_each(|vertex| vertex.max_parallelism = Some(8_192)));
    let mut cluster = FakeCluster::new(spec_of(graph, OFTEN), 6_000, Order::Sent);
    for _ in 0..1_000 {
        cluster.add_worker(5);
    }
    cluster
}

#[test]
fn forward_chains_run_and_restart_one_by_one() {
    let mut cluster = large(ShipStrategy::Forward);
    start_tasks(&mut cluster);
    check_sound(&cluster);
    let worker = cluster.worker_of(attempt(&cluster, "source", 17)).unwrap();
    cluster.kill_process(&worker);
    cluster.settle();
    cluster.pass(100);
    assert_eq!(states(&cluster, "source").iter().filter(|(attempt, _)| *attempt == 1).count(), 5);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].vertices[0].subtasks.len(), 5_000);
}

#[test]
fn one_large_region_is_deployed_at_once() {
    let mut cluster = large(ShipStrategy::Hash);
    start_tasks(&mut cluster);
    assert_eq!(cluster.live().count(), 10_000);
    // Accept, start and deploy for each TaskManager, and a list of splits.
    assert!(cluster.sent <= 1_000 * (5 + 1 + 1) + 1, "{} messages", cluster.sent);
}
