//! The store on disk: one sled tree, a few small records per job.
//!
//! Keys are one letter for the kind of record and the raw job id, or what names an operation, or the job and a digest of what is left of
//! it; values begin with a format version byte, but for graphs, which are documents with a version of their own. One tree
//! makes every change one atomic batch. sled itself locks its directory against a second process, so this process is
//! the only writer, and a mutex is enough to make read-then-write steps atomic.

use std::{
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flott_core::{
    codec,
    id::{Digest, JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use parking_lot::{Mutex, MutexGuard};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ArchivedJob, Inserted, JobRecord, JobStore, KNOWN_MAX, Leftover, NewJob, Obsolete, StoreError,
    format::{FORMAT, damaged, decode, encode, payload},
    record::{Header, Tombstone},
    room,
};
use crate::operations::{Forgotten, OperationKey, OperationRecord};

/// Records are few and read once: the cache is kept far below sled's default of a gigabyte.
const CACHE_BYTES: u64 = 1 << 20;

/// How long a locked store is waited for, and how long between two tries.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_AGAIN: Duration = Duration::from_millis(20);

const LEADER: &[u8] = b"L";
const HEADER: u8 = b'H';
const GRAPH: u8 = b'G';
const MANIFEST: u8 = b'M';
const SCALE: u8 = b'S';
const PAST: u8 = b'P';
const LEFTOVER: u8 = b'D';
const OPERATION: u8 = b'O';
const ARCHIVE: u8 = b'A';
const KNOWN: u8 = b'K';

/// What records without a job are called where they are damaged.
const OPERATION_NAME: &str = "an operation that was asked for";
const LEFTOVER_NAME: &str = "something to be removed";

/// See the module.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    directory: PathBuf,
    writer: Mutex<()>,
    /// What is free on the disk, in bytes.
    free: fn(&Path) -> io::Result<u64>,
    /// Why sled could not write once: from then on it must not be asked to again.
    broken: OnceLock<String>,
}

/// Changes that are made together, or not at all.
#[derive(Default)]
struct Batch {
    changes: sled::Batch,
    bytes: usize,
}

impl Batch {
    fn insert(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), value.as_ref());
        self.bytes += key.len() + value.len();
        self.changes.insert(key, value);
    }

    fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.bytes += key.as_ref().len();
        self.changes.remove(key.as_ref());
    }
}

