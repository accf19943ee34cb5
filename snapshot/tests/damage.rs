//! What is left of checkpoints when files are lost, damaged or half written, in a local directory.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use flott_core::id::{AttemptId, AttemptNumber, CheckpointId, JobMasterEpoch, SubtaskIndex, VertexId};
use flott_snapshot::{
    Checkpoints, Claimed, Collected, Compression, DataPath, Directory, EngineKind, Entries, Error, Log, Manifest,
    S3Options, Section, SectionKind, Snapshot, SnapshotKind, Spread,
};

#[path = "common/files.rs"]
mod files;
#[path = "common/samples.rs"]
mod samples;

use files::write_file;
use samples::{JOB, counter, manifest};

struct Job {
    dir: tempfile::TempDir,
    checkpoints: Checkpoints,
    log: Log,
    committed: Vec<Manifest>,
}

impl Job {
    /// A job with checkpoints 2 to 4, each with a file of its own.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Directory::open(dir.path().to_str().unwrap(), &S3Options::default()).unwrap();
        let checkpoints = Checkpoints::new(&root, JOB);
        let mut log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
        let mut committed = Vec::new();
        for id in (2..=4).map(CheckpointId) {
            let file = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, id).await.unwrap();
            committed.push(manifest(SnapshotKind::Checkpoint, id, 1, vec![file]));
            log.commit(&committed[committed.len() - 1]).await.unwrap();
        }
        Self { dir, checkpoints, log, committed }
    }

    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(self.checkpoints.directory().location()).join(path)
    }

    /// The file of a checkpoint.
    fn file(&self, id: u64) -> PathBuf {
        self.path(self.committed[id as usize - 2].files().next().unwrap().path.as_str())
    }

    /// Claims, and checks what is restored and which files are blamed.
    async fn check(&self, restored: Option<u64>, damaged: &[(u64, PathBuf, &str)]) {
        let claimed = self.checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
        assert_eq!(claimed.restorable.map(|manifest| manifest.checkpoint.0), restored);
        let found: Vec<_> =
            claimed.damaged.iter().map(|damage| (damage.checkpoint.0, damage.problem.clone())).collect();
        let expected: Vec<_> =
            damaged.iter().map(|(id, path, problem)| (*id, format!("{}: {problem}", path.display()))).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_checkpoint_with_lost_files_is_passed_over_by_name() {
    let job = Job::new().await;
    fs::remove_file(job.file(4)).unwrap();
    fs::write(job.file(3), b"torn").unwrap();
    let bytes = job.committed[1].state_bytes();
    let torn = format!("has 4 bytes, expected {bytes}");
    job.check(Some(2), &[(4, job.file(4), "is not there"), (3, job.file(3), &torn)]).await;
}

#[tokio::test]
async fn all_that_can_be_restored_is_told() {
    let older = |claimed: Claimed| claimed.older.iter().map(|manifest| manifest.checkpoint.0).collect::<Vec<_>>();
    let job = Job::new().await;
    let claimed = job.checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert_eq!(claimed.restorable.as_ref(), job.committed.last());
    assert_eq!(older(claimed), [3, 2]);
    fs::remove_file(job.file(3)).unwrap();
    let claimed = job.checkpoints.claim(JobMasterEpoch(3)).await.unwrap();
    assert_eq!(claimed.damaged, [], "nothing is lost by it");
    assert_eq!(older(claimed), [2]);
}

/// Whoever begins may be given up behind its claim, again and again.
#[tokio::test]
async fn a_job_master_that_tries_again_to_begin_leaves_one_claim() {
    let job = Job::new().await;
    for _ in 0..3 {
        let claimed = job.checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
        assert_eq!((claimed.restorable.as_ref(), claimed.log.next()), (job.committed.last(), CheckpointId(6)));
    }
    // That of another is another's.
    let mut log = job.checkpoints.claim(JobMasterEpoch(3)).await.unwrap().log;
    assert_eq!(log.next(), CheckpointId(7));
    assert!(matches!(job.checkpoints.claim(JobMasterEpoch(2)).await, Err(Error::Deposed { .. })));
    log.commit(&manifest(SnapshotKind::Checkpoint, CheckpointId(7), 3, vec![])).await.unwrap();
}

#[tokio::test]
async fn a_damaged_manifest_is_passed_over_by_name() {
    let job = Job::new().await;
    let path = job.path("chk-4/_metadata");
    let text = fs::read_to_string(&path).unwrap().replace("word count", "word comma");
    fs::write(&path, text).unwrap();
    fs::copy(job.path("chk-2/_metadata"), job.path("chk-3/_metadata")).unwrap();
    let claimed = job.checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert_eq!(claimed.restorable.as_ref(), Some(&job.committed[0]));
    let problems: Vec<_> = claimed.damaged.iter().map(|damage| damage.problem.as_str()).collect();
    assert!(problems[0].contains("chk-4/_metadata: checksum: "), "{problems:?}");
    let other = format!("chk-3/_metadata: is the document of checkpoint 2 of job {JOB}");
    assert!(problems[1].ends_with(&other), "{problems:?}");
    assert_eq!(claimed.log.next(), CheckpointId(6), "places of damaged manifests are not used again");
}

#[tokio::test]
async fn nothing_is_restored_where_everything_is_lost() {
    let job = Job::new().await;
    fs::remove_dir_all(job.path("shared")).unwrap();
    let lost = [4, 3, 2].map(|id| (id, job.file(id), "is not there"));
    job.check(None, &lost).await;
}

#[tokio::test]
async fn content_is_verified_when_asked_for() {
    let job = Job::new().await;
    let mut content = fs::read(job.file(4)).unwrap();
    content[20] ^= 1;
    fs::write(job.file(4), &content).unwrap();
    job.check(Some(4), &[]).await;
    let location = job.checkpoints.location(CheckpointId(4));
    let snapshot = Snapshot::load(&location, &S3Options::default()).await.unwrap();
    let damages = snapshot.verify().await.unwrap();
    let expected = job.committed[2].files().next().unwrap().checksum;
    let actual = flott_snapshot::Checksum(crc32fast::hash(&content));
    let problem = format!("{}: has checksum {actual}, expected {expected}", job.file(4).display());
    assert_eq!(damages.iter().map(|damage| damage.problem.clone()).collect::<Vec<_>>(), [problem]);
}

#[tokio::test]
async fn a_job_that_is_copied_elsewhere_restores() {
    let job = Job::new().await;
    let moved = job.dir.path().join("moved");
    fs::rename(job.checkpoints.directory().location(), &moved).unwrap();
    let location = moved.join("chk-3");
    let snapshot = Snapshot::load(location.to_str().unwrap(), &S3Options::default()).await.unwrap();
    assert_eq!(snapshot.manifest, job.committed[1]);
    assert_eq!(snapshot.verify().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_no_checkpoint_cannot_be_loaded() {
    let job = Job::new().await;
    let load = async |name: &str| Snapshot::load(&format!("{}", job.path(name).display()), &S3Options::default()).await;
    assert!(matches!(load("chk-9").await, Err(Error::NotFound(_))));
    let error = load("chk-1").await.unwrap_err();
    assert!(error.to_string().ends_with("no checkpoint, but the claim of JobMaster epoch 1"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_finished_has_no_name_and_is_swept_by_the_next() {
    let mut job = Job::new().await;
    let operator = counter();
    let attempt =
        AttemptId { vertex: VertexId::of_chain(operator), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    let unfinished = async |checkpoint| {
        let path = DataPath::unique(SnapshotKind::Checkpoint, checkpoint, attempt);
        let mut writer = job.checkpoints.directory().create_file(path.clone(), Compression::None);
        let section = Section {
            operator,
            name: "s".to_owned(),
            kind: SectionKind::Engine { kind: EngineKind::Elements { spread: Spread::Split } },
            schema: None,
        };
        let section = writer.section(section).unwrap();
        writer.chunk(section, None, Entries::Values, 1, Bytes::from(vec![1; 20 << 20])).await.unwrap();
        (path, writer)
    };
    let (path, writer) = unfinished(job.log.next()).await;
    let begun = job.path(&format!("{path}#1"));
    assert!(begun.exists() && !job.path(path.as_str()).exists());
    // As if the process had died.
    std::mem::forget(writer);
    let orphan = write_file(job.checkpoints.directory(), SnapshotKind::Checkpoint, job.log.next()).await.unwrap();

    assert_eq!(job.log.sweep().await.unwrap(), Collected::default(), "the next checkpoint may name it");
    assert!(begun.exists() && !job.log.suspects_orphans());
    let mut newer = job.checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert!(newer.log.suspects_orphans());
    assert_eq!(newer.log.sweep().await.unwrap(), Collected::default(), "tasks that were taken over may build on it");
    let (file, next) = (orphan.clone(), newer.log.next());
    let (own, writer) = unfinished(next.next()).await;
    newer.log.commit(&manifest(SnapshotKind::Checkpoint, next, 2, Vec::new())).await.unwrap();
    assert_eq!(newer.log.sweep().await.unwrap(), Collected { places: 0, files: 1, bytes: file.bytes });
    assert!(!begun.exists() && !job.path(orphan.path.as_str()).exists() && !newer.log.suspects_orphans());
    writer.finish().await.unwrap();
    assert!(job.path(own.as_str()).exists());
    assert_eq!(newer.restorable.as_ref(), job.committed.last());
    assert!(job.committed.iter().flat_map(Manifest::files).all(|file| job.path(file.path.as_str()).exists()));
    let late = manifest(SnapshotKind::Checkpoint, job.log.next(), 1, Vec::new());
    assert!(matches!(job.log.commit(&late).await, Err(Error::Deposed { .. })));
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_nothing() {
    let job = Job::new().await;
    let before = fs::read_dir(job.path("shared")).unwrap().count();
    for bytes in [100, 20 << 20] {
        let path: DataPath = format!("shared/9_{bytes}").parse().unwrap();
        let mut writer = job.checkpoints.directory().create_file(path, Compression::None);
        let section = Section {
            operator: counter(),
            name: "s".to_owned(),
            kind: SectionKind::Engine { kind: EngineKind::Elements { spread: Spread::Split } },
            schema: None,
        };
        let section = writer.section(section).unwrap();
        writer.chunk(section, None, Entries::Values, 1, Bytes::from(vec![1; bytes])).await.unwrap();
        drop(writer);
        let left = async || {
            // What is removed in the background is removed when the runtime has come to it.
            while fs::read_dir(job.path("shared")).unwrap().count() > before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), left()).await.expect("the file is removed");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("blocked");
    fs::write(&blocked, b"a file where a directory should be").unwrap();
    let root = Directory::open(blocked.to_str().unwrap(), &S3Options::default()).unwrap();
    let error = Checkpoints::new(&root, JOB).claim(JobMasterEpoch(1)).await.unwrap_err();
    assert!(matches!(&error, Error::Store { path, .. } if path.starts_with(blocked.to_str().unwrap())), "{error}");
}

#[tokio::test]
async fn the_newest_that_is_whole_is_found_by_content() {
    let job = Job::new().await;
    let flip = |id| {
        let mut content = fs::read(job.file(id)).unwrap();
        content[20] ^= 1;
        fs::write(job.file(id), content).unwrap();
    };
    let find = async |damaged: &[u64]| {
        let damaged = damaged.iter().copied().map(CheckpointId).collect();
        let (found, problems) = job.checkpoints.newest_whole(&damaged).await.unwrap();
        let blamed: Vec<_> = problems.iter().map(|damage| damage.checkpoint.0).collect();
        (found.map(|manifest| manifest.checkpoint.0), blamed)
    };
    assert_eq!(find(&[]).await, (Some(4), vec![]));
    flip(4);
    assert_eq!(find(&[]).await, (Some(3), vec![4]));
    assert_eq!(find(&[4]).await, (Some(3), vec![]), "what is known is not read again");
    fs::remove_file(job.file(3)).unwrap();
    assert_eq!(find(&[4]).await, (Some(2), vec![3]));
    flip(2);
    assert_eq!(find(&[4]).await, (None, vec![3, 2]));
}
