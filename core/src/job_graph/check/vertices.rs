//! Vertices and their chains, each by itself and their identities together.

use std::collections::BTreeMap;

use super::{GraphError, limits};
use crate::{
    id::{OperatorId, VertexId},
    job_graph::{JobGraph, JobVertex, OperatorKind, OperatorSpec, Parallelism, ShipStrategy},
};

/// Where vertices and nodes stand in the graph.
pub(super) struct Places {
    /// Index of each vertex.
    pub(super) vertices: BTreeMap<VertexId, usize>,
    /// Index of the vertex that holds each node, and of the operator within it.
    pub(super) nodes: BTreeMap<u32, (usize, usize)>,
}

pub(super) fn check(graph: &JobGraph) -> Result<Places, GraphError> {
    if graph.vertices.is_empty() {
        return Err(GraphError::new(format_args!("vertices"), "empty, expected at least one vertex"));
    }
    limits::count(format_args!("vertices"), graph.vertices.len(), limits::VERTICES_MAX)?;
    let mut places = Places { vertices: BTreeMap::new(), nodes: BTreeMap::new() };
    let mut seen = Seen::default();
    for (v, vertex) in graph.vertices.iter().enumerate() {
        if let Some(first) = places.vertices.insert(vertex.id, v) {
            let problem = format_args!("{} is the id of vertices[{first}] already", vertex.id);
            return Err(GraphError::new(format_args!("vertices[{v}].id"), problem));
        }
        check_vertex(v, vertex)?;
        for (o, operator) in vertex.operators.iter().enumerate() {
            if let Some((v1, o1)) = places.nodes.insert(operator.node, (v, o)) {
                let problem = format_args!("{} is the node of vertices[{v1}].operators[{o1}] already", operator.node);
                return Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].node"), problem));
            }
            seen.check(v, o, operator)?;
            check_operator(v, o, operator)?;
        }
    }
    let subtasks = graph.vertices.iter().map(|vertex| u64::from(vertex.parallelism.resolve(1))).sum();
    check_subtasks(subtasks)?;
    check_inputs(graph, &places)?;
    Ok(places)
}

/// What a default parallelism makes of vertices that passed [`check`].
pub(super) fn check_default(graph: &JobGraph, default_parallelism: u32) -> Result<(), GraphError> {
    limits::within(format_args!("default parallelism"), default_parallelism, limits::PARALLELISM)?;
    let mut subtasks = 0;
    for (v, vertex) in graph.vertices.iter().enumerate() {
        let parallelism = vertex.parallelism.resolve(default_parallelism);
        check_below_max(v, parallelism, vertex.max_parallelism)?;
        subtasks += u64::from(parallelism);
    }
    check_subtasks(subtasks)
}

fn check_subtasks(subtasks: u64) -> Result<(), GraphError> {
    if subtasks > limits::SUBTASKS_MAX {
        let problem = format_args!("{subtasks} subtasks together, expected at most {}", limits::SUBTASKS_MAX);
        return Err(GraphError::new(format_args!("vertices"), problem));
    }
    Ok(())
}

fn check_below_max(v: usize, parallelism: u32, max_parallelism: Option<u32>) -> Result<(), GraphError> {
    match max_parallelism {
        Some(max) if parallelism > max => {
            let problem = format_args!("{parallelism} is above this vertex's max_parallelism, {max}");
            Err(GraphError::new(format_args!("vertices[{v}].parallelism"), problem))
        }
        _ => Ok(()),
    }
}

fn check_vertex(v: usize, vertex: &JobVertex) -> Result<(), GraphError> {
    limits::filled(format_args!("vertices[{v}].name"), &vertex.name, limits::TEXT_BYTES_MAX)?;
    let group = format_args!("vertices[{v}].slot_sharing_group");
    limits::filled(group, &vertex.slot_sharing_group, limits::NAME_BYTES_MAX)?;
    if let Some(max) = vertex.max_parallelism {
        limits::within(format_args!("vertices[{v}].max_parallelism"), max, limits::PARALLELISM)?;
    }
    if let Parallelism::Fixed(parallelism) = vertex.parallelism {
        limits::within(format_args!("vertices[{v}].parallelism"), parallelism, limits::PARALLELISM)?;
        check_below_max(v, parallelism, vertex.max_parallelism)?;
    }
    let memory = format_args!("vertices[{v}].resources.memory_bytes");
    limits::within(memory, vertex.resources.memory_bytes, 0..=limits::MEMORY_BYTES_MAX)?;
    if vertex.operators.is_empty() {
        let problem = "empty, expected at least one operator";
        return Err(GraphError::new(format_args!("vertices[{v}].operators"), problem));
    }
    Ok(())
}

