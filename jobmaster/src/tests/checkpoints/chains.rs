//! What had finished, and its results by name, in a job whose chains are cut otherwise than those of its snapshot.

use flott_core::{id::OperatorId, job_graph::JobGraph};
use flott_snapshot::{Manifest, VertexState};

use super::{
    fits::{printed, spec_from, start},
    *,
};
use crate::index::ExecutionIndex;

/// A snapshot of [`word_count`], whose vertices had finished or not, and have counted.
fn counted(finished: [bool; 2]) -> Manifest {
    let mut cluster = checkpointed(word_count(), ONCE);
    collect(&mut cluster);
    let mut manifest = (*cluster.storing.pop_front().unwrap()).clone();
    manifest.committables.clear();
    for (stored, finished) in manifest.vertices.iter_mut().zip(finished) {
        for subtask in stored.subtasks.iter_mut().filter(|_| finished) {
            subtask.finished = true;
            subtask.accumulators = [(format!("{}s", stored.name), Accumulator::LongCounter(3))].into();
        }
    }
    manifest
}

/// The same with one chain of both.
fn chained(mut manifest: Manifest) -> Manifest {
    let sink: VertexState = manifest.vertices.remove(1);
    manifest.vertices[0].operators.extend(sink.operators);
    manifest
}

/// Another operator at the end of a chain.
fn add_operator(stored: &mut VertexState, uid: &str) {
    let mut operator = stored.operators[0].clone();
    operator.id = OperatorId::from_uid(uid);
    stored.operators.push(operator);
}

/// [`word_count`] as one chain.
fn one_chain() -> TestGraph {
    word_count().with(|graph: &mut JobGraph| {
        let sink = graph.vertices.remove(1);
        graph.vertices[0].operators.extend(sink.operators);
        graph.edges.clear();
    })
}

/// Which subtasks have nothing to do any more, and what the job has counted when it has ended.
#[track_caller]
fn check(graph: TestGraph, manifest: &Manifest, finished: &[bool], expected: &[(&str, i64)]) {
    let core = start(graph.clone(), manifest, false).unwrap();
    let subtasks = 0..u32::try_from(finished.len()).unwrap();
    let restored = subtasks.map(|index| core.restore_of(ExecutionIndex(index)).unwrap().finished);
    assert_eq!(restored.collect::<Vec<_>>(), finished);
    let mut cluster = cluster(spec_from(graph, manifest, false));
    cluster.add_worker(3);
    start_tasks(&mut cluster);
    let view = cluster.core.view();
    assert_eq!(view.exceptions, []);
    let carried = view.accumulators.iter().filter(|(name, _)| ["sources", "sinks"].contains(&name.as_str()));
    let carried: Vec<_> = carried.map(|(name, result)| (name.as_str(), result.clone())).collect();
    let expected: Vec<_> = expected.iter().map(|(name, sum)| (*name, Accumulator::LongCounter(*sum))).collect();
    assert_eq!(carried, expected);
}

#[test]
fn what_had_finished_as_one_chain_has_finished_as_two() {
    let both = [("sources", 6)];
    check(word_count(), &chained(counted([true, false])), &[true; 4], &both);
    // All of the second are fed by one that has not.
    let mut manifest = chained(counted([true, false]));
    manifest.vertices[0].subtasks[1].finished = false;
    check(word_count(), &manifest, &[true, false, false, false], &both);
}

#[test]
fn one_chain_has_finished_when_all_of_it_had() {
    check(one_chain(), &counted([true, true]), &[true; 2], &[("sinks", 6), ("sources", 6)]);
    check(one_chain(), &counted([true, false]), &[false; 2], &[("sources", 6)]);
}

#[test]
fn what_others_feed_now_has_not_finished() {
    let fed = word_count().vertex("other", Parallelism::Fixed(1), OperatorKind::Source).edge(
        "other",
        "sink",
        ShipStrategy::Hash,
        Exchange::Pipelined,
    );
    check(fed, &chained(counted([true, false])), &[true, true, false, false, false], &[("sources", 6)]);
}

/// Its input was never read.
#[test]
fn what_has_a_new_source_has_not_finished() {
    let replaced = one_chain().with(|graph: &mut JobGraph| {
        let vertex = &mut graph.vertices[0];
        vertex.operators[0].id = OperatorId::from_uid("new");
        vertex.operators[0].uid = Some("new".to_owned());
        vertex.id = TestGraph::id("new");
    });
    check(replaced, &chained(counted([true, false])), &[false; 2], &[("sources", 6)]);
}

/// Of a chain that had finished too: what feeds it is run again, and somebody has to take that in.
#[test]
fn what_comes_behind_others_that_are_run_again_has_not_finished() {
    let mut manifest = counted([true, true]);
    add_operator(&mut manifest.vertices[1], "after");
    let fed = word_count()
        .vertex("new", Parallelism::Fixed(1), OperatorKind::Source)
        .vertex("after", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("new", "sink", ShipStrategy::Hash, Exchange::Pipelined)
        .edge("sink", "after", ShipStrategy::Forward, Exchange::Pipelined);
    let finished = [true, true, false, false, false, false, false];
    check(fed, &manifest, &finished, &[("sinks", 6), ("sources", 6)]);
}

#[test]
fn subtasks_have_finished_one_by_one_where_each_is_fed_by_one() {
    let mut manifest = counted([true, true]);
    add_operator(&mut manifest.vertices[0], "middle");
    for stored in &mut manifest.vertices {
        stored.subtasks[1].finished = false;
    }
    let cut = TestGraph::new("words")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("middle", Parallelism::Fixed(2), OperatorKind::Operator)
        .vertex("sink", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "middle", ShipStrategy::Forward, Exchange::Pipelined)
        .edge("middle", "sink", ShipStrategy::Forward, Exchange::Pipelined);
    check(cut, &manifest, &[true, false, true, false, true, false], &[("sinks", 6), ("sources", 6)]);
}

#[test]
fn what_is_left_behind_of_it_is_told() {
    let spec = spec_from(printed(), &counted([false, true]), false);
    let mut cluster = cluster(spec.clone());
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    let told = |cluster: &FakeCluster| {
        cluster.core.view().exceptions.iter().map(|told| told.failure.to_string()).collect::<Vec<_>>()
    };
    let expected = "\"sink\" of the snapshot had finished, and is left behind with its results \"sinks\": the job has none of its \
                    operators; give them the uids that they had";
    assert_eq!(told(&cluster), [expected]);
    cluster.replace_master(&spec, false);
    start_tasks(&mut cluster);
    assert_eq!(told(&cluster), [expected], "once");
}
