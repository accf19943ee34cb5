//! Where a JobMaster's checkpoints go: the log of its job in a store, for the owner of the JobMaster to keep.
//!
//! # A store that does not answer
//! Each try at anything has an end. A manifest whose try has ended so may be there, may yet come, or may never: nobody knows, and
//! until somebody does
//!
//! - it is tried again, with the same bytes, for as long as the JobMaster lives, and each try that fails is told to it, which shows
//!   it (`flott list`, `failure_message` of a checkpoint that is in progress);
//! - no other manifest of the job is committed, so no checkpoint of the usual kind begins; records flow on;
//! - no task starts over. It could only start from the checkpoint before, and have its sinks drop what this one, should it be there,
//!   promises to make visible. (It would have to read from that store, too.)
//! - a job that is cancelled or fails, and one that has nothing left to do, waits for a minute ([`Timeouts::store`](crate::Timeouts))
//!   and then ends without knowing. A job that finishes loses nothing: its last commit has all that the checkpoint may hold. One
//!   that ends otherwise makes visible nothing of what the checkpoint may hold, removes nothing of it, and keeps its checkpoints
//!   whatever their retention: should the manifest be there, whoever starts from it makes that visible, once. Should it not, it
//!   stays hidden, and its input is read again by whoever starts from the one before.
//!
//! A later JobMaster claims the log and then reads it, so it knows whether the manifest is there, and that it will not come
//! any more ([`flott_snapshot::log`]): it goes on from it and commits what it holds, or goes on from the one before.
//!
//! # Layout
//! - `recovery`: what a job begins with that has no checkpoint of its own
//! - `claimed`: the snapshot that the job was started from, if it is the job's
//! - `savepoints`: those that are completed, and those that are given up
//! - `sweeping`: when files are looked for that no manifest names

mod claimed;
mod recovery;
mod savepoints;
mod sweeping;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use flott_core::{
    failure::{Domain, Failure, Kind},
    id::{CheckpointId, JobId, JobMasterEpoch},
    past::Past,
    view::{CheckpointStatus, CheckpointView},
};
use flott_snapshot::{Checkpoints, Claimed, Collected, Damage, Directory, Error, Expected, Log, Manifest};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout},
};

use crate::{JobMasterHandle, RestorePoint, ToStore, checkpoints::found, spec::SnapshotSpec};
use claimed::ClaimedSnapshot;
pub use recovery::Recovery;
use savepoints::Savepoint;
use sweeping::Sweeps;

/// Pause before something is tried again of which nobody knows whether it was done.
const AGAIN: Duration = Duration::from_secs(1);
/// How long one try to commit a manifest may take.
const TRY: Duration = Duration::from_secs(30);
/// How long it may take to remove what is not needed any more. The next manifest waits for that.
const TIDYING: Duration = Duration::from_secs(60);

/// The log of a job's checkpoints, in the hands of one JobMaster.
#[derive(Debug)]
pub struct CheckpointKeeper {
    job: JobId,
    root: String,
    recovery: Recovery,
    checkpoints: Checkpoints,
    log: Mutex<Kept>,
    /// Savepoints that are being completed, and those that nobody may complete any more.
    savepoints: parking_lot::Mutex<BTreeMap<String, Savepoint>>,
    /// Another has claimed the log.
    deposed: OnceLock<Failure>,
}

#[derive(Debug)]
struct Kept {
    log: Log,
    sweeps: Sweeps,
    /// Until it is removed.
    claimed: Option<ClaimedSnapshot>,
}

/// What has become of checkpoints of a job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// They are removed.
    Gone,
    /// They stay, since they may hold results that are not visible.
    Spared,
    /// There is nothing of the job, not even what says that they were removed: they may be on a volume that is not mounted.
    Missing,
}

/// What is known of the checkpoints of a job before its log is read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those that cannot be restored, and why.
    pub damaged: BTreeMap<CheckpointId, Failure>,
    /// What must be in the log.
    pub expected: Expected,
}

impl Known {
    /// What earlier JobMasters have written down.
    pub fn of(past: &Past) -> Self {
        Self { damaged: past.damaged.clone(), expected: Expected { begun: past.claimed, complete: None } }
    }

    /// The same, where a checkpoint is known to be complete.
    #[must_use]
    pub fn with_complete(mut self, complete: Option<CheckpointId>) -> Self {
        self.expected.complete = complete;
        self
    }
}

