use std::sync::Arc;

use flott_snapshot::testing::{StormyStore, Weather};

use super::*;

const PROGRAM: &[u8] = b"program";

/// A shared directory, and the blobs of a JobManager.
struct Stand {
    store: StormyStore,
    runtime: tokio::runtime::Runtime,
    disk: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { store: StormyStore::default(), runtime, disk: tempfile::tempdir().unwrap() }
    }

    fn programs(&self) -> SharedPrograms {
        let directory = Directory::of_store(Arc::new(self.store.clone()), "stormy");
        SharedPrograms::new(directory, self.runtime.handle().clone())
    }

    fn blobs(&self, of: &str) -> BlobStore {
        BlobStore::open(self.disk.path().join(of)).unwrap()
    }

    /// A leader keeps the program of a job, which it may accept then.
    fn keep(&self, job: JobId, leader: u64) {
        let program = self.blobs("accepting").put(PROGRAM).unwrap();
        self.programs().keep(job, LeaderEpoch(leader), &program).unwrap();
    }

    fn fetch(&self, job: JobId) -> Result<Lease, Error> {
        self.programs().fetch(job, Digest::of(PROGRAM), &self.blobs("recovering"))
    }
}

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn is_missing(fetched: &Result<Lease, Error>) -> bool {
    matches!(fetched, Err(Error::Blob(BlobError::Missing(_))))
}

#[test]
fn a_program_is_there_until_its_job_has_ended() {
    let stand = Stand::new();
    [job(1), job(2)].into_iter().for_each(|job| stand.keep(job, 1));
    assert_eq!(stand.fetch(job(1)).unwrap().digest(), Digest::of(PROGRAM));
    stand.programs().release(job(1)).unwrap();
    assert!(is_missing(&stand.fetch(job(1))));
    stand.fetch(job(2)).unwrap();
}

#[test]
fn what_was_kept_for_jobs_that_were_not_accepted_is_removed() {
    let stand = Stand::new();
    [job(1), job(2)].into_iter().for_each(|job| stand.keep(job, 1));
    stand.programs().sweep(LeaderEpoch(2), &[job(2)]).unwrap();
    assert!(is_missing(&stand.fetch(job(1))));
    stand.fetch(job(2)).unwrap();
}

#[test]
fn a_deposed_leader_removes_nothing_of_jobs_that_it_does_not_know() {
    let stand = Stand::new();
    // One that the first leader could not accept any more, and that was submitted again.
    stand.keep(job(1), 1);
    [job(1), job(2)].into_iter().for_each(|job| stand.keep(job, 3));
    stand.programs().sweep(LeaderEpoch(2), &[]).unwrap();
    stand.fetch(job(1)).unwrap();
    stand.fetch(job(2)).unwrap();
}

#[test]
fn a_program_is_not_missing_because_the_store_fails() {
    let stand = Stand::new();
    stand.keep(job(1), 1);
    stand.store.set(Weather::Fails);
    let failed = stand.fetch(job(1));
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
    stand.store.set(Weather::Fair);
    stand.fetch(job(1)).unwrap();
}

#[test]
fn names_are_read_only_as_they_are_written() {
    let name = Name { job: job(1), leader: LeaderEpoch(7), program: Digest::of(PROGRAM) };
    assert_eq!(Name::parse(&name.to_string()), Some(name));
    for other in
        ["", "x", &name.to_string().to_uppercase(), &format!("{name}-1"), &name.to_string().replace("-7-", "-07-")]
    {
        assert_eq!(Name::parse(other), None, "{other}");
    }
}
