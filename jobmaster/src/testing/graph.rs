//! Small job graphs and specs.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{Digest, Fingerprint, JobId, JobMasterEpoch, JobSecret, OperatorId, VertexId},
    job_graph::{
        Exchange, ExecutionMode, JobEdge, JobGraph, JobVertex, OperatorKind, OperatorSpec, Parallelism, Program,
        RestartPolicy, RestartStrategy, ShipStrategy,
    },
    resource::ResourceProfile,
};

use crate::{
    spec::{Adaptive, JobSpec, Timeouts},
    time::Millis,
};

/// Builds a job graph from vertices of one operator each, named by their uid.
#[derive(Debug, Clone)]
pub struct TestGraph {
    graph: JobGraph,
}

impl TestGraph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        let program = Program {
            digest: Digest::of(name.as_bytes()),
            size: 1,
            target: flott_core::job_graph::host_target(),
            file_name: name.to_owned(),
            entry: None,
            arguments: Vec::new(),
        };
        Self {
            graph: JobGraph {
                job_id: JobId::from_bytes([7; 16]),
                name: name.to_owned(),
                mode: ExecutionMode::Streaming,
                program,
                vertices: Vec::new(),
                edges: Vec::new(),
                restart: RestartPolicy::Cluster,
                configuration: BTreeMap::new(),
                fingerprint: Fingerprint::of(name.as_bytes()),
                fingerprint_lines: Vec::new(),
            },
        }
    }

    /// The id of the vertex with this name.
    pub fn id(name: &str) -> VertexId {
        VertexId::of_chain(OperatorId::from_uid(name))
    }

    /// Adds a vertex in the default sharing group.
    #[must_use]
    pub fn vertex(self, name: &str, parallelism: Parallelism, kind: OperatorKind) -> Self {
        self.vertex_in("default", ResourceProfile::ANY, name, parallelism, kind)
    }

    /// Adds a vertex.
    #[must_use]
    pub fn vertex_in(
        mut self,
        group: &str,
        resources: ResourceProfile,
        name: &str,
        parallelism: Parallelism,
        kind: OperatorKind,
    ) -> Self {
        let id = OperatorId::from_uid(name);
        let operator = OperatorSpec {
            id,
            uid: Some(name.to_owned()),
            node: self.graph.vertices.len() as u32 + 1,
            name: name.to_owned(),
            kind,
            description: name.to_owned(),
            inputs: Vec::new(),
        };
        self.graph.vertices.push(JobVertex {
            id: VertexId::of_chain(id),
            name: name.to_owned(),
            operators: vec![operator],
            parallelism,
            max_parallelism: None,
            slot_sharing_group: group.to_owned(),
            resources,
        });
        self
    }

    /// Adds an edge.
    #[must_use]
    pub fn edge(mut self, source: &str, target: &str, ship: ShipStrategy, exchange: Exchange) -> Self {
        self.graph.edges.push(JobEdge {
            source: Self::id(source),
            source_node: 1,
            side_output: None,
            target: Self::id(target),
            target_input: 0,
            ship,
            exchange,
        });
        self
    }

    /// Changes the finished graph.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut JobGraph)) -> Self {
        change(&mut self.graph);
        self
    }

    /// The graph.
    pub fn build(self) -> JobGraph {
        self.graph
    }
}

/// A spec with a restart strategy and the usual rest, accepted at time 1,000.
pub fn spec_of(graph: TestGraph, restart: RestartStrategy) -> JobSpec {
    let graph = graph.build();
    JobSpec {
        graph_digest: Digest::of(graph.name.as_bytes()),
        graph: Arc::new(graph),
        epoch: JobMasterEpoch(1),
        secret: JobSecret::from_bytes([3; 16]),
        configuration: BTreeMap::new(),
        default_parallelism: 2,
        cluster_restart: restart,
        timeouts: Timeouts::default(),
        adaptive: Adaptive::default(),
        restored_commit: None,
        snapshots: Default::default(),
        scale: Default::default(),
        past: Default::default(),
        recovered: false,
        accepted_at: Millis(1000),
        seed: 1,
    }
}
