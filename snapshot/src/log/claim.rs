//! How a JobMaster begins.

use std::{cmp::Reverse, collections::BTreeSet};

use flott_core::id::JobMasterEpoch;

use super::{CheckpointId, Checkpoints, Claimed, Expected, Listed, Log, document_path, new_claim};
use crate::{
    directory::Created,
    error::Error,
    manifest::{
        Manifest, SHARED, SnapshotKind,
        document::{Document, write_claim},
    },
    verify::{self, Damage, Present},
};

/// Times that somebody else may take the place. They can only do so by committing or claiming, so it is not often.
const TRIES_MAX: u32 = 1000;

impl Checkpoints {
    /// [`claim_expecting`](Self::claim_expecting) of a log of which nothing is known.
    ///
    /// # Errors
    /// The same.
    pub async fn claim(&self, epoch: JobMasterEpoch) -> Result<Claimed, Error> {
        self.claim_expecting(epoch, &Expected::default()).await
    }

    /// Begins `epoch`: when this returns, no older JobMaster commits any more. Finds the newest checkpoint of which all
    /// files are there and have their length; whether their content is right is for [`verify`](crate::verify::deep).
    ///
    /// After an error it may be called again.
    ///
    /// # Errors
    /// [`Error::Vanished`] when the log lacks what is `expected`: nothing is made or written then, unless it goes in this very moment.
    /// [`Error::Deposed`] when a newer JobMaster has begun, or one of this very epoch has committed; when the store fails.
    pub async fn claim_expecting(&self, epoch: JobMasterEpoch, expected: &Expected) -> Result<Claimed, Error> {
        // Before: who writes where a volume is to be mounted finds that the next time, and nothing of the volume.
        if *expected != Expected::default() {
            self.check_has(expected, &self.list().await?)?;
        }
        self.directory.make().await?;
        self.directory.child(SHARED).make().await?;
        let (claimed, entries) = self.claim_place(epoch).await?;
        self.check_has(expected, &entries)?;
        let known = entries.iter().map(|entry| entry.checkpoint).collect();
        let (restorable, damaged) = self.restorable(entries).await?;
        let mut restorable = restorable.into_iter();
        let log = Log {
            checkpoints: self.clone(),
            epoch,
            claimed,
            next: claimed.next(),
            known,
            settled: CheckpointId(0),
            suspects: claimed > CheckpointId(1),
        };
        Ok(Claimed { log, restorable: restorable.next(), older: restorable.collect(), damaged })
    }

    /// What would be restored from the log as it is, newest first, and what is wrong with newer ones. Writes nothing: a JobMaster that
    /// leads may go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Vanished`] when the log lacks what is `expected`; when the store fails.
    pub async fn look(&self, expected: &Expected) -> Result<(Vec<Manifest>, Vec<Damage>), Error> {
        let entries = self.list().await?;
        self.check_has(expected, &entries)?;
        self.restorable(entries).await
    }

