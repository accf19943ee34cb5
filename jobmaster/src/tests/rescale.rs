//! A running job gets another parallelism.

mod taken_over;

use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    id::{CheckpointId, SubtaskIndex},
    job_graph::{ExecutionMode, scale::ParallelismBounds},
    message::HostToJob,
    resource::ResourceProfile,
    view::{Accumulator, PendingReason},
};

use super::{
    checkpoints::{checkpointed, sinks_work, spec},
    *,
};
use crate::{
    checkpoints::{Purpose, RequestId},
    core::{Event, Wait},
    scaling::RescaleRequest,
    testing::Outcome,
};

/// Both vertices of the graphs here.
pub fn all(parallelism: u32) -> RescaleRequest {
    between(parallelism, parallelism)
}

/// The same between bounds.
pub fn between(lower: u32, upper: u32) -> RescaleRequest {
    let bounds = ParallelismBounds { lower, upper };
    let vertices = ["source", "sink"].map(|name| (TestGraph::id(name), bounds));
    RescaleRequest { parallelism: None, vertices: vertices.into() }
}

/// All tasks do what they do next, and what is to be stored is.
pub fn go_on(cluster: &mut FakeCluster, until: impl Fn(&FakeCluster) -> bool) {
    for _ in 0..100 {
        cluster.settle();
        if until(cluster) {
            return;
        }
        if cluster.store(Ok(())) || cluster.persist_scale(Ok(())) {
            continue;
        }
        // Sources stand still, so that nothing finishes.
        let live: Vec<_> = cluster.live().filter(|attempt| is_sink(attempt) || is_starting(cluster, attempt)).collect();
        for attempt in live {
            cluster.work(attempt);
        }
    }
    let tasks = ["source", "sink"].map(|vertex| states(cluster, vertex));
    panic!("it does not come to this; waits for {:?}, with {tasks:?}", cluster.core.waits());
}

fn is_sink(attempt: &AttemptId) -> bool {
    attempt.vertex == TestGraph::id("sink")
}

fn is_starting(cluster: &FakeCluster, attempt: &AttemptId) -> bool {
    let states = states(cluster, "source");
    states.get(attempt.subtask.0 as usize).is_some_and(|(_, state)| *state != ExecutionState::Running)
}

fn answer(cluster: &FakeCluster, number: u64) -> Option<Result<u64, String>> {
    let (_, result) = cluster.rescaled.iter().find(|(request, _)| *request == RequestId(number))?;
    Some(match result {
        Ok(rescaled) => Ok(rescaled.checkpoint.map_or(0, |checkpoint| checkpoint.0)),
        Err(failure) => Err(format!("{failure:?}")),
    })
}

#[track_caller]
fn rescaled(cluster: &mut FakeCluster, number: u64, parallelism: u32) {
    cluster.rescale(number, all(parallelism));
    go_on(cluster, |cluster| answer(cluster, number).is_some());
    assert!(matches!(answer(cluster, number), Some(Ok(_))), "{:?}", answer(cluster, number));
    for vertex in ["source", "sink"] {
        let running = states(cluster, vertex).into_iter().filter(|(_, state)| *state == ExecutionState::Running);
        assert_eq!(running.count(), parallelism as usize);
    }
    check_sound(cluster);
}

