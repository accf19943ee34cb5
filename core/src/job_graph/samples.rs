//! Graphs for tests: a small real one, and valid ones of any shape.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::{
    Exchange, ExecutionMode, JobEdge, JobGraph, JobVertex, OperatorInput, OperatorKind, OperatorSpec, Parallelism,
    Program, RestartPolicy, RestartStrategy, ShipStrategy,
};
use crate::{
    id::{Digest, Fingerprint, JobId, OperatorId, VertexId},
    resource::ResourceProfile,
};

pub(super) fn vertex_id(number: u32) -> VertexId {
    VertexId::of_chain(OperatorId::from_structure(&[&number.to_le_bytes()]))
}

pub(super) fn operator(node: u32, kind: OperatorKind, name: &str, inputs: &[(u32, ShipStrategy)]) -> OperatorSpec {
    OperatorSpec {
        id: OperatorId::from_structure(&[&node.to_le_bytes()]),
        uid: None,
        node,
        name: name.to_owned(),
        kind,
        description: name.to_owned(),
        inputs: inputs.iter().map(|&(node, ship)| OperatorInput { node, ship }).collect(),
    }
}

/// A vertex with the id of its first operator, named after its chain.
pub(super) fn vertex(operators: Vec<OperatorSpec>, parallelism: Parallelism) -> JobVertex {
    let names: Vec<_> = operators.iter().map(|operator| operator.name.as_str()).collect();
    JobVertex {
        id: vertex_id(operators[0].node),
        name: names.join(" -> "),
        parallelism,
        max_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        resources: ResourceProfile::ANY,
        operators,
    }
}

pub(super) fn edge(source: &JobVertex, source_node: u32, target: &JobVertex, ship: ShipStrategy) -> JobEdge {
    JobEdge {
        source: source.id,
        source_node,
        side_output: None,
        target: target.id,
        target_input: 0,
        ship,
        exchange: Exchange::Pipelined,
    }
}

pub(super) fn graph(vertices: Vec<JobVertex>, edges: Vec<JobEdge>) -> JobGraph {
    let fingerprint_lines: Vec<_> = vertices.iter().map(|vertex| vertex.name.clone()).collect();
    JobGraph {
        job_id: JobId::from_bytes([7; 16]),
        name: "job".to_owned(),
        mode: ExecutionMode::Streaming,
        program: Program {
            digest: Digest::of(b"program"),
            size: 7,
            target: "x86_64-linux".to_owned(),
            file_name: "program".to_owned(),
            entry: None,
            arguments: Vec::new(),
        },
        vertices,
        edges,
        restart: RestartPolicy::Cluster,
        configuration: BTreeMap::new(),
        fingerprint: Fingerprint::of(fingerprint_lines.join("\n").as_bytes()),
        fingerprint_lines,
    }
}

/// Two chains, `Source: lines -> words` (nodes 1, 2) and `counter -> Sink: print` (3, 4), at parallelism 2.
pub(super) fn word_count() -> JobGraph {
    use OperatorKind::{Operator, Sink, Source};
    use ShipStrategy::{Forward, Hash};
    let words = vertex(
        vec![operator(1, Source, "Source: lines", &[]), operator(2, Operator, "words", &[(1, Forward)])],
        Parallelism::Fixed(2),
    );
    let counts = vertex(
        vec![operator(3, Operator, "counter", &[(2, Hash)]), operator(4, Sink, "Sink: print", &[(3, Forward)])],
        Parallelism::Fixed(2),
    );
    let edges = vec![edge(&words, 2, &counts, Hash)];
    graph(vec![words, counts], edges)
}

/// A graph of `layers` times `width` vertices, each fed by `inputs` of the layer before.
pub(super) fn layered(layers: u32, width: u32, inputs: u32) -> JobGraph {
    let ship = ShipStrategy::Rebalance;
    let node = |layer: u32, at: u32| layer * width + at + 1;
    let (mut vertices, mut edges): (Vec<JobVertex>, Vec<JobEdge>) = (Vec::new(), Vec::new());
    for layer in 0..layers {
        for at in 0..width {
            let feeding = |i: u32| node(layer - 1, (at + i) % width);
            let sources: Vec<_> = if layer == 0 { vec![] } else { (0..inputs).map(feeding).collect() };
            let kind = if layer == 0 { OperatorKind::Source } else { OperatorKind::Operator };
            let fed: Vec<_> = sources.iter().map(|&source| (source, ship)).collect();
            let made = vertex(vec![operator(node(layer, at), kind, "map", &fed)], Parallelism::Fixed(1));
            edges.extend(sources.iter().map(|&source| edge(&vertices[source as usize - 1], source, &made, ship)));
            vertices.push(made);
        }
    }
    graph(vertices, edges)
}

fn ship_strategy() -> impl Strategy<Value = ShipStrategy> {
    use ShipStrategy::{Broadcast, Custom, Forward, Global, Hash, Rebalance, Rescale, Shuffle};
    prop::sample::select(vec![Forward, Hash, Rebalance, Rescale, Broadcast, Shuffle, Global, Custom])
}

