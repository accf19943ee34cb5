//! How a JobMaster begins.

use flott_core::id::JobMasterEpoch;

use super::{CheckpointId, Checkpoints, Claimed, Listed, Log, document_path, new_claim};
use crate::{
    directory::Created,
    error::Error,
    manifest::{
        Manifest, SHARED, SnapshotKind,
        document::{Document, write_claim},
    },
    verify::{Damage, Present},
};

/// Times that somebody else may take the place. They can only do so by committing or claiming, so it is not often.
const TRIES_MAX: u32 = 1000;

impl Checkpoints {
    /// Begins `epoch`: when this returns, no older JobMaster commits any more. Finds the newest checkpoint of which all
    /// files are there and have their length; whether their content is right is for [`verify`](crate::verify::deep).
    ///
    /// After an error it may be called again.
    ///
    /// # Errors
    /// [`Error::Deposed`] when a newer JobMaster has begun, or one of this very epoch has committed; when the store fails.
    pub async fn claim(&self, epoch: JobMasterEpoch) -> Result<Claimed, Error> {
        self.directory.make().await?;
        self.directory.child(SHARED).make().await?;
        let claimed = self.claim_place(epoch).await?;
        let entries = self.list().await?;
        entries.iter().try_for_each(|entry| entry.refuse_newer(epoch))?;
        let (restorable, damaged) = self.newest_restorable(entries).await?;
        let log = Log { checkpoints: self.clone(), epoch, claimed, next: claimed.next() };
        Ok(Claimed { log, restorable, damaged })
    }

    async fn claim_place(&self, epoch: JobMasterEpoch) -> Result<CheckpointId, Error> {
        let mut place = CheckpointId(1);
        for _ in 0..TRIES_MAX {
            let entries = self.list().await?;
            for entry in &entries {
                entry.refuse_newer(epoch)?;
                if matches!(&entry.document, Ok(Document::Manifest(manifest)) if manifest.epoch == epoch) {
                    return Err(Error::Deposed { epoch, by: epoch, at: entry.checkpoint });
                }
            }
            place = entries.first().map_or(CheckpointId(1), |newest| newest.checkpoint.next());
            let claim = write_claim(&new_claim(self.job, place, epoch));
            let created = self.directory.create(&document_path(place), claim.into()).await;
            match created.map_err(|error| error.about(place))? {
                Created::Ours => return Ok(place),
                Created::Taken(_) => {}
            }
        }
        Err(Error::Taken { checkpoint: place, by: epoch })
    }

    /// The newest checkpoint of which everything is there, and what is wrong with newer ones. `entries` are newest first.
    async fn newest_restorable(&self, entries: Vec<Listed>) -> Result<(Option<Manifest>, Vec<Damage>), Error> {
        let mut damaged = Vec::new();
        let mut present = None;
        for Listed { checkpoint, document } in entries {
            let manifest = match document {
                Ok(Document::Claim(_)) => continue,
                Ok(Document::Manifest(manifest)) => *manifest,
                Err(problem) => {
                    damaged.push(Damage { checkpoint, problem });
                    continue;
                }
            };
            if manifest.kind != SnapshotKind::Checkpoint {
                let path = self.directory.shown(&document_path(checkpoint));
                damaged
                    .push(Damage { checkpoint, problem: format!("{path}: is of a savepoint, expected a checkpoint") });
                continue;
            }
            let present = match &mut present {
                Some(present) => present,
                none => none.insert(Present::list(&self.directory, SHARED).await?),
            };
            let missing = present.missing(&self.directory, &manifest);
            if missing.is_empty() {
                return Ok((Some(manifest), damaged));
            }
            damaged.extend(missing);
        }
        Ok((None, damaged))
    }
}
