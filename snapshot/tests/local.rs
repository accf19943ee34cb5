//! A life of a job's checkpoints in a local directory.

use std::{collections::BTreeSet, fs, path::Path};

use flott_core::{
    id::{CheckpointId, JobMasterEpoch},
    key_group::{KeyGroup, KeyGroupRange, MaxParallelism},
};
use flott_snapshot::{Checkpoints, Collected, Directory, Error, S3Options, SectionIndex, Snapshot, SnapshotKind};
use futures::TryStreamExt;

#[path = "common/files.rs"]
mod files;
#[path = "common/samples.rs"]
mod samples;

use files::write_file;
use samples::{GROUPS, JOB, manifest};

fn open(path: &Path) -> Directory {
    Directory::open(path.to_str().unwrap(), &S3Options::default()).unwrap()
}

/// What a restore of some key groups reads.
async fn restore(snapshot: &Snapshot, groups: KeyGroupRange) -> Vec<String> {
    let mut read = Vec::new();
    for file in snapshot.manifest.files() {
        let reader = snapshot.directory.open_file(file).await.unwrap();
        assert_eq!(reader.sections()[0].name, "counts");
        let chunks: Vec<_> = reader.read(SectionIndex(0), Some(groups)).try_collect().await.unwrap();
        read.extend(chunks.into_iter().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap()));
    }
    read
}

#[tokio::test]
async fn a_checkpoint_is_restored_by_key_groups() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(&open(dir.path()), JOB);
    let mut claimed = checkpoints.claim(JobMasterEpoch(1)).await.unwrap();
    assert_eq!((&claimed.restorable, claimed.damaged.len()), (&None, 0));
    let id = claimed.log.next();
    let file = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, id).await.unwrap();
    let manifest = manifest(SnapshotKind::Checkpoint, id, 1, vec![file]);
    claimed.log.commit(&manifest).await.unwrap();

    let again = checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert_eq!(again.restorable.as_ref(), Some(&manifest));
    for location in [checkpoints.location(id), format!("{}/_metadata", checkpoints.location(id))] {
        let snapshot = Snapshot::load(&location, &S3Options::default()).await.unwrap();
        assert_eq!(snapshot.manifest, manifest);
        assert_eq!(snapshot.verify().await.unwrap(), []);
        let groups = KeyGroupRange::new(KeyGroup(2), KeyGroup(3)).unwrap();
        assert_eq!(restore(&snapshot, groups).await, ["checkpoint 2 group 2", "checkpoint 2 group 3"]);
    }
}

#[tokio::test]
async fn a_deposed_job_master_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(&open(dir.path()), JOB);
    let mut older = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let newer = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().log;
    for ahead in [0, 1, 5] {
        let manifest = manifest(SnapshotKind::Checkpoint, CheckpointId(older.next().0 + ahead), 1, Vec::new());
        let error = older.commit(&manifest).await.unwrap_err();
        assert!(matches!(error, Error::Deposed { by: JobMasterEpoch(2), .. }), "{error}");
    }
    let error = older.collect(&BTreeSet::new()).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { .. }), "{error}");
    let error = checkpoints.claim(JobMasterEpoch(1)).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { .. }), "{error}");
    assert_eq!(newer.next(), CheckpointId(3));
}

#[tokio::test]
async fn a_late_commit_into_a_hole_is_not_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(&open(dir.path()), JOB);
    let mut first = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let hole = first.next();
    let mut second = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().log;
    second.commit(&manifest(SnapshotKind::Checkpoint, second.next(), 2, Vec::new())).await.unwrap();
    let mut third = checkpoints.claim(JobMasterEpoch(3)).await.unwrap().log;
    let newest = manifest(SnapshotKind::Checkpoint, third.next(), 3, Vec::new());
    third.commit(&newest).await.unwrap();
    third.collect(&BTreeSet::from([newest.checkpoint])).await.unwrap();
    assert!(!Path::new(&checkpoints.location(hole)).exists());

    let error = first.commit(&manifest(SnapshotKind::Checkpoint, hole, 1, Vec::new())).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { by: JobMasterEpoch(3), .. }), "{error}");
    let mut claimed = checkpoints.claim(JobMasterEpoch(4)).await.unwrap();
    assert_eq!((claimed.restorable.as_ref(), claimed.damaged), (Some(&newest), vec![]));
    claimed.log.collect(&BTreeSet::from([newest.checkpoint])).await.unwrap();
    assert!(!Path::new(&checkpoints.location(hole)).exists(), "what came late is collected");
}

