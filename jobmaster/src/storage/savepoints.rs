//! Savepoints: in directories of their own, which are somebody else's once they are complete.
//!
//! Whoever has asked for one that fails has its directory removed, and meanwhile it may be on its way to be complete: nobody removes
//! files that a manifest is just about to name, nor those of one of which nobody knows.

use std::collections::btree_map::Entry;

use flott_core::failure::Failure;
use flott_snapshot::{Error, Manifest, Stores};
use tokio::time::{sleep, timeout};

use super::{AGAIN, CheckpointKeeper, TRY, in_time, silent, until_over};
use crate::JobMasterHandle;

/// Tries to complete a savepoint. Tasks of a job that is to stop stand still meanwhile.
const SAVEPOINT_TRIES: u32 = 10;

/// What is known of the directory of a savepoint that is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Savepoint {
    /// Its manifest is on its way.
    Completing,
    /// So it is, and nobody waits for it any more.
    Unwanted,
    /// Nobody knows whether its manifest is there, or will be: its files stay.
    Undecided,
    /// What is late to complete it finds this.
    Abandoned,
}

/// Why a savepoint is not complete, as far as anybody knows.
enum NotComplete {
    Surely(Failure),
    Perhaps(Failure),
}

impl CheckpointKeeper {
    /// A new directory for a savepoint in `root`, as a location.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn new_savepoint(&self, root: &str) -> Result<String, Failure> {
        let root = self.recovery.stores.open(root).map_err(Failure::from)?;
        Ok(root.new_savepoint(self.job).await.map_err(Failure::from)?.location().to_owned())
    }

    /// Removes what tasks wrote for a savepoint that has failed, and says whether [`abandon_left`](Self::abandon_left) is to remove what is
    /// left: what could not be removed, and what tasks write late. If it is being completed all the same, or nobody knows whether it is,
    /// it stays.
    #[must_use = "else files are left that nobody removes"]
    pub async fn abandon_savepoint(&self, location: &str) -> bool {
        let before = match self.savepoints.lock().entry(location.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(Savepoint::Abandoned);
                None
            }
            Entry::Occupied(mut entry) => {
                let before = *entry.get();
                if before == Savepoint::Completing {
                    entry.insert(Savepoint::Unwanted);
                }
                Some(before)
            }
        };
        if before.is_none() {
            self.remove_savepoint(location).await;
        }
        before.is_none()
    }

    /// Removes what tasks wrote for a savepoint that no JobMaster completes any more.
    ///
    /// # Errors
    /// When the store fails or does not answer in time. What was left can be removed by calling it again.
    pub async fn abandon_left(location: &str, stores: &dyn Stores) -> Result<(), Failure> {
        in_time(async { stores.open(location)?.abandon_savepoint().await }).await
    }

    async fn remove_savepoint(&self, location: &str) -> bool {
        let removed = Self::abandon_left(location, &*self.recovery.stores).await;
        if let Err(failure) = &removed {
            tracing::warn!(job = %self.job, location, %failure, "what is left of a savepoint that has failed cannot be removed");
        }
        removed.is_ok()
    }

    pub(super) async fn store_savepoint(&self, master: &JobMasterHandle, manifest: &Manifest, location: &str) {
        let abandoned = match self.savepoints.lock().entry(location.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(Savepoint::Completing);
                false
            }
            Entry::Occupied(_) => true,
        };
        if abandoned {
            let message = format!("the savepoint at {location} was given up before it was complete");
            return master.checkpoint_stored(manifest.checkpoint, Err(Failure::environment(message)));
        }
        let Some(committed) = until_over(master, self.commit_savepoint(master, manifest, location)).await else {
            self.savepoints.lock().insert(location.to_owned(), Savepoint::Undecided);
            return;
        };
        let (result, left) = match committed {
            Ok(()) => (Ok(()), None),
            Err(NotComplete::Surely(failure)) => (Err(failure), None),
            Err(NotComplete::Perhaps(failure)) => (Err(failure), Some(Savepoint::Undecided)),
        };
        let is_waste = {
            let mut savepoints = self.savepoints.lock();
            let before = savepoints.remove(location);
            let is_waste = result.is_err() && left.is_none() && before == Some(Savepoint::Unwanted);
            let left = left.or(is_waste.then_some(Savepoint::Abandoned));
            savepoints.extend(left.map(|left| (location.to_owned(), left)));
            is_waste
        };
        master.checkpoint_stored(manifest.checkpoint, result);
        if is_waste && !self.remove_savepoint(location).await {
            // Whoever asked for it was told that there is nothing to remove yet.
            tracing::warn!(job = %self.job, location, "files of a savepoint that has failed are left: its directory can be removed");
        }
    }

    async fn commit_savepoint(
        &self,
        master: &JobMasterHandle,
        manifest: &Manifest,
        location: &str,
    ) -> Result<(), NotComplete> {
        let surely = |error: Error| NotComplete::Surely(error.into());
        let directory = self.recovery.stores.open(location).map_err(surely)?;
        let mut problem = String::new();
        for _ in 0..SAVEPOINT_TRIES {
            let failure = match timeout(TRY, directory.commit_savepoint(manifest)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error @ Error::Unknown { .. })) => error.into(),
                Ok(Err(error)) => return Err(surely(error)),
                Err(_) => silent(location),
            };
            tracing::warn!(job = %self.job, location, %failure, "a savepoint may not be complete; trying again");
            problem = failure.to_string();
            master.checkpoint_undecided(manifest.checkpoint, failure);
            sleep(AGAIN).await;
        }
        let message = format!(
            "nobody knows whether the savepoint at {location} is complete; if it is not, its directory can be removed"
        );
        Err(NotComplete::Perhaps(Failure::environment(message).because(problem)))
    }
}
