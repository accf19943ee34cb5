//! Programs and job graphs by their digest, kept on disk between jobs.
//!
//! A blob is asked for by digest and is either whole and right or not there: it is written beside, checked, and renamed.
//! The directory belongs to one TaskManager at a time. What no process uses goes, least recently used first, when all
//! together take more than their bound.

mod fetch;
mod index;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use flott_core::{failure::Failure, id::Digest};

pub(crate) use fetch::Source;
use index::Index;

/// Blobs that are here or on their way.
#[derive(Debug)]
pub(crate) struct BlobCache {
    dir: PathBuf,
    total_bytes_max: u64,
    blob_bytes_max: u64,
    index: Mutex<Index>,
    /// Made when it is first needed: most of a TaskManager's start would be spent on it.
    client: OnceLock<reqwest::Client>,
}

/// A blob on disk, which stays there as long as this does.
#[derive(Debug)]
pub(crate) struct Blob {
    cache: Arc<BlobCache>,
    digest: Digest,
}

/// A blob could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("the JobManager does not have it")]
    Missing,
    #[error("the JobManager answered with status {0}")]
    Status(u16),
    #[error("it could not be transferred")]
    Transfer(#[from] reqwest::Error),
    #[error("what was transferred has another digest, {0}")]
    Damaged(Digest),
    #[error("it has {bytes} bytes, more than the {bytes_max} that a blob may have")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("it could not be written to the work directory")]
    Disk(#[from] io::Error),
}

impl BlobError {
    /// As the failure of a process that needs the blob as its `what`.
    pub(crate) fn failure(&self, what: &str, digest: Digest) -> Failure {
        let failure = Failure::environment(format!("{what} (blob {digest}) is not available")).caused_by(self);
        match self {
            Self::Missing | Self::TooLarge { .. } => failure.fatal(),
            Self::Status(_) | Self::Transfer(_) | Self::Damaged(_) | Self::Disk(_) => failure,
        }
    }

    /// Whether asking at once again may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Transfer(_) | Self::Damaged(_) => true,
            Self::Status(status) => *status >= 500,
            Self::Missing | Self::TooLarge { .. } | Self::Disk(_) => false,
        }
    }
}

impl BlobCache {
    /// Takes over `dir`, with the blobs that an earlier life left there.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub(crate) fn open(dir: PathBuf, total_bytes_max: u64, blob_bytes_max: u64) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&dir)?;
        let mut index = Index::default();
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            match entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()) {
                Some(digest) => found.push((metadata.modified()?, digest, metadata.len())),
                None if metadata.is_file() => fs::remove_file(entry.path())?,
                None => {}
            }
        }
        found.sort();
        found.into_iter().for_each(|(_, digest, bytes)| index.found(digest, bytes));
        let client = OnceLock::new();
        Ok(Arc::new(Self { dir, total_bytes_max, blob_bytes_max, index: Mutex::new(index), client }))
    }

    /// The blob `digest`, from here or from `source`. Calls for the same digest at the same time fetch it once.
    /// Cancel-safe: a transfer that is given up leaves nothing behind.
    ///
    /// # Errors
    /// When it is not here and cannot be had.
    pub(crate) async fn get(self: &Arc<Self>, digest: Digest, source: &Source) -> Result<Blob, BlobError> {
        let gate = self.index().gate(digest);
        let _turn = gate.lock().await;
        if let Some(blob) = self.checked(digest).await? {
            return Ok(blob);
        }
        let bytes = fetch::fetch(self, digest, source).await?;
        let evicted = {
            let mut index = self.index();
            index.fetched(digest, bytes);
            index.evict(self.total_bytes_max)
        };
        for digest in evicted {
            tracing::debug!(%digest, "blob evicted");
            tokio::fs::remove_file(self.path(digest)).await?;
        }
        Ok(Blob { cache: self.clone(), digest })
    }

    /// The blob if it is here. One from an earlier life is read through first, since that life may have ended badly.
    async fn checked(self: &Arc<Self>, digest: Digest) -> io::Result<Option<Blob>> {
        let Some(is_checked) = self.index().pin(digest) else {
            return Ok(None);
        };
        let blob = Blob { cache: self.clone(), digest };
        if is_checked {
            return Ok(Some(blob));
        }
        let path = self.path(digest);
        let is_right = tokio::task::spawn_blocking(move || digest_of(&path).is_ok_and(|found| found == digest))
            .await
            .map_err(io::Error::other)?;
        if is_right {
            self.index().note_checked(digest);
            return Ok(Some(blob));
        }
        tracing::warn!(%digest, "blob in the cache is damaged, fetching it again");
        drop(blob);
        self.index().forget(digest);
        Ok(None)
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blob {
    /// Where it is. Executable by this user.
    pub(crate) fn path(&self) -> PathBuf {
        self.cache.path(self.digest)
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        self.cache.index().unpin(self.digest);
    }
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &Path) -> Arc<BlobCache> {
        BlobCache::open(dir.to_owned(), 1 << 20, 1 << 20).unwrap()
    }

    #[tokio::test]
    async fn blobs_of_an_earlier_life_are_checked_before_they_are_used() {
        let dir = tempfile::tempdir().unwrap();
        let (right, wrong) = (Digest::of(b"right"), Digest::of(b"wrong"));
        fs::write(dir.path().join(right.to_string()), b"right").unwrap();
        fs::write(dir.path().join(wrong.to_string()), b"").unwrap();
        fs::write(dir.path().join(format!("{right}.part")), b"ri").unwrap();
        let cache = cache(dir.path());
        let blob = cache.checked(right).await.unwrap().unwrap();
        assert_eq!(fs::read(blob.path()).unwrap(), b"right");
        assert!(cache.checked(wrong).await.unwrap().is_none());
        assert!(cache.checked(Digest::of(b"absent")).await.unwrap().is_none());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "what was cut off is swept");
    }

    #[tokio::test]
    async fn blob_in_use_is_not_evicted() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"content");
        fs::write(dir.path().join(digest.to_string()), b"content").unwrap();
        let cache = cache(dir.path());
        let blob = cache.checked(digest).await.unwrap().unwrap();
        assert_eq!(cache.index().evict(0), []);
        drop(blob);
        assert_eq!(cache.index().evict(0), [digest]);
    }
}
