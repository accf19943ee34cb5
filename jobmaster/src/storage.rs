//! Where a JobMaster's checkpoints go: the log of its job in a store, for the owner of the JobMaster to keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use flott_core::{
    config::{Configuration, keys::checkpointing},
    failure::{Domain, Failure, Kind},
    id::{CheckpointId, JobId, JobMasterEpoch},
    view::{CheckpointStatus, CheckpointView},
};
use flott_snapshot::{Checkpoints, Claimed, Damage, Directory, Error, Log, Manifest, S3Options, Snapshot};
use tokio::sync::Mutex;

use crate::{JobMasterHandle, RestorePoint, ToStore, checkpoints::found, spec::SnapshotSpec};

/// Pause before something is tried again of which nobody knows whether it was done.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries to complete a savepoint. Tasks of a job that is to stop stand still meanwhile.
const SAVEPOINT_TRIES: u32 = 10;
/// How long one of them may take.
const SAVEPOINT_TRY: Duration = Duration::from_secs(30);

/// What a job starts from, where it has no checkpoint of its own.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// Location of a savepoint or checkpoint.
    pub path: Option<String>,
    /// Whether state in it that the job has no operator for is left behind.
    pub ignore_unclaimed: bool,
    /// How stores are reached, those of the job's own checkpoints too.
    pub s3: S3Options,
}

