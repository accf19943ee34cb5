//! A checkpoint that cannot be restored.

use std::sync::Arc;

use flott_core::{failure::Kind, view::Accumulator};

use super::*;
use crate::{RestorePoint, scaling::RescaleRequest};

/// Of a restart, at most.
const DELAY: u64 = 200;

fn damaged() -> Failure {
    Failure {
        kind: Kind::Damaged,
        ..Failure::environment("/checkpoints/job/shared/7: chunk at 8 has another checksum")
    }
}

/// Two checkpoints are complete, and two splits were read before the first, one more before each of the second and what is lost.
fn with_two(graph: TestGraph, restart: RestartStrategy) -> (FakeCluster, [Arc<RestorePoint>; 2]) {
    let mut cluster = checkpointed(graph, restart);
    let mut points = Vec::new();
    for round in 0..2 {
        for _ in 0..2 - round {
            let source = attempt(&cluster, "source", 0);
            cluster.work(source);
            cluster.settle();
        }
        collect(&mut cluster);
        let manifest = cluster.storing.back().unwrap().clone();
        cluster.store(Ok(()));
        points.push(Arc::new(RestorePoint { manifest, directory: "/checkpoints/job".to_owned() }));
    }
    (cluster, points.try_into().unwrap())
}

/// The store says what is whole, and of nothing else that is damaged.
fn found(point: Option<Arc<RestorePoint>>) -> Event {
    Event::CheckpointFound { point, damaged: Default::default() }
}

fn restored(cluster: &FakeCluster) -> Option<u64> {
    cluster.core.view().checkpoints.latest_restored.map(|restored| restored.id.0)
}

/// All tasks fail, start again from the latest checkpoint, and so many of them find that they cannot.
fn find_damage(cluster: &mut FakeCluster, tasks: u32) {
    let source = attempt(cluster, "source", 0);
    cluster.fail(source, Failure::user("boom"));
    cluster.settle();
    cluster.pass(DELAY);
    start_tasks(cluster);
    for subtask in 0..tasks {
        let sink = attempt(cluster, "sink", subtask);
        cluster.fail(sink, damaged());
    }
    cluster.settle();
}

fn ids(sets: &[BTreeSet<CheckpointId>]) -> Vec<Vec<u64>> {
    sets.iter().map(|set| set.iter().map(|id| id.0).collect()).collect()
}

#[test]
fn the_job_goes_back_to_the_one_before() {
    let (mut cluster, [first, _]) = with_two(word_count(), OFTEN);
    find_damage(&mut cluster, 1);
    assert_eq!(restored(&cluster), Some(2));
    assert_eq!(ids(&cluster.sought), [[2]]);
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.pass(600_000);
    let waits = cluster.core.waits();
    assert!(!waits.iter().any(|wait| matches!(wait, Wait::Tasks { .. })), "nobody knows yet from where: {waits:?}");
    assert!(waits.contains(&Wait::Checkpoint));
    let told = cluster.core.view().exceptions[0].failure.message.clone();
    assert!(
        told.contains("has another checksum (checkpoint 2 is damaged: the job goes back to an earlier one"),
        "{told}"
    );

    cluster.tell(found(Some(first)));
    start_tasks(&mut cluster);
    assert_eq!(restored(&cluster), Some(1));
    check_sound(&cluster);
    // The next is a number of its own, and the damaged one is not kept.
    assert_eq!(collect(&mut cluster), CheckpointId(3));
    cluster.store(Ok(()));
    cluster.run_to_end();
    if cluster.store(Ok(())) {
        cluster.run_to_end();
    }
    check_ended(&mut cluster, JobStatus::Finished);
    let view = &cluster.ended[0];
    assert_eq!(view.restarts, 2);
    let Some(Accumulator::List(read)) = view.accumulators.get("splits") else { panic!("nothing was read") };
    let distinct: BTreeSet<_> = read.iter().collect();
    assert_eq!((distinct.len(), read.len()), (10, 10), "what was read behind the first counts once: {read:?}");
}

#[test]
fn damage_that_is_found_by_many_or_again_is_asked_about_once_for_each_checkpoint() {
    let (mut cluster, [first, _]) = with_two(word_count(), OFTEN);
    find_damage(&mut cluster, 2);
    assert_eq!(ids(&cluster.sought), [[2]]);
    cluster.tell(found(Some(first)));
    cluster.tell(found(None));
    cluster.pass(DELAY);
    start_tasks(&mut cluster);
    let sink = attempt(&cluster, "sink", 0);
    cluster.fail(sink, damaged());
    cluster.settle();
    assert_eq!(ids(&cluster.sought), [vec![2], vec![1, 2]]);
    cluster.tell(found(None));
    check_ended(&mut cluster, JobStatus::Failed);
    let failure = cluster.ended[0].failure.clone().unwrap();
    assert!(failure.message.contains("no other checkpoint is whole"), "{failure}");
    assert!(failure.causes[0].contains("checkpoint 1 is damaged"), "{:?}", failure.causes);
}

/// A checkpoint is being stored when a task finds that the one before is damaged. Gives the points of both.
fn damaged_while_storing() -> (FakeCluster, Arc<RestorePoint>) {
    let (mut cluster, _) = with_two(word_count(), OFTEN);
    assert_eq!(collect(&mut cluster), CheckpointId(3));
    let manifest = cluster.storing.back().unwrap().clone();
    let sink = attempt(&cluster, "sink", 0);
    cluster.fail(sink, damaged());
    cluster.pass(DELAY);
    assert!(cluster.sought.is_empty(), "nobody knows yet which one is the newest");
    assert!(cluster.core.waits().contains(&Wait::Checkpoint));
    (cluster, Arc::new(RestorePoint { manifest, directory: "/checkpoints/job".to_owned() }))
}

