use proptest::prelude::*;

use super::{check, check_with_default, limits};
use crate::{
    id::Fingerprint,
    job_graph::{
        JobGraph, OperatorInput, OperatorKind, Parallelism, RestartPolicy, RestartStrategy, ShipStrategy,
        samples::{any_graph, edge, graph, layered, operator, vertex, vertex_id, word_count},
    },
};

/// Makes one thing wrong with a good graph and compares the message.
#[track_caller]
fn refused(spoil: impl FnOnce(&mut JobGraph), expected: &str) {
    let mut graph = word_count();
    spoil(&mut graph);
    assert_eq!(check(&graph).unwrap_err().to_string(), expected);
}

#[test]
fn a_good_graph_passes() {
    assert_eq!(check(&word_count()), Ok(()));
    assert_eq!(check_with_default(&word_count(), 3), Ok(()));
}

#[test]
fn errors_have_a_field_and_a_problem() {
    let mut graph = word_count();
    graph.vertices[1].parallelism = Parallelism::Fixed(0);
    let error = check(&graph).unwrap_err();
    assert_eq!((error.field(), error.problem()), ("vertices[1].parallelism", "0 is not between 1 and 32768"));
}

#[test]
fn the_job_and_its_program_are_named() {
    refused(|graph| graph.name.clear(), "name: must not be empty");
    refused(|graph| graph.name = "n".repeat(1025), "name: 1025 bytes, expected at most 1024");
    refused(|graph| graph.program.target.clear(), "program.target: must not be empty");
    refused(|graph| graph.program.file_name.clear(), "program.file_name: must not be empty");
    let size = "program.size: 18446744073709551615 is not between 0 and 4294967296";
    refused(|graph| graph.program.size = u64::MAX, size);
    refused(|graph| graph.program.entry = Some(String::new()), "program.entry: must not be empty");
}

#[test]
fn a_program_is_named_without_a_directory() {
    for name in ["..", ".", "../../etc/passwd", "/bin/sh", "a\0b"] {
        let expected = format!("program.file_name: {name:?} is not a file name without a directory");
        refused(|graph| graph.program.file_name = name.to_owned(), &expected);
    }
}

#[test]
fn arguments_are_what_a_process_takes() {
    let set = |arguments: Vec<String>| |graph: &mut JobGraph| graph.program.arguments = arguments;
    refused(set(vec!["a".into(), "b\0".into()]), "program.arguments[1]: must not hold a zero byte");
    refused(set(vec!["a".repeat(131_072)]), "program.arguments[0]: 131072 bytes, expected at most 131071");
    refused(set(vec![String::new(); 4097]), "program.arguments: 4097 entries, expected at most 4096");
    let together = "program.arguments: 1100000 bytes together, expected at most 1048576";
    refused(set(vec!["a".repeat(100_000); 11]), together);
}

#[test]
fn configuration_is_bounded() {
    let set = |key: &str, value: String| {
        let key = key.to_owned();
        |graph: &mut JobGraph| drop(graph.configuration.insert(key, value))
    };
    refused(set("", "x".into()), "configuration key \"\": must not be empty");
    refused(set("a.b", "x".repeat(65_537)), "configuration[\"a.b\"]: 65537 bytes, expected at most 65536");
    let many = |graph: &mut JobGraph| graph.configuration = (0..1001).map(|i| (i.to_string(), String::new())).collect();
    refused(many, "configuration: 1001 entries, expected at most 1000");
}

#[test]
fn restart_numbers_make_sense() {
    let set = |strategy| move |graph: &mut JobGraph| graph.restart = RestartPolicy::Own(strategy);
    let fixed = RestartStrategy::FixedDelay { attempts: 3, delay_ms: u64::MAX };
    refused(set(fixed), "restart.own.delay-ms: 18446744073709551615 is not between 0 and 3153600000000");
    let rate = RestartStrategy::FailureRate { failures_per_interval_max: 0, interval_ms: 1, delay_ms: 1 };
    refused(set(rate), "restart.own.failures-per-interval-max: 0 is not between 1 and 4294967295");
    let rate = RestartStrategy::FailureRate { failures_per_interval_max: 1, interval_ms: 0, delay_ms: 1 };
    refused(set(rate), "restart.own.interval-ms: 0 is not between 1 and 3153600000000");

    let exponential = |initial_backoff_ms, max_backoff_ms, multiplier, jitter, attempts_max| {
        let reset_threshold_ms = 1000;
        set(RestartStrategy::ExponentialDelay {
            initial_backoff_ms,
            max_backoff_ms,
            multiplier,
            reset_threshold_ms,
            jitter,
            attempts_max,
        })
    };
    refused(exponential(0, 9, 1.5, 0.1, None), "restart.own.initial-backoff-ms: 0 is not between 1 and 9");
    refused(exponential(10, 9, 1.5, 0.1, None), "restart.own.initial-backoff-ms: 10 is not between 1 and 9");
    let multiplier = |shown| format!("restart.own.multiplier: {shown} is not a finite number of at least 1");
    refused(exponential(1, 9, 0.5, 0.1, None), &multiplier("0.5"));
    refused(exponential(1, 9, f64::NAN, 0.1, None), &multiplier("NaN"));
    refused(exponential(1, 9, f64::INFINITY, 0.1, None), &multiplier("inf"));
    refused(exponential(1, 9, 1.5, -0.1, None), "restart.own.jitter: -0.1 is not between 0 and 1");
    refused(exponential(1, 9, 1.5, f64::NAN, None), "restart.own.jitter: NaN is not between 0 and 1");
    let attempts = "restart.own.attempts-max: 0 is not at least 1; leave it out for no limit";
    refused(exponential(1, 9, 1.5, 1.0, Some(0)), attempts);
}

