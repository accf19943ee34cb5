//! What a deployment to a thousand processes takes: `cargo bench -p flott-jobmaster --features testing --bench deployment
//! [-- PARALLELISM]`.
//!
//! A JobMaster in memory, whose job's every source subtask sends to every sink subtask, on so many TaskManagers of one slot. The arithmetic:
//! each process is told of the same edge (two ends of 8 bytes for each) and of the same processes (80 bytes and a name each), and all
//! deployments are there before the first is sent: copies would be 128 KB for each of a thousand.

use std::time::Instant;

use flott_core::job_graph::{Exchange, OperatorKind, Parallelism, RestartStrategy, ShipStrategy};
use flott_jobmaster::testing::{FakeCluster, Order, TestGraph, spec_of};

fn main() {
    let parallelism = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    let graph = TestGraph::new("all to all")
        .vertex("source", Parallelism::Fixed(parallelism), OperatorKind::Source)
        .vertex("sink", Parallelism::Fixed(parallelism), OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Pipelined)
        .with(|graph| graph.vertices.iter_mut().for_each(|vertex| vertex.max_parallelism = Some(32_768)));
    let mut cluster = FakeCluster::new(spec_of(graph, RestartStrategy::None), 1, Order::Sent);
    for _ in 0..parallelism {
        cluster.add_worker(1);
    }
    let before = resident("VmRSS");
    let began = Instant::now();
    cluster.settle();
    let took = began.elapsed();
    assert_eq!(cluster.live().count(), 2 * parallelism as usize, "all are deployed");
    println!(
        "{{\"parallelism\": {parallelism}, \"took_ms\": {}, \"resident_mib_before\": {before:.1}, \"resident_mib_peak\": {:.1}}}",
        took.as_millis(),
        resident("VmHWM")
    );
}

/// Memory of this process in MiB.
fn resident(which: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.expect("Linux tells in KiB") / 1024.0
}
