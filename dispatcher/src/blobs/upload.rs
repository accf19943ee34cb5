use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use flott_core::id::{Digest, InstanceId};

use super::{BlobError, BlobStore, Lease, io_error};

/// What the names of unfinished uploads begin with; no digest does.
pub(super) const PREFIX: &str = "upload-";

/// A blob on its way in. Dropped before [`Upload::finish`], it leaves nothing behind. Methods block on the disk.
#[derive(Debug)]
pub struct Upload {
    store: BlobStore,
    path: PathBuf,
    file: File,
    hasher: Box<blake3::Hasher>,
    size: u64,
    limit: u64,
    kept: bool,
}

impl Upload {
    pub(super) fn begin(store: BlobStore, limit: u64) -> Result<Self, BlobError> {
        let path = store.inner.directory.join(format!("{PREFIX}{}", InstanceId::random()));
        let file = File::create_new(&path).map_err(|cause| io_error("write to", &path, cause))?;
        Ok(Self { store, path, file, hasher: Box::default(), size: 0, limit, kept: false })
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] when the limit is passed, [`BlobError::Io`].
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        self.size += chunk.len() as u64;
        if self.size > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        self.hasher.update(chunk);
        self.file.write_all(chunk).map_err(|cause| io_error("write to", &self.path, cause))
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the blob appear under its digest, which must be `expected` if that is given.
    ///
    /// # Errors
    /// [`BlobError::Mismatch`], [`BlobError::Io`].
    pub fn finish(mut self, expected: Option<Digest>) -> Result<Lease, BlobError> {
        let actual = Digest::from_bytes(*self.hasher.finalize().as_bytes());
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(BlobError::Mismatch { expected, actual });
        }
        self.file.sync_data().map_err(|cause| io_error("write to", &self.path, cause))?;
        // Under the lock, so that nobody collects the file between its appearance and its lease.
        let mut references = self.store.inner.references.lock();
        let path = self.store.path(actual);
        fs::rename(&self.path, &path).map_err(|cause| io_error("write to", &path, cause))?;
        self.kept = true;
        references.entry(actual).or_default().leases += 1;
        drop(references);
        Ok(Lease { store: self.store.clone(), digest: actual, size: self.size })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            // A file that cannot be removed now goes at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}