impl CheckpointKeeper {
    /// Makes every older JobMaster of the job unable to complete checkpoints, and finds what the job starts from: the newest
    /// checkpoint of its own that can be restored, else what `recovery` says. Those that are `known` to be damaged are none.
    ///
    /// Where what `recovery` says is needed and cannot be had, nothing is written: it may be called again for days, and what a claim
    /// leaves in the log stays until the next checkpoint.
    ///
    /// # Errors
    /// When the store fails, lacks what is `known` to be there, a newer JobMaster leads, there is no snapshot where `recovery` says, or
    /// none of the checkpoints that there are can be restored and `recovery` says nothing: the job must not begin as if it had had none.
    pub async fn open(
        root: &str,
        job: JobId,
        epoch: JobMasterEpoch,
        recovery: &Recovery,
        known: &Known,
    ) -> Result<(Self, SnapshotSpec), Failure> {
        let root = recovery.stores.open(root).map_err(Failure::from)?;
        Self::open_in(&root, job, epoch, recovery, known).await
    }

    async fn open_in(
        root: &Directory,
        job: JobId,
        epoch: JobMasterEpoch,
        recovery: &Recovery,
        known: &Known,
    ) -> Result<(Self, SnapshotSpec), Failure> {
        let checkpoints = Checkpoints::new(root, job);
        let Known { damaged: known, expected } = known;
        let mut begin = None;
        if recovery.path.is_some() {
            let (own, damaged) = checkpoints.look(expected).await.map_err(Failure::from)?;
            if own.iter().all(|manifest| known.contains_key(&manifest.checkpoint)) {
                let was_own = !own.is_empty() || !damaged.is_empty();
                begin = recovery.begin(job, &damaged, known, was_own).await?;
            }
        }
        let claimed = checkpoints.claim_expecting(epoch, expected).await;
        let Claimed { log, restorable, older, damaged } = claimed.map_err(Failure::from)?;
        note_damage(job, &damaged);
        let own = checkpoints.directory().location().to_owned();
        let all: Vec<Manifest> = restorable.into_iter().chain(older).collect();
        let newest = all.first().map(|manifest| manifest.checkpoint);
        let is_damaged = !damaged.is_empty() || newest.is_some_and(|newest| known.contains_key(&newest));
        let found = all.iter().rev().map(|manifest| shown(&checkpoints, manifest, known)).collect();
        let restore = match all.into_iter().find(|manifest| !known.contains_key(&manifest.checkpoint)) {
            Some(manifest) => {
                tracing::info!(%job, checkpoint = %manifest.checkpoint, "the job goes on from its checkpoint");
                Some(RestorePoint { manifest: Arc::new(manifest), directory: own.clone() })
            }
            None if begin.is_some() => begin,
            None => recovery.begin(job, &damaged, known, is_damaged).await?,
        };
        let spec = SnapshotSpec {
            directory: Some(own),
            next: log.next(),
            restore: restore.map(Arc::new),
            found,
            is_damaged,
            ignore_unclaimed: recovery.ignore_unclaimed,
        };
        let keeper = Self {
            job,
            root: root.location().to_owned(),
            recovery: recovery.clone(),
            checkpoints,
            log: Mutex::new(Kept { log, sweeps: Sweeps::default(), claimed: ClaimedSnapshot::of(recovery) }),
            savepoints: parking_lot::Mutex::default(),
            deposed: OnceLock::new(),
        };
        Ok((keeper, spec))
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The directory of the checkpoints of all jobs, as a location.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// That another has claimed the log, as a failure of the job, once it is known: no checkpoint of this JobMaster becomes complete any
    /// more, and it is stopped. Unless another JobMaster has the job, it is for its owner to end it.
    pub fn deposed(&self) -> Option<&Failure> {
        self.deposed.get()
    }

    /// Commits a manifest, tells the JobMaster, and then removes what is not retained. Ends with the JobMaster, whatever has
    /// become of the manifest by then. Stops the JobMaster if another [leads](Self::deposed).
    pub async fn store(&self, master: &JobMasterHandle, what: ToStore) {
        match &what.savepoint {
            None => self.store_checkpoint(master, &what.manifest, &what.retained).await,
            Some(location) => self.store_savepoint(master, &what.manifest, location).await,
        }
    }

    /// Tells the JobMaster of the newest checkpoint that is whole, but for `damaged`, else of what the job was started from. Asks a
    /// store that fails or does not answer until the JobMaster is gone.
    pub async fn find(&self, master: &JobMasterHandle, damaged: &BTreeSet<CheckpointId>) {
        let find = async {
            loop {
                match self.find_in(damaged).await {
                    Ok((point, damaged)) => return master.checkpoint_found(point.map(Arc::new), damaged),
                    // That there is none must be true.
                    Err(failure) => {
                        tracing::warn!(job = %self.job, %failure, "no checkpoint can be looked for; trying again");
                        sleep(AGAIN).await;
                    }
                }
            }
        };
        until_over(master, find).await;
    }

    /// Each read of a store has an end of its own; how many there are depends on the state. What is being removed is waited for, so
    /// that it is not found; what is found then stays until the next checkpoint is complete.
    async fn find_in(
        &self,
        damaged: &BTreeSet<CheckpointId>,
    ) -> Result<(Option<RestorePoint>, BTreeMap<CheckpointId, String>), Failure> {
        let _held = self.log.lock().await;
        let checkpoints = &self.checkpoints;
        let (found, more) = checkpoints.newest_whole(damaged).await.map_err(Failure::from)?;
        note_damage(self.job, &more);
        let point = match found {
            Some(manifest) => {
                let directory = checkpoints.directory().location().to_owned();
                Some(RestorePoint { manifest: Arc::new(manifest), directory })
            }
            None => match self.recovery.load(self.job).await {
                // It is not what it was any more.
                Err(failure) if failure.domain == Domain::User || failure.kind == Kind::Damaged => {
                    tracing::warn!(job = %self.job, %failure, "nor can the job begin where it was started from");
                    None
                }
                loaded => loaded?,
            },
        };
        let more = more.into_iter().filter(|damage| !damaged.contains(&damage.checkpoint));
        Ok((point, more.map(|damage| (damage.checkpoint, damage.problem)).collect()))
    }

    async fn store_checkpoint(&self, master: &JobMasterHandle, manifest: &Manifest, retained: &BTreeSet<CheckpointId>) {
        let commit = async {
            let mut kept = self.turn(master, manifest.checkpoint).await;
            let result = self.commit(master, &mut kept.log, manifest).await;
            (kept, result)
        };
        let Some((mut kept, result)) = until_over(master, commit).await else {
            tracing::warn!(
                job = %self.job, checkpoint = %manifest.checkpoint,
                "the JobMaster ends without knowing whether its last checkpoint is complete"
            );
            return;
        };
        let committed = result.is_ok();
        if let Err(error @ Error::Deposed { .. }) = &result {
            tracing::warn!(job = %self.job, %error, "another JobMaster leads");
            let message = format!(
                "the job's checkpoints in {} were taken by another: the job runs in another cluster too, or a job there has claimed one \
                 of them",
                self.checkpoints.directory().location()
            );
            // The first is why.
            let _ = self.deposed.set(Failure::environment(message).because(error).fatal());
            master.stop();
            return;
        }
        master.checkpoint_stored(manifest.checkpoint, result.map_err(Failure::from));
        if committed && timeout(TIDYING, self.tidy(&mut kept, retained)).await.is_err() {
            tracing::warn!(job = %self.job, "old checkpoints are not removed in time; they go with a later one");
        }
    }

    /// The log, once what is done with it is done: old checkpoints are removed behind the one before.
    async fn turn(&self, master: &JobMasterHandle, checkpoint: CheckpointId) -> MutexGuard<'_, Kept> {
        let mut turn = pin!(self.log.lock());
        loop {
            match timeout(TRY, &mut turn).await {
                Ok(kept) => return kept,
                Err(_) => {
                    let problem =
                        format!("the store has not removed what is not needed any more within {} s", TRY.as_secs());
                    master.checkpoint_undecided(checkpoint, Failure::environment(problem));
                }
            }
        }
    }

