//! Removing what nobody needs any more.
//!
//! What is needed is found by reachability: what a retained manifest names stays, whatever its age. Manifests are deleted
//! before the files that they alone name, so that a crash in between leaves files without a manifest, and never a manifest
//! without its files.
//!
//! # Files that no manifest names
//! They are of checkpoints that were given up, of attempts that are gone, of an earlier JobMaster, or of a collection that was cut
//! short. Such a file may yet be named: what a task stores builds on what it stored before, also where that checkpoint was given up,
//! and tasks may be an earlier JobMaster's that were taken over. But when checkpoint C is complete, every task has reported C. What
//! it stores from then on builds on what it reported for C, or on nothing older (`runtime/src/host/snapshots/chain.rs`). So a
//! manifest above C names files of checkpoints above C, or files that C's manifest names. [`Log::sweep`] removes what is of
//! checkpoints up to C and in no manifest, whoever may still be writing: a file that comes late is an orphan, and nothing worse.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::id::CheckpointId;

use super::{Checkpoints, Listed, Log, directory_name, document_path};
use crate::{
    error::Error,
    manifest::{DataPath, SHARED, document::Document},
};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Places of the log: checkpoints and claims.
    pub places: usize,
    /// State files.
    pub files: usize,
    /// Bytes of these.
    pub bytes: u64,
}

