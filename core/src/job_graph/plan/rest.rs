//! The plan as REST answers it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::html;
use crate::{
    id::{JobId, VertexId},
    job_graph::{Exchange, ExecutionMode, JobEdge, JobGraph, JobVertex, ShipStrategy},
};

/// `plan` in the answers of `/jobs/:id` and `/jobs/:id/plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestPlan {
    /// The job.
    pub jid: JobId,
    /// Its name.
    pub name: String,
    /// Streaming or batch.
    #[serde(rename = "type")]
    pub mode: ExecutionMode,
    /// One per vertex, producers first.
    pub nodes: Vec<RestPlanNode>,
}

/// A vertex of a [`RestPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestPlanNode {
    /// The vertex.
    pub id: VertexId,
    /// Always empty.
    pub operator: String,
    /// Subtasks.
    pub parallelism: u32,
    /// Always empty.
    pub operator_strategy: String,
    /// The chain as a tree in HTML, one line per operator.
    pub description: String,
    /// Always an empty object.
    pub optimizer_properties: NoProperties,
    /// The edges that lead here; absent for sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<RestPlanInput>,
}

/// An object without fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoProperties {}

/// An edge of a [`RestPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestPlanInput {
    /// The producing vertex.
    pub id: VertexId,
    /// Place among the edges that lead to this node, from 0.
    pub num: usize,
    /// When records are handed over: `pipelined_bounded` or `blocking`.
    pub exchange: String,
    /// How records are distributed.
    pub ship_strategy: ShipStrategy,
}

/// The plan of `graph` as REST answers it.
pub fn rest_plan(graph: &JobGraph, default_parallelism: u32) -> RestPlan {
    let mut edges: BTreeMap<VertexId, Vec<&JobEdge>> = BTreeMap::new();
    for edge in &graph.edges {
        edges.entry(edge.target).or_default().push(edge);
    }
    let node = |vertex: &JobVertex| {
        let mut inputs = edges.remove(&vertex.id).unwrap_or_default();
        inputs.sort_by_key(|edge| edge.target_input);
        RestPlanNode {
            id: vertex.id,
            operator: String::new(),
            parallelism: vertex.parallelism.resolve(default_parallelism),
            operator_strategy: String::new(),
            description: html::escape(&chain_tree(vertex)),
            optimizer_properties: NoProperties {},
            inputs: inputs.into_iter().enumerate().map(|(num, edge)| input(num, edge)).collect(),
        }
    };
    RestPlan {
        jid: graph.job_id,
        name: graph.name.clone(),
        mode: graph.mode,
        nodes: graph.vertices.iter().map(node).collect(),
    }
}

fn input(num: usize, edge: &JobEdge) -> RestPlanInput {
    let exchange = match edge.exchange {
        Exchange::Pipelined => "pipelined_bounded",
        Exchange::Blocking => "blocking",
    };
    RestPlanInput { id: edge.source, num, exchange: exchange.to_owned(), ship_strategy: edge.ship }
}

/// Levels of a chain that are indented; deeper ones stand below each other, so that the text stays short.
const INDENTED_LEVELS_MAX: usize = 64;

/// One line per operator, each below the one that feeds it:
///
/// ```text
/// Source: lines
/// :- words
/// :  +- lower case
/// +- Sink: raw
/// ```
fn chain_tree(vertex: &JobVertex) -> String {
    // Who feeds whom, by place in the chain. Operators that nothing before them feeds are roots.
    let mut place: BTreeMap<u32, usize> = BTreeMap::new();
    let mut fed: Vec<Vec<usize>> = vec![Vec::new(); vertex.operators.len()];
    let mut roots = Vec::new();
    for (o, operator) in vertex.operators.iter().enumerate() {
        match operator.inputs.iter().find_map(|input| place.get(&input.node)) {
            Some(&feeder) => fed[feeder].push(o),
            None => roots.push(o),
        }
        place.insert(operator.node, o);
    }

    let mut text = String::new();
    // Still to be written: operator, what stands before its line, what stands before the lines below it.
    let mut rest: Vec<_> = roots.into_iter().rev().map(|o| (o, String::new(), String::new())).collect();
    while let Some((o, before, below)) = rest.pop() {
        text.push_str(&before);
        text.push_str(&vertex.operators[o].description);
        text.push('\n');
        let deep = below.len() >= 3 * INDENTED_LEVELS_MAX;
        let indent = |mark: &str| if deep { below.clone() } else { format!("{below}{mark}") };
        for (i, &next) in fed[o].iter().rev().enumerate() {
            let (line, further) = if i == 0 { ("+- ", "   ") } else { (":- ", ":  ") };
            rest.push((next, format!("{below}{line}"), indent(further)));
        }
    }
    text
}