/// Identities and counts over all operators so far.
#[derive(Default)]
struct Seen<'a> {
    ids: BTreeMap<OperatorId, (usize, usize)>,
    uids: BTreeMap<&'a str, (usize, usize)>,
    inputs: usize,
}

impl<'a> Seen<'a> {
    fn check(&mut self, v: usize, o: usize, operator: &'a OperatorSpec) -> Result<(), GraphError> {
        if let Some((v1, o1)) = self.ids.insert(operator.id, (v, o)) {
            let problem = format_args!("{} is the id of vertices[{v1}].operators[{o1}] already", operator.id);
            return Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].id"), problem));
        }
        limits::count(format_args!("operators of all vertices"), self.ids.len(), limits::OPERATORS_MAX)?;
        self.inputs = self.inputs.saturating_add(operator.inputs.len());
        limits::count(format_args!("inputs of all operators"), self.inputs, limits::EDGES_MAX)?;
        let Some(uid) = &operator.uid else { return Ok(()) };
        limits::filled(format_args!("vertices[{v}].operators[{o}].uid"), uid, limits::NAME_BYTES_MAX)?;
        if let Some((v1, o1)) = self.uids.insert(uid, (v, o)) {
            let problem = format_args!("{} is the uid of vertices[{v1}].operators[{o1}] already", limits::shown(uid));
            return Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].uid"), problem));
        }
        Ok(())
    }
}

fn check_operator(v: usize, o: usize, operator: &OperatorSpec) -> Result<(), GraphError> {
    let node = format_args!("vertices[{v}].operators[{o}].node");
    limits::within(node, operator.node, 1..=u32::MAX)?;
    let name = format_args!("vertices[{v}].operators[{o}].name");
    limits::filled(name, &operator.name, limits::TEXT_BYTES_MAX)?;
    let description = format_args!("vertices[{v}].operators[{o}].description");
    limits::length(description, &operator.description, limits::TEXT_BYTES_MAX)?;
    let problem = match (operator.kind, operator.inputs.is_empty()) {
        (OperatorKind::Source, _) if o > 0 => {
            let problem = "a source within a chain; expected only as its first operator";
            return Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].kind"), problem));
        }
        (OperatorKind::Source, true) | (OperatorKind::Operator | OperatorKind::Sink, false) => return Ok(()),
        (OperatorKind::Source, false) => "a source has no inputs",
        (OperatorKind::Operator | OperatorKind::Sink, true) => "empty, and only a source has no inputs",
    };
    Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].inputs"), problem))
}

/// Inputs name nodes that exist; within a chain records go forward from one earlier operator to a later one.
fn check_inputs(graph: &JobGraph, places: &Places) -> Result<(), GraphError> {
    for (v, vertex) in graph.vertices.iter().enumerate() {
        for (o, operator) in vertex.operators.iter().enumerate() {
            for (i, input) in operator.inputs.iter().enumerate() {
                let node = format_args!("vertices[{v}].operators[{o}].inputs[{i}].node");
                let Some(&(from, at)) = places.nodes.get(&input.node) else {
                    return Err(GraphError::new(node, format_args!("no operator is node {}", input.node)));
                };
                let chained = from == v && at < o;
                if o > 0 && !chained {
                    let problem = format_args!("node {} is not an earlier operator of this chain", input.node);
                    return Err(GraphError::new(node, problem));
                }
                if o > 0 && input.ship != ShipStrategy::Forward {
                    let ship = format_args!("vertices[{v}].operators[{o}].inputs[{i}].ship");
                    let problem = format_args!("{} within a chain, expected FORWARD", input.ship.as_str());
                    return Err(GraphError::new(ship, problem));
                }
            }
            if o > 0 && operator.inputs.len() > 1 {
                let problem = format_args!("{} inputs within a chain, expected one", operator.inputs.len());
                return Err(GraphError::new(format_args!("vertices[{v}].operators[{o}].inputs"), problem));
            }
        }
    }
    Ok(())
}
