//! Checkpoints in an S3-compatible store: moto's server. `make test` says aloud when it leaves this out.

use std::collections::BTreeSet;

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId},
    key_group::{KeyGroup, KeyGroupRange},
};
use flott_snapshot::{
    Checkpoints, Compression, DataPath, Directory, Entries, Error, KeyedKind, S3Options, Section, SectionIndex,
    SectionKind, Snapshot, SnapshotKind, StateFile,
};
use futures::TryStreamExt;

#[path = "common/files.rs"]
mod files;
#[path = "common/moto.rs"]
mod moto;
#[path = "common/samples.rs"]
mod samples;

use files::write_file;
use moto::Moto;
use samples::{JOB, manifest};

fn options(moto: &Moto) -> S3Options {
    S3Options {
        endpoint: Some(moto.url()),
        region: Some("us-east-1".to_owned()),
        access_key: Some("key".to_owned()),
        secret_key: Some("secret".to_owned()),
        path_style: None,
    }
}

fn large_chunk(group: u16) -> Bytes {
    vec![group as u8; 1 << 20].into()
}

/// A file of several parts, with a chunk of a mebibyte for each of 20 groups.
async fn write_large(directory: &Directory, checkpoint: CheckpointId, finish: bool) -> (DataPath, Option<StateFile>) {
    let operator = OperatorId::from_uid("counter");
    let attempt =
        AttemptId { vertex: VertexId::of_chain(operator), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    let path = DataPath::unique(SnapshotKind::Checkpoint, checkpoint, attempt);
    let mut writer = directory.create_file(path.clone(), Compression::None);
    let kind = SectionKind::Keyed { kind: KeyedKind::Value, expires: false };
    let section = writer.section(Section { operator, name: "large".to_owned(), kind, schema: None }).unwrap();
    for group in 0..20 {
        writer.chunk(section, Some(KeyGroup(group)), Entries::Values, 1, large_chunk(group)).await.unwrap();
    }
    (path, if finish { Some(writer.finish().await.unwrap()) } else { None })
}

#[tokio::test]
async fn checkpoints_live_in_a_bucket() {
    let moto = Moto::start();
    moto.bucket("checkpoints");
    let root = Directory::open("s3://checkpoints/flott/jobs", &options(&moto)).unwrap();
    let checkpoints = Checkpoints::new(&root, JOB);
    let mut older = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let directory = checkpoints.directory();
    let small = write_file(directory, SnapshotKind::Checkpoint, older.next()).await.unwrap();
    let (_, large) = write_large(directory, older.next(), true).await;
    let (_, other) = write_large(directory, older.next(), true).await;
    let (large, other) = (large.unwrap(), other.unwrap());
    let first = manifest(SnapshotKind::Checkpoint, older.next(), 1, vec![large.clone(), other.clone()]);
    older.commit(&first).await.unwrap();
    // Ids may be left out.
    let second = manifest(SnapshotKind::Checkpoint, CheckpointId(5), 1, vec![large.clone(), small]);
    older.commit(&second).await.unwrap();

    let mut claimed = checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert_eq!((claimed.restorable.as_ref(), claimed.damaged), (Some(&second), vec![]));
    let late = manifest(SnapshotKind::Checkpoint, older.next(), 1, vec![large.clone()]);
    let error = older.commit(&late).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { by: JobMasterEpoch(2), .. }), "{error}");

    let snapshot = Snapshot::load(&checkpoints.location(CheckpointId(5)), &options(&moto)).await.unwrap();
    assert_eq!(snapshot.manifest, second);
    assert_eq!(snapshot.verify().await.unwrap(), []);
    let reader = snapshot.directory.open_file(&large).await.unwrap();
    let groups = KeyGroupRange::new(KeyGroup(7), KeyGroup(16)).unwrap();
    let read: Vec<_> = reader.read(SectionIndex(0), Some(groups)).try_collect().await.unwrap();
    let expected: Vec<_> = (7..17).map(|group| (Some(KeyGroup(group)), large_chunk(group))).collect();
    assert!(read.into_iter().map(|(chunk, payload)| (chunk.group, payload)).eq(expected));

    let collected = claimed.log.collect(&BTreeSet::from([CheckpointId(5)])).await.unwrap();
    assert_eq!((collected.files, collected.bytes), (1, other.bytes));
    assert_eq!(snapshot.verify().await.unwrap(), []);
    let places: Vec<_> = checkpoints.list().await.unwrap().iter().map(|listed| listed.checkpoint.0).collect();
    assert_eq!(places, [6, 5]);
}

#[tokio::test]
async fn what_is_not_finished_is_not_there_and_orphans_are_swept() {
    let moto = Moto::start();
    moto.bucket("checkpoints");
    let root = Directory::open("s3://checkpoints", &options(&moto)).unwrap();
    let checkpoints = Checkpoints::new(&root, JOB);
    let log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let (path, _) = write_large(checkpoints.directory(), log.next(), false).await;
    let file = StateFile { path, bytes: 100, checksum: flott_snapshot::Checksum(0) };
    let error = checkpoints.directory().open_file(&file).await.unwrap_err();
    assert!(error.to_string().ends_with("is not there"), "{error}");

    let (_, orphan) = write_large(checkpoints.directory(), log.next(), true).await;
    let mut newer = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().log;
    newer.commit(&manifest(SnapshotKind::Checkpoint, newer.next(), 2, Vec::new())).await.unwrap();
    let swept = newer.sweep().await.unwrap();
    assert_eq!((swept.files, swept.bytes), (1, orphan.unwrap().bytes));
}

#[tokio::test]
async fn savepoints_are_committed_once() {
    let moto = Moto::start();
    moto.bucket("savepoints");
    let root = Directory::open("s3://savepoints/", &options(&moto)).unwrap();
    let directory = root.new_savepoint(JOB).await.unwrap();
    let file = write_file(&directory, SnapshotKind::Savepoint, CheckpointId(9)).await.unwrap();
    let saved = manifest(SnapshotKind::Savepoint, CheckpointId(9), 1, vec![file]);
    let location = directory.commit_savepoint(&saved).await.unwrap();
    assert_eq!(directory.commit_savepoint(&saved).await.unwrap(), location, "the same again");
    let other = manifest(SnapshotKind::Savepoint, CheckpointId(10), 1, vec![]);
    assert!(matches!(directory.commit_savepoint(&other).await, Err(Error::Taken { .. })));
    let snapshot = Snapshot::load(&format!("{location}/_metadata"), &options(&moto)).await.unwrap();
    assert_eq!(snapshot.manifest, saved);
    assert_eq!(snapshot.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error_and_no_empty_log() {
    let moto = Moto::start();
    let root = Directory::open("s3://nothing-here", &options(&moto)).unwrap();
    let error = Checkpoints::new(&root, JOB).claim(JobMasterEpoch(1)).await.unwrap_err();
    assert!(error.to_string().contains("nothing-here"), "{error}");
}
