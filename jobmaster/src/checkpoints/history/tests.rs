use std::collections::{BTreeSet, VecDeque};

use flott_core::{
    checkpoint::{Behind, Overtaking},
    job_graph::{OperatorKind, Parallelism},
};

use super::*;
use crate::testing::TestGraph;

/// Two vertices of `parallelism` subtasks each.
fn history(parallelism: u32) -> CheckpointHistory {
    let fixed = Parallelism::Fixed(parallelism);
    let graph =
        TestGraph::new("job").vertex("read", fixed, OperatorKind::Source).vertex("write", fixed, OperatorKind::Sink);
    CheckpointHistory::new(&Resolved::new(&graph.build(), 1).unwrap(), Vec::new())
}

fn begin(history: &mut CheckpointHistory, id: u64, kind: SnapshotKind) -> CheckpointId {
    let checkpoint = CheckpointId(id);
    history.began(
        Barrier { checkpoint, kind, behind: Behind::GoOn, overtaking: Overtaking::Never, full: false },
        &BTreeSet::new(),
        Millis(id * 100),
    );
    checkpoint
}

fn complete(history: &mut CheckpointHistory, id: u64, kind: SnapshotKind, retained: &[u64]) {
    let checkpoint = begin(history, id, kind);
    let tasks: u32 = history.vertices.iter().map(|vertex| vertex.parallelism).sum();
    for execution in (0..tasks).map(ExecutionIndex) {
        let figures = SnapshotFigures { stored_bytes: 10, state_bytes: 20, sync_ms: 1, ..Default::default() };
        history.reported(checkpoint, execution, figures, Millis(id * 100 + 5));
    }
    let retained: VecDeque<_> = retained.iter().copied().map(CheckpointId).collect();
    history.completed(checkpoint, format!("/chk-{id}"), &retained, Millis(id * 100 + 8));
}

#[test]
fn figures_are_told_by_vertex_and_subtask() {
    let mut history = history(2);
    let checkpoint = begin(&mut history, 1, SnapshotKind::Checkpoint);
    history.finished(checkpoint, ExecutionIndex(0));
    let figures = |stored_bytes| SnapshotFigures { stored_bytes, ..SnapshotFigures::default() };
    history.reported(checkpoint, ExecutionIndex(3), figures(7), Millis(130));
    history.reported(checkpoint, ExecutionIndex(2), figures(5), Millis(150));
    let view = history.view();
    let shown = &view.history[0];
    assert_eq!((shown.tasks, shown.reported, shown.stored_bytes), (4, 3, 12));
    let [read, write] = &shown.vertices[..] else { panic!("two vertices") };
    assert_eq!((read.id, read.tasks, read.reported, read.stored_bytes.count), (TestGraph::id("read"), 2, 1, 0));
    assert_eq!((write.reported, write.latest_report_at), (2, Some(150)));
    assert_eq!((write.stored_bytes.min, write.stored_bytes.max, write.duration_ms.max), (5, 7, 50));
    let order: Vec<_> = write.subtasks.iter().map(|subtask| subtask.subtask.0).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn the_latest_of_each_kind_outlive_the_history() {
    let mut history = history(1);
    complete(&mut history, 1, SnapshotKind::Savepoint, &[]);
    let failed = begin(&mut history, 2, SnapshotKind::Checkpoint);
    history.failed(failed, Failure::environment("no"), Millis(201));
    let under_way = begin(&mut history, 3, SnapshotKind::Checkpoint);
    for id in 4..100 {
        complete(&mut history, id, SnapshotKind::Checkpoint, &[id - 1, id]);
    }
    let view = history.view();
    assert_eq!(view.history.len(), HISTORY_MAX);
    assert!(view.history.iter().any(|entry| entry.id == under_way), "what is under way is not forgotten");
    let id = |latest: &Option<CheckpointView>| latest.as_ref().map(|view| view.id.0);
    let latest = (id(&view.latest_completed), id(&view.latest_savepoint), id(&view.latest_failed));
    assert_eq!(latest, (Some(99), Some(1), Some(2)));
    assert_eq!((view.completed, view.failed, view.in_progress), (97, 1, 1));
    assert_eq!(view.find(CheckpointId(1)).and_then(|view| view.location.as_deref()), Some("/chk-1"));
    let kept: Vec<_> = view.history.iter().filter(|entry| entry.location.is_some() && !entry.discarded).collect();
    assert_eq!(kept.iter().map(|entry| entry.id.0).collect::<Vec<_>>(), [99, 98]);
}

#[test]
fn a_large_job_keeps_the_subtasks_of_its_newest_checkpoints_only() {
    let parallelism = SUBTASKS_MAX as u32;
    let mut history = history(parallelism);
    complete(&mut history, 1, SnapshotKind::Checkpoint, &[1]);
    complete(&mut history, 2, SnapshotKind::Checkpoint, &[1, 2]);
    let view = history.view();
    let subtasks =
        |place: usize| view.history[place].vertices.iter().map(|vertex| vertex.subtasks.len()).sum::<usize>();
    assert_eq!((subtasks(0), subtasks(1)), (2 * SUBTASKS_MAX, 0));
    assert_eq!(view.history[1].vertices[0].stored_bytes.sum, u64::from(parallelism) * 10, "sums stay");
}

#[test]
fn one_that_was_complete_and_is_damaged_has_failed_and_is_not_gone_on_from() {
    let mut history = history(1);
    complete(&mut history, 1, SnapshotKind::Checkpoint, &[1]);
    complete(&mut history, 2, SnapshotKind::Checkpoint, &[1, 2]);
    assert_eq!(history.view().resumable(), Some("/chk-2"));
    history.damaged(CheckpointId(2), &Failure::environment("torn"), Millis(300));
    let view = history.view();
    assert_eq!((view.history[0].status, view.history[0].ended_at), (CheckpointStatus::Failed, Some(300)));
    assert_eq!(view.latest_failed.as_ref(), Some(&view.history[0]));
    assert_eq!(view.resumable(), Some("/chk-1"));
    history.damaged(CheckpointId(1), &Failure::environment("torn too"), Millis(301));
    assert_eq!(history.view().resumable(), None);
}

#[test]
fn one_that_is_gone_is_not_the_latest_when_a_newer_one_is_damaged() {
    let mut history = history(1);
    complete(&mut history, 1, SnapshotKind::Checkpoint, &[1]);
    complete(&mut history, 2, SnapshotKind::Checkpoint, &[2]);
    assert!(history.view().history[1].discarded);
    history.damaged(CheckpointId(2), &Failure::environment("torn"), Millis(300));
    assert_eq!(history.view().latest_completed, None);
}
