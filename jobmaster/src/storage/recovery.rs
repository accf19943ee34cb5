//! What a job begins with that has no checkpoint of its own: a snapshot, or nothing.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    config::{
        Configuration,
        keys::checkpointing::{self, ClaimMode},
    },
    failure::{Domain, Failure, Kind},
    id::{CheckpointId, JobId},
};
use flott_snapshot::{Damage, S3Options, Snapshot, Stores};

use crate::{RestorePoint, core::NOTHING_WHOLE};

/// What a job starts from, where it has no checkpoint of its own.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Location of a savepoint or checkpoint.
    pub path: Option<String>,
    /// Whether state in it that the job has no operator for is left behind.
    pub ignore_unclaimed: bool,
    /// If it is the job's own from then on: behind how many checkpoints it goes.
    pub claimed_behind: Option<u32>,
    /// How stores are reached, those of the job's own checkpoints too.
    pub stores: Arc<dyn Stores>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::of(&Configuration::default())
    }
}

impl Recovery {
    /// What a job's configuration says.
    pub fn of(configuration: &Configuration) -> Self {
        Self {
            path: configuration.get(&checkpointing::RECOVERY_PATH),
            ignore_unclaimed: configuration.get(&checkpointing::IGNORE_UNCLAIMED),
            claimed_behind: match configuration.get(&checkpointing::CLAIM_MODE) {
                ClaimMode::NoClaim => None,
                ClaimMode::Claim => Some(configuration.get(&checkpointing::NUM_RETAINED)),
            },
            stores: Arc::new(S3Options::of(configuration)),
        }
    }

    /// A job in batch mode starts from nothing.
    ///
    /// # Errors
    /// When it is to start from something.
    pub fn check_batch(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        let message = format!("a job in batch mode cannot start from {path}; it has no state to go on from");
        Err(Failure::user(message).fatal())
    }

    /// What is where it says; nothing if it says nothing.
    ///
    /// # Errors
    /// When there is no snapshot, or one that cannot be claimed and is to be.
    pub async fn load(&self, job: JobId) -> Result<Option<RestorePoint>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let snapshot = Snapshot::load(path, &*self.stores).await.map_err(Failure::from)?;
        if self.claimed_behind.is_some() {
            snapshot.check_removable().map_err(|error| Failure::from(error).fatal())?;
        }
        let Snapshot { manifest, directory } = snapshot;
        tracing::info!(%job, path, "the job starts from a snapshot");
        Ok(Some(RestorePoint { manifest: Arc::new(manifest), directory: directory.location().to_owned() }))
    }

    /// What a job begins with that has no checkpoint of its own that can be restored; it has had some if there `was_own`.
    pub(super) async fn begin(
        &self,
        job: JobId,
        damaged: &[Damage],
        known: &BTreeMap<CheckpointId, Failure>,
        was_own: bool,
    ) -> Result<Option<RestorePoint>, Failure> {
        match self.load(job).await {
            Ok(None) if was_own => Err(nothing_whole(damaged, known)),
            // It is not what it was any more, as is usual when the job has had checkpoints since.
            Err(failure) if was_own && (failure.domain == Domain::User || failure.kind == Kind::Damaged) => {
                Err(nothing_whole(damaged, known).because(failure))
            }
            loaded => loaded,
        }
    }
}

/// Why a job cannot go on of whose checkpoints none is whole.
fn nothing_whole(damaged: &[Damage], known: &BTreeMap<CheckpointId, Failure>) -> Failure {
    let failure = Failure::environment(NOTHING_WHOLE).fatal();
    let known = known.iter().map(|(checkpoint, failure)| format!("checkpoint {checkpoint}: {failure}"));
    let found = damaged.iter().map(|Damage { checkpoint, problem }| format!("checkpoint {checkpoint}: {problem}"));
    found.chain(known).fold(failure, Failure::because)
}
