//! Programs and graphs by the digest of their content: files that are written once and never changed.
//!
//! A blob appears under its name only when all of it is on disk and hashes to that name, so whoever finds one may trust
//! it. It stays as long as a job or a [`Lease`] refers to it. References live in memory: after a restart the Dispatcher
//! adopts the blobs of the jobs that it recovers, and [`BlobStore::sweep`] removes the rest.

mod upload;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use flott_core::id::{Digest, JobId};
use parking_lot::Mutex;

pub use upload::Upload;

/// How long a blob that nobody has submitted a job for stays after its upload.
pub const UNCLAIMED: Duration = Duration::from_secs(600);

/// Why a blob could not be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("no blob {0} is stored here; upload it first")]
    Missing(Digest),
    /// The content is not what its name promises.
    #[error(
        "the upload hashes to {actual}, not to {expected} as announced; it was damaged on the way or is another file"
    )]
    Mismatch {
        /// The name.
        expected: Digest,
        /// The content.
        actual: Digest,
    },
    /// The upload is larger than allowed.
    #[error("the upload exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Most bytes allowed.
        limit: u64,
    },
    /// The disk failed.
    #[error("cannot {action} blob storage at {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

/// The blobs of one state directory. Cheap to clone. Methods block on the disk.
#[derive(Debug, Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    references: Mutex<BTreeMap<Digest, References>>,
}

#[derive(Debug, Default)]
struct References {
    jobs: BTreeSet<JobId>,
    leases: usize,
    kept_until: Option<Instant>,
}

impl References {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.jobs.is_empty() || self.leases > 0 || self.kept_until.is_some_and(|until| until > now)
    }
}

impl BlobStore {
    /// Opens the store in `directory`, creates it if need be, and drops uploads that a crash has left.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|cause| io_error("create", &directory, cause))?;
        let store = Self { inner: Arc::new(Inner { directory, references: Mutex::default() }) };
        for path in store.files()? {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(upload::PREFIX)) {
                remove(&path)?;
            }
        }
        Ok(store)
    }

    /// Begins an upload of at most `limit` bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn upload(&self, limit: u64) -> Result<Upload, BlobError> {
        Upload::begin(self.clone(), limit)
    }

    /// Stores `content`.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn put(&self, content: &[u8]) -> Result<Lease, BlobError> {
        let mut upload = self.upload(content.len() as u64)?;
        upload.write(content)?;
        upload.finish(None)
    }

    /// Stores a copy of what `path` holds.
    ///
    /// # Errors
    /// [`BlobError::Io`], also when `path` cannot be read; [`BlobError::TooLarge`].
    pub fn put_file(&self, path: &Path, limit: u64) -> Result<Lease, BlobError> {
        let mut file = fs::File::open(path).map_err(|cause| io_error("read", path, cause))?;
        let mut upload = self.upload(limit)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = io::Read::read(&mut file, &mut buffer).map_err(|cause| io_error("read", path, cause))?;
            if read == 0 {
                return upload.finish(None);
            }
            upload.write(&buffer[..read])?;
        }
    }

    /// Where a blob's content is, and its size in bytes. The file may go once nothing refers to it; one that is open
    /// stays readable.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Io`].
    pub fn locate(&self, digest: Digest) -> Result<(PathBuf, u64), BlobError> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok((path, metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing(digest)),
            Err(cause) => Err(io_error("read", &path, cause)),
        }
    }

    /// Holds on to a blob that is stored already.
    ///
    /// # Errors
    /// As [`BlobStore::locate`].
    pub fn lease(&self, digest: Digest) -> Result<Lease, BlobError> {
        let mut references = self.inner.references.lock();
        let (_, size) = self.locate(digest)?;
        references.entry(digest).or_default().leases += 1;
        Ok(Lease { store: self.clone(), digest, size })
    }

    /// A job needs these blobs until [`BlobStore::release`].
    pub fn adopt(&self, job: JobId, digests: impl IntoIterator<Item = Digest>) {
        let mut references = self.inner.references.lock();
        for digest in digests {
            references.entry(digest).or_default().jobs.insert(job);
        }
    }

    /// A job needs its blobs no more; those that nothing else refers to are deleted.
    ///
    /// # Errors
    /// [`BlobError::Io`] when a file could not be deleted; the references are gone all the same.
    pub fn release(&self, job: JobId) -> Result<(), BlobError> {
        for references in self.inner.references.lock().values_mut() {
            references.jobs.remove(&job);
        }
        self.collect()
    }

    /// Deletes every blob that nothing refers to, those of earlier lives included.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn sweep(&self) -> Result<(), BlobError> {
        let references = self.inner.references.lock();
        for path in self.files()? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.parse::<Digest>().is_ok_and(|digest| !references.contains_key(&digest)) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Deletes blobs whose last reference has gone or run out.
    fn collect(&self) -> Result<(), BlobError> {
        let mut references = self.inner.references.lock();
        let now = Instant::now();
        let unwanted: Vec<_> =
            references.iter().filter(|(_, references)| !references.is_wanted(now)).map(|(digest, _)| *digest).collect();
        for digest in unwanted {
            references.remove(&digest);
            remove(&self.path(digest))?;
        }
        Ok(())
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.inner.directory.join(digest.to_string())
    }

    fn files(&self) -> Result<Vec<PathBuf>, BlobError> {
        let directory = &self.inner.directory;
        let entries = fs::read_dir(directory).map_err(|cause| io_error("list", directory, cause))?;
        entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|cause| io_error("list", directory, cause)))
            .collect()
    }
}

/// Keeps a blob from being deleted while it is held.
#[derive(Debug)]
pub struct Lease {
    store: BlobStore,
    digest: Digest,
    size: u64,
}

impl Lease {
    /// Which blob.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where its content is.
    pub fn path(&self) -> PathBuf {
        self.store.path(self.digest)
    }

    /// Gives up the lease but keeps the blob for `time`, for a submission that will refer to it.
    pub fn keep_for(self, time: Duration) {
        if let Some(references) = self.store.inner.references.lock().get_mut(&self.digest) {
            references.kept_until = Some(Instant::now() + time);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(references) = self.store.inner.references.lock().get_mut(&self.digest) {
            references.leases = references.leases.saturating_sub(1);
        }
        if let Err(error) = self.store.collect() {
            tracing::warn!(blob = %self.digest, %error, "cannot delete a blob that is not needed any more");
        }
    }
}

fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("delete from", path, error)),
        _ => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path, cause: io::Error) -> BlobError {
    BlobError::Io { action, path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests;