#[tokio::test]
async fn what_is_collected_is_gone_and_the_rest_restores() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(&open(dir.path()), JOB);
    let mut log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let directory = checkpoints.directory();
    let base = write_file(directory, SnapshotKind::Checkpoint, CheckpointId(2)).await.unwrap();
    let delta = write_file(directory, SnapshotKind::Checkpoint, CheckpointId(3)).await.unwrap();
    let other = write_file(directory, SnapshotKind::Checkpoint, CheckpointId(3)).await.unwrap();
    for (id, files) in [(2, vec![base.clone(), other.clone()]), (3, vec![base.clone(), delta.clone()])] {
        log.commit(&manifest(SnapshotKind::Checkpoint, CheckpointId(id), 1, files)).await.unwrap();
    }
    let collected = log.collect(&BTreeSet::from([CheckpointId(3)])).await.unwrap();
    assert_eq!(collected, Collected { places: 1, files: 1, bytes: other.bytes });
    let mut left: Vec<_> =
        fs::read_dir(directory.location()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["chk-1", "chk-3", "shared"]);
    assert_eq!(log.collect(&BTreeSet::from([CheckpointId(3)])).await.unwrap(), Collected::default());
    let restorable = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().restorable.unwrap();
    assert_eq!(restorable.checkpoint, CheckpointId(3));
    assert_eq!(restorable.files().collect::<Vec<_>>(), [&base, &delta]);
}

#[tokio::test]
async fn an_ended_job_leaves_nothing_but_its_fence() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(&open(dir.path()), JOB);
    let mut older = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let mut log = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().log;
    let id = log.next();
    let file = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, id).await.unwrap();
    let orphan = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, id).await.unwrap();
    // That was under way, behind others that were given up.
    let begun = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, CheckpointId(id.0 + 5)).await.unwrap();
    log.commit(&manifest(SnapshotKind::Checkpoint, id, 2, vec![file.clone()])).await.unwrap();
    let collected = log.discard().await.unwrap();
    assert_eq!(collected, Collected { places: 3, files: 3, bytes: file.bytes + orphan.bytes + begun.bytes });
    assert_eq!(fs::read_dir(dir.path().join(JOB.to_string()).join("shared")).unwrap().count(), 0);
    assert_eq!(checkpoints.list().await.unwrap().len(), 1);
    let late = manifest(SnapshotKind::Checkpoint, older.next(), 1, Vec::new());
    assert!(matches!(older.commit(&late).await, Err(Error::Deposed { .. })));
}

#[tokio::test]
async fn a_savepoint_that_is_moved_restores() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(&dir.path().join("savepoints")).new_savepoint(JOB).await.unwrap();
    let name = Path::new(directory.location()).file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("savepoint-070707-") && name.len() == "savepoint-070707-".len() + 12, "{name}");
    let file = write_file(&directory, SnapshotKind::Savepoint, CheckpointId(9)).await.unwrap();
    let manifest = manifest(SnapshotKind::Savepoint, CheckpointId(9), 1, vec![file]);
    let location = directory.commit_savepoint(&manifest).await.unwrap();

    let moved = dir.path().join("elsewhere");
    fs::rename(location, &moved).unwrap();
    let snapshot = Snapshot::load(moved.to_str().unwrap(), &S3Options::default()).await.unwrap();
    assert_eq!(snapshot.verify().await.unwrap(), []);
    assert_eq!(restore(&snapshot, KeyGroupRange::all(MaxParallelism::LARGEST)).await.len(), usize::from(GROUPS));
}

async fn dispose(location: &str) -> Result<(), Error> {
    Snapshot::load(location, &S3Options::default()).await?.dispose().await
}

#[tokio::test]
async fn a_savepoint_is_removed_with_what_it_names_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let new = || async { open(root.path()).new_savepoint(JOB).await.unwrap() };
    let (disposed, shared) = (new().await, new().await);
    for directory in [&disposed, &shared] {
        let file = write_file(directory, SnapshotKind::Savepoint, CheckpointId(3)).await.unwrap();
        directory.commit_savepoint(&manifest(SnapshotKind::Savepoint, CheckpointId(3), 1, vec![file])).await.unwrap();
    }
    fs::write(Path::new(shared.location()).join("notes.txt"), "mine").unwrap();
    dispose(disposed.location()).await.unwrap();
    assert!(!Path::new(disposed.location()).exists());
    dispose(&format!("{}/_metadata", shared.location())).await.unwrap();
    let left: Vec<_> = fs::read_dir(shared.location()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    let gone = dispose(disposed.location()).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(_)), "{gone}");
}

#[tokio::test]
async fn what_is_no_savepoint_is_not_removed() {
    let root = tempfile::tempdir().unwrap();
    let mut log = Checkpoints::new(&open(root.path()), JOB).claim(JobMasterEpoch(1)).await.unwrap().log;
    let id = log.next();
    let file = write_file(&open(root.path()).of_job(JOB), SnapshotKind::Checkpoint, id).await.unwrap();
    log.commit(&manifest(SnapshotKind::Checkpoint, id, 1, vec![file])).await.unwrap();
    let checkpoint = open(root.path()).of_job(JOB).location().to_owned() + &format!("/chk-{id}");
    let refused = dispose(&checkpoint).await.unwrap_err().to_string();
    assert!(refused.contains("is a checkpoint, which its job removes by itself"), "{refused}");
    assert!(Snapshot::load(&checkpoint, &S3Options::default()).await.unwrap().verify().await.unwrap().is_empty());

    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("_metadata"), "{}").unwrap();
    let refused = dispose(other.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    assert!(other.join("_metadata").exists());
}

