//! One checkpoint or savepoint by its path.

use flott_core::id::CheckpointId;

use crate::{
    directory::{CreateError, Created, Directory, Stores},
    error::Error,
    manifest::{
        self, Manifest, ManifestError, SnapshotKind,
        document::{self, Document},
    },
    verify::{self, Damage},
};

/// The name of manifests.
pub(crate) const METADATA: &str = "_metadata";

/// A checkpoint or savepoint that can be restored from.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What it consists of.
    pub manifest: Manifest,
    /// The directory that its state files are relative to.
    pub directory: Directory,
}

impl Snapshot {
    /// Reads the manifest of a checkpoint or savepoint. `location` is its directory or the manifest in it, wherever it was
    /// moved to.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there; [`Error::Damaged`] when it is no manifest.
    pub async fn load(location: &str, stores: &dyn Stores) -> Result<Self, Error> {
        Self::load_from(Self::directory_at(location, stores)?).await
    }

    /// The directory of the manifest.
    pub(crate) fn directory_at(location: &str, stores: &dyn Stores) -> Result<Directory, Error> {
        let location = location.trim_end_matches('/');
        stores.open(location.strip_suffix(METADATA).unwrap_or(location))
    }

    /// As [`load`](Self::load), from the directory of the manifest.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn load_from(at: Directory) -> Result<Self, Error> {
        let Some(bytes) = at.get(METADATA, document::SIZE_MAX).await? else {
            return Err(Error::NotFound(at.location().to_owned()));
        };
        let damaged = |problem: String| Error::Damaged { path: at.shown(METADATA), problem };
        let manifest = match document::read(&bytes).map_err(|error| damaged(error.to_string()))? {
            Document::Manifest(manifest) => *manifest,
            Document::Claim(claim) => {
                return Err(damaged(format!("no checkpoint, but the claim of JobMaster epoch {}", claim.epoch)));
            }
        };
        let directory = match manifest.kind {
            SnapshotKind::Savepoint => at,
            SnapshotKind::Checkpoint => {
                at.parent().ok_or_else(|| damaged("is not in the directory of a job".to_owned()))?
            }
        };
        Ok(Self { manifest, directory })
    }

    /// Reads all state files, and says what is wrong with them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn verify(&self) -> Result<Vec<Damage>, Error> {
        verify::deep(&self.directory, &self.manifest).await
    }
}

impl Directory {
    /// Completes a savepoint in the directory that [`new_savepoint`](Self::new_savepoint) made. All its state files must be
    /// [finished](crate::StateFileWriter::finish) before. Gives the location to restore from.
    ///
    /// # Errors
    /// [`Error::Unknown`]: committing the same again is harmless. [`Error::Taken`]: another savepoint is there.
    pub async fn commit_savepoint(&self, manifest: &Manifest) -> Result<String, Error> {
        manifest::check(manifest)?;
        if manifest.kind != SnapshotKind::Savepoint {
            return Err(Error::Invalid(ManifestError::new(format_args!("kind"), "a checkpoint, expected a savepoint")));
        }
        match self.create(METADATA, document::write(manifest).into()).await {
            Ok(Created::Ours) => Ok(self.location().to_owned()),
            Ok(Created::Taken(_)) => Err(Error::Taken { checkpoint: manifest.checkpoint, by: manifest.epoch }),
            Err(CreateError::NotCreated(error)) => Err(error),
            Err(CreateError::Unknown(cause)) => Err(unknown(manifest.checkpoint, cause)),
        }
    }
}

fn unknown(checkpoint: CheckpointId, cause: Error) -> Error {
    Error::Unknown { checkpoint, cause: Box::new(cause) }
}
