//! What a program has put together so far: operators in the order in which they were declared, each with its inputs.
//!
//! Operators refer only to earlier ones, so the order is one in which producers stand before consumers, and a plan
//! cannot have a cycle. Records have types in the program and none in the plan: a [`Body`] knows them, and takes and
//! gives outputs as [`Erased`].
//!
//! # Layout
//! - `body`: how operators are built at run time, by kind, behind type erasure
//! - `edge`: how an edge's writer is built
//! - `key`: how keys are taken out of records
//! - `side`: side outputs of an operator
//! - `node`: an operator with its settings

mod body;
mod edge;
mod key;
mod node;
mod side;

pub(crate) use body::{
    Body, Commit, Erased, OneInput, OneInputBody, Outputs, SinkNode, Site, SourceBody, SourceNode, TwoInput,
    into_output,
};
pub(crate) use edge::{CustomEdge, EdgeBody, KeyedEdge, PlainEdge};
pub(crate) use key::{HeldKey, KeyOf, Keys, Look, MadeKey};
pub(crate) use node::{BatchForm, Chaining, Node, NodeIndex, Origin};
pub(crate) use side::{SharedSides, SideBody, SideKind, SidePorts};

use flott_core::job_graph::OperatorKind;

use crate::error::PlanError;

/// The operators of a program, and what was found wrong while they were declared.
#[derive(Default)]
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
    pub problems: Vec<PlanError>,
}

impl Plan {
    pub fn add(&mut self, node: Node) -> NodeIndex {
        self.nodes.push(node);
        NodeIndex(self.nodes.len() - 1)
    }

    /// Whether all sources are known to end.
    pub fn is_bounded(&self) -> bool {
        self.nodes.iter().filter(|node| node.kind == OperatorKind::Source).all(|source| source.bounded)
    }

    pub fn node(&mut self, index: NodeIndex) -> &mut Node {
        &mut self.nodes[index.0]
    }
}