impl Recovery {
    /// What a job's configuration says.
    pub fn of(configuration: &Configuration) -> Self {
        Self {
            path: configuration.get(&checkpointing::RECOVERY_PATH),
            ignore_unclaimed: configuration.get(&checkpointing::IGNORE_UNCLAIMED),
            s3: S3Options::of(configuration),
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
    /// When there is no snapshot.
    pub async fn load(&self, job: JobId) -> Result<Option<RestorePoint>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let Snapshot { manifest, directory } = Snapshot::load(path, &self.s3).await.map_err(Failure::from)?;
        tracing::info!(%job, path, "the job starts from a snapshot");
        Ok(Some(RestorePoint { manifest: Arc::new(manifest), directory: directory.location().to_owned() }))
    }
}

/// The log of a job's checkpoints, in the hands of one JobMaster.
#[derive(Debug)]
pub struct CheckpointKeeper {
    job: JobId,
    root: String,
    s3: S3Options,
    recovery: Recovery,
    log: Mutex<Log>,
    /// Savepoints that have failed: what is late to complete one finds it here.
    abandoned: Mutex<BTreeSet<String>>,
}

impl CheckpointKeeper {
    /// Makes every older JobMaster of the job unable to complete checkpoints, and finds what the job starts from: the newest
    /// checkpoint of its own that can be restored, else what `recovery` says. Those that are `known` not to be whole are none.
    ///
    /// # Errors
    /// When the store fails, a newer JobMaster leads, or there is no snapshot where `recovery` says.
    pub async fn open(
        root: &str,
        job: JobId,
        epoch: JobMasterEpoch,
        recovery: &Recovery,
        known: &BTreeMap<CheckpointId, Failure>,
    ) -> Result<(Self, SnapshotSpec), Failure> {
        let root = Directory::open(root, &recovery.s3).map_err(Failure::from)?;
        let checkpoints = Checkpoints::new(&root, job);
        let Claimed { log, restorable, older, damaged } = checkpoints.claim(epoch).await.map_err(Failure::from)?;
        note_damage(job, &damaged);
        let own = checkpoints.directory().location().to_owned();
        let all: Vec<Manifest> = restorable.into_iter().chain(older).collect();
        let found = all.iter().rev().map(|manifest| shown(&checkpoints, manifest, known)).collect();
        let restore = match all.into_iter().find(|manifest| !known.contains_key(&manifest.checkpoint)) {
            Some(manifest) => {
                tracing::info!(%job, checkpoint = %manifest.checkpoint, "the job goes on from its checkpoint");
                Some(RestorePoint { manifest: Arc::new(manifest), directory: own.clone() })
            }
            None => recovery.load(job).await?,
        };
        let spec = SnapshotSpec {
            directory: Some(own),
            next: log.next(),
            restore: restore.map(Arc::new),
            found,
            is_damaged: !damaged.is_empty(),
            ignore_unclaimed: recovery.ignore_unclaimed,
        };
        let keeper = Self {
            job,
            root: root.location().to_owned(),
            s3: recovery.s3.clone(),
            recovery: recovery.clone(),
            log: Mutex::new(log),
            abandoned: Mutex::default(),
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

    /// Commits a manifest, tells the JobMaster, and then removes what is not retained.
    pub async fn store(&self, master: &JobMasterHandle, what: ToStore) {
        match &what.savepoint {
            None => self.store_checkpoint(master, &what.manifest, &what.retained).await,
            Some(location) => self.store_savepoint(master, &what.manifest, location).await,
        }
    }

    /// Tells the JobMaster of the newest checkpoint that is whole, but for `damaged`, else of what the job was started from. Asks a
    /// store that fails until the job is over.
    pub async fn find(&self, master: &JobMasterHandle, damaged: &BTreeSet<CheckpointId>) {
        let checkpoints = self.log.lock().await.checkpoints().clone();
        while !master.status().is_terminal() {
            match self.find_in(&checkpoints, damaged).await {
                Ok((point, damaged)) => return master.checkpoint_found(point.map(Arc::new), damaged),
                // That there is none must be true.
                Err(failure) => {
                    tracing::warn!(job = %self.job, %failure, "no checkpoint can be looked for; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn find_in(
        &self,
        checkpoints: &Checkpoints,
        damaged: &BTreeSet<CheckpointId>,
    ) -> Result<(Option<RestorePoint>, BTreeMap<CheckpointId, String>), Failure> {
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

    /// A new directory for a savepoint in `root`, as a location.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn new_savepoint(&self, root: &str) -> Result<String, Failure> {
        let root = Directory::open(root, &self.s3).map_err(Failure::from)?;
        Ok(root.new_savepoint(self.job).await.map_err(Failure::from)?.location().to_owned())
    }

    /// Removes what tasks wrote for a savepoint that has failed. If it is being completed all the same, it stays.
    pub async fn abandon_savepoint(&self, location: &str) {
        let mut abandoned = self.abandoned.lock().await;
        abandoned.insert(location.to_owned());
        let abandoned = async { Directory::open(location, &self.s3)?.abandon_savepoint().await };
        if let Err(error) = abandoned.await {
            tracing::warn!(job = %self.job, location, %error, "what is left of a savepoint that has failed cannot be removed");
        }
    }

    async fn store_savepoint(&self, master: &JobMasterHandle, manifest: &Manifest, location: &str) {
        // Held to the end: nobody removes files that a manifest is just about to name.
        let abandoned = self.abandoned.lock().await;
        let committed = if abandoned.contains(location) {
            Err(Failure::environment(format!("the savepoint at {location} was given up before it was complete")))
        } else {
            self.commit_savepoint(manifest, location).await
        };
        drop(abandoned);
        master.checkpoint_stored(manifest.checkpoint, committed);
    }

    async fn commit_savepoint(&self, manifest: &Manifest, location: &str) -> Result<(), Failure> {
        let directory = Directory::open(location, &self.s3).map_err(Failure::from)?;
        let mut problem = String::new();
        for _ in 0..SAVEPOINT_TRIES {
            problem = match tokio::time::timeout(SAVEPOINT_TRY, directory.commit_savepoint(manifest)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error @ Error::Unknown { .. })) => error.to_string(),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => format!("the store did not answer within {} s", SAVEPOINT_TRY.as_secs()),
            };
            tracing::warn!(job = %self.job, location, problem, "a savepoint may not be complete; trying again");
            tokio::time::sleep(AGAIN).await;
        }
        let message = format!(
            "nobody knows whether the savepoint at {location} is complete; if it is not, its directory can be removed"
        );
        Err(Failure::environment(message).because(problem))
    }

    async fn store_checkpoint(&self, master: &JobMasterHandle, manifest: &Manifest, retained: &BTreeSet<CheckpointId>) {
        let checkpoint = manifest.checkpoint;
        let mut log = self.log.lock().await;
        let result = loop {
            match log.commit(manifest).await {
                Ok(()) => break Ok(()),
                // The answer must be true, so it is asked for until it is known.
                Err(error @ Error::Unknown { .. }) => {
                    tracing::warn!(job = %self.job, %checkpoint, %error, "a checkpoint may not be complete; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => break Err(error),
            }
        };
        let committed = result.is_ok();
        if let Err(error @ Error::Deposed { .. }) = &result {
            tracing::warn!(job = %self.job, %error, "another JobMaster leads");
            master.stop();
            return;
        }
        master.checkpoint_stored(checkpoint, result.map_err(Failure::from));
        if committed && let Err(error) = log.collect(retained).await {
            tracing::warn!(job = %self.job, %error, "old checkpoints cannot be removed");
        }
    }

    /// Removes all checkpoints, once the end of the job is durable: nobody will go back to them.
    ///
    /// # Errors
    /// When the store fails, or a newer JobMaster leads. What was left can be removed by calling it again.
    pub async fn discard(&self) -> Result<(), Failure> {
        self.log.lock().await.discard().await.map(drop).map_err(Failure::from)
    }

    /// Removes all checkpoints in `root` of a job that has ended under a JobMaster before `epoch`.
    ///
    /// # Errors
    /// As [`Self::discard`].
    pub async fn discard_left(root: &str, job: JobId, epoch: JobMasterEpoch, s3: &S3Options) -> Result<(), Failure> {
        let root = Directory::open(root, s3).map_err(Failure::from)?;
        let Claimed { mut log, .. } = Checkpoints::new(&root, job).claim(epoch).await.map_err(Failure::from)?;
        log.discard().await.map(drop).map_err(Failure::from)
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

fn note_damage(job: JobId, damaged: &[Damage]) {
    for Damage { checkpoint, problem } in damaged {
        tracing::error!(%job, %checkpoint, problem, "a checkpoint cannot be restored");
    }
}