fn restart_policy() -> impl Strategy<Value = RestartPolicy> {
    let ms = 1_u64..1_000_000_000;
    let own = prop_oneof![
        Just(RestartStrategy::None),
        (any::<u32>(), ms.clone()).prop_map(|(attempts, delay_ms)| RestartStrategy::FixedDelay { attempts, delay_ms }),
        (1..u32::MAX, ms.clone(), ms.clone()).prop_map(|(failures_per_interval_max, interval_ms, delay_ms)| {
            RestartStrategy::FailureRate { failures_per_interval_max, interval_ms, delay_ms }
        }),
        (ms.clone(), ms.clone(), 1.0..10.0, ms, 0.0..=1.0, option::of(1..9_u32)).prop_map(
            |(a, b, multiplier, reset_threshold_ms, jitter, attempts_max)| RestartStrategy::ExponentialDelay {
                initial_backoff_ms: a.min(b),
                max_backoff_ms: a.max(b),
                multiplier,
                reset_threshold_ms,
                jitter,
                attempts_max,
            }
        ),
    ];
    prop_oneof![Just(RestartPolicy::Cluster), own.prop_map(RestartPolicy::Own)]
}

fn program() -> impl Strategy<Value = Program> {
    let arguments = vec(".{0,20}", 0..4);
    (any::<[u8; 32]>(), 0..1_000_000_000_u64, "[a-z]{1,9}", option::of("[a-zA-Z:.]{1,20}"), arguments).prop_map(
        |(digest, size, file_name, entry, arguments)| Program {
            digest: Digest::from_bytes(digest),
            size,
            target: "aarch64-linux".to_owned(),
            file_name,
            entry,
            // What a process is given cannot hold a zero byte.
            arguments: arguments.into_iter().map(|argument: String| argument.replace('\0', "")).collect(),
        },
    )
}

/// How one vertex is to look: chain, parallelism, whom it is fed by and how.
type Shape = (Vec<(String, Index)>, Parallelism, bool, Vec<(Index, Index, ShipStrategy, Option<String>, bool)>);

fn shape() -> impl Strategy<Value = Shape> {
    let parallelism = prop_oneof![Just(Parallelism::Default), (1..=32_768_u32).prop_map(Parallelism::Fixed)];
    let input = (any::<Index>(), any::<Index>(), ship_strategy(), option::of(".{1,9}"), any::<bool>());
    (vec((".{1,20}", any::<Index>()), 1..5), parallelism, any::<bool>(), vec(input, 0..4))
}

fn build(shapes: Vec<Shape>) -> JobGraph {
    let (mut vertices, mut edges): (Vec<JobVertex>, Vec<JobEdge>) = (Vec::new(), Vec::new());
    let mut node = 0;
    for (chain, parallelism, has_uids, inputs) in shapes {
        let inputs = if vertices.is_empty() { vec![] } else { inputs };
        let mut fed = Vec::new();
        let mut leading = Vec::new();
        for (target_input, (from, operator, mut ship, side_output, blocking)) in (0..).zip(inputs) {
            let source = from.get(&vertices);
            let source_node = operator.get(&source.operators).node;
            if ship == ShipStrategy::Forward && source.parallelism != parallelism {
                ship = ShipStrategy::Rescale;
            }
            let exchange = if blocking { Exchange::Blocking } else { Exchange::Pipelined };
            fed.push((source_node, ship));
            let (source, target) = (source.id, vertex_id(node + 1));
            leading.push(JobEdge { source, source_node, side_output, target, target_input, ship, exchange });
        }
        let mut operators: Vec<OperatorSpec> = Vec::new();
        for (name, feeder) in chain {
            node += 1;
            let kind =
                if operators.is_empty() && fed.is_empty() { OperatorKind::Source } else { OperatorKind::Operator };
            let inputs = match operators.is_empty() {
                true => fed.clone(),
                false => vec![(feeder.get(&operators).node, ShipStrategy::Forward)],
            };
            let mut made = operator(node, kind, &name, &inputs);
            made.uid = has_uids.then(|| format!("uid {node}"));
            operators.push(made);
        }
        vertices.push(vertex(operators, parallelism));
        edges.extend(leading);
    }
    graph(vertices, edges)
}

/// Valid graphs of up to six vertices.
pub(super) fn any_graph() -> impl Strategy<Value = JobGraph> {
    let settings = (program(), restart_policy(), ".{1,20}", prop::collection::btree_map("[a-z.]{1,20}", ".*", 0..5));
    (vec(shape(), 1..7), settings, any::<[u8; 16]>(), any::<bool>()).prop_map(
        |(shapes, (program, restart, name, configuration), job_id, batch)| JobGraph {
            job_id: JobId::from_bytes(job_id),
            name,
            mode: if batch { ExecutionMode::Batch } else { ExecutionMode::Streaming },
            program,
            restart,
            configuration,
            ..build(shapes)
        },
    )
}
