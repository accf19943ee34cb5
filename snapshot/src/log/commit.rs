//! How a checkpoint is committed.

use bytes::Bytes;
use flott_core::id::CheckpointId;

use super::{Listed, Log, document_path, new_claim};
use crate::{
    directory::{CreateError, Created},
    error::Error,
    manifest::{self, Manifest, ManifestError, SnapshotKind, document},
};

/// What came of a place.
enum Place {
    /// Our document is in it.
    Ours,
    /// A document of somebody not newer is in it.
    Other(Listed),
}

impl Log {
    /// Commits a checkpoint: when this returns, it is durable, and this JobMaster led when it became so. All its state files
    /// must be [finished](crate::StateFileWriter::finish) before. Places of checkpoints that were given up in between are
    /// filled.
    ///
    /// Not cancel-safe: after a call was dropped, the outcome is as unknown as after [`Error::Unknown`].
    ///
    /// # Errors
    /// [`Error::Deposed`]: the JobMaster must end; whether the checkpoint was committed is for its successor to find out.
    /// [`Error::Unknown`]: commit the same manifest again, or a later one; leave its state files to
    /// [`sweep`](Self::sweep). [`Error::Taken`] and everything else: it is not committed and will not be.
    pub async fn commit(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.check(manifest)?;
        while self.next < manifest.checkpoint {
            self.suspects = true;
            self.fill().await?;
        }
        match self.create(manifest.checkpoint, document::write(manifest).into()).await? {
            Place::Ours => {}
            Place::Other(listed) => {
                self.next = manifest.checkpoint.next();
                let by = listed.document.map_or(self.epoch, |document| document.epoch());
                return Err(Error::Taken { checkpoint: manifest.checkpoint, by });
            }
        }
        self.check_leads(manifest.checkpoint).await?;
        self.next = manifest.checkpoint.next();
        self.known.insert(manifest.checkpoint);
        self.settled = manifest.checkpoint;
        Ok(())
    }

    /// Puts a claim into the next place. Says whether it is there: otherwise there is a checkpoint that was thought to be
    /// lost, or a claim that came too late.
    pub(super) async fn fill(&mut self) -> Result<bool, Error> {
        let claim = document::write_claim(&new_claim(self.checkpoints.job, self.next, self.epoch));
        let place = self.create(self.next, claim.into()).await?;
        self.known.insert(self.next);
        self.next = self.next.next();
        Ok(matches!(place, Place::Ours))
    }

    fn check(&self, manifest: &Manifest) -> Result<(), Error> {
        manifest::check(manifest)?;
        let refused =
            |field: &str, problem: String| Err(Error::Invalid(ManifestError::new(format_args!("{field}"), problem)));
        if manifest.job_id != self.checkpoints.job {
            return refused("job_id", format!("{}, expected {}", manifest.job_id, self.checkpoints.job));
        }
        if manifest.epoch != self.epoch {
            return refused("epoch", format!("{}, expected {}", manifest.epoch, self.epoch));
        }
        if manifest.kind != SnapshotKind::Checkpoint {
            return refused("kind", "a savepoint, expected a checkpoint".to_owned());
        }
        if manifest.checkpoint < self.next {
            return refused("checkpoint", format!("{}, expected {} or more", manifest.checkpoint, self.next));
        }
        Ok(())
    }

    /// Creates the document of a place, unless somebody newer has.
    async fn create(&self, place: CheckpointId, content: Bytes) -> Result<Place, Error> {
        let created = self.checkpoints.directory.create(&document_path(place), content).await;
        match created.map_err(|error| error.about(place))? {
            Created::Ours => Ok(Place::Ours),
            Created::Taken(bytes) => {
                let listed = self.checkpoints.understand(place, &bytes);
                if let Err(problem) = listed.document {
                    // It could be by somebody newer.
                    let problem = format!("{problem}; no checkpoint can be completed until it is moved away");
                    return Err(Error::Damaged { path: self.checkpoints.shown(place), problem });
                }
                listed.refuse_newer(self.epoch)?;
                Ok(Place::Other(listed))
            }
        }
    }

    /// Looks through the whole log for somebody newer, after a place was created. Documents that were read before are not
    /// read again.
    async fn check_leads(&mut self, place: CheckpointId) -> Result<(), Error> {
        let unknown = |cause| Error::Unknown { checkpoint: place, cause: Box::new(cause) };
        let mut places = self.checkpoints.places().await.map_err(unknown)?;
        self.known.retain(|known| places.contains(known));
        places.retain(|other| *other != place && !self.known.contains(other));
        let others = self.checkpoints.read_all(places).await.map_err(unknown)?;
        others.iter().try_for_each(|other| other.refuse_newer(self.epoch))?;
        self.known.extend(others.iter().map(|other| other.checkpoint));
        Ok(())
    }
}

impl CreateError {
    pub(super) fn about(self, checkpoint: CheckpointId) -> Error {
        match self {
            Self::NotCreated(error) => error,
            Self::Unknown(cause) => Error::Unknown { checkpoint, cause: Box::new(cause) },
        }
    }
}
