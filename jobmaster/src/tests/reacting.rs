//! A job between bounds goes after the slots there are.

use flott_core::{
    failure::Failure,
    job_graph::{Parallelism, scale::ParallelismBounds},
    view::RescaleCause,
};

use super::{
    checkpoints::{checkpointed, sinks_work, spec},
    rescale::go_on,
    *,
};
use crate::{
    core::Event,
    spec::{Adaptive, JobSpec},
};

const COOLDOWN: u64 = 30_000;

/// Source and sink with the parallelism of the job, in reactive mode.
fn reactive(adaptive: Adaptive) -> JobSpec {
    let graph = TestGraph::new("words")
        .vertex("source", Parallelism::Default, OperatorKind::Source)
        .vertex("sink", Parallelism::Default, OperatorKind::Sink)
        .edge("source", "sink", ShipStrategy::Hash, Exchange::Pipelined);
    let mut spec = spec(graph, ONCE);
    spec.default_parallelism = 2;
    spec.adaptive = Adaptive { reactive: true, ..adaptive };
    spec.timeouts.slot_request = u64::MAX;
    spec.timeouts.slot_hopeless = u64::MAX;
    spec
}

/// What comes together comes in several messages.
const SOON: u64 = 100;

fn soon() -> Adaptive {
    Adaptive { executing_stabilization: SOON, submission_stabilization: SOON, cooldown: COOLDOWN, reactive: true }
}

/// A running job on so many slots.
fn running(adaptive: Adaptive, slots: u32) -> FakeCluster {
    let mut cluster = FakeCluster::new(reactive(adaptive), 10, Order::Sent);
    cluster.add_worker(slots);
    cluster.tell(Event::Start);
    cluster.pass(SOON);
    runs_with(&mut cluster, slots);
    cluster
}

/// Until all tasks run, so many of each vertex.
#[track_caller]
fn runs_with(cluster: &mut FakeCluster, parallelism: u32) {
    go_on(cluster, |cluster| {
        running_of(cluster, "source") == parallelism && running_of(cluster, "sink") == parallelism
    });
    check_sound(cluster);
}

fn running_of(cluster: &FakeCluster, vertex: &str) -> u32 {
    let tasks = states(cluster, vertex);
    let all = tasks.len();
    let running = tasks.into_iter().filter(|(_, state)| *state == ExecutionState::Running).count();
    if running == all { running as u32 } else { 0 }
}

#[track_caller]
fn causes(cluster: &FakeCluster) -> Vec<(RescaleCause, bool)> {
    let views = cluster.core.view().rescales;
    views.iter().rev().map(|view| (view.cause, view.failure.is_none())).collect()
}

#[test]
fn a_reactive_job_starts_with_what_there_is_and_grows_with_what_comes() {
    let mut cluster = running(soon(), 1);
    assert_eq!(causes(&cluster), [(RescaleCause::FewerSlots, true)]);
    // It is aimed at the parallelism that was asked for, and more is welcome.
    assert_eq!(cluster.declared.values().sum::<u32>(), 1);
    assert_eq!(cluster.wishes.wished.values().sum::<u32>(), 1);
    assert_eq!(cluster.wishes.welcome.values().sum::<u32>(), 126);
    cluster.add_worker(3);
    cluster.pass(COOLDOWN - 1);
    assert_eq!(running_of(&cluster, "sink"), 1, "it was rescaled a moment ago");
    cluster.pass(1);
    runs_with(&mut cluster, 4);
    assert_eq!(causes(&cluster).last(), Some(&(RescaleCause::MoreSlots, true)));
    assert_eq!(cluster.wishes.welcome.values().sum::<u32>(), 124);
    let view = cluster.core.view();
    assert_eq!((view.restarts, view.exceptions.len()), (0, 0));
    assert_eq!(view.vertices[0].bounds, Some(ParallelismBounds { lower: 1, upper: 128 }));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn slots_that_are_lost_and_do_not_come_are_done_without() {
    let mut cluster = running(soon(), 2);
    let lost = cluster.add_worker(2);
    cluster.pass(COOLDOWN);
    runs_with(&mut cluster, 4);
    cluster.kill_worker(&lost);
    cluster.pass(SOON);
    runs_with(&mut cluster, 2);
    let view = cluster.core.view();
    assert_eq!((view.rescales[0].cause, view.restarts), (RescaleCause::FewerSlots, 1));
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn others_are_waited_for_for_a_while_before_slots_are_used_or_done_without() {
    let waits =
        Adaptive { executing_stabilization: 5_000, submission_stabilization: 2_000, cooldown: 0, reactive: true };
    let mut cluster = FakeCluster::new(reactive(waits), 10, Order::Sent);
    let last = cluster.add_worker(1);
    cluster.tell(Event::Start);
    cluster.pass(1_999);
    assert_eq!(cluster.live().count(), 0);
    cluster.pass(1);
    runs_with(&mut cluster, 1);
    cluster.add_worker(1);
    cluster.pass(4_000);
    cluster.add_worker(1);
    cluster.pass(999);
    assert_eq!(running_of(&cluster, "sink"), 1);
    cluster.pass(1);
    runs_with(&mut cluster, 3);
    // One that comes back in time changes nothing.
    cluster.kill_worker(&last);
    cluster.pass(1_000);
    cluster.add_worker(1);
    runs_with(&mut cluster, 3);
    assert_eq!(causes(&cluster).len(), 2);
}

#[test]
fn a_job_whose_upper_bounds_are_reached_does_not_wait_for_more() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, rescale::between(1, 4));
    cluster.pass(cluster.core.spec().timeouts.slot_request);
    assert!(cluster.persist_scale(Ok(())));
    assert_eq!(cluster.wishes.wished.values().sum::<u32>(), 2, "TaskManagers may be started for them");
    assert!(cluster.wishes.welcome.is_empty());
    cluster.pass(COOLDOWN);
    let worker = cluster.add_worker(5);
    runs_with(&mut cluster, 4);
    assert_eq!(cluster.workers[&worker].free(), 3, "the others are left to other jobs");
    sinks_work(&mut cluster);
    // It is told what it was asked for, and what it has done by itself.
    assert_eq!(causes(&cluster), [(RescaleCause::Asked, true), (RescaleCause::MoreSlots, true)]);
    // Fewer than its lower bound are too few.
    cluster.rescale(2, rescale::between(3, 4));
    go_on(&mut cluster, |cluster| cluster.rescaled.len() == 2);
    cluster.kill_worker(&worker);
    cluster.pass(cluster.core.spec().timeouts.slot_request + 1_000);
    check_ended(&mut cluster, JobStatus::Failed);
}