#[tokio::test]
async fn a_checkpoint_that_was_given_away_goes_with_what_no_other_one_names() {
    let root = tempfile::tempdir().unwrap();
    let options = S3Options::default();
    let checkpoints = Checkpoints::new(&open(root.path()), JOB);
    let mut log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let write =
        async |id| write_file(checkpoints.directory(), SnapshotKind::Checkpoint, CheckpointId(id)).await.unwrap();
    let (base, own, delta) = (write(2).await, write(2).await, write(3).await);
    for (id, files) in [(2, vec![base.clone(), own]), (3, vec![base, delta])] {
        log.commit(&manifest(SnapshotKind::Checkpoint, CheckpointId(id), 1, files)).await.unwrap();
    }
    let files = || fs::read_dir(root.path().join(JOB.to_string()).join("shared")).unwrap().count();
    let [older, newer] = [2, 3].map(|id| checkpoints.location(CheckpointId(id)));
    let moved = root.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::create_dir(moved.join("chk-2")).unwrap();
    fs::copy(format!("{older}/_metadata"), moved.join("chk-2/_metadata")).unwrap();
    let refused = Snapshot::remove(moved.join("chk-2").to_str().unwrap(), &options).await.unwrap_err();
    assert!(matches!(refused, Error::Location { .. }), "{refused}");
    assert_eq!(files(), 3);

    for _ in 0..2 {
        Snapshot::remove(&older, &options).await.unwrap();
        assert_eq!((Path::new(&older).exists(), files()), (false, 2));
        let snapshot = Snapshot::load(&newer, &options).await.unwrap();
        assert!(snapshot.verify().await.unwrap().is_empty());
    }
    // A JobMaster that has led until then finds out.
    let late = manifest(SnapshotKind::Checkpoint, log.next(), 1, Vec::new());
    assert!(matches!(log.commit(&late).await, Err(Error::Deposed { .. })));
    Snapshot::remove(&format!("{newer}/_metadata"), &options).await.unwrap();
    assert_eq!((Path::new(&newer).exists(), files()), (false, 0));
    fs::remove_dir_all(root.path().join(JOB.to_string())).unwrap();
    Snapshot::remove(&newer, &options).await.unwrap();
    assert!(!root.path().join(JOB.to_string()).exists());
}

#[tokio::test]
async fn a_savepoint_that_was_given_away_goes_once_and_what_is_none_stays() {
    let root = tempfile::tempdir().unwrap();
    let options = S3Options::default();
    let directory = open(root.path()).new_savepoint(JOB).await.unwrap();
    let file = write_file(&directory, SnapshotKind::Savepoint, CheckpointId(3)).await.unwrap();
    directory.commit_savepoint(&manifest(SnapshotKind::Savepoint, CheckpointId(3), 1, vec![file])).await.unwrap();
    for _ in 0..2 {
        Snapshot::remove(directory.location(), &options).await.unwrap();
        assert!(!Path::new(directory.location()).exists());
    }
    // What was cut short between its manifest and its directory.
    fs::create_dir(directory.location()).unwrap();
    Snapshot::remove(directory.location(), &options).await.unwrap();
    assert!(!Path::new(directory.location()).exists());
    fs::create_dir(directory.location()).unwrap();
    fs::write(Path::new(directory.location()).join("_metadata"), "{}").unwrap();
    let refused = Snapshot::remove(directory.location(), &options).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    assert!(Path::new(directory.location()).join("_metadata").exists());
}

#[tokio::test]
async fn only_a_savepoint_that_is_not_complete_is_abandoned() {
    let root = tempfile::tempdir().unwrap();
    let directory = open(root.path()).new_savepoint(JOB).await.unwrap();
    let file = write_file(&directory, SnapshotKind::Savepoint, CheckpointId(1)).await.unwrap();
    let complete = open(root.path()).new_savepoint(JOB).await.unwrap();
    let kept = write_file(&complete, SnapshotKind::Savepoint, CheckpointId(1)).await.unwrap();
    complete.commit_savepoint(&manifest(SnapshotKind::Savepoint, CheckpointId(1), 1, vec![kept])).await.unwrap();
    assert_eq!(file.path.as_str().split('/').count(), 1);
    directory.abandon_savepoint().await.unwrap();
    complete.abandon_savepoint().await.unwrap();
    assert!(!Path::new(directory.location()).exists());
    let snapshot = Snapshot::load(complete.location(), &S3Options::default()).await.unwrap();
    assert!(snapshot.verify().await.unwrap().is_empty());
}
