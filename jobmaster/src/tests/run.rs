//! A job that goes well.

use std::sync::Arc;

use flott_core::{
    codec,
    job_graph::{Exchange, OperatorKind, Parallelism, RestartStrategy, ShipStrategy},
    message::{Deployment, EdgeDeployment, HostToJob, JobToHost, JobToWorker},
    status::{ExecutionState, JobStatus},
    view::Accumulator,
};

use super::*;
use crate::{
    core::{Action, Event, JobMasterCore},
    error::JobMasterError,
    time::Millis,
};

#[test]
fn a_job_runs_to_its_end() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(1);
    cluster.add_worker(1);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.statuses, [JobStatus::Created, JobStatus::Running, JobStatus::Finished]);
    let view = &cluster.ended[0];
    assert_eq!(view.restarts, 0);
    assert_eq!(view.accumulators["tasks"], Accumulator::LongCounter(4));
    let Accumulator::List(read) = &view.accumulators["splits"] else { panic!("splits are a list") };
    assert_eq!(read.len(), 10, "every split is read once: {read:?}");
    assert_eq!(cluster.manifests[0].len(), 2);
}

#[test]
fn a_job_without_results_needs_no_commit() {
    let graph = TestGraph::new("no sink").vertex("source", Parallelism::Default, OperatorKind::Source);
    let mut cluster = cluster(spec_of(graph, RestartStrategy::None));
    cluster.add_worker(4);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert!(cluster.manifests.is_empty());
    assert_eq!(cluster.ended[0].vertices[0].parallelism, 2, "the configured default");
    assert_eq!(cluster.ended[0].vertices[0].max_parallelism, 128);
}

#[test]
fn nothing_is_deployed_before_all_slots_of_a_region_are_there() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.add_worker(1);
    cluster.settle();
    assert_eq!((cluster.live().count(), cluster.core.status()), (0, JobStatus::Created));
    cluster.add_worker(1);
    cluster.settle();
    assert_eq!((cluster.live().count(), cluster.core.status()), (4, JobStatus::Running));
}

#[test]
fn regions_side_by_side_start_on_their_own() {
    let mut cluster = cluster(spec_of(side_by_side(), RestartStrategy::None));
    cluster.add_worker(1);
    cluster.settle();
    assert_eq!((cluster.live().count(), cluster.core.status()), (2, JobStatus::Running));
}

