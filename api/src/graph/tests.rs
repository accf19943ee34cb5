use flott_core::job_graph::{ExecutionMode, JobGraph, Parallelism, RestartPolicy, RestartStrategy};

use super::first_difference;
use crate::{Collector, Environment, OutputTag, PlanError};

/// Vertices with their chains and edges, a line each.
fn drawn(graph: &JobGraph) -> String {
    let mut lines = Vec::new();
    for vertex in &graph.vertices {
        let parallelism = match vertex.parallelism {
            Parallelism::Default => "*".to_owned(),
            Parallelism::Fixed(fixed) => fixed.to_string(),
        };
        lines.push(format!("[{}] x{parallelism} {}", vertex.name, vertex.slot_sharing_group));
    }
    let name = |id| graph.vertices.iter().position(|vertex| vertex.id == id).unwrap();
    for edge in &graph.edges {
        let side = edge.side_output.as_ref().map_or(String::new(), |side| format!(" side {side}"));
        let (from, to) = (name(edge.source), name(edge.target));
        lines.push(format!(
            "{from} -> {to}.{} {} node {}{side}",
            edge.target_input,
            edge.ship.as_str(),
            edge.source_node
        ));
    }
    lines.join("\n")
}

#[track_caller]
fn check(env: &Environment, expected: &str) {
    check_with(env, &[], expected);
}

#[track_caller]
fn check_with(env: &Environment, configuration: &[(&str, &str)], expected: &str) {
    let graph = env.job_graph(configuration).unwrap();
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(drawn(&graph), expected.join("\n"));
}

#[track_caller]
fn check_error(env: &Environment, expected: &str) {
    assert_eq!(env.job_graph(&[]).unwrap_err().to_string(), expected);
}

#[test]
fn forward_operators_are_one_chain() {
    let env = Environment::local();
    env.sequence(1, 9).map(|number| number + 1).filter(|number| *number > 2).discard();
    check(&env, "[Source: Sequence -> Map -> Filter -> Sink: Discard] x* default");
}

#[test]
fn branches_are_named_in_parentheses() {
    let env = Environment::local();
    let numbers = env.sequence(1, 9).name("numbers");
    numbers.map(|number| number + 1).name("a").map(|number| number).name("c").discard().name("x");
    numbers.map(|number| number + 2).name("b").discard().name("y");
    check(&env, "[Source: numbers -> (a -> c -> Sink: x, b -> Sink: y)] x* default");
}

#[test]
fn keys_unions_and_partitionings_cut_chains() {
    let env = Environment::local();
    let a = env.sequence(1, 9).name("a");
    let b = env.sequence(1, 9).name("b");
    a.union([&b]).key_by(|number| number % 2).count().rebalance().map(|pair| pair).discard();
    check(
        &env,
        "[Source: a] x* default
         [Source: b] x* default
         [Keyed Aggregation] x* default
         [Map -> Sink: Discard] x* default
         0 -> 2.0 HASH node 1
         1 -> 2.0 HASH node 2
         2 -> 3.0 REBALANCE node 3",
    );
}

#[test]
fn other_parallelism_is_a_rebalance() {
    let env = Environment::local();
    env.set_parallelism(4);
    env.sequence(1, 9).map(|number| number).parallelism(2).map(|number| number).parallelism(2).discard();
    check(
        &env,
        "[Source: Sequence] x4 default
         [Map -> Map] x2 default
         [Sink: Discard] x4 default
         0 -> 1.0 REBALANCE node 1
         1 -> 2.0 REBALANCE node 3",
    );
}

#[test]
fn an_explicit_default_is_a_number() {
    let env = Environment::local();
    env.sequence(1, 9).map(|number| number).parallelism(3).discard();
    check_with(&env, &[("parallelism.default", "3")], "[Source: Sequence -> Map -> Sink: Discard] x3 default");
}

#[test]
fn users_cut_chains_where_they_like() {
    let env = Environment::local();
    env.sequence(1, 9)
        .map(|number| number)
        .name("head")
        .start_new_chain()
        .map(|number| number)
        .name("alone")
        .disable_chaining()
        .map(|number| number)
        .name("tail")
        .discard();
    check(
        &env,
        "[Source: Sequence] x* default
         [head] x* default
         [alone] x* default
         [tail -> Sink: Discard] x* default
         0 -> 1.0 FORWARD node 1
         1 -> 2.0 FORWARD node 2
         2 -> 3.0 FORWARD node 3",
    );
    let env = Environment::local();
    env.sequence(1, 9).discard();
    env.disable_operator_chaining();
    check(&env, "[Source: Sequence] x* default\n[Sink: Discard] x* default\n0 -> 1.0 FORWARD node 1");
    let env = Environment::local();
    env.sequence(1, 9).discard();
    check_with(
        &env,
        &[("pipeline.operator-chaining.enabled", "false")],
        "[Source: Sequence] x* default\n[Sink: Discard] x* default\n0 -> 1.0 FORWARD node 1",
    );
}

