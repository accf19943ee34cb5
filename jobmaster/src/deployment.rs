//! Deployments: what each job process is told to run, and where the other ends of its channels are.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    checkpoint::TaskRestore,
    id::{EdgeIndex, JobMasterEpoch, ProcessId},
    message::{Deployment, EdgeDeployment, Peer, ProcessLocation, TaskDeployment},
};

use crate::{
    execution_graph::{Edge, ExecutionGraph, Host},
    index::{ExecutionIndex, VertexIndex},
};

/// Stands for the process of a peer that no task of a deployment has a channel with, where that process is not known.
///
/// It is a place that exists, so that a reader which resolves more peers than it needs does not fail.
const ELSEWHERE: u32 = 0;

/// Builds one deployment per process for subtasks that have been placed.
///
/// An edge lists all of its subtasks on both ends, so that places in the lists are subtask indices. Of a pointwise edge,
/// only ends that have a channel with one of `executions` are resolved: the others may not be placed yet. `restore` says what
/// each subtask starts from. All deployments share their edges and the list of processes.
pub fn build(
    epoch: JobMasterEpoch,
    graph: &ExecutionGraph,
    executions: &[ExecutionIndex],
    restore: impl Fn(ExecutionIndex) -> Option<Box<TaskRestore>>,
) -> Vec<(Arc<Host>, Deployment)> {
    let mut processes = ProcessTable::default();
    let mut parts: BTreeMap<ProcessId, Part> = BTreeMap::new();
    let mut by_edge: BTreeMap<usize, Vec<ExecutionIndex>> = BTreeMap::new();
    for &execution in executions {
        let entry = graph.execution(execution);
        let Some(placement) = &entry.placement else {
            debug_assert!(false, "only what is placed is deployed");
            continue;
        };
        let vertex = graph.vertex_of(execution);
        processes.place(&placement.host.location);
        let part = parts.entry(placement.host.location.process).or_insert_with(|| Part {
            host: Arc::clone(&placement.host),
            tasks: Vec::new(),
            edges: Vec::new(),
        });
        part.tasks.push(TaskDeployment {
            attempt: graph.attempt_id(execution),
            allocation: placement.allocation,
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            restore: restore(execution),
        });
        for &edge in vertex.inputs.iter().chain(&vertex.outputs) {
            by_edge.entry(edge).or_default().push(execution);
            // Subtasks come in the order of their vertices, so one look back finds most repeats; the rest goes below.
            if part.edges.last() != Some(&edge) {
                part.edges.push(edge);
            }
        }
    }
    let edges: BTreeMap<usize, Arc<EdgeDeployment>> = by_edge
        .into_iter()
        .map(|(place, executions)| (place, Arc::new(deploy_edge(graph, place, &executions, &mut processes))))
        .collect();
    let processes: Arc<[ProcessLocation]> = processes.locations.into();
    parts
        .into_values()
        .map(|mut part| {
            part.edges.sort_unstable();
            part.edges.dedup();
            let deployment = Deployment {
                epoch,
                tasks: part.tasks,
                edges: part.edges.iter().filter_map(|place| edges.get(place)).cloned().collect(),
                processes: Arc::clone(&processes),
            };
            (part.host, deployment)
        })
        .collect()
}

struct Part {
    host: Arc<Host>,
    tasks: Vec<TaskDeployment>,
    edges: Vec<usize>,
}

#[derive(Default)]
struct ProcessTable {
    locations: Vec<ProcessLocation>,
    places: BTreeMap<ProcessId, u32>,
}

impl ProcessTable {
    fn place(&mut self, location: &ProcessLocation) -> u32 {
        *self.places.entry(location.process).or_insert_with(|| {
            self.locations.push(location.clone());
            self.locations.len() as u32 - 1
        })
    }
}

fn deploy_edge(
    graph: &ExecutionGraph,
    place: usize,
    executions: &[ExecutionIndex],
    processes: &mut ProcessTable,
) -> EdgeDeployment {
    let resolved = graph.resolved();
    let edge = &resolved.edges[place];
    let mut producers = ends(graph, edge.source);
    let mut consumers = ends(graph, edge.target);
    if edge.ship.is_pointwise() {
        for &execution in executions {
            let entry = graph.execution(execution);
            let subtask = entry.subtask.0;
            // A vertex is never on both ends: the graph has no cycles.
            if entry.vertex == edge.source {
                settle(graph, edge.source, [execution], &mut producers, processes);
                settle(graph, edge.target, resolved.consumers(edge, subtask), &mut consumers, processes);
            } else {
                settle(graph, edge.target, [execution], &mut consumers, processes);
                settle(graph, edge.source, resolved.producers(edge, subtask), &mut producers, processes);
            }
        }
    } else {
        settle_all(graph, edge, &mut producers, &mut consumers, processes);
    }
    let max_parallelism = resolved.vertices[edge.target].max_parallelism;
    EdgeDeployment { edge: EdgeIndex(place as u32), producers, consumers, max_parallelism }
}

fn settle_all(
    graph: &ExecutionGraph,
    edge: &Edge,
    producers: &mut [Peer],
    consumers: &mut [Peer],
    processes: &mut ProcessTable,
) {
    let vertices = &graph.resolved().vertices;
    settle(graph, edge.source, vertices[edge.source].executions(), producers, processes);
    settle(graph, edge.target, vertices[edge.target].executions(), consumers, processes);
}

/// Current attempts of a vertex, on no process in particular.
fn ends(graph: &ExecutionGraph, vertex: VertexIndex) -> Vec<Peer> {
    let executions = graph.resolved().vertices[vertex].executions();
    executions.map(|execution| Peer { attempt: graph.execution(execution).attempt, process: ELSEWHERE }).collect()
}

/// Fills in the processes of `executions`, where they are placed. (Consumers of a blocking edge are not, as yet.)
fn settle(
    graph: &ExecutionGraph,
    vertex: VertexIndex,
    executions: impl IntoIterator<Item = ExecutionIndex>,
    peers: &mut [Peer],
    processes: &mut ProcessTable,
) {
    let first = graph.resolved().vertices[vertex].first.0;
    for execution in executions {
        let placed = graph.execution(execution).placement.as_ref();
        if let (Some(placement), Some(peer)) = (placed, peers.get_mut((execution.0 - first) as usize)) {
            peer.process = processes.place(&placement.host.location);
        }
    }
}