impl Log {
    /// Removes the checkpoints that are not in `retained`, and the state files that only these name. The newest place of
    /// the log and the claim of this JobMaster stay in any case, because they keep older ones out.
    ///
    /// `retained` must hold every checkpoint that one under way builds on: tasks may name its files again.
    ///
    /// # Errors
    /// [`Error::Deposed`] when a newer JobMaster has begun; when the store fails. What was left can be removed by calling
    /// it again, files without a manifest by [`sweep`](Self::sweep).
    pub async fn collect(&mut self, retained: &BTreeSet<CheckpointId>) -> Result<Collected, Error> {
        let entries = self.entries().await?;
        let newest = entries.first().map(|entry| entry.checkpoint);
        let doomed = |entry: &Listed| {
            let fence = Some(entry.checkpoint) == newest || entry.checkpoint == self.claimed;
            !fence && entry.checkpoint < self.next && !retained.contains(&entry.checkpoint)
        };
        let (doomed, kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(doomed);
        if doomed.is_empty() {
            return Ok(Collected::default());
        }
        // If this is cut short, files are left without a manifest.
        let suspected = std::mem::replace(&mut self.suspects, true);
        self.remove_places(&doomed).await?;
        let mut collected = Collected { places: doomed.len(), ..Collected::default() };
        if kept.iter().any(|entry| entry.document.is_err()) {
            // Something that is retained cannot be read, and any file could be its.
            return Ok(collected);
        }
        let needed = named_by(&kept);
        let mut unneeded = BTreeMap::new();
        for file in doomed.iter().filter_map(manifest_of).flat_map(|manifest| manifest.files()) {
            if !needed.contains(&file.path) {
                unneeded.insert(file.path.as_str().to_owned(), file.bytes);
            }
        }
        // Somebody newer may by now build on what was doomed.
        self.entries().await?;
        collected.files = unneeded.len();
        collected.bytes = unneeded.values().sum();
        self.checkpoints.directory.delete(unneeded.into_keys().collect()).await?;
        self.suspects = suspected;
        Ok(collected)
    }

    /// Removes all checkpoints of a job that has ended, and all state files. None of its tasks may write any more. A claim
    /// stays in the log: it keeps out JobMasters that do not know yet that they are deposed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit) and [`collect`](Self::collect). What was left can be removed by calling it again.
    pub async fn discard(&mut self) -> Result<Collected, Error> {
        // A checkpoint that was thought to be lost may be in the way.
        while !self.fill().await? {}
        self.claimed = CheckpointId(self.next.0 - 1);
        // No manifest is to come: also what is of checkpoints that were under way is nobody's.
        self.settled = CheckpointId(u64::MAX);
        let places = self.collect(&BTreeSet::new()).await?;
        let orphans = self.sweep().await?;
        let (files, bytes) = (places.files + orphans.files, places.bytes + orphans.bytes);
        Ok(Collected { places: places.places, files, bytes })
    }

    /// Removes state files that no manifest names, and what writers left behind that died: those of checkpoints up to the newest
    /// that this JobMaster has committed, and before that none. It lists all files. After a call that was dropped or has failed it
    /// may be called again.
    ///
    /// # Errors
    /// As [`collect`](Self::collect); also when a manifest of the job cannot be read.
    pub async fn sweep(&mut self) -> Result<Collected, Error> {
        if self.settled == CheckpointId(0) {
            return Ok(Collected::default());
        }
        // The files are listed first: one that is written meanwhile is not among them.
        let files = self.checkpoints.directory.list(SHARED).await?;
        let entries = self.entries().await?;
        if let Some((place, problem)) = entries.iter().find_map(|it| Some((it.checkpoint, it.document.as_ref().err()?)))
        {
            // Any file could be its.
            return Err(Error::Damaged { path: self.checkpoints.shown(place), problem: problem.clone() });
        }
        let needed = named_by(&entries);
        let settled = self.settled;
        let older = move |path: &DataPath| path.checkpoint().is_some_and(|checkpoint| checkpoint <= settled);
        let orphan = |path: &str| path.parse().is_ok_and(|path| older(&path) && !needed.contains(&path));
        // A manifest that was listed may have been collected before it was read, by somebody newer who names its files in another.
        self.entries().await?;
        let orphans: Vec<_> = files.into_iter().filter(|file| orphan(&file.path)).collect();
        let bytes = orphans.iter().map(|file| file.bytes).sum();
        let collected = Collected { places: 0, files: orphans.len(), bytes };
        self.checkpoints.directory.delete(orphans.into_iter().map(|file| file.path).collect()).await?;
        let begun = move |name: &str| name.parse().is_ok_and(|path| older(&path));
        self.checkpoints.directory.remove_leftovers(SHARED, begun).await?;
        self.suspects = false;
        Ok(collected)
    }

    /// The log, if nobody newer is in it.
    async fn entries(&self) -> Result<Vec<Listed>, Error> {
        let entries = self.checkpoints.list().await?;
        entries.iter().try_for_each(|entry| entry.refuse_newer(self.epoch))?;
        Ok(entries)
    }

    async fn remove_places(&self, doomed: &[Listed]) -> Result<(), Error> {
        let documents = doomed.iter().rev().map(|entry| document_path(entry.checkpoint)).collect();
        self.checkpoints.directory.delete(documents).await?;
        let directories = doomed.iter().map(|entry| directory_name(entry.checkpoint)).collect();
        self.checkpoints.directory.remove_empty(directories).await
    }
}

impl Checkpoints {
    /// Removes one checkpoint of a job that has ended, and the state files that no other one names; nothing if it is not there. It leads
    /// the log for that: a JobMaster that does still is deposed, rather than that it builds on files that are gone.
    ///
    /// # Errors
    /// As [`claim`](Self::claim) and [`Log::collect`].
    pub async fn remove(&self, checkpoint: CheckpointId) -> Result<(), Error> {
        let entries = self.list().await?;
        let is_there = |entry: &Listed| entry.checkpoint == checkpoint && manifest_of(entry).is_some();
        if !entries.iter().any(is_there) {
            return Ok(());
        }
        let epochs = entries.iter().filter_map(|entry| entry.document.as_ref().ok()).map(Document::epoch);
        let last = epochs.max().unwrap_or_default();
        let mut log = self.claim(last.next()).await?.log;
        // Of what cannot be read nobody knows what it needs.
        let stays = |entry: &Listed| !is_there(entry) && (entry.document.is_err() || manifest_of(entry).is_some());
        let others = log.entries().await?.iter().filter(|entry| stays(entry)).map(|entry| entry.checkpoint).collect();
        log.collect(&others).await.map(drop)
    }
}

/// The files that entries name, so far as they can be read.
fn named_by(entries: &[Listed]) -> BTreeSet<DataPath> {
    let manifests = entries.iter().filter_map(manifest_of);
    manifests.flat_map(|manifest| manifest.files()).map(|file| file.path.clone()).collect()
}

fn manifest_of(entry: &Listed) -> Option<&crate::manifest::Manifest> {
    match &entry.document {
        Ok(Document::Manifest(manifest)) => Some(manifest),
        Ok(Document::Claim(_)) | Err(_) => None,
    }
}