#[test]
fn slot_sharing_groups_are_inherited_and_cut_chains() {
    let env = Environment::local();
    let a = env.sequence(1, 9).name("a").slot_sharing_group("g");
    let b = env.sequence(1, 9).name("b");
    let same = a.map(|number| number).name("same");
    same.connect(&b).map(|left| left, |right| right).discard();
    check(
        &env,
        "[Source: a -> same] x* g
         [Source: b] x* default
         [Co-Map -> Sink: Discard] x* default
         0 -> 2.0 FORWARD node 3
         1 -> 2.1 FORWARD node 2",
    );
}

#[test]
fn every_strategy_reaches_the_graph() {
    let env = Environment::local();
    let numbers = env.sequence(1, 9).parallelism(2);
    numbers.rescale().discard().parallelism(4);
    numbers.shuffle().discard();
    numbers.broadcast().discard();
    numbers.global().discard();
    numbers.partition_custom(|number, subtasks| (*number as u32) % subtasks).discard();
    numbers.forward().discard().parallelism(2);
    check(
        &env,
        "[Source: Sequence -> Sink: Discard] x2 default
         [Sink: Discard] x4 default
         [Sink: Discard] x* default
         [Sink: Discard] x* default
         [Sink: Discard] x* default
         [Sink: Discard] x* default
         0 -> 1.0 RESCALE node 1
         0 -> 2.0 SHUFFLE node 1
         0 -> 3.0 BROADCAST node 1
         0 -> 4.0 GLOBAL node 1
         0 -> 5.0 CUSTOM node 1",
    );
}

#[derive(Clone)]
struct Sides;

impl crate::ProcessFunction for Sides {
    type In = u64;
    type Out = u64;

    fn process(&mut self, record: u64, ctx: &mut crate::Context<'_, u64>) -> crate::FunctionResult {
        ctx.emit(record);
        Ok(())
    }
}

#[test]
fn side_outputs_are_edges_of_their_own() {
    let env = Environment::local();
    let split = env.sequence(1, 9).process(Sides);
    split.side_output(&OutputTag::<String>::new("late")).global().discard();
    split.side_output(&OutputTag::<String>::new("late")).discard();
    split.discard();
    check(
        &env,
        "[Source: Sequence -> Process -> (Sink: Discard, Sink: Discard)] x* default
         [Sink: Discard] x* default
         0 -> 1.0 GLOBAL node 2 side late",
    );
}

#[test]
fn batch_mode_aggregates_before_the_shuffle() {
    let env = Environment::local();
    env.set_mode(ExecutionMode::Batch);
    env.sequence(1, 9)
        .flat_map(|number, out: &mut Collector<'_, u64>| out.emit(number))
        .key_by(|number| *number)
        .count()
        .name("counts")
        .discard();
    check(
        &env,
        "[Source: Sequence -> Flat Map -> Combine counts] x* default
         [counts -> Sink: Discard] x* default
         0 -> 1.0 HASH node 3",
    );
}

#[test]
fn batch_combines_where_the_records_are() {
    let env = Environment::local();
    env.set_parallelism(4);
    env.set_mode(ExecutionMode::Batch);
    env.sequence(1, 9).parallelism(2).key_by(|number| *number).reduce(|sum, number| *sum += number).discard();
    check(
        &env,
        "[Source: Sequence -> Combine Keyed Reduce] x2 default
         [Keyed Reduce -> Sink: Discard] x4 default
         0 -> 1.0 HASH node 2",
    );
}

#[test]
fn the_mode_comes_from_the_program_then_the_configuration() {
    let build = || {
        let env = Environment::local();
        env.sequence(1, 9).discard();
        env
    };
    let mode =
        |env: Environment, configured: &str| env.job_graph(&[("execution.runtime-mode", configured)]).unwrap().mode;
    assert_eq!(mode(build(), "BATCH"), ExecutionMode::Batch);
    assert_eq!(mode(build(), "AUTOMATIC"), ExecutionMode::Batch);
    let endless = build();
    endless.socket("localhost", 9).discard();
    assert_eq!(mode(endless, "AUTOMATIC"), ExecutionMode::Streaming);
    let own = build();
    own.set_mode(ExecutionMode::Streaming);
    assert_eq!(mode(own, "BATCH"), ExecutionMode::Streaming);
}

#[test]
fn restart_strategies_come_from_the_program_then_the_configuration() {
    let build = || {
        let env = Environment::local();
        env.sequence(1, 9).discard();
        env
    };
    assert_eq!(build().job_graph(&[]).unwrap().restart, RestartPolicy::Cluster);
    let none = RestartPolicy::Own(RestartStrategy::None);
    assert_eq!(build().job_graph(&[("restart-strategy.type", "none")]).unwrap().restart, none);
    let own = build();
    let strategy = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 5 };
    own.set_restart_strategy(strategy);
    assert_eq!(own.job_graph(&[("restart-strategy.type", "none")]).unwrap().restart, RestartPolicy::Own(strategy));
}

