//! Where state goes, and where it does not.

use std::{collections::BTreeMap, sync::mpsc, time::Duration};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Behind, Origin, Overtaking, RestorePart, SnapshotKind, SnapshotReport, StateFile},
    id::{AttemptNumber, Digest, JobSecret, VertexId},
    key_group::MaxParallelism,
};

use flott_snapshot::testing::{StormyStore, Weather};

use super::*;
use crate::{
    snapshot::{Chunk, Section, SectionSort},
    state::Spread,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);

/// A task whose snapshots are stored in `checkpoints`.
fn start(checkpoints: &std::path::Path) -> (Snapshots, mpsc::Receiver<SnapshotReport>) {
    let (sender, reports) = mpsc::channel();
    let setup = JobSetup {
        job: JobId::from_bytes([1; 16]),
        name: "job".to_owned(),
        graph: Digest::of(b""),
        program: Digest::of(b""),
        program_name: "program".to_owned(),
        arguments: Vec::new(),
        secret: JobSecret::random(),
        configuration: [(checkpointing::DIR.key().to_owned(), checkpoints.display().to_string())].into(),
    };
    let report = move |message| {
        if let HostToJob::Snapshot(report) = message {
            let _ = sender.send(*report);
        }
    };
    (Snapshots::start(&setup, Arc::new(report)).unwrap(), reports)
}

/// The same, in a store that breaks, with so long for each cut.
fn start_in(store: &StormyStore, timeout: Duration) -> (Snapshots, mpsc::Receiver<SnapshotReport>) {
    let (sender, reports) = mpsc::channel();
    let report = move |message| {
        if let HostToJob::Snapshot(report) = message {
            let _ = sender.send(*report);
        }
    };
    let root = Directory::of_store(Arc::new(store.clone()), "stormy");
    let job = JobId::from_bytes([1; 16]);
    (Snapshots::start_in(Some(Ok(root)), S3Options::default(), job, timeout, Arc::new(report)).unwrap(), reports)
}

fn task() -> AttemptId {
    AttemptId { vertex: VertexId::from_bytes([2; 16]), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) }
}

fn barrier(checkpoint: u64, kind: SnapshotKind) -> Barrier {
    Barrier {
        checkpoint: CheckpointId(checkpoint),
        kind,
        behind: Behind::GoOn,
        overtaking: Overtaking::Never,
        full: false,
    }
}

fn give(snapshots: &Snapshots, attempt: AttemptId, bytes: usize) {
    let section = Section { name: "state".into(), sort: SectionSort::Elements(Spread::Split), schema: None };
    let chunk = Chunk { group: None, removed: false, count: 1, bytes: vec![1; bytes].into() };
    snapshots.give(attempt, vec![(OperatorId::from_bytes([3; 16]), section, chunk)]);
}

/// All is given of a cut, and a sink has prepared something at its barrier.
fn finish(snapshots: &Snapshots, attempt: AttemptId, barrier: Barrier, extent: Extent) {
    let mut cut = Cut::new(barrier, extent, Duration::ZERO);
    let prepared = Bytes::from(format!("at {}", barrier.checkpoint));
    cut.prepared.push((OperatorId::from_bytes([3; 16]), prepared));
    snapshots.store(attempt, cut);
}

/// The task comes to a barrier, gives state, and a sink of it prepares something. Gives what it was to give.
fn cut(snapshots: &Snapshots, attempt: AttemptId, checkpoint: u64, kind: SnapshotKind) -> Extent {
    let barrier = barrier(checkpoint, kind);
    let extent = snapshots.begin(attempt, barrier);
    give(snapshots, attempt, 1);
    finish(snapshots, attempt, barrier, extent);
    extent
}