#[test]
fn there_is_something_to_run() {
    let empty = |graph: &mut JobGraph| {
        graph.vertices.clear();
        graph.edges.clear();
    };
    refused(empty, "vertices: empty, expected at least one vertex");
    refused(
        |graph| graph.vertices[1].operators.clear(),
        "vertices[1].operators: empty, expected at least one operator",
    );
}

#[test]
fn identities_are_unique() {
    let id = vertex_id(1);
    let twice = format!("vertices[1].id: {id} is the id of vertices[0] already");
    refused(|graph| graph.vertices[1].id = id, &twice);
    let twice = format!("vertices[1].operators[1].id: {id} is the id of vertices[0].operators[0] already");
    refused(|graph| graph.vertices[1].operators[1].id = graph.vertices[0].operators[0].id, &twice);
    let twice = "vertices[1].operators[0].node: 2 is the node of vertices[0].operators[1] already";
    refused(|graph| graph.vertices[1].operators[0].node = 2, twice);
    let uids = |graph: &mut JobGraph| {
        graph.vertices[0].operators[1].uid = Some("mine".to_owned());
        graph.vertices[1].operators[0].uid = Some("mine".to_owned());
    };
    refused(uids, "vertices[1].operators[0].uid: \"mine\" is the uid of vertices[0].operators[1] already");
    let empty = |graph: &mut JobGraph| graph.vertices[1].operators[0].uid = Some(String::new());
    refused(empty, "vertices[1].operators[0].uid: must not be empty");
    refused(
        |graph| graph.vertices[0].operators[0].node = 0,
        "vertices[0].operators[0].node: 0 is not between 1 and 4294967295",
    );
}

#[test]
fn vertices_and_operators_have_names_of_bounded_length() {
    refused(|graph| graph.vertices[1].name.clear(), "vertices[1].name: must not be empty");
    refused(|graph| graph.vertices[1].slot_sharing_group.clear(), "vertices[1].slot_sharing_group: must not be empty");
    refused(|graph| graph.vertices[1].operators[0].name.clear(), "vertices[1].operators[0].name: must not be empty");
    refused(
        |graph| graph.vertices[1].operators[0].description = "d".repeat(65_537),
        "vertices[1].operators[0].description: 65537 bytes, expected at most 65536",
    );
}

#[test]
fn parallelism_is_in_range() {
    let set = |parallelism| move |graph: &mut JobGraph| graph.vertices[1].parallelism = Parallelism::Fixed(parallelism);
    refused(set(0), "vertices[1].parallelism: 0 is not between 1 and 32768");
    refused(set(32_769), "vertices[1].parallelism: 32769 is not between 1 and 32768");
    let max = |max| move |graph: &mut JobGraph| graph.vertices[1].max_parallelism = Some(max);
    refused(max(0), "vertices[1].max_parallelism: 0 is not between 1 and 32768");
    refused(max(40_000), "vertices[1].max_parallelism: 40000 is not between 1 and 32768");
    refused(max(1), "vertices[1].parallelism: 2 is above this vertex's max_parallelism, 1");
    let memory = |graph: &mut JobGraph| graph.vertices[0].resources.memory_bytes = u64::MAX;
    let expected = "vertices[0].resources.memory_bytes: 18446744073709551615 is not between 0 and 1125899906842624";
    refused(memory, expected);
}

#[test]
fn subtasks_are_counted_over_all_vertices() {
    let mut graph = layered(4, 10, 1);
    for vertex in &mut graph.vertices {
        vertex.parallelism = Parallelism::Fixed(32_768);
    }
    let expected = "vertices: 1310720 subtasks together, expected at most 1000000";
    assert_eq!(check(&graph).unwrap_err().to_string(), expected);

    for vertex in &mut graph.vertices {
        vertex.parallelism = Parallelism::Default;
    }
    assert_eq!(check(&graph), Ok(()));
    assert_eq!(check_with_default(&graph, 25_000), Ok(()));
    assert_eq!(check_with_default(&graph, 32_768).unwrap_err().to_string(), expected);
}

