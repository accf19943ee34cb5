//! Stream graph → job graph.

use flott_core::{
    id::{JobId, VertexId},
    job_graph::{Exchange, JobEdge, JobGraph, JobVertex, OperatorInput, OperatorSpec, Program, check::check},
    resource::ResourceProfile,
};

use super::{JobSettings, StreamGraph, fingerprint};
use crate::error::PlanError;

impl StreamGraph {
    /// The job graph, checked.
    ///
    /// # Errors
    /// When it breaks a rule of job graphs, such as the length of names.
    pub fn job_graph(
        &self,
        job_id: JobId,
        name: String,
        program: Program,
        settings: &JobSettings,
    ) -> Result<JobGraph, PlanError> {
        let (fingerprint, fingerprint_lines) = fingerprint::of(self);
        let graph = JobGraph {
            job_id,
            name,
            mode: self.mode,
            program,
            vertices: self.vertices(),
            edges: self.job_edges(),
            restart: settings.restart,
            configuration: settings.configuration.clone(),
            fingerprint,
            fingerprint_lines,
        };
        check(&graph)?;
        Ok(graph)
    }

    /// One vertex per chain, in the order of their heads: the head of a consumer stands after all operators that feed
    /// it, so producers come before consumers.
    fn vertices(&self) -> Vec<JobVertex> {
        let heads = self.nodes.iter().enumerate().filter(|(place, node)| node.head == *place);
        heads
            .map(|(head, node)| {
                let chain = || self.nodes.iter().enumerate().filter(move |(_, member)| member.head == head);
                JobVertex {
                    id: VertexId::of_chain(node.id),
                    name: self.chain_name(head),
                    operators: chain().map(|(place, _)| self.operator(place)).collect(),
                    parallelism: node.parallelism,
                    max_parallelism: chain().find_map(|(_, member)| member.max_parallelism),
                    slot_sharing_group: node.group.clone(),
                    resources: ResourceProfile::ANY,
                }
            })
            .collect()
    }

    fn operator(&self, place: usize) -> OperatorSpec {
        let node = &self.nodes[place];
        OperatorSpec {
            id: node.id,
            uid: node.uid.clone(),
            node: number(place),
            name: node.name.clone(),
            kind: node.kind,
            description: node.name.clone(),
            inputs: self.inputs(place).map(|edge| OperatorInput { node: number(edge.from), ship: edge.ship }).collect(),
        }
    }

    fn job_edges(&self) -> Vec<JobEdge> {
        let between = self.edges.iter().filter(|edge| edge.index.is_some());
        between
            .map(|edge| JobEdge {
                source: self.vertex_of(&self.nodes[edge.from]),
                source_node: number(edge.from),
                side_output: edge.side.as_deref().map(str::to_owned),
                target: self.vertex_of(&self.nodes[edge.to]),
                target_input: edge.input,
                ship: edge.ship,
                exchange: Exchange::Pipelined,
            })
            .collect()
    }

    /// `a -> b -> c`; `a -> (b, c -> d)` where the chain branches.
    fn chain_name(&self, place: usize) -> String {
        let mut name = self.nodes[place].name.clone();
        let mut place = place;
        loop {
            let next: Vec<usize> =
                self.outputs(place).filter(|edge| edge.index.is_none()).map(|edge| edge.to).collect();
            match next.as_slice() {
                [] => return name,
                [only] => {
                    place = *only;
                    name.push_str(" -> ");
                    name.push_str(&self.nodes[place].name);
                }
                several => {
                    let branches: Vec<_> = several.iter().map(|branch| self.chain_name(*branch)).collect();
                    return format!("{name} -> ({})", branches.join(", "));
                }
            }
        }
    }
}

/// The number of an operator in plans.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1)
}
