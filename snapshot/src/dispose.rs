//! Removing savepoints, which nobody does but who asked for them, and snapshots that were given to another job.

use crate::{
    directory::{Directory, Stores},
    error::Error,
    log::Checkpoints,
    manifest::SnapshotKind,
    snapshot::{METADATA, Snapshot},
};

impl Snapshot {
    /// Removes a savepoint: the files that its manifest names, then the manifest, then the directory if nothing else is in it. Done again
    /// after a failure, it goes on.
    ///
    /// # Errors
    /// [`Error::Location`] when it is a checkpoint; nothing was removed then. [`Error::Store`] when the store fails.
    pub async fn dispose(self) -> Result<(), Error> {
        if self.manifest.kind != SnapshotKind::Savepoint {
            let problem = "is a checkpoint, which its job removes by itself; expected a savepoint".to_owned();
            return Err(Error::Location { location: self.directory.location().to_owned(), problem });
        }
        let Self { manifest, directory } = self;
        directory.delete(manifest.files().map(|file| file.path.as_str().to_owned()).collect()).await?;
        directory.delete(vec![METADATA.to_owned()]).await?;
        directory.remove_if_empty().await
    }

    /// Removes what is at `location`, which was given to another than its owner: a savepoint as [`dispose`](Self::dispose) does, a
    /// checkpoint with the state files that no other checkpoint of its job names ([`Checkpoints::remove`]). Where nothing is, nothing is
    /// done. Done again after a failure, it goes on; if it is cut short between a checkpoint and its files, those stay.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is no snapshot, [`Error::Location`] as [`check_removable`](Self::check_removable); nothing was removed
    /// then. Else those of [`Checkpoints::remove`].
    pub async fn remove(location: &str, stores: &dyn Stores) -> Result<(), Error> {
        let at = Self::directory_at(location, stores)?;
        let snapshot = match Self::load_from(at.clone()).await {
            Err(Error::NotFound(_)) => return at.remove_if_empty().await,
            loaded => loaded?,
        };
        match snapshot.log()? {
            None => snapshot.dispose().await,
            Some(log) => log.remove(snapshot.manifest.checkpoint).await,
        }
    }

    /// Whether [`remove`](Self::remove) knows what else needs its files.
    ///
    /// # Errors
    /// [`Error::Location`] when it is a checkpoint that is not where its job wrote it.
    pub fn check_removable(&self) -> Result<(), Error> {
        self.log().map(drop)
    }

    /// The log of a checkpoint.
    fn log(&self) -> Result<Option<Checkpoints>, Error> {
        let (manifest, directory) = (&self.manifest, &self.directory);
        if manifest.kind == SnapshotKind::Savepoint {
            return Ok(None);
        }
        let log = directory.parent().map(|root| Checkpoints::new(&root, manifest.job_id));
        match log.filter(|log| log.directory().location() == directory.location()) {
            Some(log) => Ok(Some(log)),
            None => {
                let problem = format!(
                    "holds a checkpoint of job {}, which is not where that job wrote it: nobody knows what else needs its files",
                    manifest.job_id
                );
                Err(Error::Location { location: directory.location().to_owned(), problem })
            }
        }
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