#[test]
fn the_default_parallelism_is_checked_once_it_is_known() {
    let mut graph = word_count();
    for vertex in &mut graph.vertices {
        vertex.parallelism = Parallelism::Default;
    }
    graph.vertices[1].max_parallelism = Some(4);
    assert_eq!(check_with_default(&graph, 4), Ok(()));
    let message = |default| check_with_default(&graph, default).unwrap_err().to_string();
    assert_eq!(message(5), "vertices[1].parallelism: 5 is above this vertex's max_parallelism, 4");
    assert_eq!(message(0), "default parallelism: 0 is not between 1 and 32768");
}

#[test]
fn sources_are_first_and_all_others_are_fed() {
    let source = |graph: &mut JobGraph| graph.vertices[0].operators[1].kind = OperatorKind::Source;
    let expected = "vertices[0].operators[1].kind: a source within a chain; expected only as its first operator";
    refused(source, expected);
    let fed = |graph: &mut JobGraph| {
        graph.vertices[0].operators[0].inputs = vec![OperatorInput { node: 2, ship: ShipStrategy::Forward }];
    };
    refused(fed, "vertices[0].operators[0].inputs: a source has no inputs");
    let starved = |graph: &mut JobGraph| graph.vertices[1].operators[1].inputs.clear();
    refused(starved, "vertices[1].operators[1].inputs: empty, and only a source has no inputs");
    let expected = "vertices[1]: no edge leads here, and its first operator is not a source";
    refused(|graph| graph.edges.clear(), expected);
    let into_source = |graph: &mut JobGraph| graph.edges[0].target = graph.vertices[0].id;
    refused(into_source, "edges[0].target: vertices[0] is a source, and a source has no inputs");
}

#[test]
fn inputs_name_operators_that_can_feed_them() {
    let unknown = |graph: &mut JobGraph| graph.vertices[1].operators[0].inputs[0].node = 99;
    refused(unknown, "vertices[1].operators[0].inputs[0].node: no operator is node 99");
    let outside = |graph: &mut JobGraph| graph.vertices[1].operators[1].inputs[0].node = 2;
    let expected = "vertices[1].operators[1].inputs[0].node: node 2 is not an earlier operator of this chain";
    refused(outside, expected);
    let itself = |graph: &mut JobGraph| graph.vertices[1].operators[1].inputs[0].node = 4;
    let expected = "vertices[1].operators[1].inputs[0].node: node 4 is not an earlier operator of this chain";
    refused(itself, expected);
    let hash = |graph: &mut JobGraph| graph.vertices[1].operators[1].inputs[0].ship = ShipStrategy::Hash;
    refused(hash, "vertices[1].operators[1].inputs[0].ship: HASH within a chain, expected FORWARD");
    let two = |graph: &mut JobGraph| {
        let inputs = &mut graph.vertices[1].operators[1].inputs;
        inputs.push(inputs[0].clone());
    };
    refused(two, "vertices[1].operators[1].inputs: 2 inputs within a chain, expected one");
}

#[test]
fn edges_lead_from_and_to_what_exists() {
    let id = vertex_id(99);
    refused(|graph| graph.edges[0].source = id, &format!("edges[0].source: no vertex has the id {id}"));
    refused(|graph| graph.edges[0].target = id, &format!("edges[0].target: no vertex has the id {id}"));
    refused(|graph| graph.edges[0].source_node = 3, "edges[0].source_node: node 3 is not in vertices[0]");
    refused(|graph| graph.edges[0].side_output = Some(String::new()), "edges[0].side_output: must not be empty");
}

#[test]
fn forward_needs_equal_parallelism() {
    let forward = |parallelism| {
        move |graph: &mut JobGraph| {
            graph.edges[0].ship = ShipStrategy::Forward;
            graph.vertices[1].parallelism = parallelism;
        }
    };
    let expected =
        |to| format!("edges[0].ship: FORWARD needs equal parallelism, but vertices[0] has 2 and vertices[1] has {to}");
    refused(forward(Parallelism::Fixed(3)), &expected("3"));
    refused(forward(Parallelism::Default), &expected("the default"));
    let mut graph = word_count();
    forward(Parallelism::Fixed(2))(&mut graph);
    assert_eq!(check(&graph), Ok(()));
}

