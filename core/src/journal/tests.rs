use super::*;
use crate::{
    checkpoint::{Barrier, Overtaking, SnapshotReport, SubtaskState},
    id::{AttemptNumber, JobMasterEpoch},
    message::{Deployment, TaskDeployment},
};

fn attempt(attempt: u32) -> AttemptId {
    AttemptId { vertex: VertexId::from_bytes([1; 16]), subtask: SubtaskIndex(0), attempt: AttemptNumber(attempt) }
}

fn source() -> OperatorId {
    OperatorId::from_uid("source")
}

fn deploy(number: u32) -> JobToHost {
    let task = TaskDeployment {
        attempt: attempt(number),
        allocation: AllocationId::from_bytes([2; 16]),
        parallelism: 1,
        max_parallelism: 1,
        restore: None,
    };
    JobToHost::Deploy(Box::new(Deployment {
        epoch: JobMasterEpoch(1),
        tasks: vec![task],
        edges: Vec::new(),
        processes: [].into(),
    }))
}

fn split(number: u32, split: &'static str) -> JobToHost {
    let split = Some(Bytes::from_static(split.as_bytes()));
    JobToHost::AssignSplit { attempt: attempt(number), source: source(), split, share: 1 }
}

fn barrier(checkpoint: u64, kind: SnapshotKind, behind: Behind) -> JobToHost {
    let barrier =
        Barrier { checkpoint: CheckpointId(checkpoint), kind, behind, overtaking: Overtaking::Never, full: false };
    JobToHost::Snapshot { barrier, attempts: vec![attempt(0)], directory: None }
}

fn cut(checkpoint: u64) -> HostToJob {
    let committable = Committable { sink: source(), attempt: attempt(0), data: Bytes::from_static(b"part") };
    HostToJob::Snapshot(Box::new(SnapshotReport {
        attempt: attempt(0),
        checkpoint: CheckpointId(checkpoint),
        result: Ok(SubtaskState::default()),
        committables: [(CheckpointId(checkpoint), vec![committable])].into(),
        figures: Default::default(),
    }))
}

fn only(journal: &Journal) -> &TaskJournal {
    journal.tasks().next().unwrap()
}

/// What was given, by the barrier before.
fn given(journal: &Journal) -> Vec<(u64, SplitMark)> {
    let given = &only(journal).readers[&source()].given;
    given.iter().flat_map(|(after, marks)| marks.iter().map(|mark| (after.0, *mark))).collect()
}

#[test]
fn splits_stand_behind_the_barrier_that_the_process_was_told_of() {
    let mut journal = Journal::default();
    journal.told(&deploy(0));
    journal.told(&split(0, "a"));
    // It comes by the streams first, and a split that was sent before it later.
    journal.said(&cut(1));
    journal.told(&split(0, "b"));
    journal.told(&barrier(1, SnapshotKind::Checkpoint, Behind::GoOn));
    journal.told(&split(0, "c"));
    let mark = |split: &str| SplitMark::of(split.as_bytes());
    assert_eq!(given(&journal), [(0, mark("a")), (0, mark("b")), (1, mark("c"))]);
    assert_eq!(journal.barrier, CheckpointId(1));
}

#[test]
fn what_a_complete_checkpoint_holds_is_dropped() {
    let mut journal = Journal::default();
    journal.told(&deploy(0));
    for checkpoint in 1..=3 {
        journal.told(&split(0, "a"));
        journal.told(&barrier(checkpoint, SnapshotKind::Checkpoint, Behind::GoOn));
        journal.said(&cut(checkpoint));
    }
    journal.complete(CheckpointId(2));
    let prepared: Vec<_> = only(&journal).prepared.iter().map(|(checkpoint, _)| checkpoint.0).collect();
    assert_eq!(prepared, [3]);
    assert_eq!(given(&journal), [(2, SplitMark::of(b"a"))]);
    assert_eq!((journal.barrier, journal.completed), (CheckpointId(3), CheckpointId(2)));
    assert!(only(&journal).reported.iter().eq(&[CheckpointId(2), CheckpointId(3)]));
}

#[test]
fn a_later_attempt_takes_the_place_of_the_earlier_one() {
    let mut journal = Journal::default();
    journal.told(&deploy(0));
    journal.told(&split(0, "a"));
    journal.said(&cut(1));
    journal.told(&deploy(1));
    journal.told(&split(0, "late"));
    journal.said(&cut(2));
    let task = only(&journal);
    assert_eq!((task.attempt, task.readers.len(), task.prepared.len()), (attempt(1), 0, 0));
}

#[test]
fn barriers_behind_which_the_job_stops_are_told_from_others() {
    let mut journal = Journal::default();
    journal.told(&deploy(0));
    journal.told(&barrier(4, SnapshotKind::Savepoint, Behind::GoOn));
    assert_eq!((journal.savepoint, only(&journal).is_stopping), (Some(CheckpointId(4)), false));
    journal.told(&barrier(5, SnapshotKind::Savepoint, Behind::Stop));
    assert_eq!((journal.savepoint, only(&journal).is_stopping), (Some(CheckpointId(4)), true));
    // If that fails, all start over.
    journal.told(&deploy(1));
    assert!(!only(&journal).is_stopping);
}