#[test]
fn a_job_runs_on_while_slots_are_gathered_and_goes_on_from_a_fresh_checkpoint() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(4));
    cluster.pass(100);
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    assert_eq!(cluster.declared.values().sum::<u32>(), 4);
    assert!(cluster.core.waits().iter().any(|wait| matches!(wait, Wait::Gathering { .. })));
    assert!(cluster.barriers.is_empty());
    cluster.add_worker(2);
    cluster.settle();
    // The slots and their process are there: the checkpoint is taken.
    assert_eq!(cluster.barriers.keys().copied().collect::<Vec<_>>(), [CheckpointId(1)]);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    assert_eq!((cluster.live().count(), cluster.scaling.len()), (4, 1), "it runs until its scale is durable");
    cluster.persist_scale(Ok(()));
    cluster.settle();
    assert_eq!(cluster.statuses.last(), Some(&JobStatus::Running));
    assert_eq!(cluster.live().count(), 8);
    cluster.now = cluster.now.plus(70);
    start_tasks(&mut cluster);
    assert_eq!(answer(&cluster, 1), Some(Ok(1)));
    let view = cluster.core.view();
    assert_eq!((view.restarts, view.exceptions.len(), view.checkpoints.restored), (0, 0, 1));
    let rescale = &view.rescales[0];
    assert_eq!((rescale.checkpoint, rescale.pause_ms), (Some(CheckpointId(1)), Some(70)));
    let numbers: Vec<_> = rescale.vertices.iter().map(|vertex| (vertex.before, vertex.after)).collect();
    assert_eq!(numbers, [(2, 4), (2, 4)]);
    assert_eq!(states(&cluster, "sink").iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 1, 1, 1]);
    check_sound(&cluster);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

#[test]
fn each_split_is_read_once_however_often_a_job_is_rescaled() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.add_worker(3);
    for (number, parallelism) in [(1, 4), (2, 1), (3, 5), (4, 2)] {
        let source = attempt(&cluster, "source", 0);
        cluster.work(source);
        rescaled(&mut cluster, number, parallelism);
    }
    let mut ended = false;
    for _ in 0..200 {
        cluster.settle();
        ended |= !cluster.ended.is_empty();
        if !cluster.store(Ok(())) && !cluster.work_all() && !cluster.is_busy() {
            cluster.sleep();
        }
    }
    assert!(ended);
    check_ended(&mut cluster, JobStatus::Finished);
    let Some(Accumulator::List(read)) = cluster.ended[0].accumulators.get("splits") else { panic!("nothing was read") };
    let distinct: std::collections::BTreeSet<_> = read.iter().collect();
    assert_eq!((read.len(), distinct.len()), (10, 10));
    assert_eq!(cluster.ended[0].restarts, 0);
}

#[test]
fn attempts_of_a_subtask_never_have_a_number_twice() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.add_worker(2);
    let numbers =
        |cluster: &FakeCluster| states(cluster, "sink").iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>();
    rescaled(&mut cluster, 1, 4);
    assert_eq!(numbers(&cluster), [1, 1, 1, 1]);
    rescaled(&mut cluster, 2, 1);
    assert_eq!(numbers(&cluster), [2]);
    rescaled(&mut cluster, 3, 3);
    assert_eq!(numbers(&cluster), [3, 3, 3]);
}

#[test]
fn what_a_subtask_says_that_is_no_more_changes_nothing() {
    let mut cluster = checkpointed(word_count(), ONCE);
    let (worker, late) = {
        let last = attempt(&cluster, "sink", 1);
        let worker = cluster.worker_of(last).unwrap();
        let message = cluster.from_process(&worker, HostToJob::Metrics(vec![(last, Default::default())])).unwrap();
        (worker, message)
    };
    rescaled(&mut cluster, 1, 1);
    cluster.inject(&worker, cluster.core.spec().epoch, late);
    cluster.settle();
    check_sound(&cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
}

#[test]
fn slots_that_are_not_needed_any_more_are_given_back() {
    let mut cluster = checkpointed(word_count(), ONCE);
    assert_eq!(cluster.workers.values().map(|worker| worker.free()).sum::<u32>(), 0);
    rescaled(&mut cluster, 1, 1);
    assert_eq!(cluster.workers.values().map(|worker| worker.free()).sum::<u32>(), 1);
    assert_eq!(cluster.declared.values().sum::<u32>(), 1);
    assert_eq!(cluster.workers.values().filter(|worker| worker.process().is_some()).count(), 1);
}

#[test]
fn a_rescale_without_slots_leaves_the_job_as_it_was() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.add_worker(1);
    cluster.rescale(1, all(4));
    let reason = PendingReason {
        slots_missing: 1,
        profile: ResourceProfile::ANY,
        since: 0,
        reason: "quota: exceeded".into(),
        unattainable: false,
    };
    cluster.tell(Event::Pending(vec![reason]));
    cluster.pass(cluster.core.spec().timeouts.slot_request);
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("not enough slots for it within 300000 ms"), "{told}");
    assert!(told.contains("quota: exceeded"), "{told}");
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    assert_eq!(cluster.declared.values().sum::<u32>(), 2);
    assert_eq!(cluster.workers.values().map(|worker| worker.free()).sum::<u32>(), 1, "what was gathered is given back");
    assert!(cluster.core.view().rescales[0].failure.is_some());
    check_sound(&cluster);
}