impl SledStore {
    /// Opens or creates the store in `directory`. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open, [`StoreError::Io`] when it cannot be read or created,
    /// [`StoreError::OtherFormat`] or [`StoreError::Damaged`] when what it holds cannot be understood.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            // Every change is flushed where it is made; a flusher thread would only wake an idle process.
            .flush_every_ms(None);
        let db = open_patiently(&config).map_err(|error| match &error {
            sled::Error::Io(cause) if is_locked(cause) => StoreError::InUse(directory.display().to_string()),
            _ => failed(error),
        })?;
        let directory = directory.to_owned();
        let store = Self { db, directory, writer: Mutex::new(()), free: room::free, broken: OnceLock::new() };
        store.forget_old_ids()?;
        Ok(store)
    }

    /// The archive of a state directory that no JobManager uses at the moment, the longest ended job first. Creates
    /// nothing: a directory without a store has no archive.
    ///
    /// # Errors
    /// As [`SledStore::open`]; [`StoreError::InUse`] means that a running JobManager can be asked instead.
    pub fn read_archive(state_directory: &Path) -> Result<Vec<ArchivedJob>, StoreError> {
        let directory = Self::directory(state_directory);
        if !directory.join("conf").exists() {
            return Ok(Vec::new());
        }
        Self::open(&directory)?.archived()
    }

    /// Where the store of a state directory is.
    pub fn directory(state_directory: &Path) -> PathBuf {
        state_directory.join("jobs")
    }

    fn forget_old_ids(&self) -> Result<(), StoreError> {
        let mut known = Vec::new();
        for entry in self.db.scan_prefix([KNOWN]) {
            let (key, value) = entry.map_err(failed)?;
            let tombstone: Tombstone = decode("an ended job", &value)?;
            known.push((tombstone.ended_at, key));
        }
        let Some(excess) = known.len().checked_sub(KNOWN_MAX).filter(|excess| *excess > 0) else { return Ok(()) };
        known.sort();
        let mut batch = Batch::default();
        known.iter().take(excess).for_each(|(_, key)| batch.remove(key));
        self.apply(&self.writing()?, batch)
    }

    /// Keeps others from writing.
    ///
    /// # Errors
    /// When sled has failed to write before: what it holds in memory is not what is stored any more.
    fn writing(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let writer = self.writer.lock();
        let Some(cause) = self.broken.get() else { return Ok(writer) };
        let directory = self.directory.display();
        Err(StoreError::Io(format!(
            "{directory} could not be written once, and the JobManager has to be started again: {cause}"
        )))
    }

    fn apply(&self, _writer: &MutexGuard<'_, ()>, batch: Batch) -> Result<(), StoreError> {
        room::check(&self.directory, batch.bytes, self.free)?;
        let written = self.db.apply_batch(batch.changes).and_then(|()| self.db.flush());
        written.map(drop).map_err(|error| {
            tracing::error!(directory = %self.directory.display(), %error, "jobs cannot be stored until the JobManager is started again");
            self.broken.get_or_init(|| error.to_string());
            failed(error)
        })
    }

    fn read<T: DeserializeOwned>(&self, kind: u8, job: JobId) -> Result<Option<T>, StoreError> {
        let Some(value) = self.db.get(key(kind, job)).map_err(failed)? else { return Ok(None) };
        decode(&format!("job {job}"), &value).map(Some)
    }

    fn read_json<T: DeserializeOwned>(&self, kind: u8, job: JobId) -> Result<Option<T>, StoreError> {
        let Some(value) = self.db.get(key(kind, job)).map_err(failed)? else { return Ok(None) };
        unwrap_json(&format!("job {job}"), &value).map(Some)
    }

    fn header(&self, job: JobId) -> Result<Header, StoreError> {
        self.read(HEADER, job)?.ok_or(StoreError::Unknown(job))
    }

    fn led_by(&self, job: JobId, given: JobMasterEpoch) -> Result<(), StoreError> {
        let newest = self.header(job)?.epoch;
        if newest == given { Ok(()) } else { Err(StoreError::Stale { job, given, newest }) }
    }

    fn graph(&self, job: JobId) -> Result<Bytes, StoreError> {
        let graph = self.db.get(key(GRAPH, job)).map_err(failed)?;
        let graph = graph.ok_or_else(|| damaged(&format!("job {job}"), "its graph is missing"))?;
        Ok(Bytes::copy_from_slice(&graph))
    }

    fn operation(&self, key: OperationKey) -> Result<Option<OperationRecord>, StoreError> {
        let Some(value) = self.db.get(operation_key(key)?).map_err(failed)? else { return Ok(None) };
        unwrap_json(OPERATION_NAME, &value).map(Some)
    }

    fn archive_entry(&self, job: JobId, value: &[u8]) -> Result<ArchivedJob, StoreError> {
        let view: JobView = unwrap_json(&format!("job {job}"), value)?;
        Ok(ArchivedJob { view, graph: self.graph(job)? })
    }
}

impl JobStore for SledStore {
    fn begin_leadership(&self) -> Result<LeaderEpoch, StoreError> {
        let writer = self.writing()?;
        let last = match self.db.get(LEADER).map_err(failed)? {
            Some(value) => decode("the leader epoch", &value)?,
            None => LeaderEpoch::default(),
        };
        let mut batch = Batch::default();
        batch.insert(LEADER, encode(&last.next())?);
        self.apply(&writer, batch)?;
        Ok(last.next())
    }

    fn look(&self) -> Result<(), StoreError> {
        // No other process can have opened it.
        Ok(())
    }

    fn insert(&self, job: &NewJob) -> Result<Inserted, StoreError> {
        let writer = self.writing()?;
        if let Some(header) = self.read::<Header>(HEADER, job.job)? {
            return Ok(Inserted::Known { graph: header.graph, ended: false });
        }
        if let Some(tombstone) = self.read::<Tombstone>(KNOWN, job.job)? {
            return Ok(Inserted::Known { graph: tombstone.graph, ended: true });
        }
        let header = Header::of(job);
        let mut batch = Batch::default();
        batch.insert(key(HEADER, job.job), encode(&header)?);
        batch.insert(key(GRAPH, job.job), &*job.graph);
        self.apply(&writer, batch)?;
        Ok(Inserted::New(header.epoch))
    }

