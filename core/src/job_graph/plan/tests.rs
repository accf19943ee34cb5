use serde_json::Value;

use super::{info_plan, rest_plan};
use crate::job_graph::{
    Exchange, ExecutionMode, JobGraph, OperatorKind, Parallelism, ShipStrategy,
    samples::{edge, graph, operator, vertex},
};

use OperatorKind::{Operator, Sink, Source};
use ShipStrategy::{Forward, Hash};

const WINDOW: &str = "Window(TumblingEventTimeWindows(1000), EventTimeTrigger, GoldenStream$$Lambda";

/// The recorded windowed sum. Descriptions of windows hold the name of a lambda, which differs from run to run.
fn windowed_sum(parallelism: u32, window: &str) -> JobGraph {
    let numbers = vertex(
        vec![operator(1, Source, "Source: numbers", &[]), operator(2, Operator, "double it", &[(1, Forward)])],
        Parallelism::Fixed(parallelism),
    );
    let mut sum = operator(4, Operator, "sum per second", &[(2, Hash)]);
    sum.description = window.to_owned();
    // Flink's own writers count as operators.
    let sums =
        vertex(vec![sum, operator(7, Operator, "drop: Writer", &[(4, Forward)])], Parallelism::Fixed(parallelism));
    let edges = vec![edge(&numbers, 2, &sums, Hash)];
    let mut graph = graph(vec![numbers, sums], edges);
    graph.name = "golden windowed sum".to_owned();
    graph
}

fn word_count() -> JobGraph {
    let words = vertex(
        vec![operator(1, Source, "Source: lines", &[]), operator(2, Operator, "tokenizer", &[(1, Forward)])],
        Parallelism::Default,
    );
    let counts = vertex(
        vec![operator(3, Operator, "counter", &[(2, Hash)]), operator(4, Sink, "Sink: Writer", &[(3, Forward)])],
        Parallelism::Default,
    );
    let mut edge = edge(&words, 2, &counts, Hash);
    edge.exchange = Exchange::Blocking;
    let mut graph = graph(vec![words, counts], vec![edge]);
    graph.name = "wordcount BATCH".to_owned();
    graph.mode = ExecutionMode::Batch;
    graph
}

/// Compares with a recorded plan, whose ids the graph takes over.
#[track_caller]
fn check_rest(mut graph: JobGraph, golden: &str, ids: [&str; 2]) {
    let mut expected: Value = serde_json::from_str(golden).unwrap();
    graph.job_id = expected["jid"].as_str().unwrap().parse().unwrap();
    for (vertex, id) in graph.vertices.iter_mut().zip(ids) {
        vertex.id = id.parse().unwrap();
    }
    (graph.edges[0].source, graph.edges[0].target) = (graph.vertices[0].id, graph.vertices[1].id);
    let mut actual = serde_json::to_value(rest_plan(&graph, 1)).unwrap();
    for plan in [&mut actual, &mut expected] {
        plan["nodes"].as_array_mut().unwrap().sort_by_key(|node| node["id"].to_string());
    }
    assert_eq!(actual, expected);
}

#[test]
fn streaming_plan_is_flinks() {
    let golden = include_str!("../../../tests/golden/rest_plan_streaming.json");
    let window = format!("{WINDOW}$1150/0x00007f28eb7d24f0, PassThroughWindowFunction)");
    let ids = ["f362c87ffabe89c8a91fa7d0a523ba6c", "1fda57489fc99cc8f66c9108fd52ccef"];
    check_rest(windowed_sum(2, &window), golden, ids);
}

#[test]
fn batch_plan_is_flinks() {
    let golden = include_str!("../../../tests/golden/rest_plan_batch.json");
    check_rest(word_count(), golden, ["cbc357ccb763df2852fee8c4fc7d55f2", "90bea66de1c231edf33913ecd54406c1"]);
}

#[test]
fn info_is_flinks_to_the_letter() {
    let window = format!("{WINDOW}$268/0x00007f63781b9000, PassThroughWindowFunction)");
    let plan = info_plan(&windowed_sum(1, &window), 1);
    assert_eq!(plan.to_string(), include_str!("../../../tests/golden/info_plan.json").trim_end());
}

#[test]
fn sinks_are_data_sinks_and_defaults_are_resolved() {
    let plan = info_plan(&word_count(), 3);
    let pacts: Vec<_> = plan.nodes.iter().map(|node| (node.pact.as_str(), node.parallelism)).collect();
    assert_eq!(pacts, [("Data Source", 3), ("Operator", 3), ("Operator", 3), ("Data Sink", 3)]);
}

#[track_caller]
fn check_description(operators: Vec<crate::job_graph::OperatorSpec>, expected: &str) {
    let graph = graph(vec![vertex(operators, Parallelism::Default)], vec![]);
    assert_eq!(rest_plan(&graph, 1).nodes[0].description, expected);
}

#[test]
fn branches_of_a_chain_are_drawn_as_a_tree() {
    let operators = vec![
        operator(1, Source, "head", &[]),
        operator(2, Operator, "a", &[(1, Forward)]),
        operator(3, Operator, "b", &[(2, Forward)]),
        operator(4, Operator, "c", &[(1, Forward)]),
        operator(5, Operator, "d", &[(2, Forward)]),
        operator(6, Operator, "e", &[(4, Forward)]),
    ];
    check_description(operators, "head<br/>:- a<br/>:  :- b<br/>:  +- d<br/>+- c<br/>   +- e<br/>");
}

#[test]
fn a_single_operator_is_a_line() {
    check_description(vec![operator(1, Source, "numbers", &[])], "numbers<br/>");
}

#[test]
fn descriptions_are_html() {
    let name = "map<\"A\" & 'B'>\\\nüber";
    check_description(vec![operator(1, Source, name, &[])], "map&lt;&quot;A&quot; &amp; 'B'&gt;&#92;<br/>über<br/>");
}

#[test]
fn a_long_chain_makes_a_text_of_modest_size() {
    let chain: Vec<_> = (1..=10_000)
        .map(|node| match node {
            1 => operator(1, Source, "head", &[]),
            _ => operator(node, Operator, "map", &[(node - 1, Forward)]),
        })
        .collect();
    let graph = graph(vec![vertex(chain, Parallelism::Default)], vec![]);
    let description = &rest_plan(&graph, 1).nodes[0].description;
    assert_eq!(description.matches("map<br/>").count(), 9_999);
    assert!(description.len() < 10_000 * 210);
}

#[test]
fn inputs_are_numbered_in_order_and_sources_have_none() {
    let mut graph = crate::job_graph::samples::layered(2, 3, 3);
    for (input, edge) in [2, 0, 1].into_iter().cycle().zip(&mut graph.edges) {
        edge.target_input = input;
    }
    let plan = rest_plan(&graph, 1);
    assert!(plan.nodes[0].inputs.is_empty());
    let inputs: Vec<_> = plan.nodes[3].inputs.iter().map(|input| (input.num, input.id)).collect();
    let id = |at: usize| graph.vertices[at].id;
    assert_eq!(inputs, [(0, id(1)), (1, id(2)), (2, id(0))]);
}
