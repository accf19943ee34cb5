//! Barriers that overtake: which do, and who gets what they have overtaken.

use std::sync::Arc;

use flott_core::checkpoint::Overtaking;
use flott_snapshot::{Checksum, StateFile};

use super::*;
use crate::index::ExecutionIndex;

fn unaligned(timeout: &str) -> JobSpec {
    let mut spec = spec(word_count(), ONCE);
    let settings = [("unaligned.enabled", "true"), ("aligned-checkpoint-timeout", timeout)];
    let settings = settings.map(|(key, value)| (format!("execution.checkpointing.{key}"), value.to_owned()));
    spec.configuration.extend(settings);
    spec
}

#[track_caller]
fn check(spec: JobSpec, expected: Overtaking) {
    let mut cluster = super::super::cluster(spec);
    cluster.add_worker(1);
    cluster.add_worker(1);
    start_tasks(&mut cluster);
    cluster.pass(1_000);
    sinks_work(&mut cluster);
    cluster.store(Ok(()));
    cluster.tell(savepoint(1, Behind::GoOn));
    let overtaking: Vec<_> = cluster.barriers.values().map(|barrier| barrier.overtaking).collect();
    assert_eq!(overtaking, [expected, Overtaking::Never], "a checkpoint, then a savepoint");
}

#[test]
fn barriers_of_checkpoints_overtake_as_the_settings_say_and_those_of_savepoints_never() {
    check(spec(word_count(), ONCE), Overtaking::Never);
    check(unaligned("0"), Overtaking::Now);
    check(unaligned("3 s"), Overtaking::After { ms: 3_000 });
}

#[test]
fn a_consumer_gets_what_it_had_not_taken_and_what_its_producers_had_not_sent() {
    let mut cluster = checkpointed(word_count(), ONCE);
    collect(&mut cluster);
    let mut manifest = (*cluster.storing.pop_front().unwrap()).clone();
    let mut paths = Vec::new();
    for vertex in &mut manifest.vertices {
        for (subtask, state) in vertex.subtasks.iter_mut().enumerate() {
            let path = format!("shared/{}-{subtask}", vertex.name);
            let file = StateFile { path: path.parse().unwrap(), bytes: 1, checksum: Checksum(0) };
            state.in_flight.push(file);
            paths.push(path);
        }
    }
    flott_snapshot::manifest::check(&manifest).unwrap();
    let point = crate::RestorePoint { manifest: Arc::new(manifest), directory: "/checkpoints/job".to_owned() };
    let spec = spec(word_count(), ONCE);
    let snapshots = SnapshotSpec { restore: Some(Arc::new(point)), next: CheckpointId(3), ..spec.snapshots.clone() };
    let mut next = super::super::cluster(JobSpec { snapshots, ..spec });
    next.add_worker(2);
    start_tasks(&mut next);
    // Two sources, then two sinks.
    let of = |execution| {
        let restore = next.core.restore_of(ExecutionIndex(execution)).expect("there is a checkpoint");
        restore.in_flight.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(of(0), paths[..2]);
    assert_eq!(of(3), paths, "in the order of the job");
}
