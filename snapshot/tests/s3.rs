//! Checkpoints in an S3-compatible store: moto's server, which must be there as `moto_server` (`pip install
//! 'moto[server]'`) or as what `FLOTT_MOTO_SERVER` names. `make test` says aloud when it leaves this out.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

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
#[path = "common/samples.rs"]
mod samples;

use files::write_file;
use samples::{JOB, manifest};

/// A server of its own for a test; it ends with it.
struct Moto {
    child: Child,
    address: String,
}

impl Moto {
    fn start() -> Self {
        let program = std::env::var("FLOTT_MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{program}: {error}; install it with `pip install 'moto[server]'`, or name it in FLOTT_MOTO_SERVER")
        });
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "{program} ended: {lines}");
            if let Some((_, address)) = line.split_once("Running on http://") {
                break address.trim().to_owned();
            }
            lines.push_str(&line);
        };
        // It must not block on what nobody reads.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, address }
    }

    fn bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request =
            format!("PUT /{name} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn options(&self) -> S3Options {
        S3Options {
            endpoint: Some(format!("http://{}", self.address)),
            region: Some("us-east-1".to_owned()),
            access_key: Some("key".to_owned()),
            secret_key: Some("secret".to_owned()),
            path_style: Some(true),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().expect("the server is ours to end");
        self.child.wait().expect("the server ends");
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
    let root = Directory::open("s3://checkpoints/flott/jobs", &moto.options()).unwrap();
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

    let claimed = checkpoints.claim(JobMasterEpoch(2)).await.unwrap();
    assert_eq!((claimed.restorable.as_ref(), claimed.damaged), (Some(&second), vec![]));
    let late = manifest(SnapshotKind::Checkpoint, older.next(), 1, vec![large.clone()]);
    let error = older.commit(&late).await.unwrap_err();
    assert!(matches!(error, Error::Deposed { by: JobMasterEpoch(2), .. }), "{error}");

    let snapshot = Snapshot::load(&checkpoints.location(CheckpointId(5)), &moto.options()).await.unwrap();
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
    let root = Directory::open("s3://checkpoints", &moto.options()).unwrap();
    let checkpoints = Checkpoints::new(&root, JOB);
    let log = checkpoints.claim(JobMasterEpoch(1)).await.unwrap().log;
    let (path, _) = write_large(checkpoints.directory(), log.next(), false).await;
    let file = StateFile { path, bytes: 100, checksum: flott_snapshot::Checksum(0) };
    let error = checkpoints.directory().open_file(&file).await.unwrap_err();
    assert!(error.to_string().ends_with("is not there"), "{error}");

    let (_, orphan) = write_large(checkpoints.directory(), log.next(), true).await;
    let newer = checkpoints.claim(JobMasterEpoch(2)).await.unwrap().log;
    let swept = newer.sweep().await.unwrap();
    assert_eq!((swept.files, swept.bytes), (1, orphan.unwrap().bytes));
}

#[tokio::test]
async fn savepoints_are_committed_once() {
    let moto = Moto::start();
    moto.bucket("savepoints");
    let root = Directory::open("s3://savepoints/", &moto.options()).unwrap();
    let directory = root.new_savepoint(JOB).await.unwrap();
    let file = write_file(&directory, SnapshotKind::Savepoint, CheckpointId(9)).await.unwrap();
    let saved = manifest(SnapshotKind::Savepoint, CheckpointId(9), 1, vec![file]);
    let location = directory.commit_savepoint(&saved).await.unwrap();
    assert_eq!(directory.commit_savepoint(&saved).await.unwrap(), location, "the same again");
    let other = manifest(SnapshotKind::Savepoint, CheckpointId(10), 1, vec![]);
    assert!(matches!(directory.commit_savepoint(&other).await, Err(Error::Taken { .. })));
    let snapshot = Snapshot::load(&format!("{location}/_metadata"), &moto.options()).await.unwrap();
    assert_eq!(snapshot.manifest, saved);
    assert_eq!(snapshot.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error_and_no_empty_log() {
    let moto = Moto::start();
    let root = Directory::open("s3://nothing-here", &moto.options()).unwrap();
    let error = Checkpoints::new(&root, JOB).claim(JobMasterEpoch(1)).await.unwrap_err();
    assert!(error.to_string().contains("nothing-here"), "{error}");
}
