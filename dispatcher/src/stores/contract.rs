//! The contract of [`JobStore`], run against every implementation; `reopen` stands for a crash and a new start.

use std::process::Command;

use flott_core::{
    failure::Failure,
    id::{Digest, JobMasterEpoch},
    job_graph::scale::Scale,
    past::Past,
};
use flott_snapshot::{Directory, S3Options};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::{
    samples::{committable, ended, id, new_job, obsolete, past, savepoint_left, scale, undertaken},
    *,
};
use crate::operations::{Done, Forgotten, OperationState};

const FIRST: JobMasterEpoch = JobMasterEpoch(1);

fn contract<S: JobStore>(mut store: S, reopen: impl Fn(S) -> S) {
    // Leadership grows with every start.
    let first = store.begin_leadership().unwrap();
    store = reopen(store);
    let second = store.begin_leadership().unwrap();
    assert!(second > first);

    // A job is accepted once, whether it runs or has ended.
    assert_eq!(store.insert(&new_job(1)).unwrap(), Inserted::New(FIRST));
    assert_eq!(store.insert(&new_job(2)).unwrap(), Inserted::New(FIRST));
    store = reopen(store);
    let known = Inserted::Known { graph: Digest::of(&new_job(1).graph), ended: false };
    assert_eq!(store.insert(&new_job(1)).unwrap(), known);

    // What was accepted is there again, in order of acceptance.
    let jobs = store.unfinished().unwrap();
    assert_eq!(jobs.iter().map(|record| record.job).collect::<Vec<_>>(), [id(2), id(1)]);
    assert_eq!(jobs[1].graph, new_job(1).graph);
    assert_eq!((jobs[1].program, jobs[1].accepted_at), (new_job(1).program, 999));
    assert_eq!((jobs[1].epoch, jobs[1].cancelled, &jobs[1].manifest), (FIRST, false, &None));

    // A new JobMaster fences the one before it.
    assert_eq!(store.begin_mastership(id(1)).unwrap(), JobMasterEpoch(2));
    let manifest = [committable(b"a"), committable(b"b")];
    let stale = store.save_manifest(id(1), FIRST, &manifest).unwrap_err();
    assert!(matches!(stale, StoreError::Stale { newest: JobMasterEpoch(2), .. }), "{stale}");
    assert!(matches!(store.end(FIRST, &ended(1).view, None), Err(StoreError::Stale { .. })));
    store.save_manifest(id(1), JobMasterEpoch(2), &manifest).unwrap();
    let scale = scale();
    assert!(matches!(store.save_scale(id(1), FIRST, &scale), Err(StoreError::Stale { .. })));
    store.save_scale(id(1), JobMasterEpoch(2), &Scale::default()).unwrap();
    store.save_scale(id(1), JobMasterEpoch(2), &scale).unwrap();
    assert!(matches!(store.save_past(id(1), FIRST, &past(7)), Err(StoreError::Stale { .. })));
    store.save_past(id(1), JobMasterEpoch(2), &past(1)).unwrap();
    store.save_past(id(1), JobMasterEpoch(2), &past(2)).unwrap();
    store.mark_cancelled(id(2)).unwrap();
    store = reopen(store);
    let jobs = store.unfinished().unwrap();
    assert_eq!((jobs[1].epoch, jobs[1].manifest.as_deref()), (JobMasterEpoch(2), Some(&manifest[..])));
    assert_eq!((&jobs[0].scale, &jobs[1].scale), (&Scale::default(), &scale));
    assert_eq!((&jobs[0].past, &jobs[1].past), (&Past::default(), &past(2)));
    assert!(jobs[0].cancelled);

    // An ended job leaves its view behind, and its id stays taken.
    store.end(JobMasterEpoch(2), &ended(1).view, Some(&obsolete())).unwrap();
    store = reopen(store);
    assert_eq!(store.unfinished().unwrap().len(), 1);
    assert_eq!(store.archived_job(id(1)).unwrap(), Some(ended(1)));
    let known = Inserted::Known { graph: Digest::of(&new_job(1).graph), ended: true };
    assert_eq!(store.insert(&new_job(1)).unwrap(), known);
    assert!(matches!(store.begin_mastership(id(1)), Err(StoreError::Unknown(_))));
    assert!(matches!(store.mark_cancelled(id(1)), Err(StoreError::Unknown(_))));
    assert!(matches!(store.end(JobMasterEpoch(2), &ended(1).view, None), Err(StoreError::Unknown(_))));
    assert!(matches!(store.save_past(id(1), JobMasterEpoch(2), &past(3)), Err(StoreError::Unknown(_))));

    // What is to be removed of it is known until it is.
    let leftover = Leftover::checkpoints(id(1), JobMasterEpoch(2), obsolete());
    assert_eq!(store.leftovers().unwrap(), std::slice::from_ref(&leftover));
    store.cleared(&leftover).unwrap();
    store.cleared(&savepoint_left()).unwrap();
    store = reopen(store);
    assert_eq!(store.leftovers().unwrap(), []);

    // The archive is in order of the end; forgetting keeps the id taken.
    assert_eq!(store.insert(&new_job(3)).unwrap(), Inserted::New(FIRST));
    store.end(FIRST, &ended(3).view, None).unwrap();
    store.end(FIRST, &ended(2).view, None).unwrap();
    assert_eq!(store.archived().unwrap(), [ended(1), ended(2), ended(3)]);
    store.forget(&[id(1), id(9)]).unwrap();
    store.forget(&[]).unwrap();
    store = reopen(store);
    assert_eq!(store.archived().unwrap(), [ended(2), ended(3)]);
    assert_eq!(store.archived_job(id(1)).unwrap(), None);
    assert_eq!(store.insert(&new_job(1)).unwrap(), known);

    // What was asked for outlives its job, each as it was written last.
    store.save_operation(&undertaken(2, 1), &[], None).unwrap();
    store.save_operation(&undertaken(1, 2), &[], None).unwrap();
    let done = OperationState::Ended(Ok(Done::Savepoint("/savepoints/2".to_owned())));
    let done = OperationRecord { at: 3, state: done, ..undertaken(2, 1) };
    store.save_operation(&done, &[], None).unwrap();
    store = reopen(store);
    assert_eq!(store.operations().unwrap(), [undertaken(1, 2), done.clone()]);
    let failed = OperationState::Ended(Err(Failure::environment("the disk is full")));
    let failed = OperationRecord { at: 4, state: failed, ..undertaken(3, 1) };
    let forgotten = [undertaken(1, 2), undertaken(9, 9)].map(|it| Forgotten { key: it.key(), at: it.at });
    store.save_operation(&failed, &forgotten, Some(&savepoint_left())).unwrap();
    store = reopen(store);
    assert_eq!(store.operations().unwrap(), [done.clone(), failed.clone()]);
    // What is left of one is there with its end, and goes by itself.
    assert_eq!(store.leftovers().unwrap(), [savepoint_left()]);
    store.cleared(&savepoint_left()).unwrap();
    assert_eq!(store.leftovers().unwrap(), []);
    // What comes late changes nothing about what has ended, and what it drops is dropped.
    store.save_operation(&undertaken(2, 1), &[Forgotten { key: failed.key(), at: 4 }], None).unwrap();
    store = reopen(store);
    assert_eq!(store.operations().unwrap(), std::slice::from_ref(&done));
    // An id that nobody remembers is used anew; then neither the end of what it named before counts, nor that that is forgotten.
    let anew = undertaken(2, 5);
    store.save_operation(&anew, &[Forgotten { key: done.key(), at: 3 }], None).unwrap();
    store.save_operation(&done, &[], None).unwrap();
    store.save_operation(&undertaken(4, 2), &[Forgotten { key: done.key(), at: 3 }], None).unwrap();
    store = reopen(store);
    assert_eq!(store.operations().unwrap(), [undertaken(4, 2), anew]);
}