#[test]
fn plans_that_are_no_job_are_refused() {
    check_error(
        &Environment::local(),
        "the job \"test\" has no sources: read something with one of the environment's sources before `execute`",
    );
    let env = Environment::local();
    let numbers = env.sequence(1, 9).map(|number| number);
    check_error(
        &env,
        "the job \"test\" has no sinks: end at least one stream with a sink, for example `print` or `discard`",
    );

    let env = Environment::local();
    env.sequence(1, 9).uid("x").map(|number| number).name("m").uid("x").discard();
    check_error(&env, "uid \"x\" is given to both \"Source: Sequence\" and \"m\"; uids must be unique in a job");

    for given in [0, 32_769] {
        let env = Environment::local();
        env.sequence(1, 9).parallelism(given).discard();
        check_error(&env, &format!("parallelism of \"Source: Sequence\" must be between 1 and 32768, not {given}"));
        let env = Environment::local();
        env.set_parallelism(given);
        env.sequence(1, 9).discard();
        check_error(&env, &format!("parallelism of \"the environment\" must be between 1 and 32768, not {given}"));
    }

    let env = Environment::local();
    env.sequence(1, 9).parallelism(4).max_parallelism(3).discard();
    check_error(&env, "parallelism 4 of \"Source: Sequence\" exceeds its maximum parallelism 3");

    let env = Environment::local();
    env.sequence(1, 9).parallelism(2).forward().discard();
    check_error(
        &env,
        "forward from \"Source: Sequence\" to \"Sink: Discard\" needs equal parallelism, but it is 2 and the default",
    );

    let env = Environment::local();
    env.socket("localhost", 1).parallelism(2).discard();
    check_error(&env, "\"Source: Socket\" cannot run in parallel: its parallelism must be 1, not 2");

    let env = Environment::local();
    env.sequence(1, 9).rebalance().name("x").discard();
    check_error(&env, "`name` must follow an operator, and not a union, a partitioning or a side output");

    let env = Environment::local();
    env.sequence(1, 9).union([&numbers]).discard();
    check_error(&env, "`union` combines streams of two environments");

    let env = Environment::local();
    env.sequence(1, 9).write_text("out");
    env.sequence(1, 9).write_json_lines("out");
    let out = std::env::current_dir().unwrap().join("out");
    check_error(&env, &format!("\"Sink: Files\" and \"Sink: Files\" write to the same directory {out:?}"));

    let env = Environment::local();
    let split = env.sequence(1, 9).process(Sides);
    split.side_output(&OutputTag::<String>::new("late")).discard();
    split.side_output(&OutputTag::<u8>::new("late")).discard();
    check_error(&env, "side output \"late\" of \"Process\" is read as alloc::string::String and as u8");

    let env = Environment::local();
    env.sequence(1, 9).uid("x".repeat(2000)).discard();
    assert!(matches!(env.job_graph(&[]).unwrap_err(), PlanError::Graph(_)));
}

#[test]
fn unknown_configuration_is_refused_with_the_nearest_key() {
    let env = Environment::local();
    env.configure("paralelism.default", "3");
    env.sequence(1, 9).discard();
    let error = env.job_graph(&[]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"parallelism.default\"?"), "{error}");
}

fn program(names: [&str; 2], extra: bool) -> JobGraph {
    let env = Environment::local();
    let numbers = env.sequence(1, 9).name(names[0]);
    if extra {
        env.from_collection(vec![1u8]).discard();
    }
    numbers.map(|number| number).name(names[1]).key_by(|number| *number).count().discard();
    numbers.map(|number| number).uid("fixed").discard();
    env.job_graph(&[]).unwrap()
}

fn ids(graph: &JobGraph) -> Vec<String> {
    let operators = graph.vertices.iter().flat_map(|vertex| &vertex.operators);
    operators.map(|operator| operator.id.to_string()).collect()
}

#[test]
fn ids_do_not_depend_on_names_or_on_what_stands_elsewhere() {
    let before = ids(&program(["a", "b"], false));
    assert_eq!(before, ids(&program(["x", "y"], false)));
    let with_more = ids(&program(["a", "b"], true));
    assert!(before.iter().filter(|id| with_more.contains(id)).count() >= before.len() - 1);
    assert!(before.contains(&flott_core::id::OperatorId::from_uid("fixed").to_string()));
    let mut distinct = before.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), before.len());
}

#[test]
fn equal_programs_have_equal_fingerprints() {
    let (one, two) = (program(["a", "b"], true), program(["a", "b"], true));
    assert_eq!(one, two);
    assert_eq!(first_difference(&one.fingerprint_lines, &two.fingerprint_lines), None);
}

#[test]
fn what_differs_between_plans_is_told() {
    let build = |elements: Vec<u8>| {
        let env = Environment::local();
        env.from_collection(elements).discard();
        env.job_graph(&[]).unwrap()
    };
    let (one, two) = (build(vec![1, 2]), build(vec![1, 3]));
    assert_ne!(one.fingerprint, two.fingerprint);
    let (submitted, planned) = first_difference(&one.fingerprint_lines, &two.fingerprint_lines).unwrap();
    assert!(submitted.starts_with("operator 1 ") && submitted.contains("2 elements"), "{submitted}");
    assert_ne!(submitted, planned);
}
