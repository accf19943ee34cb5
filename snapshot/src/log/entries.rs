//! Reading the log.

use flott_core::id::{CheckpointId, JobMasterEpoch};
use futures::{StreamExt, TryStreamExt, stream};

use super::{Checkpoints, document_path};
use crate::{
    error::Error,
    manifest::document::{self, Document},
    manifest::limits::ID_MAX,
};

/// Documents that are read at a time.
const READS_MAX: usize = 8;

/// A place of the log that is taken.
#[derive(Debug)]
pub struct Listed {
    /// The place.
    pub checkpoint: CheckpointId,
    /// What is there; or why it cannot be read.
    pub document: Result<Document, String>,
}

impl Listed {
    /// Refuses to go on as `epoch` if this is by somebody newer.
    pub(super) fn refuse_newer(&self, epoch: JobMasterEpoch) -> Result<(), Error> {
        match &self.document {
            Ok(document) if document.epoch() > epoch => {
                Err(Error::Deposed { epoch, by: document.epoch(), at: self.checkpoint })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Checkpoints {
    /// The document of a place, for messages.
    pub(super) fn shown(&self, checkpoint: CheckpointId) -> String {
        self.directory.shown(&document_path(checkpoint))
    }

    /// All places that are taken, newest first.
    ///
    /// # Errors
    /// When the store fails. A document that is damaged is no error.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.read_all(self.places().await?).await
    }

    /// Places that have a directory, newest first. One without a document is being made or removed.
    pub(super) async fn places(&self) -> Result<Vec<CheckpointId>, Error> {
        let names = self.directory.directories().await?;
        let mut places: Vec<_> = names.iter().filter_map(|name| place(name)).collect();
        places.sort_unstable_by(|one, other| other.cmp(one));
        Ok(places)
    }

    /// What is in places, but for those that are empty.
    pub(super) async fn read_all(&self, places: Vec<CheckpointId>) -> Result<Vec<Listed>, Error> {
        // Futures first, because one that is made by a closure within a stream is not seen to be `Send`.
        let reads: Vec<_> = places.into_iter().map(|place| self.read(place)).collect();
        let read: Vec<Option<Listed>> = stream::iter(reads).buffered(READS_MAX).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// What is in a place, if anything.
    async fn read(&self, checkpoint: CheckpointId) -> Result<Option<Listed>, Error> {
        let path = document_path(checkpoint);
        let bytes = match self.directory.get(&path, document::SIZE_MAX).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(Error::Damaged { problem, .. }) => return Ok(Some(Listed { checkpoint, document: Err(problem) })),
            Err(error) => return Err(error),
        };
        Ok(Some(self.understand(checkpoint, &bytes)))
    }

    /// Reads a document that lies in a place.
    pub(super) fn understand(&self, checkpoint: CheckpointId, bytes: &[u8]) -> Listed {
        let document = document::read(bytes).map_err(|error| error.to_string()).and_then(|document| {
            let (of_job, of) = match &document {
                Document::Manifest(manifest) => (manifest.job_id, manifest.checkpoint),
                Document::Claim(claim) => (claim.job_id, claim.checkpoint),
            };
            if (of_job, of) == (self.job, checkpoint) {
                Ok(document)
            } else {
                Err(format!("is the document of checkpoint {of} of job {of_job}"))
            }
        });
        Listed { checkpoint, document }
    }
}

/// The place that a directory is for.
fn place(name: &str) -> Option<CheckpointId> {
    let number = name.strip_prefix("chk-")?;
    let place = number.parse().ok().filter(|place| (1..=ID_MAX).contains(place))?;
    // Only as it is written, or two directories would be for one place.
    (place.to_string() == number).then_some(CheckpointId(place))
}