    /// Asks until it is known what has become of it: the answer must be true.
    async fn commit(&self, master: &JobMasterHandle, log: &mut Log, manifest: &Manifest) -> Result<(), Error> {
        let checkpoint = manifest.checkpoint;
        loop {
            let failure = match timeout(TRY, log.commit(manifest)).await {
                Ok(Err(error @ Error::Unknown { .. })) => Failure::from(error),
                Ok(result) => return result,
                Err(_) => silent(self.checkpoints.directory().location()),
            };
            tracing::warn!(job = %self.job, %checkpoint, %failure, "a checkpoint may not be complete; trying again");
            master.checkpoint_undecided(checkpoint, failure);
            sleep(AGAIN).await;
        }
    }

    /// Removes what is not retained, and what nobody names if there may be any.
    async fn tidy(&self, kept: &mut Kept, retained: &BTreeSet<CheckpointId>) {
        let Kept { log, sweeps, claimed } = kept;
        match log.collect(retained).await {
            Ok(_) => claimed::remove_behind(claimed, self.job, log.checkpoints(), retained).await,
            Err(error) => tracing::warn!(job = %self.job, %error, "old checkpoints cannot be removed"),
        }
        let (suspected, now) = (log.suspects_orphans(), Instant::now());
        if !sweeps.is_due(suspected, now) {
            return;
        }
        sweeps.began(suspected, now);
        match log.sweep().await {
            Ok(Collected { files, bytes, .. }) => {
                sweeps.succeeded();
                if files > 0 {
                    tracing::info!(job = %self.job, files, bytes, "state files that no checkpoint names were removed");
                }
            }
            Err(error) => {
                if sweeps.failed(&error.to_string(), now) {
                    tracing::warn!(job = %self.job, %error, "state files that no checkpoint names cannot be removed");
                }
            }
        }
    }