    /// Whether nothing of the job is there: neither a document in its log, as each JobMaster leaves one that has claimed it, nor a state
    /// file. Writes nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn are_missing(&self) -> Result<bool, Error> {
        Ok(self.list().await?.is_empty() && self.directory.list(SHARED).await?.is_empty())
    }

    /// Refuses a log that is not the one that it should be.
    ///
    /// A JobMaster removes its own claim never, and those of others when it has committed a checkpoint: after that there is always one.
    /// So claims of later JobMasters do not count, who may have found nothing but an empty directory. What cannot be read may be anything.
    fn check_has(&self, expected: &Expected, entries: &[Listed]) -> Result<(), Error> {
        let Expected { begun, complete } = *expected;
        let vanished = |what: String| Err(Error::Vanished { path: self.directory.location().to_owned(), what });
        let is_claim_above = |entry: &Listed, by: JobMasterEpoch| matches!(&entry.document, Ok(Document::Claim(claim)) if claim.epoch > by);
        if let Some(by) = begun
            && entries.iter().all(|entry| is_claim_above(entry, by))
        {
            return vanished(format!("nothing of what the job has left there since its JobMaster {by} had begun"));
        }
        let is_claim = |entry: &Listed| matches!(&entry.document, Ok(Document::Claim(_)));
        if let Some(complete) = complete
            && !entries.iter().any(|entry| entry.checkpoint >= complete && !is_claim(entry))
        {
            return vanished(format!(
                "no checkpoint {complete} or later, though the job's tasks know that it is complete"
            ));
        }
        Ok(())
    }

    /// Puts a claim on top of the log. Gives its place, and what is in the log after.
    async fn claim_place(&self, epoch: JobMasterEpoch) -> Result<(CheckpointId, Vec<Listed>), Error> {
        let mut claimed = None;
        for _ in 0..TRIES_MAX {
            let places = self.places().await?;
            let top = places.first().copied();
            let entries = self.read_all(places.clone()).await?;
            for entry in &entries {
                entry.refuse_newer(epoch)?;
                if matches!(&entry.document, Ok(Document::Manifest(manifest)) if manifest.epoch == epoch) {
                    return Err(Error::Deposed { epoch, by: epoch, at: entry.checkpoint });
                }
            }
            // What was listed may have been collected before it was read.
            if self.places().await? != places {
                continue;
            }
            // The log may have gone on after it was read, up to and past the place that was free then: nothing counts but
            // what it says after the claim. One that a try has left which was given up is as good: each more would make the next try slower.
            let is_claim =
                |entry: &Listed| matches!(&entry.document, Ok(Document::Claim(claim)) if claim.epoch == epoch);
            let left = entries.iter().find(|entry| Some(entry.checkpoint) == top && is_claim(entry));
            if let Some(left) = left.map(|entry| entry.checkpoint).filter(|left| Some(*left) != claimed) {
                // It may be there and not be durable.
                self.directory.settle(&document_path(left)).await?;
                return Ok((left, entries));
            }
            if let Some(claimed) = claimed.filter(|claimed| Some(*claimed) == top) {
                return Ok((claimed, entries));
            }
            let place = top.map_or(CheckpointId(1), CheckpointId::next);
            let claim = write_claim(&new_claim(self.job, place, epoch));
            let created = self.directory.create(&document_path(place), claim.into()).await;
            match created.map_err(|error| error.about(place))? {
                Created::Ours => claimed = Some(place),
                Created::Taken(_) => {}
            }
        }
        Err(Error::Taken { checkpoint: claimed.unwrap_or_default(), by: epoch })
    }

    /// The newest checkpoint that is whole, content included, but for those that are known to be `damaged`; and what is wrong with newer
    /// ones beside these. Reads all files of those that it looks at.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn newest_whole(
        &self,
        damaged: &BTreeSet<CheckpointId>,
    ) -> Result<(Option<Manifest>, Vec<Damage>), Error> {
        let (manifests, mut problems) = self.manifests(self.list().await?);
        let mut whole = None;
        for manifest in manifests.into_iter().filter(|manifest| !damaged.contains(&manifest.checkpoint)) {
            let found = verify::deep(&self.directory, &manifest).await?;
            if found.is_empty() {
                whole = Some(manifest);
                break;
            }
            problems.extend(found);
        }
        let damaged = newer_than(whole.as_ref(), problems);
        Ok((whole, damaged))
    }

    /// The checkpoints of which everything is there, newest first, and what is wrong with those that are newer than all of them.
    async fn restorable(&self, entries: Vec<Listed>) -> Result<(Vec<Manifest>, Vec<Damage>), Error> {
        let (manifests, mut damaged) = self.manifests(entries);
        let mut restorable = Vec::new();
        if !manifests.is_empty() {
            let present = Present::list(&self.directory, SHARED).await?;
            for manifest in manifests {
                let missing = present.missing(&self.directory, &manifest);
                if missing.is_empty() {
                    restorable.push(manifest);
                }
                damaged.extend(missing);
            }
        }
        let damaged = newer_than(restorable.first(), damaged);
        Ok((restorable, damaged))
    }

    /// The checkpoints among what is in the log, newest first, and what is wrong with others.
    fn manifests(&self, entries: Vec<Listed>) -> (Vec<Manifest>, Vec<Damage>) {
        let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
        for Listed { checkpoint, document } in entries {
            let problem = match document {
                Ok(Document::Claim(_)) => continue,
                Ok(Document::Manifest(manifest)) if manifest.kind == SnapshotKind::Checkpoint => {
                    manifests.push(*manifest);
                    continue;
                }
                Ok(Document::Manifest(_)) => "is of a savepoint, expected a checkpoint".to_owned(),
                Err(problem) => problem,
            };
            damaged.push(Damage { checkpoint, problem: format!("{}: {problem}", self.shown(checkpoint)) });
        }
        // By epoch first: above the checkpoints of a JobMaster there may be one that an older one was too late with.
        manifests.sort_by_key(|manifest| Reverse((manifest.epoch, manifest.checkpoint)));
        (manifests, damaged)
    }
}

/// Leaves the damage of checkpoints that are newer than the one that was found, newest first.
fn newer_than(found: Option<&Manifest>, mut damaged: Vec<Damage>) -> Vec<Damage> {
    let floor = found.map_or(CheckpointId(0), |manifest| manifest.checkpoint);
    damaged.retain(|damage| damage.checkpoint > floor);
    damaged.sort_by_key(|damage| Reverse(damage.checkpoint));
    damaged
}
