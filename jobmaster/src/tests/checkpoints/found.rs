//! Checkpoints of earlier JobMasters.

use std::sync::Arc;

use flott_snapshot::{Checksum, Manifest, StateFile};

use super::*;
use crate::checkpoints::found;

/// A cluster that keeps so many, whose first JobMaster has completed three, and its spec.
fn with_three(retained: &str) -> (FakeCluster, JobSpec) {
    let mut spec = spec(word_count(), OFTEN);
    spec.configuration.insert("execution.checkpointing.num-retained".to_owned(), retained.to_owned());
    let mut cluster = cluster(spec.clone());
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    for _ in 0..3 {
        collect(&mut cluster);
        cluster.store(Ok(()));
        cluster.settle();
    }
    (cluster, spec)
}

fn retained(cluster: &FakeCluster) -> Vec<u64> {
    cluster.retained.iter().map(|checkpoint| checkpoint.0).collect()
}

#[test]
fn they_are_kept_on_and_shown() {
    use CheckpointStatus::{Completed, InProgress};
    let (mut cluster, spec) = with_three("3");
    assert_eq!(retained(&cluster), [1, 2, 3]);
    cluster.replace_master(&spec, false);
    cluster.settle();
    assert_eq!(statuses(&cluster)[..3], [(1, Completed), (2, Completed), (3, Completed)]);
    let view = cluster.core.view().checkpoints;
    assert_eq!(view.resumable(), Some("/checkpoints/job/chk-3"));
    assert_eq!(view.completed, 0, "counts are of this one's own");
    let own = collect(&mut cluster);
    assert_eq!(retained(&cluster), [2, 3, own.0]);
    assert_eq!(statuses(&cluster).last(), Some(&(own.0, InProgress)));
    cluster.store(Ok(()));
    let view = cluster.core.view().checkpoints;
    let gone: Vec<_> = view.history.iter().filter(|entry| entry.discarded).map(|entry| entry.id.0).collect();
    assert_eq!(gone, [1]);
    check_sound(&cluster);
}

#[test]
fn what_a_manifest_tells_is_shown() {
    let (cluster, _) = with_three("1");
    let mut manifest = Manifest::clone(&cluster.stored[2]);
    let file = |checkpoint: u64, bytes| StateFile {
        path: format!("shared/{checkpoint}_some_0").parse().unwrap(),
        bytes,
        checksum: Checksum(0),
    };
    let id = manifest.checkpoint;
    manifest.vertices[1].subtasks[0].files = vec![file(id.0 - 1, 100), file(id.0, 10)];
    manifest.vertices[1].subtasks[1].in_flight =
        vec![StateFile { path: format!("shared/{id}_some_1").parse().unwrap(), ..file(id.0, 1) }];
    let view = found(&manifest, "/somewhere".to_owned());
    assert_eq!((view.id, view.status, view.location.as_deref()), (id, CheckpointStatus::Completed, Some("/somewhere")));
    assert_eq!((view.triggered_at, view.ended_at), (manifest.triggered_ms, Some(manifest.completed_ms)));
    assert_eq!((view.tasks, view.reported, view.unaligned), (4, 4, true));
    assert_eq!((view.state_bytes, view.stored_bytes), (111, 11));
    let [_, sink] = &view.vertices[..] else { panic!("two vertices") };
    assert_eq!((sink.state_bytes.min, sink.state_bytes.max, sink.stored_bytes.max), (1, 110, 10));
}

#[test]
fn those_that_are_known_to_be_damaged_are_not_kept() {
    let (mut cluster, mut spec) = with_three("3");
    cluster.replace_master(&spec, false);
    let mut found = cluster.core.view().checkpoints.history;
    found.reverse();
    found[2].status = CheckpointStatus::Failed;
    let point =
        crate::RestorePoint { manifest: Arc::clone(&cluster.stored[1]), directory: "/checkpoints/job".to_owned() };
    spec.snapshots =
        SnapshotSpec { found, restore: Some(Arc::new(point)), next: CheckpointId(5), ..spec.snapshots.clone() };
    let mut next = super::super::cluster(spec);
    next.add_worker(2);
    start_tasks(&mut next);
    assert_eq!(next.core.view().checkpoints.resumable(), Some("/checkpoints/job/chk-2"));
    collect(&mut next);
    assert_eq!(retained(&next), [1, 2, 5]);
}
