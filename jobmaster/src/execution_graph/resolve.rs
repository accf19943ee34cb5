//! From the job graph as submitted to vertices and edges with every number decided.

use std::collections::BTreeMap;

use flott_core::{
    id::{OperatorId, VertexId},
    job_graph::{Exchange, JobGraph, JobVertex, OperatorKind, ShipStrategy, scale::Scale},
    key_group::{MaxParallelism, default_max_parallelism},
    resource::ResourceProfile,
    topology,
};

use crate::{
    error::JobMasterError,
    index::{ExecutionIndex, Key, Table, VertexIndex},
};

/// Subtasks that one JobMaster takes on.
pub const SUBTASKS_MAX: u64 = 1 << 20;

/// A vertex whose parallelism is decided.
#[derive(Debug, Clone)]
pub struct Vertex {
    /// Identity.
    pub id: VertexId,
    /// Name.
    pub name: String,
    /// Subtasks.
    pub parallelism: u32,
    /// Key groups.
    pub max_parallelism: u32,
    /// Slot sharing group.
    pub group: String,
    /// What one subtask asks for.
    pub resources: ResourceProfile,
    /// Place of its first subtask among all of the job.
    pub first: ExecutionIndex,
    /// Sources in the chain.
    pub sources: Vec<OperatorId>,
    /// Whether there is a sink in the chain.
    pub has_sink: bool,
    /// Edges that lead here, by their place.
    pub inputs: Vec<usize>,
    /// Edges that lead away.
    pub outputs: Vec<usize>,
}

impl Vertex {
    /// Its subtasks, in order.
    pub fn executions(&self) -> impl DoubleEndedIterator<Item = ExecutionIndex> + use<> {
        (self.first.0..self.first.0 + self.parallelism).map(ExecutionIndex)
    }

    /// One of its subtasks.
    pub fn execution(&self, subtask: u32) -> Option<ExecutionIndex> {
        (subtask < self.parallelism).then_some(ExecutionIndex(self.first.0 + subtask))
    }
}

/// An edge between vertices by their place.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// Producing vertex.
    pub source: VertexIndex,
    /// Consuming vertex.
    pub target: VertexIndex,
    /// How records get there.
    pub ship: ShipStrategy,
    /// When they may.
    pub exchange: Exchange,
}

/// Numbers of vertices that are not what the graph says, or derived where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Subtasks: the job was rescaled.
    pub parallelism: BTreeMap<VertexId, u32>,
    /// Key groups, where the graph leaves them open: there is state that has as many.
    pub max_parallelism: BTreeMap<VertexId, u32>,
}

impl Overrides {
    /// Those of a job that was rescaled.
    pub fn of(scale: &Scale) -> Self {
        let vertices = scale.vertices.iter();
        Self {
            parallelism: vertices.clone().map(|(id, vertex)| (*id, vertex.parallelism)).collect(),
            max_parallelism: vertices.map(|(id, vertex)| (*id, vertex.max_parallelism)).collect(),
        }
    }
}

/// All of a job, with its numbers decided.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// In the order of the graph.
    pub vertices: Table<VertexIndex, Vertex>,
    /// In the order of the graph.
    pub edges: Vec<Edge>,
    /// Places of the vertices.
    pub by_id: BTreeMap<VertexId, VertexIndex>,
    /// Subtasks of all vertices.
    pub subtasks: u32,
}

impl Resolved {
    /// Decides the numbers of `graph`.
    ///
    /// # Errors
    /// When the graph is inconsistent, or the default parallelism does not fit it.
    pub fn new(graph: &JobGraph, default_parallelism: u32) -> Result<Self, JobMasterError> {
        Self::with(graph, default_parallelism, &Overrides::default())
    }