/// The task comes to the barrier of a checkpoint, and gives of its state as long as there is room.
fn fill(snapshots: &Snapshots, checkpoint: u64) -> (Barrier, Extent) {
    let barrier = barrier(checkpoint, SnapshotKind::Checkpoint);
    let extent = snapshots.begin(task(), barrier);
    for _ in 0..1_000 {
        if !snapshots.has_room(task()) {
            return (barrier, extent);
        }
        give(snapshots, task(), 1 << 20);
    }
    panic!("there is always room");
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn next(reports: &mpsc::Receiver<SnapshotReport>) -> SnapshotReport {
    reports.recv_timeout(PATIENCE).expect("a report")
}

/// The report of a cut that was given up: what sinks have prepared is in it all the same.
#[track_caller]
fn check_given_up(report: &SnapshotReport, checkpoint: u64, why: &str) {
    assert_eq!(report.checkpoint, CheckpointId(checkpoint));
    let failure = report.result.as_ref().unwrap_err().to_string();
    assert!(failure.contains(why), "{failure}");
    let told = report.committables.get(&CheckpointId(checkpoint)).map(|all| all[0].data.clone());
    assert_eq!(told, Some(Bytes::from(format!("at {checkpoint}"))));
}

fn abort(snapshots: &Snapshots, checkpoint: u64) {
    snapshots.abort(CheckpointId(checkpoint), CheckpointId(checkpoint));
}

fn prepared(report: &SnapshotReport) -> BTreeMap<u64, Vec<Bytes>> {
    assert!(report.result.is_ok(), "{:?}", report.result);
    let all = report.committables.iter();
    all.map(|(id, all)| (id.0, all.iter().map(|committable| committable.data.clone()).collect())).collect()
}

#[test]
fn a_checkpoint_that_overtakes_a_savepoint_tells_what_was_prepared_before_both() {
    let directory = tempfile::tempdir().unwrap();
    let (snapshots, reports) = start(&directory.path().join("checkpoints"));
    let attempt = task();
    // Nobody has said yet where the savepoint goes.
    cut(&snapshots, attempt, 1, SnapshotKind::Savepoint);
    cut(&snapshots, attempt, 2, SnapshotKind::Checkpoint);
    let checkpoint = next(&reports);
    assert_eq!(checkpoint.checkpoint, CheckpointId(2));
    assert_eq!(prepared(&checkpoint), [(1, vec!["at 1".into()]), (2, vec!["at 2".into()])].into());
    let savepoints = directory.path().join("savepoint");
    std::fs::create_dir(&savepoints).unwrap();
    snapshots.savepoint(CheckpointId(1), savepoints.display().to_string());
    let savepoint = next(&reports);
    assert_eq!(savepoint.checkpoint, CheckpointId(1));
    assert_eq!(prepared(&savepoint), BTreeMap::new());
}

#[test]
fn what_a_store_that_hangs_has_not_taken_is_dropped_when_the_checkpoint_is_given_up() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    store.set(Weather::Hangs);
    let (first, extent) = fill(&snapshots, 1);
    // Another one.
    abort(&snapshots, 2);
    assert!(!snapshots.has_room(task()) && !snapshots.is_given_up(task()));
    abort(&snapshots, 1);
    assert!(snapshots.has_room(task()) && snapshots.is_given_up(task()));
    finish(&snapshots, task(), first, extent);
    check_given_up(&next(&reports), 1, "was given up");
    eventually("what hung is dropped", || Arc::strong_count(&snapshots.store) == 1);
    store.set(Weather::Fair);
    assert_eq!(cut(&snapshots, task(), 3, SnapshotKind::Checkpoint), Extent::Whole, "nothing builds on it");
    let report = next(&reports);
    assert_eq!(report.result.as_ref().unwrap().files.len(), 1);
    assert_eq!(prepared(&report), [(3, vec!["at 3".into()])].into());
}

#[test]
fn an_upload_that_has_begun_is_given_up() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    let barrier = barrier(1, SnapshotKind::Checkpoint);
    let extent = snapshots.begin(task(), barrier);
    for _ in 0..20 {
        give(&snapshots, task(), 1 << 20);
    }
    eventually("an upload is under way", || store.open_uploads() == 1);
    abort(&snapshots, 1);
    // Nobody waits for the task to give the rest.
    eventually("it is given up", || store.open_uploads() == 0);
    finish(&snapshots, task(), barrier, extent);
    check_given_up(&next(&reports), 1, "was given up");
    let healthy = Directory::of_store(store.healthy(), "healthy");
    let listed = snapshots.runtime.block_on(healthy.list("")).unwrap();
    assert_eq!(listed, []);
}

#[test]
fn a_cut_that_was_given_whole_is_dropped_too() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    store.set(Weather::Hangs);
    cut(&snapshots, task(), 1, SnapshotKind::Checkpoint);
    abort(&snapshots, 1);
    check_given_up(&next(&reports), 1, "was given up");
    let reported = async { tokio::time::timeout(PATIENCE, snapshots.reported(task())).await };
    snapshots.runtime.block_on(reported).expect("nothing is left to be reported");
}

