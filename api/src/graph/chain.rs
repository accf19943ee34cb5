//! Which edges are within a task, by Flink's conditions.

use flott_core::{id::EdgeIndex, job_graph::ShipStrategy};

use super::StreamGraph;
use crate::plan::Chaining;

/// Cuts the graph into chains: sets the head of each operator, and numbers the edges between chains.
pub(super) fn cut(graph: &mut StreamGraph, enabled: bool) {
    let mut edges_in = vec![0_u32; graph.nodes.len()];
    for edge in &graph.edges {
        edges_in[edge.to] += 1;
    }
    let mut next = 0;
    for at in 0..graph.edges.len() {
        let (from, to) = (graph.edges[at].from, graph.edges[at].to);
        if enabled && edges_in[to] == 1 && chainable(graph, at) {
            // Edges are in the order of their consumers, and producers come first: the head of `from` is known.
            graph.nodes[to].head = graph.nodes[from].head;
        } else {
            graph.edges[at].index = Some(EdgeIndex(next));
            next += 1;
        }
    }
}

/// Whether the only edge into an operator can be a call instead of a channel.
fn chainable(graph: &StreamGraph, at: usize) -> bool {
    let edge = &graph.edges[at];
    let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
    edge.ship == ShipStrategy::Forward
        && from.parallelism == to.parallelism
        && from.group == to.group
        && to.takes_one_input()
        && to.chaining == Chaining::Always
        && from.chaining != Chaining::Never
}