#[test]
fn within_bounds_a_job_takes_the_slots_there_are() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.add_worker(1);
    let bounds = ParallelismBounds { lower: 2, upper: 8 };
    cluster.rescale(1, between(2, 8));
    cluster.pass(cluster.core.spec().adaptive.executing_stabilization);
    go_on(&mut cluster, |cluster| answer(cluster, 1).is_some());
    let view = cluster.core.view();
    assert_eq!((view.vertices[0].parallelism, view.vertices[0].bounds), (3, Some(bounds)));
    check_sound(&cluster);
}

#[test]
fn bounds_that_allow_for_what_there_is_are_kept_though_no_slots_come() {
    let mut cluster = checkpointed(word_count(), ONCE);
    let bounds = ParallelismBounds { lower: 1, upper: 4 };
    cluster.rescale(1, between(1, 4));
    cluster.pass(cluster.core.spec().timeouts.slot_request);
    assert!(cluster.persist_scale(Ok(())));
    assert_eq!(answer(&cluster, 1), Some(Ok(0)), "nothing starts over");
    let view = cluster.core.view();
    assert_eq!((view.vertices[0].parallelism, view.vertices[0].bounds), (2, Some(bounds)));
    // What is not named later stays as it is.
    let sink =
        RescaleRequest { parallelism: None, vertices: [(TestGraph::id("sink"), ParallelismBounds::exactly(1))].into() };
    let target = cluster.core.rescale_target(&sink).unwrap();
    assert_eq!(target.scale.vertices[&TestGraph::id("source")].parallelism, 2);
    check_sound(&cluster);
}

#[test]
fn tasks_are_not_ended_while_the_store_is_silent() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.pass(1_000);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    cluster.rescale(1, all(1));
    cluster.settle();
    sinks_work(&mut cluster);
    assert_eq!(cluster.storing.len(), 1);
    cluster.pass(cluster.core.spec().timeouts.rescale_checkpoint);
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("the store does not say"), "{told}");
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    assert!(cluster.scaling.is_empty());
}

#[test]
fn slots_that_are_lost_again_before_the_tasks_end_cost_the_job_nothing() {
    let mut cluster = checkpointed(word_count(), ONCE);
    let extra = cluster.add_worker(2);
    cluster.rescale(1, all(4));
    cluster.settle();
    assert!(!cluster.barriers.is_empty(), "slots and processes are there");
    cluster.kill_worker(&extra);
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("are gone again"), "{told}");
    assert!(cluster.scaling.is_empty());
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    check_sound(&cluster);
}

#[test]
fn a_checkpoint_that_fails_leaves_the_latest_to_go_on_from() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(1));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("no checkpoint to go on from"), "{told}");
    assert_eq!(cluster.core.status(), JobStatus::Running);

    cluster.pass(1_000);
    sinks_work(&mut cluster);
    assert!(cluster.store(Ok(())));
    cluster.rescale(2, all(1));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Err(Failure::environment("disk full")));
    go_on(&mut cluster, |cluster| answer(cluster, 2).is_some());
    assert_eq!(answer(&cluster, 2), Some(Ok(2)), "the one before");
    check_sound(&cluster);
}

#[test]
fn a_scale_that_cannot_be_kept_is_not_taken() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(1));
    cluster.settle();
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    cluster.persist_scale(Err(Failure::internal("another JobMaster leads")));
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("not rescaled") && told.contains("another JobMaster leads"), "{told}");
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    check_sound(&cluster);
}

