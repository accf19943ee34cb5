//! The snapshot that a job was started from, where it is the job's own from then on (`CLAIM`): it counts as the oldest of its checkpoints.
//!
//! # Contract
//! - Whether there is one stands in the job's configuration, so each JobMaster of the job knows. That it is gone is written nowhere: who
//!   follows removes it again, and finds nothing.
//! - It goes behind as many later checkpoints as are kept, when the last of them is durable and this JobMaster has led since; or with all
//!   of them, when the job has ended. What cannot be removed is tried again behind the next checkpoint, or by who removes what is left of
//!   the job.
//! - Nothing goes that another snapshot needs: see [`Snapshot::remove`].
//! - Two jobs may have claimed one. The first removes it, and the other finds nothing, be it to remove or to start from.

use std::{collections::BTreeSet, sync::Arc};

use flott_core::id::{CheckpointId, JobId};
use flott_snapshot::{Checkpoints, Error, Snapshot, Stores};

use super::Recovery;

/// See the module.
#[derive(Debug)]
pub(super) struct ClaimedSnapshot {
    location: String,
    /// How many later checkpoints are kept before it goes.
    behind: usize,
    stores: Arc<dyn Stores>,
    /// That it cannot be removed was told.
    is_told: bool,
}

impl ClaimedSnapshot {
    /// What `recovery` says.
    pub(super) fn of(recovery: &Recovery) -> Option<Self> {
        let Recovery { path, claimed_behind, stores, .. } = recovery;
        let (location, behind) = (path.clone()?, (*claimed_behind)?);
        Some(Self { location, behind: behind as usize, stores: stores.clone(), is_told: false })
    }

    /// Whether it holds results of which nobody may know whether they are visible.
    pub(super) async fn holds_results(&self) -> Result<bool, Error> {
        match Snapshot::load(&self.location, &*self.stores).await {
            Ok(snapshot) => Ok(!snapshot.manifest.committables.is_empty()),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it lies among the job's own checkpoints, which go by themselves.
    fn is_among(&self, checkpoints: &Checkpoints) -> bool {
        let own = format!("{}/", checkpoints.directory().location());
        self.stores.open(&self.location).is_ok_and(|at| at.location().starts_with(&own))
    }
}

/// What has become of a snapshot that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// It is not there.
    Gone,
    /// It is left where it is, and not looked at again: nobody knows what it is any more, or it goes with the job's own checkpoints.
    Left,
}

/// Removes it, if it is there. What is there and is no snapshot any more stays.
///
/// # Errors
/// When it may work another time.
pub(super) async fn remove(claimed: &mut Option<ClaimedSnapshot>, own: &Checkpoints) -> Result<Removed, Error> {
    let removed = match claimed.as_ref().filter(|snapshot| !snapshot.is_among(own)) {
        None => Removed::Left,
        Some(snapshot) => match Snapshot::remove(&snapshot.location, &*snapshot.stores).await {
            Ok(()) => Removed::Gone,
            Err(error @ (Error::Damaged { .. } | Error::Location { .. })) => {
                tracing::warn!(location = snapshot.location, %error, "what a job was started from stays");
                Removed::Left
            }
            Err(error) => return Err(error),
        },
    };
    *claimed = None;
    Ok(removed)
}

/// Removes it if these checkpoints have taken its place.
pub(super) async fn remove_behind(
    claimed: &mut Option<ClaimedSnapshot>,
    job: JobId,
    own: &Checkpoints,
    retained: &BTreeSet<CheckpointId>,
) {
    let Some(snapshot) = claimed.as_ref().filter(|snapshot| retained.len() >= snapshot.behind) else { return };
    let location = snapshot.location.clone();
    match remove(claimed, own).await {
        Ok(Removed::Gone) => tracing::info!(%job, location, "what the job was started from is removed"),
        Ok(Removed::Left) => {}
        Err(error) => {
            if let Some(snapshot) = claimed.as_mut().filter(|snapshot| !snapshot.is_told) {
                snapshot.is_told = true;
                tracing::warn!(%job, location, %error, "what the job was started from cannot be removed; it is tried again");
            }
        }
    }
}
