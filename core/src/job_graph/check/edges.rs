//! Edges: both ends exist, strategies fit, and every vertex is fed as its first operator wants.

use super::{GraphError, limits, vertices::Places};
use crate::job_graph::{JobEdge, JobGraph, JobVertex, OperatorKind, Parallelism, ShipStrategy};

pub(super) fn check(graph: &JobGraph, places: &Places) -> Result<(), GraphError> {
    limits::count(format_args!("edges"), graph.edges.len(), limits::EDGES_MAX)?;
    // (consuming vertex, input, edge): sorted, the inputs of a vertex stand together and in order.
    let mut inputs = Vec::with_capacity(graph.edges.len());
    for (e, edge) in graph.edges.iter().enumerate() {
        let (source, target) = check_edge(graph, places, e, edge)?;
        check_forward(graph, e, edge, source, target)?;
        inputs.push((target, edge.target_input, e));
    }
    inputs.sort_unstable();
    check_target_inputs(&inputs)?;

    let mut fed = vec![false; graph.vertices.len()];
    for &(target, ..) in &inputs {
        fed[target] = true;
    }
    for (v, (vertex, fed)) in graph.vertices.iter().zip(fed).enumerate() {
        if !fed && !is_source(vertex) {
            let problem = "no edge leads here, and its first operator is not a source";
            return Err(GraphError::new(format_args!("vertices[{v}]"), problem));
        }
    }
    Ok(())
}

fn is_source(vertex: &JobVertex) -> bool {
    vertex.operators.first().is_some_and(|operator| operator.kind == OperatorKind::Source)
}

/// The places of both ends.
fn check_edge(graph: &JobGraph, places: &Places, e: usize, edge: &JobEdge) -> Result<(usize, usize), GraphError> {
    let Some(&source) = places.vertices.get(&edge.source) else {
        let problem = format_args!("no vertex has the id {}", edge.source);
        return Err(GraphError::new(format_args!("edges[{e}].source"), problem));
    };
    let Some(&target) = places.vertices.get(&edge.target) else {
        let problem = format_args!("no vertex has the id {}", edge.target);
        return Err(GraphError::new(format_args!("edges[{e}].target"), problem));
    };
    if places.nodes.get(&edge.source_node).is_none_or(|&(vertex, _)| vertex != source) {
        let problem = format_args!("node {} is not in vertices[{source}]", edge.source_node);
        return Err(GraphError::new(format_args!("edges[{e}].source_node"), problem));
    }
    if graph.vertices.get(target).is_some_and(is_source) {
        let problem = format_args!("vertices[{target}] is a source, and a source has no inputs");
        return Err(GraphError::new(format_args!("edges[{e}].target"), problem));
    }
    if let Some(name) = &edge.side_output {
        limits::filled(format_args!("edges[{e}].side_output"), name, limits::NAME_BYTES_MAX)?;
    }
    Ok((source, target))
}

fn check_forward(graph: &JobGraph, e: usize, edge: &JobEdge, source: usize, target: usize) -> Result<(), GraphError> {
    let (from, to) = (graph.vertices[source].parallelism, graph.vertices[target].parallelism);
    if edge.ship != ShipStrategy::Forward || from == to {
        return Ok(());
    }
    let named = |parallelism| match parallelism {
        Parallelism::Default => "the default".to_owned(),
        Parallelism::Fixed(number) => number.to_string(),
    };
    let problem = format_args!(
        "FORWARD needs equal parallelism, but vertices[{source}] has {} and vertices[{target}] has {}",
        named(from),
        named(to)
    );
    Err(GraphError::new(format_args!("edges[{e}].ship"), problem))
}

/// The inputs of a vertex are numbered from 0 without gaps. `inputs` is sorted.
fn check_target_inputs(inputs: &[(usize, u32, usize)]) -> Result<(), GraphError> {
    let (mut vertex, mut next) = (usize::MAX, 0);
    for &(target, input, e) in inputs {
        if target != vertex {
            (vertex, next) = (target, 0);
        }
        if input > next {
            let problem = format_args!("{input}, but no edge leads to input {next} of vertices[{target}]");
            return Err(GraphError::new(format_args!("edges[{e}].target_input"), problem));
        }
        // Equal inputs are a union; the next one may be this or the one after.
        next = input.saturating_add(1);
    }
    Ok(())
}
