//! What savepoints hold, over the death of a JobMaster and beside later checkpoints.

use flott_core::{
    checkpoint::{SnapshotFigures, SnapshotReport, SubtaskState},
    id::OperatorId,
    message::HostToJob,
};

use super::*;

/// A job whose savepoint is on its way, with its workers and what it was started with.
fn with_savepoint() -> (FakeCluster, JobSpec) {
    let spec = spec(word_count(), OFTEN);
    let mut cluster = cluster(spec.clone());
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    (cluster, spec)
}

fn promised(cluster: &FakeCluster) -> BTreeSet<Bytes> {
    cluster.past.promised.iter().map(|(_, data)| data.clone()).collect()
}

/// JobManager and TaskManagers die, and the job starts over under others.
fn lose_all(cluster: &mut FakeCluster, spec: &JobSpec) {
    for worker in cluster.workers.keys().cloned().collect::<Vec<_>>() {
        cluster.kill_worker(&worker);
    }
    cluster.replace_master(spec, true);
    cluster.add_worker(2);
    cluster.pass(cluster.core.spec().timeouts.reconcile);
    start_tasks(cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
}

#[test]
fn the_next_jobmaster_keeps_what_a_savepoint_holds_though_nothing_else_is_left() {
    // The savepoint may be complete, and nobody alive knows it.
    for is_told in [true, false] {
        let (mut cluster, spec) = with_savepoint();
        let held = data(&cluster.storing[0]);
        assert_eq!((promised(&cluster), held.len()), (held.clone(), 2), "it is written down before it is complete");
        if is_told {
            cluster.store(Ok(()));
        }
        lose_all(&mut cluster, &spec);
        cluster.tell(Event::Cancel);
        cluster.run_to_end();
        check_ended(&mut cluster, JobStatus::Canceled);
        assert_eq!(data(&cluster.stored[0]), held);
        check_removed(&cluster, &held);
    }
}

#[test]
fn one_that_surely_has_failed_promises_nothing() {
    for may_be_there in [false, true] {
        let (mut cluster, _) = with_savepoint();
        let held = promised(&cluster);
        assert_eq!(held.len(), 2);
        let (checkpoint, failure) = (cluster.storing[0].checkpoint, Failure::environment("disk full"));
        if may_be_there {
            cluster.tell(Event::CheckpointUndecided { checkpoint, failure: failure.clone() });
        }
        cluster.store(Err(failure));
        let kept = if may_be_there { held } else { BTreeSet::new() };
        assert_eq!(promised(&cluster), kept);
        cluster.tell(Event::Cancel);
        cluster.run_to_end();
        check_ended(&mut cluster, JobStatus::Canceled);
        check_removed(&cluster, &kept);
    }
}

#[test]
fn what_another_savepoint_holds_stays_promised() {
    let (mut cluster, _) = with_savepoint();
    cluster.store(Ok(()));
    let first = promised(&cluster);
    cluster.tell(savepoint(2, Behind::GoOn));
    cluster.settle();
    sinks_work(&mut cluster);
    assert!(promised(&cluster).len() > first.len() && promised(&cluster).is_superset(&first));
    cluster.store(Err(Failure::environment("disk full")));
    assert_eq!(promised(&cluster), first);
}

#[test]
fn with_too_much_of_it_no_savepoint_begins_that_the_job_goes_on_behind() {
    let mut spec = spec(word_count(), OFTEN);
    let much = Bytes::from(vec![0; crate::commit::OPEN_BYTES_MAX + 1]);
    spec.past.promised.insert((OperatorId::from_uid("another"), much));
    let mut cluster = cluster(spec);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    cluster.tell(savepoint(1, Behind::GoOn));
    let refused = cluster.answered.pop().expect("it is refused").1.unwrap_err().to_string();
    assert!(refused.contains("flott checkpoint") && refused.contains("flott cancel"), "{refused}");
    cluster.tell(savepoint(2, Behind::Stop));
    assert!(cluster.answered.is_empty() && cluster.barriers.len() == 1);
}

#[test]
fn what_a_checkpoint_makes_certain_is_no_promise_any_more() {
    let (mut cluster, spec) = with_savepoint();
    cluster.store(Ok(()));
    collect(&mut cluster);
    assert!(!promised(&cluster).is_empty());
    cluster.store(Ok(()));
    assert!(promised(&cluster).is_empty());
    // Nor where that was not written down any more. That of a sink of which nobody knows stays.
    let stale = cluster.stored[0].committables.iter().map(|of| (of.sink, of.data.clone()));
    let other = (OperatorId::from_uid("another"), Bytes::from_static(b"another"));
    cluster.past.promised = stale.chain([other.clone()]).collect();
    cluster.replace_master(&spec, true);
    cluster.settle();
    assert_eq!(cluster.past.promised, [other].into());
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
}

/// What a task of a slow store reports when checkpoints have come since.
fn report_late(cluster: &mut FakeCluster, subtask: u32, checkpoint: CheckpointId, data: &'static str) {
    let attempt = attempt(cluster, "sink", subtask);
    let worker = cluster.worker_of(attempt).expect("it is alive");
    let sink = cluster.stored.iter().flat_map(|manifest| &manifest.committables).map(|of| of.sink).next().unwrap();
    let committable = Committable { sink, attempt, data: Bytes::from_static(data.as_bytes()) };
    let report = HostToJob::Snapshot(Box::new(SnapshotReport {
        attempt,
        checkpoint,
        result: Ok(SubtaskState::default()),
        committables: [(checkpoint, vec![committable])].into(),
        figures: SnapshotFigures::default(),
    }));
    let message = cluster.from_process(&worker, report).expect("its process is up");
    cluster.inject(&worker, cluster.core.spec().epoch, message);
    cluster.settle();
}

#[test]
fn a_savepoint_holds_nothing_of_checkpoints_that_have_overtaken_it() {
    let mut cluster = checkpointed(word_count(), OFTEN);
    refuse(&mut cluster, 100);
    // One is certain before it, and not visible.
    collect(&mut cluster);
    cluster.store(Ok(()));
    cluster.tell(savepoint(1, Behind::GoOn));
    cluster.settle();
    let first = attempt(&cluster, "sink", 0);
    cluster.work(first);
    cluster.settle();
    for _ in 0..2 {
        collect(&mut cluster);
        cluster.store(Ok(()));
    }
    assert!(cluster.visible().is_empty());
    let [before, .., after] = &cluster.stored[..] else { panic!("{} are stored", cluster.stored.len()) };
    let (before, after) = (data(before), data(after));
    report_late(&mut cluster, 1, CheckpointId(2), "late");
    let held = data(&cluster.storing[0]);
    assert_eq!(cluster.storing[0].kind, SnapshotKind::Savepoint);
    assert!(held.is_superset(&before) && held.contains(&b"late"[..]), "{held:?}");
    let own: Vec<_> = held.iter().filter(|data| data.ends_with(b"at 2")).collect();
    assert!(own.len() == 1 && after.contains(own[0]), "{held:?}");
    assert_eq!(held.len(), before.len() + 2, "{held:?} holds what came behind it of {after:?}");
    check_sound(&cluster);
}

fn refuse(cluster: &mut FakeCluster, times: usize) {
    for worker in cluster.workers.values_mut() {
        worker.commits.extend(std::iter::repeat_n(Outcome::Bad(Failure::environment("disk full")), times));
    }
}