    fn begin_mastership(&self, job: JobId) -> Result<JobMasterEpoch, StoreError> {
        let writer = self.writing()?;
        let mut header = self.header(job)?;
        header.epoch = header.epoch.next();
        let mut batch = Batch::default();
        batch.insert(key(HEADER, job), encode(&header)?);
        self.apply(&writer, batch)?;
        Ok(header.epoch)
    }

    fn save_manifest(&self, job: JobId, by: JobMasterEpoch, manifest: &[Committable]) -> Result<(), StoreError> {
        let writer = self.writing()?;
        self.led_by(job, by)?;
        let mut batch = Batch::default();
        batch.insert(key(MANIFEST, job), encode(manifest)?);
        self.apply(&writer, batch)
    }

    fn save_scale(&self, job: JobId, by: JobMasterEpoch, scale: &Scale) -> Result<(), StoreError> {
        let writer = self.writing()?;
        self.led_by(job, by)?;
        let mut batch = Batch::default();
        batch.insert(key(SCALE, job), encode(scale)?);
        self.apply(&writer, batch)
    }

    fn save_past(&self, job: JobId, by: JobMasterEpoch, past: &Past) -> Result<(), StoreError> {
        let writer = self.writing()?;
        self.led_by(job, by)?;
        let mut batch = Batch::default();
        batch.insert(key(PAST, job), wrap_json(past)?);
        self.apply(&writer, batch)
    }

    fn mark_cancelled(&self, job: JobId) -> Result<(), StoreError> {
        let writer = self.writing()?;
        let mut header = self.header(job)?;
        header.cancelled = true;
        let mut batch = Batch::default();
        batch.insert(key(HEADER, job), encode(&header)?);
        self.apply(&writer, batch)
    }

    fn end(&self, by: JobMasterEpoch, view: &JobView, obsolete: Option<&Obsolete>) -> Result<(), StoreError> {
        let writer = self.writing()?;
        let id = view.job;
        self.led_by(id, by)?;
        let graph = self.header(id)?.graph;
        let ended_at = view.ended_at.unwrap_or(view.started_at);
        let mut batch = Batch::default();
        batch.remove(key(HEADER, id));
        batch.remove(key(MANIFEST, id));
        batch.remove(key(SCALE, id));
        batch.remove(key(PAST, id));
        if let Some(obsolete) = obsolete {
            leave(&mut batch, &Leftover::checkpoints(id, by, obsolete.clone()))?;
        }
        batch.insert(key(ARCHIVE, id), wrap_json(view)?);
        batch.insert(key(KNOWN, id), encode(&Tombstone { graph, ended_at })?);
        self.apply(&writer, batch)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        let mut leftovers = Vec::new();
        for entry in self.db.scan_prefix([LEFTOVER]) {
            let (_, value) = entry.map_err(failed)?;
            leftovers.push(decode(LEFTOVER_NAME, &value)?);
        }
        Ok(leftovers)
    }

    fn cleared(&self, leftover: &Leftover) -> Result<(), StoreError> {
        let writer = self.writing()?;
        let mut batch = Batch::default();
        batch.remove(leftover_key(leftover.job, &encode(leftover)?));
        self.apply(&writer, batch)
    }

    fn save_operation(
        &self,
        operation: &OperationRecord,
        forgotten: &[Forgotten],
        leftover: Option<&Leftover>,
    ) -> Result<(), StoreError> {
        let writer = self.writing()?;
        let mut batch = Batch::default();
        if !self.operation(operation.key())?.is_some_and(|kept| kept.outlives(operation)) {
            batch.insert(operation_key(operation.key())?, wrap_json(operation)?);
        }
        // An id that is forgotten may be the one that is used anew here.
        for forgotten in forgotten.iter().filter(|forgotten| forgotten.key != operation.key()) {
            if self.operation(forgotten.key)?.is_some_and(|kept| forgotten.is(&kept)) {
                batch.remove(operation_key(forgotten.key)?);
            }
        }
        if let Some(leftover) = leftover {
            leave(&mut batch, leftover)?;
        }
        self.apply(&writer, batch)
    }

    fn operations(&self) -> Result<Vec<OperationRecord>, StoreError> {
        let mut operations = Vec::new();
        for entry in self.db.scan_prefix([OPERATION]) {
            let (_, value) = entry.map_err(failed)?;
            operations.push(unwrap_json::<OperationRecord>(OPERATION_NAME, &value)?);
        }
        operations.sort_by_key(|operation| operation.at);
        Ok(operations)
    }