#[test]
fn inputs_of_a_vertex_are_numbered_without_gaps() {
    refused(
        |graph| graph.edges[0].target_input = 1,
        "edges[0].target_input: 1, but no edge leads to input 0 of vertices[1]",
    );
    let mut graph = layered(2, 3, 3);
    for (edge, input) in graph.edges.iter_mut().zip([1, 0, 1, 0, 1, 2, 3, 0, 1]) {
        edge.target_input = input;
    }
    let expected = "edges[6].target_input: 3, but no edge leads to input 2 of vertices[5]";
    assert_eq!(check(&graph).unwrap_err().to_string(), expected);
    graph.edges[6].target_input = 1;
    assert_eq!(check(&graph), Ok(()));
    graph.edges[6].target_input = u32::MAX;
    assert!(check(&graph).is_err());
}

/// A source and maps 2 to `last`, each fed by the nodes that are given.
fn maps(feeders: &[&[u32]]) -> JobGraph {
    let ship = ShipStrategy::Rebalance;
    let mut vertices = vec![vertex(vec![operator(1, OperatorKind::Source, "source", &[])], Parallelism::Default)];
    for (node, feeders) in (2..).zip(feeders) {
        let inputs: Vec<_> = feeders.iter().map(|&feeder| (feeder, ship)).collect();
        vertices.push(vertex(vec![operator(node, OperatorKind::Operator, "map", &inputs)], Parallelism::Default));
    }
    let ends = (1..).zip(feeders).flat_map(|(target, feeders)| feeders.iter().map(move |&feeder| (feeder, target)));
    let edges = ends.map(|(feeder, target)| edge(&vertices[feeder as usize - 1], feeder, &vertices[target], ship));
    let edges = edges.collect();
    graph(vertices, edges)
}

#[test]
fn a_cycle_is_spelled_out() {
    let message = |feeders| check(&maps(feeders)).unwrap_err().to_string();
    assert_eq!(message(&[&[1, 2]]), "edges: a cycle, vertices[1] -> vertices[1]");
    let expected = "edges: a cycle, vertices[1] -> vertices[2] -> vertices[3] -> vertices[1]";
    assert_eq!(message(&[&[1, 4], &[2], &[3], &[4], &[5]]), expected);
    let ring: Vec<Vec<u32>> =
        (2..=20_001).map(|node| if node == 2 { vec![1, 20_001] } else { vec![node - 1] }).collect();
    let ring: Vec<&[u32]> = ring.iter().map(Vec::as_slice).collect();
    assert!(message(&ring).ends_with("vertices[10] -> …"));
}

#[test]
fn producers_stand_before_consumers() {
    assert_eq!(check(&maps(&[&[1], &[1, 2]])), Ok(()));
    let expected = "edges[0]: vertices[2] feeds vertices[1], which stands before it";
    assert_eq!(check(&maps(&[&[3], &[1]])).unwrap_err().to_string(), expected);
}

#[test]
fn the_fingerprint_is_that_of_its_lines() {
    let mut graph = word_count();
    graph.fingerprint_lines.push("another".to_owned());
    let actual = Fingerprint::of(graph.fingerprint_lines.join("\n").as_bytes());
    let expected = format!("fingerprint: {} is not the fingerprint of fingerprint_lines, {actual}", graph.fingerprint);
    assert_eq!(check(&graph).unwrap_err().to_string(), expected);
}

#[test]
fn a_large_graph_is_checked_without_looking_at_all_pairs() {
    // A check that was quadratic in vertices or edges would take minutes here.
    let graph = layered(100, 100, 10);
    assert_eq!((graph.vertices.len(), graph.edges.len()), (10_000, 99_000));
    assert_eq!(check(&graph), Ok(()));
    let mut circular = graph;
    let back = edge(&circular.vertices[9_999], 10_000, &circular.vertices[100], ShipStrategy::Rebalance);
    circular.edges.push(back);
    assert!(check(&circular).unwrap_err().to_string().starts_with("edges: a cycle, vertices[100] -> "));
}

#[test]
fn counts_are_bounded() {
    let mut graph = word_count();
    let one = graph.vertices[0].clone();
    graph.vertices.resize(limits::VERTICES_MAX + 1, one);
    assert_eq!(check(&graph).unwrap_err().to_string(), "vertices: 100001 entries, expected at most 100000");

    let mut graph = word_count();
    let one = graph.edges[0].clone();
    graph.edges.resize(limits::EDGES_MAX + 1, one);
    assert_eq!(check(&graph).unwrap_err().to_string(), "edges: 1000001 entries, expected at most 1000000");

    let mut graph = word_count();
    graph.fingerprint_lines.resize(limits::FINGERPRINT_LINES_MAX + 1, String::new());
    let expected = "fingerprint_lines: 1200001 entries, expected at most 1200000";
    assert_eq!(check(&graph).unwrap_err().to_string(), expected);
}

proptest! {
    #[test]
    fn whatever_a_program_could_plan_passes(graph in any_graph()) {
        prop_assert_eq!(check(&graph), Ok(()));
    }
}
