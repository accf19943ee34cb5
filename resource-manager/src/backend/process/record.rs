//! What is written down about each worker, so that the next JobManager finds it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flott_core::id::{Digest, WorkerId};
use serde::{Deserialize, Serialize};

use super::{
    super::WorkerSpec,
    error::ProcessBackendError,
    identity::{ProcessIdentity, find_marked},
};

/// The environment variable that marks a worker's process.
pub(super) const MARK: &str = flott_core::message::environment::WORKER_MARK;
/// Records are small; something greater is none of ours.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// A worker on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) spec: WorkerSpec,
    /// Absent before the process is known.
    process: Option<ProcessIdentity>,
}

impl Record {
    /// A worker that is about to be started.
    pub(super) const fn intended(spec: WorkerSpec) -> Self {
        Self { spec, process: None }
    }

    /// The same worker, now that its process is known.
    pub(super) fn of(&self, process: ProcessIdentity) -> Self {
        Self { spec: self.spec.clone(), process: Some(process) }
    }

    /// Its process, if it runs.
    pub(super) fn identity(&self, mark: String) -> Option<ProcessIdentity> {
        match &self.process {
            Some(process) => Some(process.clone()).filter(ProcessIdentity::is_alive),
            None => find_marked(MARK, &mark),
        }
    }
}

/// The directory of records: one JSON file per worker.
#[derive(Debug)]
pub(super) struct Records {
    dir: PathBuf,
    cluster: String,
}

impl Records {
    pub(super) fn open(dir: &Path) -> Result<Self, ProcessBackendError> {
        fs::create_dir_all(dir).map_err(|source| ProcessBackendError::new("create", dir, source))?;
        let dir = dir.canonicalize().map_err(|source| ProcessBackendError::new("resolve", dir, source))?;
        let mut cluster = Digest::of(dir.as_os_str().as_encoded_bytes()).to_string();
        cluster.truncate(16);
        Ok(Self { dir, cluster })
    }

    /// What the process of a worker carries in [`MARK`]: no other directory's worker has it.
    pub(super) fn mark(&self, worker: &WorkerId) -> String {
        format!("{}/{worker}", self.cluster)
    }

    fn path(&self, worker: &WorkerId) -> PathBuf {
        self.dir.join(format!("{worker}.json"))
    }

    /// Written whole or not at all.
    pub(super) fn write(&self, record: &Record) -> Result<(), ProcessBackendError> {
        let path = self.path(&record.spec.worker);
        let partial = path.with_extension("json.partial");
        serde_json::to_vec(record)
            .map_err(io::Error::from)
            .and_then(|json| fs::write(&partial, json))
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|source| ProcessBackendError::new("write", &path, source))
    }

    pub(super) fn remove(&self, worker: &WorkerId) {
        let path = self.path(worker);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "the record of a worker that is gone cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Every readable record. What cannot be read is logged and left alone.
    pub(super) fn all(&self) -> Result<Vec<Record>, ProcessBackendError> {
        let failed = |source| ProcessBackendError::new("list", &self.dir, source);
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                // The file name is what finds the record again.
                Ok(record) if self.path(&record.spec.worker) == path => records.push(record),
                Ok(_) => tracing::warn!(path = %path.display(), "the record of a worker has another worker's name"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "the record of a worker is unreadable"),
            }
        }
        records.sort_by(|a, b| a.spec.worker.cmp(&b.spec.worker));
        Ok(records)
    }
}

fn read(path: &Path) -> io::Result<Record> {
    if fs::metadata(path)?.len() > RECORD_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {RECORD_BYTES_MAX} bytes")));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