    /// Decides the numbers of `graph`, some of which are given.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(graph: &JobGraph, default_parallelism: u32, given: &Overrides) -> Result<Self, JobMasterError> {
        if graph.vertices.is_empty() {
            return Err(JobMasterError::Empty { job: graph.name.clone() });
        }
        let mut vertices = Table::new(Vec::with_capacity(graph.vertices.len()));
        let mut by_id = BTreeMap::new();
        let mut subtasks = 0u64;
        for vertex in &graph.vertices {
            let resolved = resolve(vertex, default_parallelism, given, ExecutionIndex(subtasks as u32))?;
            subtasks += u64::from(resolved.parallelism);
            if subtasks > SUBTASKS_MAX {
                return Err(JobMasterError::TooLarge { subtasks, max: SUBTASKS_MAX });
            }
            let place = vertices.push(resolved);
            if by_id.insert(vertex.id, place).is_some() {
                return Err(JobMasterError::DuplicateVertex { vertex: vertex.name.clone() });
            }
        }
        let mut edges = Vec::with_capacity(graph.edges.len());
        for (index, edge) in graph.indexed_edges() {
            let (Some(&source), Some(&target)) = (by_id.get(&edge.source), by_id.get(&edge.target)) else {
                return Err(JobMasterError::DanglingEdge { edge: index.0 });
            };
            let (from, to): (&Vertex, &Vertex) = (&vertices[source], &vertices[target]);
            if edge.ship == ShipStrategy::Forward && from.parallelism != to.parallelism {
                return Err(JobMasterError::Forward {
                    edge: index.0,
                    source_name: from.name.clone(),
                    source_parallelism: from.parallelism,
                    target_name: to.name.clone(),
                    target_parallelism: to.parallelism,
                });
            }
            vertices[source].outputs.push(edges.len());
            vertices[target].inputs.push(edges.len());
            edges.push(Edge { source, target, ship: edge.ship, exchange: edge.exchange });
        }
        Ok(Self { vertices, edges, by_id, subtasks: subtasks as u32 })
    }

    /// Consuming subtasks that `producer` (a subtask of the edge's source) sends to.
    pub fn consumers(&self, edge: &Edge, producer: u32) -> impl Iterator<Item = ExecutionIndex> + use<> {
        let (source, target) = (&self.vertices[edge.source], &self.vertices[edge.target]);
        let first = target.first.0;
        topology::consumers_of(edge.ship, producer, source.parallelism, target.parallelism)
            .map(move |subtask| ExecutionIndex(first + subtask))
    }

    /// Producing subtasks that `consumer` (a subtask of the edge's target) reads from.
    pub fn producers(&self, edge: &Edge, consumer: u32) -> impl Iterator<Item = ExecutionIndex> + use<> {
        let (source, target) = (&self.vertices[edge.source], &self.vertices[edge.target]);
        let first = source.first.0;
        topology::producers_of(edge.ship, consumer, source.parallelism, target.parallelism)
            .map(move |subtask| ExecutionIndex(first + subtask))
    }

    /// The vertex of every subtask, in order.
    pub fn owners(&self) -> impl Iterator<Item = (VertexIndex, u32)> {
        self.vertices.keys().flat_map(|key| (0..self.vertices[key].parallelism).map(move |subtask| (key, subtask)))
    }

    /// All subtasks.
    pub fn executions(&self) -> impl Iterator<Item = ExecutionIndex> + use<> {
        (0..self.subtasks as usize).map(ExecutionIndex::from_place)
    }
}

fn resolve(
    vertex: &JobVertex,
    default: u32,
    given: &Overrides,
    first: ExecutionIndex,
) -> Result<Vertex, JobMasterError> {
    let rescaled = given.parallelism.get(&vertex.id).copied();
    let parallelism = rescaled.unwrap_or_else(|| vertex.parallelism.resolve(default));
    let max = match vertex.max_parallelism.or_else(|| given.max_parallelism.get(&vertex.id).copied()) {
        Some(given) => MaxParallelism::new(given)
            .map_err(|_| JobMasterError::MaxParallelism { vertex: vertex.name.clone(), given })?,
        None => default_max_parallelism(parallelism),
    };
    if parallelism == 0 || parallelism > max.get() {
        return Err(JobMasterError::Parallelism { vertex: vertex.name.clone(), parallelism, max: max.get() });
    }
    let of_kind = |kind| vertex.operators.iter().filter(move |operator| operator.kind == kind);
    Ok(Vertex {
        id: vertex.id,
        name: vertex.name.clone(),
        parallelism,
        max_parallelism: max.get(),
        group: vertex.slot_sharing_group.clone(),
        resources: vertex.resources,
        first,
        sources: of_kind(OperatorKind::Source).map(|operator| operator.id).collect(),
        has_sink: of_kind(OperatorKind::Sink).next().is_some(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    })
}