    /// Removes all checkpoints, once the end of the job is durable: nobody will go back to them. With them goes what the job was started
    /// from, if it is the job's.
    ///
    /// # Errors
    /// When the store fails or does not answer in time, or a newer JobMaster leads. What was left can be removed by calling it again.
    pub async fn discard(&self) -> Result<(), Failure> {
        let discard = async {
            let Kept { log, claimed, .. } = &mut *self.log.lock().await;
            log.discard().await?;
            claimed::remove(claimed, log.checkpoints()).await.map(drop)
        };
        in_time(discard).await
    }

    /// Removes all checkpoints in `root` of a job that has ended under a JobMaster before `epoch`, and what it was started from, if that is
    /// the job's by its `recovery`. If it `spares_results`, all stays if the newest holds results, or cannot be read. Where there is nothing
    /// of the job, nothing is written or removed.
    ///
    /// # Errors
    /// As [`Self::discard`].
    pub async fn discard_left(
        root: &str,
        job: JobId,
        epoch: JobMasterEpoch,
        recovery: &Recovery,
        spares_results: bool,
    ) -> Result<Discarded, Failure> {
        let root = recovery.stores.open(root).map_err(Failure::from)?;
        Self::discard_left_in(&root, job, epoch, recovery, spares_results).await
    }

    async fn discard_left_in(
        root: &Directory,
        job: JobId,
        epoch: JobMasterEpoch,
        recovery: &Recovery,
        spares_results: bool,
    ) -> Result<Discarded, Failure> {
        let discard = async {
            let checkpoints = Checkpoints::new(root, job);
            // Before: a claim where a volume is to be mounted would be all that is removed there.
            if checkpoints.are_missing().await? {
                return Ok(Discarded::Missing);
            }
            let Claimed { mut log, restorable, damaged, .. } = checkpoints.claim(epoch).await?;
            let mut claimed = ClaimedSnapshot::of(recovery);
            if spares_results {
                let holds = match (&restorable, &claimed) {
                    (Some(newest), _) => !newest.committables.is_empty(),
                    (None, Some(claimed)) => claimed.holds_results().await?,
                    (None, None) => false,
                };
                if holds || !damaged.is_empty() {
                    return Ok(Discarded::Spared);
                }
            }
            log.discard().await?;
            claimed::remove(&mut claimed, log.checkpoints()).await.map(|_| Discarded::Gone)
        };
        in_time(discard).await
    }
}

/// What becomes of removing files.
async fn in_time<T>(removal: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(TIDYING, removal).await {
        Ok(removed) => removed.map_err(Failure::from),
        Err(_) => Err(Failure::environment(format!("the store has not removed them within {} s", TIDYING.as_secs()))),
    }
}

/// A checkpoint of an earlier JobMaster as it is shown.
fn shown(checkpoints: &Checkpoints, manifest: &Manifest, known: &BTreeMap<CheckpointId, Failure>) -> CheckpointView {
    let view = found(manifest, checkpoints.location(manifest.checkpoint));
    match known.get(&view.id) {
        Some(failure) => CheckpointView { status: CheckpointStatus::Failed, failure: Some(failure.clone()), ..view },
        None => view,
    }
}

/// What `work` gives, unless the JobMaster is gone before: then it is dropped.
async fn until_over<T>(master: &JobMasterHandle, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        _ = master.ended() => None,
    }
}

fn silent(location: &str) -> Failure {
    Failure::environment(format!(
        "the store of {location} has not answered within {} s, or only with errors",
        TRY.as_secs()
    ))
}

fn note_damage(job: JobId, damaged: &[Damage]) {
    for Damage { checkpoint, problem } in damaged {
        tracing::error!(%job, %checkpoint, problem, "a checkpoint cannot be restored");
    }
}

#[cfg(test)]
mod tests;