#[test]
fn a_process_that_does_not_come_up_costs_the_job_nothing() {
    let mut cluster = checkpointed(word_count(), ONCE);
    let worker = cluster.add_worker(1);
    cluster.workers.get_mut(&worker).unwrap().starts = [Outcome::Bad(Failure::environment("no such file"))].into();
    cluster.rescale(1, all(3));
    cluster.settle();
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("no such file"), "{told}");
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Running, 4));
    assert_eq!(cluster.core.view().exceptions.len(), 0);
    check_sound(&cluster);
}

#[test]
fn the_parallelism_of_the_job_is_that_of_vertices_that_have_none_of_their_own() {
    let graph = word_count().with(|graph| graph.vertices[1].parallelism = Parallelism::Fixed(1));
    let mut cluster = super::cluster(spec(graph, ONCE));
    cluster.add_worker(3);
    start_tasks(&mut cluster);
    cluster.rescale(1, RescaleRequest { parallelism: Some(3), ..RescaleRequest::default() });
    go_on(&mut cluster, |cluster| answer(cluster, 1).is_some());
    assert_eq!((states(&cluster, "source").len(), states(&cluster, "sink").len()), (3, 1));
    check_sound(&cluster);
}

#[test]
fn a_job_that_has_lost_its_slots_can_be_rescaled_to_those_it_has() {
    let mut cluster = checkpointed(word_count(), OFTEN);
    cluster.pass(1_000);
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    let worker = cluster.workers.keys().next().cloned().unwrap();
    cluster.kill_worker(&worker);
    cluster.pass(1_000);
    assert_eq!((cluster.core.status(), cluster.live().count()), (JobStatus::Restarting, 0));
    rescaled(&mut cluster, 1, 1);
    assert_eq!(cluster.core.status(), JobStatus::Running);
}

#[test]
fn the_next_jobmaster_goes_on_with_the_new_scale_and_the_old_key_groups() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.add_worker(2);
    rescaled(&mut cluster, 1, 4);
    let old = cluster.core.spec().clone();
    let manifest = cluster.stored.last().cloned().unwrap();
    let restore = crate::RestorePoint { manifest, directory: "/checkpoints/job".to_owned() };
    let snapshots =
        crate::SnapshotSpec { restore: Some(restore.into()), next: CheckpointId(9), ..old.snapshots.clone() };
    let next = crate::JobMasterCore::new(JobSpec { scale: cluster.scale.clone(), snapshots, ..old }).unwrap();
    let numbers = |view: flott_core::view::JobView| -> Vec<_> {
        view.vertices.iter().map(|vertex| (vertex.parallelism, vertex.max_parallelism)).collect()
    };
    assert_eq!(numbers(next.view()), [(4, 128), (4, 128)]);
}