#[test]
fn a_checkpoint_that_is_being_stored_is_waited_for_and_may_be_what_the_job_goes_on_from() {
    let (mut cluster, third) = damaged_while_storing();
    cluster.store(Ok(()));
    assert_eq!(ids(&cluster.sought), [[2]]);
    cluster.tell(found(Some(third)));
    cluster.pass(DELAY);
    start_tasks(&mut cluster);
    assert_eq!(restored(&cluster), Some(3));
    check_sound(&cluster);
}

#[test]
fn a_checkpoint_that_could_not_be_stored_is_none_to_go_back_to() {
    let (mut cluster, _) = damaged_while_storing();
    cluster.store(Err(Failure::environment("disk full")));
    assert_eq!(ids(&cluster.sought), [[2]]);
    cluster.tell(found(None));
    check_ended(&mut cluster, JobStatus::Failed);
}

#[test]
fn an_answer_to_what_was_not_asked_yet_changes_nothing() {
    let (mut cluster, third) = damaged_while_storing();
    cluster.tell(found(None));
    assert_eq!(cluster.core.status(), JobStatus::Restarting);
    cluster.store(Ok(()));
    cluster.tell(found(Some(third)));
    cluster.pass(DELAY);
    start_tasks(&mut cluster);
    assert_eq!(restored(&cluster), Some(3));
}

#[test]
fn a_job_that_is_asked_to_meanwhile_ends_and_is_not_rescaled() {
    let (mut cluster, _) = with_two(word_count(), OFTEN);
    find_damage(&mut cluster, 1);
    let asked = RescaleRequest { parallelism: Some(3), ..RescaleRequest::default() };
    let refused = cluster.core.rescale_target(&asked).map(drop).unwrap_err();
    assert!(refused.message.contains("goes back to an earlier checkpoint"), "{refused}");
    cluster.tell(Event::Cancel);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Canceled);
}

#[test]
fn the_strategy_may_be_through() {
    let (mut cluster, _) = with_two(word_count(), ONCE);
    find_damage(&mut cluster, 1);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Failed);
    assert!(cluster.sought.is_empty());
}

#[test]
fn what_the_job_was_started_from_has_nothing_before_it() {
    let (_, [first, _]) = with_two(word_count(), ONCE);
    let point = RestorePoint { directory: "/savepoints/s".to_owned(), ..(*first).clone() };
    let mut spec = spec(word_count(), OFTEN);
    (spec.snapshots.restore, spec.snapshots.next) = (Some(Arc::new(point)), CheckpointId(1));
    let mut cluster = super::super::cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    let sink = attempt(&cluster, "sink", 0);
    cluster.fail(sink, damaged());
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Failed);
    let message = cluster.ended[0].failure.clone().unwrap().message;
    assert!(message.contains("start it from another"), "{message}");
    assert!(cluster.sought.is_empty());
}

#[test]
fn regions_that_run_go_back_as_well_and_the_last_task_is_waited_for() {
    let (mut cluster, [first, _]) = with_two(side_by_side(), OFTEN);
    let runs = attempt(&cluster, "sink", 1);
    let other = cluster.worker_of(runs).unwrap();
    cluster.workers.get_mut(&other).unwrap().is_stuck = true;
    find_damage(&mut cluster, 1);
    cluster.tell(found(Some(first)));
    cluster.pass(DELAY);
    assert_eq!(restored(&cluster), Some(2), "the other region has not ended");
    let wake = cluster.core.next_wake();
    assert!(wake.is_none_or(|at| at > cluster.now), "{wake:?} at {:?}", cluster.now);
    cluster.kill_worker(&other);
    cluster.add_worker(1);
    cluster.settle();
    start_tasks(&mut cluster);
    assert_eq!(restored(&cluster), Some(1));
    assert!(attempt(&cluster, "sink", 1).attempt > runs.attempt);
    check_sound(&cluster);
}

#[test]
fn all_that_is_damaged_has_failed_and_is_not_kept() {
    let mut spec = spec(word_count(), OFTEN);
    spec.configuration.insert("execution.checkpointing.num-retained".to_owned(), "2".to_owned());
    let mut cluster = super::super::cluster(spec.clone());
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    let points: Vec<_> = (0..3)
        .map(|_| {
            collect(&mut cluster);
            let manifest = cluster.storing.back().unwrap().clone();
            cluster.store(Ok(()));
            cluster.settle();
            Arc::new(RestorePoint { manifest, directory: "/checkpoints/job".to_owned() })
        })
        .collect();
    find_damage(&mut cluster, 1);
    // The store finds more: nothing but the first is whole.
    let damaged = [(CheckpointId(2), "torn".to_owned())].into();
    cluster.tell(Event::CheckpointFound { point: Some(Arc::clone(&points[0])), damaged });
    cluster.pass(DELAY);
    start_tasks(&mut cluster);
    assert_eq!(restored(&cluster), Some(1));
    let view = cluster.core.view().checkpoints;
    let entry = |id| view.find(CheckpointId(id)).unwrap();
    assert_eq!((entry(2).status, entry(3).status), (CheckpointStatus::Failed, CheckpointStatus::Failed));
    let told = |id| entry(id).failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
    assert!(told(2).contains("torn") && told(3).contains("has another checksum"), "{} {}", told(2), told(3));
    let known: Vec<_> = cluster.past.damaged.keys().map(|id| id.0).collect();
    assert_eq!(known, [2, 3], "the next JobMaster is to know");
    let own = collect(&mut cluster);
    assert!(!cluster.retained.contains(&CheckpointId(2)) && cluster.retained.contains(&own), "{:?}", cluster.retained);
    check_sound(&cluster);
}
