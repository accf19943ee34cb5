//! Which snapshots a job can start from, and what those are told that it cannot.

use std::sync::Arc;

use flott_core::id::{AttemptNumber, SubtaskIndex};
use flott_snapshot::{Checksum, DataPath, Manifest, StateFile};

use super::*;
use crate::{JobMasterError, RestorePoint, core::JobMasterCore};

/// A savepoint of [`word_count`] whose sinks have state.
fn with_state() -> Manifest {
    let mut cluster = checkpointed(word_count(), ONCE);
    collect(&mut cluster);
    let mut manifest = (*cluster.storing.pop_front().unwrap()).clone();
    let sink = TestGraph::id("sink");
    let path = DataPath::unique(manifest.kind, manifest.checkpoint, attempt(&cluster, "sink", 0));
    let stored = manifest.vertices.iter_mut().find(|stored| stored.id == sink).unwrap();
    stored.subtasks[0].files.push(StateFile { path, bytes: 10, checksum: Checksum(7) });
    manifest
}

pub(super) fn spec_from(graph: TestGraph, manifest: &Manifest, ignore_unclaimed: bool) -> JobSpec {
    let mut spec = spec(graph, ONCE);
    let point = RestorePoint { manifest: Arc::new(manifest.clone()), directory: "/savepoints/s".to_owned() };
    spec.snapshots.restore = Some(Arc::new(point));
    spec.snapshots.ignore_unclaimed = ignore_unclaimed;
    spec
}

pub(super) fn start(
    graph: TestGraph,
    manifest: &Manifest,
    ignore_unclaimed: bool,
) -> Result<JobMasterCore, JobMasterError> {
    JobMasterCore::new(spec_from(graph, manifest, ignore_unclaimed))
}

/// What a job that starts so makes visible before it has done anything.
fn made_visible(graph: TestGraph, manifest: &Manifest, ignore_unclaimed: bool) -> Vec<Committable> {
    let mut cluster = cluster(spec_from(graph, manifest, ignore_unclaimed));
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    commits(&cluster).concat()
}

/// [`word_count`] with another sink.
pub(super) fn printed() -> TestGraph {
    TestGraph::new("words")
        .vertex("source", Parallelism::Fixed(2), OperatorKind::Source)
        .vertex("print", Parallelism::Fixed(2), OperatorKind::Sink)
        .edge("source", "print", ShipStrategy::Hash, Exchange::Pipelined)
}

#[test]
fn state_without_an_owner_is_refused_unless_it_is_to_be_left_behind() {
    let mut manifest = with_state();
    assert!(start(word_count(), &manifest, false).is_ok());
    let refused = start(printed(), &manifest, false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the snapshot holds state of \"sink\", which the job does not have; give operators the uids that they had, or \
         start with -n (--allowNonRestoredState) to leave it behind"
    );
    assert!(matches!(&refused, JobMasterError::Unclaimed { vertex } if vertex == "sink"), "{refused:?}");
    assert!(start(printed(), &manifest, true).is_ok());
    // A vertex that had none is missed by nobody.
    manifest.vertices.iter_mut().flat_map(|stored| &mut stored.subtasks).for_each(|subtask| subtask.files.clear());
    manifest.committables.clear();
    assert!(start(printed(), &manifest, false).is_ok());
}

#[test]
fn results_without_a_sink_are_refused_unless_they_are_to_be_left_behind() {
    let mut manifest = with_state();
    manifest.vertices.iter_mut().flat_map(|stored| &mut stored.subtasks).for_each(|subtask| subtask.files.clear());
    let operator = manifest.vertices.iter().find(|stored| stored.id == TestGraph::id("sink")).unwrap().operators[0].id;
    let attempt = AttemptId { vertex: TestGraph::id("sink"), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    manifest.committables = vec![Committable { sink: operator, attempt, data: Bytes::from_static(b"result") }];
    let refused = start(printed(), &manifest, false).unwrap_err();
    assert!(matches!(&refused, JobMasterError::NoSink { sink } if sink == "sink"), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains("results of sink \"sink\"") && told.contains("start with -n"), "{told}");
    // Whoever has the sink makes them visible; else there is nothing to wait for.
    assert_eq!(made_visible(word_count(), &manifest, false), manifest.committables);
    assert_eq!(made_visible(printed(), &manifest, true), []);
}

#[test]
fn key_groups_of_state_cannot_change() {
    let of = |count: u32| word_count().with(|graph| graph.vertices[1].max_parallelism = Some(count));
    let mut manifest = with_state();
    let stored = manifest.vertices[1].max_parallelism.get();
    assert!(start(of(stored), &manifest, false).is_ok());
    for ignore_unclaimed in [false, true] {
        let refused = start(of(stored * 2), &manifest, ignore_unclaimed).unwrap_err();
        let expected = format!(
            "state of vertex \"sink\" has maximum parallelism {stored}, and the job has {}; it cannot change",
            stored * 2
        );
        assert_eq!(refused.to_string(), expected);
        assert!(matches!(refused, JobMasterError::KeyGroups { .. }), "{refused:?}");
    }
    // Where there is no state, nothing depends on it.
    manifest.vertices.iter_mut().flat_map(|stored| &mut stored.subtasks).for_each(|subtask| subtask.files.clear());
    assert!(start(of(stored * 2), &manifest, false).is_ok());
}
