//! From a plan to what runs: operators with identities and resolved settings, cut into chains.
//!
//! # Layout
//! - `translate`: plan → stream graph
//! - `identity`: operator ids
//! - `chain`: which edges are within a task
//! - `job`: stream graph → job graph
//! - `fingerprint`: what must be equal when a program is planned again

mod chain;
mod fingerprint;
mod identity;
mod job;
#[cfg(test)]
mod tests;
mod translate;

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{EdgeIndex, OperatorId, VertexId},
    job_graph::{ExecutionMode, OperatorKind, Parallelism, RestartPolicy, ShipStrategy},
};

use crate::plan::{Body, Chaining, EdgeBody, NodeIndex, SideBody};

pub(crate) use fingerprint::{directory_of, first_difference};
pub(crate) use translate::translate;

/// What is set for a job as a whole.
#[derive(Debug, Clone)]
pub(crate) struct JobSettings {
    pub mode: ExecutionMode,
    /// The directory that relative paths start from, where it is known.
    pub directory: Option<String>,
    pub parallelism: Option<u32>,
    pub max_parallelism: Option<u32>,
    pub chaining: bool,
    pub restart: RestartPolicy,
    pub configuration: BTreeMap<String, String>,
}

impl JobSettings {
    /// The name that the job is to have instead of the program's own choice (`pipeline.name`).
    pub fn name(&self) -> Option<&str> {
        self.configuration.get("pipeline.name").map(String::as_str)
    }
}

/// All operators, producers before consumers, and the edges between them.
pub(crate) struct StreamGraph {
    pub mode: ExecutionMode,
    /// The directory that relative paths start from, where it is known.
    pub directory: Option<String>,
    pub nodes: Vec<StreamNode>,
    pub edges: Vec<StreamEdge>,
    /// The operator behind each node of the plan.
    pub places: BTreeMap<NodeIndex, usize>,
}

/// An operator. Its number in plans is its place plus one.
pub(crate) struct StreamNode {
    pub id: OperatorId,
    pub uid: Option<String>,
    pub name: String,
    pub kind: OperatorKind,
    pub detail: String,
    pub parallelism: Parallelism,
    pub max_parallelism: Option<u32>,
    pub group: String,
    pub chaining: Chaining,
    pub body: Body,
    pub sides: BTreeMap<Arc<str>, Arc<dyn SideBody>>,
    /// The operator whose chain it is in.
    pub head: usize,
}

/// An edge between two operators.
pub(crate) struct StreamEdge {
    pub from: usize,
    pub side: Option<Arc<str>>,
    pub to: usize,
    pub input: u32,
    pub ship: ShipStrategy,
    pub body: Arc<dyn EdgeBody>,
    /// Its place in the job graph; none within a chain.
    pub index: Option<EdgeIndex>,
}

impl StreamGraph {
    /// The operators that nodes of the plan have become.
    pub(crate) fn operators(&self) -> BTreeMap<NodeIndex, OperatorId> {
        self.places.iter().map(|(node, place)| (*node, self.nodes[*place].id)).collect()
    }

    /// The vertex that `node` is in.
    pub fn vertex_of(&self, node: &StreamNode) -> VertexId {
        VertexId::of_chain(self.nodes[node.head].id)
    }

    /// Edges into operator `place`, in order.
    pub fn inputs(&self, place: usize) -> impl Iterator<Item = &StreamEdge> {
        self.edges.iter().filter(move |edge| edge.to == place)
    }

    /// Edges out of operator `place`, in order.
    pub fn outputs(&self, place: usize) -> impl Iterator<Item = &StreamEdge> {
        self.edges.iter().filter(move |edge| edge.from == place)
    }
}
