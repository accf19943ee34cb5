//! Pipelined regions: the subtasks that run at once, and fail and restart together.
//!
//! Two subtasks are in one region if a path of pipelined channels connects them. It is channels that count, not edges:
//! a chain of forward edges with parallelism n makes n regions, each of which fails for itself. Blocking edges order
//! regions: a region is scheduled when all it reads through them has finished.
//!
//! A graph may connect two vertices by a pipelined path and a blocking one at once, or in a ring. Its regions would wait
//! for each other for ever, so such a blocking edge counts as pipelined.
//!
//! What a region waits for is kept as counts. An edge that connects everyone with everyone is *one* thing to wait for
//! (the whole producing vertex), so that n producers and m consumers cost n + m, not n × m.

use std::collections::BTreeSet;

use flott_core::job_graph::Exchange;

use crate::{
    execution_graph::{Edge, Resolved},
    index::{ExecutionIndex, Key, RegionIndex, Table, VertexIndex},
};

/// The regions of a job.
#[derive(Debug, Clone)]
pub struct Regions {
    of: Table<ExecutionIndex, RegionIndex>,
    members: Table<RegionIndex, Vec<ExecutionIndex>>,
    /// Blocking edges that order regions, by their place in the graph.
    ordering: BTreeSet<usize>,
    /// Things each region waits for.
    inputs: Table<RegionIndex, u32>,
    /// Regions that wait for all of a vertex.
    after_vertex: Table<VertexIndex, Vec<RegionIndex>>,
    /// Regions that wait for one subtask.
    after_execution: Table<ExecutionIndex, Vec<RegionIndex>>,
}

impl Regions {
    /// Finds the regions of a job.
    pub fn new(graph: &Resolved) -> Self {
        let ordering = ordering_edges(graph);
        let mut sets = DisjointSets::new(graph.subtasks as usize);
        for (_, edge) in graph.edges.iter().enumerate().filter(|(place, _)| !ordering.contains(place)) {
            connect(graph, edge, &mut sets);
        }
        let mut regions = Self {
            of: Table::new(Vec::with_capacity(graph.subtasks as usize)),
            members: Table::new(Vec::new()),
            ordering,
            inputs: Table::new(Vec::new()),
            after_vertex: Table::new(vec![Vec::new(); graph.vertices.len()]),
            after_execution: Table::new(vec![Vec::new(); graph.subtasks as usize]),
        };
        // Regions are numbered in the order of their first subtasks.
        let mut numbers = vec![None; graph.subtasks as usize];
        for execution in graph.executions() {
            let region = *numbers[sets.find(execution.place())].get_or_insert_with(|| {
                regions.inputs.push(0);
                regions.members.push(Vec::new())
            });
            regions.members[region].push(execution);
            regions.of.push(region);
        }
        regions.order(graph);
        regions
    }

    fn order(&mut self, graph: &Resolved) {
        for edge in self.ordering.iter().map(|place| &graph.edges[*place]) {
            let target = &graph.vertices[edge.target];
            if edge.ship.is_pointwise() {
                for (subtask, consumer) in target.executions().enumerate() {
                    let region = self.of[consumer];
                    for producer in graph.producers(edge, subtask as u32) {
                        self.after_execution[producer].push(region);
                        self.inputs[region] += 1;
                    }
                }
            } else {
                let waiting: BTreeSet<_> = target.executions().map(|consumer| self.of[consumer]).collect();
                for region in waiting {
                    self.after_vertex[edge.source].push(region);
                    self.inputs[region] += 1;
                }
            }
        }
    }

    /// The region of a subtask.
    pub fn of(&self, execution: ExecutionIndex) -> RegionIndex {
        self.of[execution]
    }

    /// Subtasks of a region, in order.
    pub fn members(&self, region: RegionIndex) -> &[ExecutionIndex] {
        &self.members[region]
    }

    /// Number of regions.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none: never, as a job has subtasks.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All regions.
    pub fn keys(&self) -> impl Iterator<Item = RegionIndex> + use<> {
        self.members.keys()
    }

    /// How many things a region waits for.
    pub fn inputs(&self, region: RegionIndex) -> u32 {
        self.inputs[region]
    }

    /// Regions for which one thing to wait for is done when all of `vertex` has finished; one entry per thing.
    pub fn after_vertex(&self, vertex: VertexIndex) -> &[RegionIndex] {
        &self.after_vertex[vertex]
    }

    /// Regions for which one thing to wait for is done when `execution` has finished; one entry per thing.
    pub fn after_execution(&self, execution: ExecutionIndex) -> &[RegionIndex] {
        &self.after_execution[execution]
    }

    /// Whether the edge at `place` orders regions.
    pub fn orders(&self, place: usize) -> bool {
        self.ordering.contains(&place)
    }
}

/// Unites what `edge` connects, in time proportional to the subtasks rather than to the channels.
fn connect(graph: &Resolved, edge: &Edge, sets: &mut DisjointSets) {
    let source = &graph.vertices[edge.source];
    if edge.ship.is_pointwise() {
        for (subtask, producer) in source.executions().enumerate() {
            for consumer in graph.consumers(edge, subtask as u32) {
                sets.union(producer.place(), consumer.place());
            }
        }
    } else {
        let target = &graph.vertices[edge.target];
        for execution in source.executions().chain(target.executions()) {
            sets.union(source.first.place(), execution.place());
        }
    }
}

/// Blocking edges whose producers do not wait, by any path, for their consumers.
fn ordering_edges(graph: &Resolved) -> BTreeSet<usize> {
    let mut blocking: BTreeSet<usize> = (0..graph.edges.len())
        .filter(|place| match graph.edges[*place].exchange {
            Exchange::Blocking => true,
            Exchange::Pipelined => false,
        })
        .collect();
    // A pipelined edge ties both ends together, a blocking one leads from source to target. What is tied to an edge's
    // source, or comes before it, must not be reachable from its target.
    let closes_ring = |place: usize| {
        let edge = graph.edges[place];
        let mut seen = BTreeSet::from([edge.target]);
        let mut open = vec![edge.target];
        while let Some(vertex) = open.pop() {
            if vertex == edge.source {
                return true;
            }
            let vertex = &graph.vertices[vertex];
            let ahead = vertex.outputs.iter().map(|place| graph.edges[*place].target);
            let tied = vertex.inputs.iter().filter(|place| !blocking.contains(place));
            open.extend(ahead.chain(tied.map(|place| graph.edges[*place].source)).filter(|next| seen.insert(*next)));
        }
        false
    };
    let rings: Vec<usize> = blocking.iter().copied().filter(|place| closes_ring(*place)).collect();
    for place in rings {
        blocking.remove(&place);
    }
    blocking
}

/// Union-find with path halving and union by size.
struct DisjointSets {
    parents: Vec<usize>,
    sizes: Vec<u32>,
}

impl DisjointSets {
    fn new(len: usize) -> Self {
        Self { parents: (0..len).collect(), sizes: vec![1; len] }
    }

    fn find(&mut self, mut item: usize) -> usize {
        while self.parents[item] != item {
            self.parents[item] = self.parents[self.parents[item]];
            item = self.parents[item];
        }
        item
    }

    fn union(&mut self, left: usize, right: usize) {
        let (mut root, mut child) = (self.find(left), self.find(right));
        if root == child {
            return;
        }
        if self.sizes[root] < self.sizes[child] {
            std::mem::swap(&mut root, &mut child);
        }
        self.parents[child] = root;
        self.sizes[root] += self.sizes[child];
    }
}