#[test]
fn memory_store_keeps_the_contract() {
    contract(MemoryStore::default(), |store| store);
}

#[test]
fn sled_store_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    contract(SledStore::open(&path).unwrap(), |store| {
        drop(store);
        SledStore::open(&path).unwrap()
    });
}

/// A store in a directory, with a runtime to reach it by and the token that tells that another one leads.
pub(super) struct Shared {
    directory: Directory,
    runtime: tokio::runtime::Runtime,
    deposed: CancellationToken,
}

impl Shared {
    pub(super) fn new(location: &std::path::Path) -> Self {
        let directory = Directory::open(location.to_str().unwrap(), &S3Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { directory, runtime, deposed: CancellationToken::new() }
    }

    pub(super) fn open(&self) -> SharedStore {
        self.try_open().unwrap()
    }

    pub(super) fn try_open(&self) -> Result<SharedStore, StoreError> {
        SharedStore::open(self.directory.clone(), self.runtime.handle().clone(), self.deposed.clone())
    }
}

#[test]
fn shared_store_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::new(directory.path());
    contract(shared.open(), |store| {
        drop(store);
        shared.open()
    });
    assert!(!shared.deposed.is_cancelled());
}

#[test]
fn a_deposed_leader_changes_nothing_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::new(directory.path());
    let old = shared.open();
    let first = old.begin_leadership().unwrap();
    old.insert(&new_job(1)).unwrap();
    // It leads another life of the same cluster, with a token of its own.
    let other = Shared::new(directory.path());
    let new = other.open();
    old.look().unwrap();
    assert!(new.begin_leadership().unwrap() > first);
    // Who writes nothing learns it as well.
    assert!(matches!(old.look(), Err(StoreError::Deposed(_))));
    new.look().unwrap();
    assert!(matches!(old.insert(&new_job(2)), Err(StoreError::Deposed(_))));
    assert!(shared.deposed.is_cancelled() && !other.deposed.is_cancelled());
    assert!(matches!(old.end(FIRST, &ended(1).view, None), Err(StoreError::Deposed(_))));
    assert!(matches!(old.save_past(id(1), FIRST, &past(1)), Err(StoreError::Deposed(_))));
    assert!(matches!(old.save_operation(&undertaken(1, 1), &[], None), Err(StoreError::Deposed(_))));
    assert!(matches!(old.begin_leadership(), Err(StoreError::Deposed(_))));
    assert_eq!(other.open().unfinished().unwrap().len(), 1);
}

