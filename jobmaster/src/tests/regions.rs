//! Pipelined regions.

use super::*;
use crate::{execution_graph::Resolved, region::Regions};

/// Regions as lists of subtasks, and what each waits for.
#[track_caller]
fn check(graph: TestGraph, expected: &[&[u32]], waits: &[u32]) {
    let resolved = Resolved::new(&graph.build(), 2).unwrap();
    let regions = Regions::new(&resolved);
    let members: Vec<Vec<u32>> =
        regions.keys().map(|region| regions.members(region).iter().map(|execution| execution.0).collect()).collect();
    assert_eq!(members, expected);
    assert_eq!(regions.keys().map(|region| regions.inputs(region)).collect::<Vec<_>>(), waits);
}

fn vertices(names: &[&str]) -> TestGraph {
    names.iter().fold(TestGraph::new("regions"), |graph, name| {
        graph.vertex(name, Parallelism::Fixed(2), OperatorKind::Operator)
    })
}

#[test]
fn all_to_all_makes_one() {
    check(word_count(), &[&[0, 1, 2, 3]], &[0]);
}

#[test]
fn forward_makes_one_per_subtask() {
    check(side_by_side(), &[&[0, 2], &[1, 3]], &[0, 0]);
}

#[test]
fn blocking_edges_divide_and_order() {
    check(two_stages(), &[&[0], &[1], &[2], &[3]], &[0, 0, 1, 1]);
    let pointwise = vertices(&["a", "b"]).edge("a", "b", ShipStrategy::Forward, Exchange::Blocking);
    check(pointwise, &[&[0], &[1], &[2], &[3]], &[0, 0, 1, 1]);
}

#[test]
fn a_blocking_edge_beside_a_pipelined_one_divides_nothing() {
    let both = vertices(&["a", "b"]).edge("a", "b", ShipStrategy::Forward, Exchange::Pipelined).edge(
        "a",
        "b",
        ShipStrategy::Hash,
        Exchange::Blocking,
    );
    check(both, &[&[0, 1, 2, 3]], &[0]);
}

#[test]
fn regions_that_would_wait_for_each_other_are_one() {
    // a -> b blocking, b -> d pipelined; a -> c pipelined, c -> d blocking: no ring, as d only reads.
    let diamond = vertices(&["a", "b", "c", "d"])
        .edge("a", "b", ShipStrategy::Hash, Exchange::Blocking)
        .edge("b", "d", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("a", "c", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("c", "d", ShipStrategy::Hash, Exchange::Blocking);
    check(diamond, &[&[0, 1, 4, 5], &[2, 3, 6, 7]], &[0, 2]);
    // With b and c tied together the two halves wait for each other.
    let ring = vertices(&["a", "b", "c", "d"])
        .edge("a", "b", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("c", "d", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("a", "d", ShipStrategy::Hash, Exchange::Blocking)
        .edge("c", "b", ShipStrategy::Hash, Exchange::Blocking);
    check(ring, &[&[0, 1, 2, 3, 4, 5, 6, 7]], &[0]);
}