    fn unfinished(&self) -> Result<Vec<JobRecord>, StoreError> {
        let mut jobs = Vec::new();
        for entry in self.db.scan_prefix([HEADER]) {
            let (key, value) = entry.map_err(failed)?;
            let job = job_of(&key)?;
            let Header { program, accepted_at, epoch, cancelled, .. } = decode(&format!("job {job}"), &value)?;
            let manifest = self.read(MANIFEST, job)?;
            let scale = self.read(SCALE, job)?.unwrap_or_default();
            let past = self.read_json(PAST, job)?.unwrap_or_default();
            let graph = self.graph(job)?;
            jobs.push(JobRecord { job, graph, program, accepted_at, epoch, cancelled, manifest, scale, past });
        }
        jobs.sort_by_key(|record| (record.accepted_at, record.job));
        Ok(jobs)
    }

    fn archived(&self) -> Result<Vec<ArchivedJob>, StoreError> {
        let mut jobs = Vec::new();
        for entry in self.db.scan_prefix([ARCHIVE]) {
            let (key, value) = entry.map_err(failed)?;
            jobs.push(self.archive_entry(job_of(&key)?, &value)?);
        }
        jobs.sort_by_key(|job| (job.view.ended_at, job.view.job));
        Ok(jobs)
    }

    fn archived_job(&self, job: JobId) -> Result<Option<ArchivedJob>, StoreError> {
        let Some(value) = self.db.get(key(ARCHIVE, job)).map_err(failed)? else { return Ok(None) };
        self.archive_entry(job, &value).map(Some)
    }

    fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let writer = self.writing()?;
        let mut batch = Batch::default();
        for &job in jobs {
            if self.db.contains_key(key(ARCHIVE, job)).map_err(failed)? {
                batch.remove(key(ARCHIVE, job));
                batch.remove(key(GRAPH, job));
            }
        }
        self.apply(&writer, batch)
    }
}

/// A predecessor that is just ending may hold the lock for a moment more.
fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let began = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && began.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_AGAIN);
            }
            opened => return opened,
        }
    }
}

/// sled gives its refused file lock no kind of its own.
fn is_locked(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn key(kind: u8, job: JobId) -> [u8; 17] {
    let mut key = [kind; 17];
    key[1..].copy_from_slice(job.as_bytes());
    key
}

fn operation_key((subject, id): OperationKey) -> Result<Vec<u8>, StoreError> {
    let mut key = vec![OPERATION];
    codec::encode(&(subject, id), &mut key).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(key)
}

fn leave(batch: &mut Batch, leftover: &Leftover) -> Result<(), StoreError> {
    let value = encode(leftover)?;
    batch.insert(leftover_key(leftover.job, &value), value);
    Ok(())
}

fn leftover_key(job: JobId, value: &[u8]) -> Vec<u8> {
    [key(LEFTOVER, job).as_slice(), Digest::of(value).as_bytes()].concat()
}

fn job_of(key: &[u8]) -> Result<JobId, StoreError> {
    let id = key.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
    id.map(JobId::from_bytes).ok_or_else(|| damaged("a job", "its key is not an id"))
}

fn wrap_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, value).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(bytes)
}

fn unwrap_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(payload(what, bytes)?).map_err(|error| damaged(what, error))
}

fn failed(error: sled::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

#[cfg(test)]
impl SledStore {
    /// From now on so much is free.
    pub(super) fn with_free(&mut self, free: fn(&Path) -> io::Result<u64>) {
        self.free = free;
    }

    /// Overwrites a job's header.
    pub(super) fn corrupt(&self, job: JobId, bytes: &[u8]) {
        self.db.insert(key(HEADER, job), bytes).unwrap();
    }

    /// All entries of the store in `directory`, as they are.
    pub(super) fn entries(directory: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entries = sled::open(directory).unwrap().iter().map(Result::unwrap);
        entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// Makes a store of these in `directory`.
    pub(super) fn of_entries(directory: &Path, entries: &[(Vec<u8>, Vec<u8>)]) {
        let db = sled::open(directory).unwrap();
        for (key, value) in entries {
            db.insert(key, &**value).unwrap();
        }
        db.flush().unwrap();
    }
}
