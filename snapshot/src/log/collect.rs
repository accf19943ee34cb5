//! Removing what nobody needs any more.
//!
//! What is needed is found by reachability: what a retained manifest names stays, whatever its age. Manifests are deleted
//! before the files that they alone name, so that a crash in between leaves files without a manifest, and never a manifest
//! without its files.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::id::CheckpointId;

use super::{Listed, Log, directory_name, document_path};
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
    /// the log stays in any case, because it keeps older JobMasters out.
    ///
    /// `retained` must hold every checkpoint that one under way builds on: tasks may name its files again.
    ///
    /// # Errors
    /// [`Error::Deposed`] when a newer JobMaster has begun; when the store fails. What was left can be removed by calling
    /// it again, files without a manifest by [`sweep`](Self::sweep).
    pub async fn collect(&self, retained: &BTreeSet<CheckpointId>) -> Result<Collected, Error> {
        let entries = self.entries().await?;
        let newest = entries.first().map(|entry| entry.checkpoint);
        let doomed = |entry: &Listed| {
            Some(entry.checkpoint) != newest && entry.checkpoint < self.next && !retained.contains(&entry.checkpoint)
        };
        let (doomed, kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(doomed);
        if doomed.is_empty() {
            return Ok(Collected::default());
        }
        self.remove_places(&doomed).await?;
        let mut collected = Collected { places: doomed.len(), ..Collected::default() };
        let Some(needed) = named_by(&kept) else {
            // Something that is retained cannot be read, and any file could be its.
            return Ok(collected);
        };
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
        Ok(collected)
    }

    /// Removes state files that no manifest names, and what writers left behind that died. Only those of checkpoints before
    /// this JobMaster began, so its own are in no danger; but no task of an older JobMaster may write any more.
    ///
    /// # Errors
    /// As [`collect`](Self::collect); also when a manifest of the job cannot be read.
    pub async fn sweep(&self) -> Result<Collected, Error> {
        // The files are listed first: one that is written meanwhile is not among them.
        let files = self.checkpoints.directory.list(SHARED).await?;
        let entries = self.entries().await?;
        let needed = named_by(&entries).ok_or_else(|| {
            let problem = entries.iter().find_map(|entry| entry.document.as_ref().err()).cloned().unwrap_or_default();
            Error::Damaged { path: self.checkpoints.directory.location().to_owned(), problem }
        })?;
        let claimed = self.claimed;
        let older = move |path: &DataPath| path.checkpoint().is_some_and(|checkpoint| checkpoint <= claimed);
        let orphan = |path: &str| path.parse().is_ok_and(|path| older(&path) && !needed.contains(&path));
        let orphans: Vec<_> = files.into_iter().filter(|file| orphan(&file.path)).collect();
        let bytes = orphans.iter().map(|file| file.bytes).sum();
        let collected = Collected { places: 0, files: orphans.len(), bytes };
        self.checkpoints.directory.delete(orphans.into_iter().map(|file| file.path).collect()).await?;
        let begun = move |name: &str| name.parse().is_ok_and(|path| older(&path));
        self.checkpoints.directory.remove_leftovers(SHARED, begun).await?;
        Ok(collected)
    }

    /// Removes all that is left of the job's checkpoints. For a job that has ended for good: the log does not keep an older
    /// JobMaster out any more, and no task may write.
    ///
    /// # Errors
    /// As [`collect`](Self::collect); called again, it goes on.
    pub async fn discard(&self) -> Result<(), Error> {
        let entries = self.entries().await?;
        self.remove_places(&entries).await?;
        let directory = &self.checkpoints.directory;
        let files = directory.list(SHARED).await?;
        directory.delete(files.into_iter().map(|file| file.path).collect()).await?;
        directory.remove_empty(vec![SHARED.to_owned()]).await?;
        directory.remove_if_empty().await
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

/// The files that entries name; `None` if one of them cannot be read.
fn named_by(entries: &[Listed]) -> Option<BTreeSet<DataPath>> {
    if entries.iter().any(|entry| entry.document.is_err()) {
        return None;
    }
    Some(
        entries
            .iter()
            .filter_map(manifest_of)
            .flat_map(|manifest| manifest.files())
            .map(|file| file.path.clone())
            .collect(),
    )
}

fn manifest_of(entry: &Listed) -> Option<&crate::manifest::Manifest> {
    match &entry.document {
        Ok(Document::Manifest(manifest)) => Some(manifest),
        Ok(Document::Claim(_)) | Err(_) => None,
    }
}