#[test]
fn a_stage_waits_for_the_one_before() {
    let mut cluster = running(two_stages(), RestartStrategy::None);
    assert_eq!(states(&cluster, "sink"), [(0, ExecutionState::Created); 2]);
    while states(&cluster, "source") != [(0, ExecutionState::Finished); 2] {
        assert_eq!(states(&cluster, "sink"), [(0, ExecutionState::Created); 2]);
        cluster.work_all();
        cluster.settle();
        check_sound(&cluster);
    }
    assert_eq!(states(&cluster, "sink"), [(0, ExecutionState::Deploying); 2]);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

/// What the processes of so many TaskManagers are told to run, in the order in which they are told.
fn deployments(graph: TestGraph, workers: u32, slots: u32) -> Vec<Deployment> {
    let mut core = JobMasterCore::new(spec_of(graph.clone(), RestartStrategy::None)).unwrap();
    let mut cluster = FakeCluster::new(spec_of(graph, RestartStrategy::None), 1, Order::Sent);
    for _ in 0..workers {
        cluster.add_worker(slots);
    }
    // The same messages, seen from this side.
    core.handle(Millis(1000), Event::Start);
    let mut deployments = Vec::new();
    let epoch = core.spec().epoch;
    let mut messages: Vec<_> = cluster.incoming().map(|(worker, message)| (worker.clone(), message.clone())).collect();
    while let Some((worker, message)) = messages.pop() {
        for action in core.handle(Millis(1000), Event::Worker { worker, epoch, message }) {
            let Action::Send { worker, message } = action else { continue };
            if let JobToWorker::Host { message: JobToHost::Deploy(deployment), .. } = &message {
                deployments.push((**deployment).clone());
            }
            let answers = cluster.workers.get_mut(&worker).unwrap().receive(message);
            messages.extend(answers.into_iter().map(|answer| (worker.clone(), answer)));
        }
    }
    deployments
}

#[test]
fn a_deployment_names_both_ends_of_every_edge() {
    let graph = TestGraph::new("edges")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("map", Parallelism::Fixed(4), OperatorKind::Operator)
        .vertex("sink", Parallelism::Fixed(1), OperatorKind::Sink)
        .edge("source", "map", ShipStrategy::Rescale, Exchange::Pipelined)
        .edge("map", "sink", ShipStrategy::Global, Exchange::Pipelined);
    let deployments = deployments(graph, 1, 4);
    let [deployment] = &deployments[..] else { panic!("one deployment, not {}", deployments.len()) };
    assert_eq!(deployment.tasks.len(), 7);
    let ends: Vec<_> =
        deployment.edges.iter().map(|edge| (edge.edge.0, edge.producers.len(), edge.consumers.len())).collect();
    assert_eq!(ends, [(0, 2, 4), (1, 4, 1)]);
    assert!(deployment.edges.iter().flat_map(|edge| &edge.producers).all(|peer| peer.process == 0));
    assert_eq!(deployment.processes.len(), 1);
    let subtasks: Vec<_> = deployment.tasks.iter().map(|task| (task.attempt.subtask.0, task.parallelism)).collect();
    assert_eq!(subtasks, [(0, 2), (1, 2), (0, 4), (1, 4), (2, 4), (3, 4), (0, 1)]);
}

#[test]
fn deployments_of_a_round_share_edges_and_processes() {
    let deployments = deployments(word_count(), 2, 1);
    let [first, second] = &deployments[..] else { panic!("two deployments, not {}", deployments.len()) };
    let ([edge], [same]) = (&first.edges[..], &second.edges[..]) else { panic!("each process has an end of the edge") };
    assert!(Arc::ptr_eq(edge, same));
    assert!(Arc::ptr_eq(&first.processes, &second.processes));
    assert_eq!(first.processes.len(), 2);
}

#[test]
fn a_deployment_is_encoded_as_if_nothing_were_shared() {
    for deployment in deployments(word_count(), 2, 1) {
        let edges: Vec<EdgeDeployment> = deployment.edges.iter().map(|edge| (**edge).clone()).collect();
        let owned = (deployment.epoch, deployment.tasks.clone(), edges, deployment.processes.to_vec());
        let bytes = codec::to_vec(&deployment).unwrap();
        assert_eq!(bytes, codec::to_vec(&owned).unwrap());
        assert_eq!(codec::decode::<Deployment>(&bytes), Ok(deployment));
    }
}

#[test]
fn late_and_foreign_messages_change_nothing() {
    let mut cluster = running(word_count(), OFTEN);
    let before = cluster.core.view();
    let worker = cluster.workers.keys().next().unwrap().clone();
    let other = cluster.workers.keys().nth(1).unwrap().clone();
    let mine = cluster.live().find(|attempt| cluster.worker_of(*attempt).as_ref() == Some(&worker)).unwrap();
    let report = |attempt| {
        HostToJob::TaskState(Box::new(flott_core::message::TaskStateChange {
            attempt,
            state: ExecutionState::Failed,
            failure: Some(flott_core::failure::Failure::user("late")),
            metrics: Default::default(),
            committables: Vec::new(),
            accumulators: Default::default(),
        }))
    };
    let epoch = cluster.core.spec().epoch;
    // Of another JobMaster, of another process, of attempts that are not there, of a vertex that is not there.
    let message = cluster.from_process(&worker, report(mine)).unwrap();
    cluster.inject(&worker, flott_core::id::JobMasterEpoch(epoch.0 - 1), message);
    let message = cluster.from_process(&other, report(mine)).unwrap();
    cluster.inject(&other, epoch, message.clone());
    cluster.inject(&worker, epoch, message);
    for wrong in [
        AttemptId { attempt: mine.attempt.next(), ..mine },
        AttemptId { subtask: flott_core::id::SubtaskIndex(99), ..mine },
        AttemptId { vertex: TestGraph::id("nowhere"), ..mine },
    ] {
        let message = cluster.from_process(&worker, report(wrong)).unwrap();
        cluster.inject(&worker, epoch, message);
    }
    cluster.settle();
    assert_eq!(cluster.core.view(), before);
}

#[test]
fn figures_are_kept_per_attempt() {
    let mut cluster = running(word_count(), OFTEN);
    let source = attempt(&cluster, "source", 1);
    let worker = cluster.worker_of(source).unwrap();
    let metrics = flott_core::view::TaskMetrics { records_read: 7, watermark: Some(-5), ..Default::default() };
    let message = cluster.from_process(&worker, HostToJob::Metrics(vec![(source, metrics.clone())])).unwrap();
    cluster.inject(&worker, cluster.core.spec().epoch, message);
    cluster.settle();
    assert_eq!(cluster.core.view().vertices[0].subtasks[1].current.metrics, metrics);
}

#[track_caller]
fn check_refused(graph: TestGraph, expected: &str) {
    let error: JobMasterError = JobMasterCore::new(spec_of(graph, RestartStrategy::None)).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn graphs_that_cannot_run_are_refused_by_name() {
    check_refused(TestGraph::new("nothing"), r#"job "nothing" has no vertices"#);
    let one = |parallelism| TestGraph::new("job").vertex("a", Parallelism::Fixed(parallelism), OperatorKind::Source);
    check_refused(one(0), r#"parallelism of vertex "a" must be between 1 and its maximum parallelism 128, not 0"#);
    check_refused(
        one(200).with(|graph| graph.vertices[0].max_parallelism = Some(100)),
        r#"parallelism of vertex "a" must be between 1 and its maximum parallelism 100, not 200"#,
    );
    check_refused(
        one(1).with(|graph| graph.vertices[0].max_parallelism = Some(0)),
        r#"maximum parallelism of vertex "a" must be between 1 and 32768, not 0"#,
    );
    check_refused(
        one(1).edge("a", "b", ShipStrategy::Hash, Exchange::Pipelined),
        "edge 0 connects a vertex that is not in the graph",
    );
    check_refused(
        one(1).vertex("b", Parallelism::Fixed(2), OperatorKind::Sink).edge(
            "a",
            "b",
            ShipStrategy::Forward,
            Exchange::Pipelined,
        ),
        r#"forward edge 0 connects "a" with parallelism 1 and "b" with parallelism 2; they must be equal"#,
    );
}
