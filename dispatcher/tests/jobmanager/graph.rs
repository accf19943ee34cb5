//! A small job: numbers, hashed to a sink.

use flott_core::{
    id::{Digest, Fingerprint, JobId, OperatorId, VertexId},
    job_graph::{
        Exchange, ExecutionMode, JobEdge, JobGraph, JobVertex, OperatorInput, OperatorKind, OperatorSpec, Parallelism,
        Program, RestartPolicy, RestartStrategy, ShipStrategy, document, host_target,
    },
    resource::ResourceProfile,
};

/// The first bytes of this test: an executable as far as a glance can tell.
pub fn program() -> Vec<u8> {
    let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    program.truncate(4096);
    program
}

pub fn graph(job: JobId) -> JobGraph {
    let lines = vec!["numbers".to_owned(), "sink".to_owned()];
    let vertex = |name: &str, node, kind, inputs| {
        let id = OperatorId::from_uid(name);
        let description = name.to_owned();
        let operator = OperatorSpec { id, uid: None, node, name: name.to_owned(), kind, description, inputs };
        JobVertex {
            id: VertexId::of_chain(id),
            name: name.to_owned(),
            operators: vec![operator],
            parallelism: Parallelism::Default,
            max_parallelism: None,
            slot_sharing_group: "default".to_owned(),
            resources: ResourceProfile::ANY,
        }
    };
    let source = vertex("Source: numbers", 1, OperatorKind::Source, Vec::new());
    let input = OperatorInput { node: 1, ship: ShipStrategy::Hash };
    let sink = vertex("Sink: drop", 2, OperatorKind::Sink, vec![input]);
    let edge = JobEdge {
        source: source.id,
        source_node: 1,
        side_output: None,
        target: sink.id,
        target_input: 0,
        ship: ShipStrategy::Hash,
        exchange: Exchange::Pipelined,
    };
    let program = program();
    JobGraph {
        job_id: job,
        name: "numbers to nowhere".to_owned(),
        mode: ExecutionMode::Streaming,
        program: Program {
            digest: Digest::of(&program),
            size: program.len() as u64,
            target: host_target(),
            file_name: "numbers".to_owned(),
            entry: None,
            arguments: Vec::new(),
        },
        vertices: vec![source, sink],
        edges: vec![edge],
        restart: RestartPolicy::Own(RestartStrategy::None),
        configuration: [("parallelism.default".to_owned(), "2".to_owned())].into(),
        fingerprint: Fingerprint::of(lines.join("\n").as_bytes()),
        fingerprint_lines: lines,
    }
}

pub fn document(job: JobId) -> Vec<u8> {
    document::write(&graph(job))
}
