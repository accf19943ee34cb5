//! A store that hangs, does not tell what it did, or fails.

use std::{sync::Arc, time::Duration};

use flott_core::id::{CheckpointId, JobMasterEpoch};
use flott_snapshot::{
    Checkpoints, Collected, Directory, Error, Log, SnapshotKind, StateFile,
    testing::{StormyStore, Weather},
};
use tokio::time::timeout;

#[path = "common/files.rs"]
mod files;
#[path = "common/samples.rs"]
mod samples;

use files::write_file;
use samples::{JOB, manifest};

/// Longer than a store may be silent, and than a request is tried.
const LONG: Duration = Duration::from_secs(600);

async fn job() -> (StormyStore, Checkpoints, Log) {
    let store = StormyStore::default();
    let checkpoints = Checkpoints::new(&Directory::of_store(Arc::new(store.clone()), "stormy"), JOB);
    let log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    (store, checkpoints, log)
}

async fn write(checkpoints: &Checkpoints, checkpoint: u64) -> StateFile {
    write_file(checkpoints.directory(), SnapshotKind::Checkpoint, CheckpointId(checkpoint)).await.unwrap()
}

async fn commit(log: &mut Log, checkpoint: u64, files: Vec<StateFile>) -> Result<(), Error> {
    log.commit(&manifest(SnapshotKind::Checkpoint, CheckpointId(checkpoint), 1, files)).await
}

#[tokio::test(start_paused = true)]
async fn reading_of_a_silent_store_ends_and_names_what_was_read() {
    let (store, checkpoints, _) = job().await;
    let file = write(&checkpoints, 2).await;
    let reader = checkpoints.directory().open_file(&file).await.unwrap();
    store.set(Weather::Hangs);
    let silent = |error: Error, what: &str| {
        let error = error.to_string();
        assert!(error.contains(what) && error.contains("has not answered within 60 s"), "{error}");
    };
    let opened = timeout(LONG, checkpoints.directory().open_file(&file)).await.unwrap();
    silent(opened.unwrap_err(), file.path.as_str());
    let mut chunks = std::pin::pin!(reader.read(flott_snapshot::SectionIndex(0), None));
    let chunk = timeout(LONG, futures::StreamExt::next(&mut chunks)).await.unwrap();
    silent(chunk.unwrap().unwrap_err(), file.path.as_str());
    silent(timeout(LONG, checkpoints.list()).await.unwrap().unwrap_err(), "stormy");
    silent(timeout(LONG, checkpoints.directory().list("shared")).await.unwrap().unwrap_err(), "shared");
    let found = timeout(LONG, checkpoints.newest_whole(&Default::default())).await.unwrap();
    silent(found.unwrap_err(), "stormy");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_not_answered_is_settled_by_the_same_again() {
    let (store, checkpoints, mut log) = job().await;
    let file = write(&checkpoints, 3).await;
    for weather in [Weather::Hangs, Weather::Mute] {
        store.set(weather);
        timeout(LONG, commit(&mut log, 3, vec![file.clone()])).await.unwrap_err();
    }
    store.set(Weather::Fair);
    commit(&mut log, 3, vec![file]).await.unwrap();
    assert_eq!(log.next(), CheckpointId(4));
    let restorable = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().restorable;
    assert_eq!(restorable.map(|manifest| manifest.checkpoint), Some(CheckpointId(3)));
}

#[tokio::test]
async fn files_of_checkpoints_that_were_given_up_go_unless_a_later_one_builds_on_them() {
    let (_, checkpoints, mut log) = job().await;
    let first = write(&checkpoints, 2).await;
    commit(&mut log, 2, vec![first.clone()]).await.unwrap();
    assert!(!log.suspects_orphans(), "nothing has failed");
    let (built_on, orphan) = (write(&checkpoints, 3).await, write(&checkpoints, 4).await);
    let next = write(&checkpoints, 5).await;
    assert_eq!(log.sweep().await.unwrap(), Collected::default(), "any of them may yet be named");
    commit(&mut log, 5, vec![first, built_on.clone(), next]).await.unwrap();
    assert!(log.suspects_orphans());
    let swept = log.sweep().await.unwrap();
    assert_eq!(swept, Collected { places: 0, files: 1, bytes: orphan.bytes });
    assert!(!log.suspects_orphans());
    checkpoints.directory().open_file(&built_on).await.unwrap();
    checkpoints.directory().open_file(&orphan).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_is_cut_short_is_made_good_by_a_sweep() {
    let (store, checkpoints, mut log) = job().await;
    let (old, new) = (write(&checkpoints, 2).await, write(&checkpoints, 3).await);
    commit(&mut log, 2, vec![old.clone()]).await.unwrap();
    commit(&mut log, 3, vec![new.clone()]).await.unwrap();
    let retained = [CheckpointId(3)].into();
    store.set(Weather::MuteDeletions);
    timeout(LONG, log.collect(&retained)).await.unwrap_err();
    store.set(Weather::Fair);
    assert_eq!(log.collect(&retained).await.unwrap(), Collected::default(), "its manifest is gone already");
    checkpoints.directory().open_file(&old).await.unwrap();
    assert!(log.suspects_orphans());
    assert_eq!(log.sweep().await.unwrap().files, 1);
    checkpoints.directory().open_file(&old).await.unwrap_err();
    checkpoints.directory().open_file(&new).await.unwrap();
}
