//! A large file of a local directory, made durable while it is written.
//!
//! The store's own writer syncs a file when it is complete. The kernel keeps what is written until then, unless there is much of
//! it, and the disk has nothing to do; so writing would take as long as encoding and the disk one after the other. Here the disk
//! begins early, and what is left to be synced in the end is little.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{MultipartUpload, PutPayload, PutResult, UploadPart};

use crate::directory::sync_directory;

/// Bytes after which what was written is synced.
const SYNC_BYTES: u64 = 32 << 20;

/// A file that gets its name when it is complete. Until then it has that of the store's own writer: the same with `#` and a number
/// behind. What is not completed is removed when it is dropped.
#[derive(Debug)]
pub(super) struct LocalParts {
    file: Arc<File>,
    path: PathBuf,
    /// Where it is until it is complete, and whether that is still to come.
    staging: Option<PathBuf>,
    offset: u64,
    unsynced: u64,
}

impl LocalParts {
    /// Begins the file at `path`.
    pub async fn begin(path: PathBuf) -> object_store::Result<Self> {
        let (begun, path) = blocking(move || staging(&path).map(|begun| (begun, path))).await?;
        let (file, staging) = begun;
        Ok(Self { file: Arc::new(file), path, staging: Some(staging), offset: 0, unsynced: 0 })
    }

    fn take_staging(&mut self) -> object_store::Result<PathBuf> {
        self.staging.take().ok_or_else(|| failed(io::Error::other("the file is complete or given up already")))
    }
}

#[async_trait]
impl MultipartUpload for LocalParts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (file, mut at) = (Arc::clone(&self.file), self.offset);
        let length = data.content_length() as u64;
        self.offset += length;
        self.unsynced += length;
        let syncs = self.unsynced >= SYNC_BYTES;
        if syncs {
            self.unsynced = 0;
        }
        let write = move || {
            for piece in &data {
                file.write_all_at(piece, at)?;
                at += piece.len() as u64;
            }
            if syncs { file.sync_data() } else { Ok(()) }
        };
        blocking(write).boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let staging = self.take_staging()?;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || {
            file.sync_all()?;
            fs::rename(&staging, &path)?;
            path.parent().map_or(Ok(()), sync_directory)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        let staging = self.take_staging()?;
        blocking(move || fs::remove_file(staging)).await
    }
}

impl Drop for LocalParts {
    fn drop(&mut self) {
        if let Some(staging) = self.staging.take() {
            let _ = fs::remove_file(staging); // it is a leftover then, and removed as such
        }
    }
}

/// A new file that is to become `path`.
fn staging(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        let name = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(file) => return Ok((file, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => match name.parent() {
                Some(parent) if !parent.exists() => fs::create_dir_all(parent)?,
                Some(_) | None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> object_store::Result<T> {
    tokio::task::spawn_blocking(work).await?.map_err(failed)
}

fn failed(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "local directory", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_has_its_name_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("made/here");
        let part = |byte: u8| PutPayload::from(vec![byte; (SYNC_BYTES / 2) as usize]);
        let mut parts = LocalParts::begin(place.join("state")).await.unwrap();
        // Parts may be written in any order.
        let writes: Vec<_> = (0..4).map(|number| parts.put_part(part(number))).collect();
        for write in writes.into_iter().rev() {
            write.await.unwrap();
        }
        assert_eq!(names(&place), ["state#1"]);
        parts.complete().await.unwrap();
        assert_eq!(names(&place), ["state"]);
        let written = fs::read(place.join("state")).unwrap();
        let expected = (0..4).flat_map(|byte| vec![byte; (SYNC_BYTES / 2) as usize]);
        assert!(written.into_iter().eq(expected));
        assert!(parts.complete().await.is_err(), "once");
    }

    #[tokio::test]
    async fn what_is_given_up_or_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let begin = || LocalParts::begin(directory.path().join("state"));
        let (mut given_up, dropped) = (begin().await.unwrap(), begin().await.unwrap());
        assert_eq!(names(directory.path()), ["state#1", "state#2"]);
        given_up.put_part(PutPayload::from_static(b"part")).await.unwrap();
        given_up.abort().await.unwrap();
        drop(dropped);
        assert_eq!(names(directory.path()), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_says_why() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "no directory").unwrap();
        let error = LocalParts::begin(directory.path().join("file/state")).await.unwrap_err();
        assert!(error.to_string().contains("Not a directory"), "{error}");
    }
}
