//! A deployment of a whole job to the one process that there is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use flott_core::{
    failure::Failure,
    id::{AllocationId, AttemptId, AttemptNumber, JobMasterEpoch, ProcessId, SubtaskIndex, WorkerId},
    job_graph::{JobGraph, JobVertex, Parallelism},
    key_group::default_max_parallelism,
    message::{Deployment, EdgeDeployment, Peer, ProcessLocation, TaskDeployment},
};

use crate::error::TaskResult;

pub(super) const PROCESS: ProcessId = ProcessId::from_bytes([0; 16]);

/// The only worker, by name.
pub(super) fn worker() -> WorkerId {
    WorkerId("harness".to_owned())
}

/// All tasks of `graph`, in its order.
pub(super) fn of(graph: &JobGraph) -> TaskResult<Deployment> {
    let mut tasks = Vec::new();
    for vertex in &graph.vertices {
        let (parallelism, max_parallelism) = numbers(vertex)?;
        tasks.extend((0..parallelism).map(|subtask| TaskDeployment {
            attempt: AttemptId { vertex: vertex.id, subtask: SubtaskIndex(subtask), attempt: AttemptNumber(0) },
            allocation: AllocationId::from_bytes([0; 16]),
            parallelism,
            max_parallelism,
            restore: None,
        }));
    }
    let mut edges = Vec::with_capacity(graph.edges.len());
    for (edge, ends) in graph.indexed_edges() {
        let end = |vertex| {
            let vertex = graph.vertex(vertex);
            numbers(vertex.ok_or_else(|| Failure::internal(format!("edge {edge} leads to no vertex")))?)
        };
        let (producers, _) = end(ends.source)?;
        let (consumers, max_parallelism) = end(ends.target)?;
        let peers = |subtasks: u32| vec![Peer { attempt: AttemptNumber(0), process: 0 }; subtasks as usize];
        let (producers, consumers) = (peers(producers), peers(consumers));
        edges.push(Arc::new(EdgeDeployment { edge, producers, consumers, max_parallelism }));
    }
    let process = ProcessLocation {
        process: PROCESS,
        worker: worker(),
        data_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        pid: std::process::id(),
    };
    Ok(Deployment { epoch: JobMasterEpoch(1), tasks, edges, processes: [process].into() })
}

/// Subtasks and key groups of a vertex.
fn numbers(vertex: &JobVertex) -> TaskResult<(u32, u32)> {
    match vertex.parallelism {
        Parallelism::Fixed(parallelism) => {
            let groups = vertex.max_parallelism.unwrap_or_else(|| default_max_parallelism(parallelism).get());
            Ok((parallelism, groups))
        }
        Parallelism::Default => {
            Err(Box::new(Failure::internal(format!("{:?} does not say how many subtasks it has", vertex.name))))
        }
    }
}