#[test]
fn nothing_is_written_at_a_barrier_that_comes_after_its_checkpoint_was_given_up() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    cut(&snapshots, task(), 1, SnapshotKind::Checkpoint);
    let base = next(&reports).result.unwrap().files;
    snapshots.abort(CheckpointId(2), CheckpointId(3));
    store.set(Weather::Hangs);
    for checkpoint in [2, 3] {
        let barrier = barrier(checkpoint, SnapshotKind::Checkpoint);
        let extent = snapshots.begin(task(), barrier);
        assert!(snapshots.is_given_up(task()) && snapshots.has_room(task()));
        finish(&snapshots, task(), barrier, extent);
        check_given_up(&next(&reports), checkpoint, "was given up");
    }
    store.set(Weather::Fair);
    // Nothing was cut meanwhile, so what has changed is what has changed since the first.
    assert_eq!(cut(&snapshots, task(), 4, SnapshotKind::Checkpoint), Extent::Changed);
    let files = next(&reports).result.unwrap().files;
    assert_eq!((files.len(), &files[0]), (2, &base[0]));
}

#[test]
fn word_that_comes_late_or_again_changes_nothing() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    cut(&snapshots, task(), 1, SnapshotKind::Checkpoint);
    next(&reports).result.unwrap();
    snapshots.abort(CheckpointId(0), CheckpointId(1));
    abort(&snapshots, 1);
    // Such as nobody sends.
    snapshots.abort(CheckpointId(9), CheckpointId(2));
    assert_eq!(cut(&snapshots, task(), 2, SnapshotKind::Checkpoint), Extent::Changed);
    assert_eq!(next(&reports).result.unwrap().files.len(), 2);
}

#[test]
fn without_a_word_a_cut_is_given_up_when_its_time_is_over() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, Duration::from_millis(200));
    store.set(Weather::Hangs);
    let (first, extent) = fill(&snapshots, 1);
    eventually("there is room", || snapshots.has_room(task()));
    finish(&snapshots, task(), first, extent);
    check_given_up(&next(&reports), 1, "execution.checkpointing.timeout");
}

#[test]
fn one_that_only_is_slow_is_not_given_up_for_a_later_one() {
    let store = StormyStore::default();
    let (snapshots, reports) = start_in(&store, NEVER);
    // The upload of the first is under way when the next begins.
    let (first, extent) =
        (barrier(1, SnapshotKind::Checkpoint), snapshots.begin(task(), barrier(1, SnapshotKind::Checkpoint)));
    give(&snapshots, task(), 20 << 20);
    eventually("an upload is under way", || store.open_uploads() == 1);
    finish(&snapshots, task(), first, extent);
    cut(&snapshots, task(), 2, SnapshotKind::Checkpoint);
    let mut stored: Vec<_> = (0..2).map(|_| next(&reports)).collect();
    stored.sort_by_key(|report| report.checkpoint);
    assert!(stored.iter().all(|report| report.result.is_ok()), "{stored:?}");
}

#[test]
fn a_task_that_ends_leaves_no_upload() {
    let store = StormyStore::default();
    let (snapshots, _reports) = start_in(&store, NEVER);
    store.set(Weather::Hangs);
    cut(&snapshots, task(), 1, SnapshotKind::Checkpoint);
    fill(&snapshots, 2);
    snapshots.forget(task());
    eventually("what hung is dropped", || Arc::strong_count(&snapshots.store) == 1);
}

#[test]
fn reading_what_hangs_ends_with_the_task() {
    let directory = tempfile::tempdir().unwrap();
    let (snapshots, _reports) = start(&directory.path().join("checkpoints"));
    // Whoever opens it waits for somebody to write.
    let made = std::process::Command::new("mkfifo").arg(directory.path().join("file")).status().unwrap();
    assert!(made.success());
    let file = StateFile { path: "file".to_owned(), bytes: 100, checksum: 0 };
    let part = RestorePart {
        subtask: SubtaskIndex(0),
        parallelism: 1,
        groups: KeyGroupRange::all(MaxParallelism::LARGEST),
        files: vec![file],
    };
    let restore = TaskRestore {
        origin: Origin { job: JobId::from_bytes([1; 16]), kind: SnapshotKind::Checkpoint, checkpoint: CheckpointId(1) },
        directory: directory.path().display().to_string(),
        parts: vec![part],
        in_flight: Vec::new(),
        finished: false,
        ignore_unclaimed: false,
    };
    let (cancel, (sender, read)) = (CancellationToken::new(), mpsc::channel());
    let token = cancel.clone();
    std::thread::spawn(move || {
        let groups = KeyGroupRange::all(MaxParallelism::LARGEST);
        let restored = snapshots.restore(&restore, groups, |_| Belongs::Here, (SubtaskIndex(0), 1), &token);
        sender.send(restored.map(drop).map_err(|failure| failure.to_string()))
    });
    cancel.cancel();
    let failure = read.recv_timeout(PATIENCE).expect("reading ends").unwrap_err();
    assert!(failure.contains("was cancelled"), "{failure}");
}