#[test]
fn a_reactive_job_is_given_no_parallelism_by_hand() {
    let mut cluster = running(soon(), 2);
    cluster.rescale(1, rescale::all(4));
    let (_, told) = cluster.rescaled.pop().unwrap();
    assert!(told.unwrap_err().message.contains("reactive mode"));
}

#[test]
fn a_rescale_that_fails_is_not_tried_again_soon() {
    let mut cluster = running(Adaptive { cooldown: 0, ..soon() }, 2);
    cluster.add_worker(1);
    cluster.pass(SOON);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    assert!(cluster.persist_scale(Err(Failure::environment("the disk is full"))));
    cluster.pass(9_999);
    assert_eq!(causes(&cluster), [(RescaleCause::MoreSlots, false)]);
    cluster.pass(1);
    runs_with(&mut cluster, 3);
}

#[test]
fn the_next_jobmaster_goes_on_with_the_scale_that_was_reached() {
    let mut cluster = running(soon(), 1);
    cluster.add_worker(2);
    cluster.pass(COOLDOWN);
    runs_with(&mut cluster, 3);
    let spec = reactive(soon());
    cluster.replace_master(&spec, false);
    runs_with(&mut cluster, 3);
    assert_eq!(causes(&cluster), []);
    assert_eq!(cluster.wishes.welcome.values().sum::<u32>(), 125);
    cluster.add_worker(1);
    cluster.pass(SOON);
    runs_with(&mut cluster, 4);
}

#[test]
fn slots_that_are_lost_while_a_job_that_has_grown_starts_are_done_without() {
    let mut cluster = running(soon(), 2);
    let lost = cluster.add_worker(1);
    cluster.pass(SOON);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    assert!(cluster.persist_scale(Ok(())));
    cluster.kill_worker(&lost);
    cluster.settle();
    assert!(cluster.core.view().rescales[0].failure.is_none(), "it may come again");
    cluster.pass(SOON);
    cluster.pass(1);
    runs_with(&mut cluster, 2);
    let causes = causes(&cluster);
    assert_eq!(causes[causes.len() - 2..], [(RescaleCause::MoreSlots, false), (RescaleCause::FewerSlots, true)]);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn a_job_that_grows_and_loses_what_it_has_is_not_left_alone() {
    let mut cluster = running(soon(), 1);
    let other = cluster.add_worker(1);
    cluster.pass(COOLDOWN);
    runs_with(&mut cluster, 2);
    cluster.add_worker(1);
    cluster.pass(COOLDOWN);
    assert!(!cluster.barriers.is_empty(), "the checkpoint to grow from is being taken");
    cluster.kill_worker(&other);
    cluster.pass(SOON);
    cluster.settle();
    // The slot that was gathered takes the place of the one that is lost.
    runs_with(&mut cluster, 2);
}