#[test]
fn a_long_log_is_compacted_and_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::new(directory.path());
    let store = shared.open();
    store.insert(&new_job(1)).unwrap();
    store.insert(&new_job(2)).unwrap();
    store.save_manifest(id(1), FIRST, &[committable(b"a")]).unwrap();
    store.save_scale(id(1), FIRST, &scale()).unwrap();
    store.save_past(id(1), FIRST, &past(4)).unwrap();
    store.save_operation(&undertaken(1, 1), &[], Some(&savepoint_left())).unwrap();
    store.end(FIRST, &ended(2).view, Some(&obsolete())).unwrap();
    for _ in 0..600 {
        store.mark_cancelled(id(1)).unwrap();
    }
    let files = shared.runtime.block_on(shared.directory.list("")).unwrap().len();
    assert!(files < 300, "{files}");
    let again = shared.open();
    assert_eq!(again.unfinished().unwrap(), store.unfinished().unwrap());
    assert_eq!(again.archived().unwrap(), [ended(2)]);
    assert_eq!(again.leftovers().unwrap(), store.leftovers().unwrap());
    assert_eq!(again.operations().unwrap(), [undertaken(1, 1)]);
    let known = Inserted::Known { graph: Digest::of(&new_job(2).graph), ended: true };
    assert_eq!(again.insert(&new_job(2)).unwrap(), known);
}

#[test]
fn a_change_that_may_not_fit_is_refused_and_made_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(directory.path()).unwrap();
    store.with_free(|_| Ok(2 << 20));
    for _ in 0..2 {
        let error = store.insert(&new_job(1)).unwrap_err();
        assert!(matches!(&error, StoreError::Io(message) if message.contains("2097152 bytes free")), "{error}");
    }
    assert_eq!(store.unfinished().unwrap(), []);
    // Jobs go on where no other is accepted any more.
    store.with_free(|_| Ok(8 << 20));
    store.insert(&new_job(2)).unwrap();
    let large = NewJob { graph: vec![0; 32 << 10].into(), ..new_job(3) };
    assert!(matches!(store.insert(&large), Err(StoreError::Io(_))));
    store.mark_cancelled(id(2)).unwrap();
    store.with_free(room::free);
    assert_eq!(store.insert(&new_job(1)).unwrap(), Inserted::New(FIRST));
    drop(store);
    assert_eq!(SledStore::open(directory.path()).unwrap().unfinished().unwrap().len(), 2);
}

/// Of a process that may write no byte to any file for a while.
const FULL: &str = "FLOTT_TEST_FULL_DISK";

#[test]
fn a_database_that_has_failed_to_write_is_not_asked_again() {
    if std::env::var_os(FULL).is_none() {
        // In a process of its own, which the signal of such a write does not end.
        let name = std::thread::current().name().unwrap().to_owned();
        let mut child = Command::new("sh");
        child.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
        let output = child.args(["--exact", &name, "--nocapture"]).env(FULL, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path()).unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 0, most).unwrap();
    let first = store.insert(&new_job(1)).unwrap_err();
    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
    assert!(matches!(first, StoreError::Io(_)), "{first}");
    let again = store.insert(&new_job(1)).unwrap_err();
    assert!(again.to_string().contains("has to be started again"), "{again}");
    drop(store);
    assert_eq!(SledStore::open(directory.path()).unwrap().insert(&new_job(1)).unwrap(), Inserted::New(FIRST));
}

#[test]
fn a_sled_store_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let _owner = SledStore::open(directory.path()).unwrap();
    let error = SledStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
}

#[test]
fn a_damaged_record_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path()).unwrap();
    store.insert(&new_job(1)).unwrap();
    store.corrupt(id(1), &[format::FORMAT, 9]);
    let error = store.unfinished().unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { what, .. } if what.contains(&id(1).to_string())), "{error}");
}
