//! Removing savepoints, which nobody does but who asked for them.

use crate::{
    directory::{Directory, S3Options},
    error::Error,
    manifest::SnapshotKind,
    snapshot::{METADATA, Snapshot},
};

impl Snapshot {
    /// Removes the savepoint at `location`, its directory or the manifest in it: the files that the manifest names, then the
    /// manifest, then the directory if nothing else is in it. Done again after a failure, it goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there, [`Error::Damaged`] when it is no manifest, [`Error::Location`] when it is one
    /// of a checkpoint; nothing was removed then. [`Error::Store`] when the store fails.
    pub async fn dispose(location: &str, s3: &S3Options) -> Result<(), Error> {
        let Self { manifest, directory } = Self::load(location, s3).await?;
        if manifest.kind != SnapshotKind::Savepoint {
            let problem = "is a checkpoint, which its job removes by itself; expected a savepoint".to_owned();
            return Err(Error::Location { location: location.to_owned(), problem });
        }
        directory.delete(manifest.files().map(|file| file.path.as_str().to_owned()).collect()).await?;
        directory.delete(vec![METADATA.to_owned()]).await?;
        directory.remove_if_empty().await
    }
}

impl Directory {
    /// Removes what tasks wrote into a directory of [`new_savepoint`](Self::new_savepoint) that will not be completed. One that
    /// is complete is left alone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn abandon_savepoint(&self) -> Result<(), Error> {
        let files = self.list("").await?;
        if files.iter().any(|file| file.path == METADATA) {
            return Ok(());
        }
        self.delete(files.into_iter().map(|file| file.path).collect()).await?;
        self.remove_if_empty().await
    }

    /// Removes a local directory that holds nothing any more but what writers left.
    pub(crate) async fn remove_if_empty(&self) -> Result<(), Error> {
        match (self.parent(), self.location().rsplit_once('/')) {
            (Some(parent), Some((_, name))) => parent.remove_empty(vec![name.to_owned()]).await,
            _ => Ok(()),
        }
    }
}