#[test]
fn key_groups_come_from_the_snapshot_and_not_from_the_parallelism() {
    let mut cluster = checkpointed(word_count(), ONCE);
    rescaled(&mut cluster, 1, 1);
    let start = |parallelism: u32, has_state: bool| {
        let graph = word_count().with(|graph| {
            graph.vertices.iter_mut().for_each(|vertex| vertex.parallelism = Parallelism::Fixed(parallelism));
        });
        let mut manifest = (**cluster.stored.last().unwrap()).clone();
        let path = "shared/a".parse().expect("it is a path of a state file");
        let file = flott_snapshot::StateFile { path, bytes: 1, checksum: flott_snapshot::Checksum(1) };
        manifest.vertices[1].subtasks[0].files.extend(has_state.then_some(file));
        let restore = crate::RestorePoint { manifest: manifest.into(), directory: "/savepoints/a".to_owned() };
        let snapshots = crate::SnapshotSpec { restore: Some(restore.into()), ..Default::default() };
        let core = crate::JobMasterCore::new(JobSpec { snapshots, ..spec_of(graph, ONCE) });
        core.map(|core| core.view().vertices.iter().map(|vertex| vertex.max_parallelism).collect::<Vec<_>>())
    };
    // Of 100, 256 would be derived.
    assert_eq!(start(100, true), Ok(vec![128, 128]));
    assert_eq!(start(200, false), Ok(vec![512, 512]), "there is nothing that has key groups");
    let told = start(200, true).unwrap_err().to_string();
    assert!(
        told.contains("parallelism of vertex \"sink\" must be between 1 and its maximum parallelism 128, not 200"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    #[track_caller]
    fn check(cluster: &mut FakeCluster, asked: RescaleRequest, expected: &str) {
        let before = cluster.rescaled.len();
        cluster.rescale(99, asked);
        let (_, result) = cluster.rescaled.get(before).expect("it is answered at once");
        let told = result.as_ref().expect_err("it is refused").to_string();
        assert!(told.contains(expected), "{told}");
        assert_eq!(cluster.core.status(), JobStatus::Running);
    }
    let mut cluster = checkpointed(side_by_side(), ONCE);
    let one = |parallelism| {
        let vertices = [(TestGraph::id("source"), ParallelismBounds::exactly(parallelism))];
        RescaleRequest { parallelism: None, vertices: vertices.into() }
    };
    check(
        &mut cluster,
        all(0),
        "parallelism of vertex \"source\" must be between 1 and its maximum parallelism 128, not 0",
    );
    check(&mut cluster, all(129), "between 1 and its maximum parallelism 128, not 129");
    check(
        &mut cluster,
        one(3),
        "forward edge 0 connects \"source\" with parallelism 3 and \"sink\" with parallelism 2",
    );
    check(&mut cluster, RescaleRequest::default(), "no parallelism was asked for");
    let mut bounds = all(1);
    bounds.vertices.values_mut().for_each(|bounds| bounds.lower = 5);
    check(&mut cluster, bounds, "the requested lower bound 5 of vertex \"source\" is higher than its upper bound 1");
    let unknown =
        RescaleRequest { parallelism: None, vertices: [(TestGraph::id("no"), ParallelismBounds::exactly(1))].into() };
    check(&mut cluster, unknown, "the job has no vertex");
    let directory = "/savepoints/a".to_owned();
    cluster.tell(Event::Snapshot(Purpose::Savepoint { request: RequestId(5), directory, behind: Behind::Stop }));
    check(&mut cluster, all(1), "the job is being stopped with a savepoint");

    let mut spec = spec(word_count(), ONCE);
    spec.default_parallelism = 7;
    let mut other = super::cluster(spec);
    other.add_worker(2);
    start_tasks(&mut other);
    let whole = RescaleRequest { parallelism: Some(3), ..RescaleRequest::default() };
    check(&mut other, whole, "every vertex of the job has a parallelism of its own");

    let batch = word_count().with(|graph| graph.mode = ExecutionMode::Batch);
    check(&mut running(batch, ONCE), all(1), "a job in batch mode cannot be rescaled");
}

#[test]
fn a_stop_with_a_savepoint_comes_before_a_rescale_that_waits() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(4));
    let directory = "/savepoints/a".to_owned();
    cluster.tell(Event::Snapshot(Purpose::Savepoint { request: RequestId(5), directory, behind: Behind::Stop }));
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("being stopped with a savepoint"), "{told}");
    assert_eq!(cluster.declared.values().sum::<u32>(), 2);
}

#[test]
fn a_second_request_takes_the_place_of_one_that_waits() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(4));
    rescaled(&mut cluster, 2, 1);
    let told = answer(&cluster, 1).unwrap().unwrap_err();
    assert!(told.contains("another change of the parallelism"), "{told}");
}

#[test]
fn the_parallelism_that_a_job_has_is_had_without_a_pause() {
    let mut cluster = checkpointed(word_count(), ONCE);
    cluster.rescale(1, all(2));
    go_on(&mut cluster, |cluster| answer(cluster, 1).is_some());
    assert_eq!(answer(&cluster, 1), Some(Ok(0)));
    assert!(cluster.barriers.is_empty());
    assert_eq!(states(&cluster, "sink"), [(0, ExecutionState::Running); 2]);
    let attempt = attempt(&cluster, "sink", 1);
    assert_eq!(attempt.subtask, SubtaskIndex(1));
}
