//! Checkpoints and savepoints that are asked for, and the removal of savepoints.

use std::{future::Future, path::Path, sync::Arc};

use flott_core::{
    checkpoint::Behind,
    config::{Configuration, keys::checkpointing},
    failure::Failure,
    id::{JobId, TriggerId},
    job_graph::{ExecutionMode, JobGraph},
    status::JobStatus,
};
use flott_jobmaster::{CheckpointKeeper, JobMasterHandle, SnapshotRequest};
use flott_snapshot::{Directory, Error as SnapshotError, S3Options, Snapshot};

use super::{
    Dispatcher, Leading, Start,
    jobs::Job,
    undertaken::{Concluded, Notes},
};
use crate::{
    error::Error,
    operations::{AfterSavepoint, Done, Outcome, Subject, Undertaken},
    stores::{Left, Leftover},
    submission,
};

/// A savepoint that is asked for.
#[derive(Debug, Clone)]
pub struct SavepointRequest {
    /// Where it gets a directory of its own; without one, the job's configuration says.
    pub directory: Option<String>,
    /// What becomes of the job.
    pub then: AfterSavepoint,
}

/// A job that can be asked for snapshots.
struct Snapshotting {
    graph: Arc<JobGraph>,
    master: JobMasterHandle,
    keeper: Arc<CheckpointKeeper>,
}

impl Dispatcher {
    /// Begins a checkpoint; a `full` one has all state in files of its own. The same `trigger` again is the same checkpoint, however it has
    /// ended.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Ended`], [`Error::NoCheckpoints`], [`Error::NotBegun`], [`Error::Busy`],
    /// [`Error::Ending`]. Whether the checkpoint is complete is told by [`Dispatcher::outcome`].
    pub async fn trigger_checkpoint(
        &self,
        job: JobId,
        trigger: Option<TriggerId>,
        full: bool,
    ) -> Result<TriggerId, Error> {
        self.start(Subject::Checkpoint(job), trigger, |notes| {
            let Snapshotting { master, .. } = self.snapshotting(job)?;
            Ok(async move {
                notes.undertake(Undertaken::Other).await;
                let taken = master.snapshot(SnapshotRequest::Checkpoint { full }).await?;
                Ok(Done::Checkpoint(taken.checkpoint))
            })
        })
        .await
    }

    /// Begins a savepoint. The same `trigger` again is the same savepoint, however it has ended.
    ///
    /// # Errors
    /// As [`Dispatcher::trigger_checkpoint`]; [`Error::NoSavepointDirectory`], [`Error::Snapshot`] for a directory that cannot
    /// be one.
    pub async fn trigger_savepoint(
        &self,
        job: JobId,
        trigger: Option<TriggerId>,
        asked: SavepointRequest,
    ) -> Result<TriggerId, Error> {
        let this = self.clone();
        self.start(Subject::Savepoint(job), trigger, |notes| {
            let snapshotting = self.snapshotting(job)?;
            let configuration = self.effective(&snapshotting.graph)?;
            let root = match asked.directory {
                Some(given) => absolute(given)?,
                None => configuration.get(&checkpointing::SAVEPOINT_DIR).ok_or(Error::NoSavepointDirectory)?,
            };
            Directory::open(&root, &S3Options::of(&configuration))?;
            Ok(async move { this.savepoint(job, snapshotting, &root, asked.then, &notes).await })
        })
        .await
    }

    /// Begins to remove a savepoint. One in S3 is reached with the settings of the job that has taken it, as far as its name tells and the
    /// job is known, and is looked for with those of the cluster then.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for a path that cannot be one, [`Error::Busy`], [`Error::Ending`].
    pub async fn trigger_disposal(&self, path: String, trigger: Option<TriggerId>) -> Result<TriggerId, Error> {
        let (this, leading) = (self.clone(), self.leading().await?);
        self.start(Subject::Disposal, trigger, |notes| {
            let path = absolute(path)?;
            Directory::open(&path, &S3Options::of(&self.inner.setup.configuration))?;
            Ok(async move {
                notes.undertake(Undertaken::Other).await;
                this.dispose(&leading, &path).await?;
                Ok(Done::Disposed)
            })
        })
        .await
    }

    /// The first of those settings with which a savepoint is found are those that it is removed with: a copy of it may be elsewhere.
    async fn dispose(&self, leading: &Leading, path: &str) -> Result<(), Failure> {
        let (mut why, mut tried) = (SnapshotError::NotFound(path.to_owned()), Vec::new());
        for (s3, whose) in self.settings_for(leading, path).await? {
            let loaded = Snapshot::load(path, &s3).await;
            let may_be_elsewhere = matches!(loaded, Err(SnapshotError::NotFound(_) | SnapshotError::Store { .. }));
            let disposed = match loaded {
                Ok(snapshot) => snapshot.dispose().await,
                Err(error) => Err(error),
            };
            let Err(error) = disposed else {
                tracing::info!(path, s3_settings_of = whose, "a savepoint was removed");
                return Ok(());
            };
            tried.extend(whose.map(|whose| format!("with the S3 settings of {whose}: {error}")));
            if !may_be_elsewhere || matches!(why, SnapshotError::NotFound(_)) {
                why = error;
            }
            if !may_be_elsewhere {
                break;
            }
        }
        Err(tried.into_iter().fold(Failure::from(why), Failure::because))
    }

    /// With which S3 settings what is at `path` may be reached, and whose those are: of the jobs whose savepoints are named so, and of the
    /// cluster.
    async fn settings_for(&self, leading: &Leading, path: &str) -> Result<Vec<(S3Options, Option<String>)>, Failure> {
        let cluster = S3Options::of(&self.inner.setup.configuration);
        if !path.starts_with("s3://") {
            return Ok(vec![(cluster, None)]);
        }
        let jobs: Vec<JobId> = {
            let jobs = self.inner.jobs.lock();
            jobs.by_id.keys().copied().filter(|job| Directory::is_named_savepoint_of(path, *job)).collect()
        };
        let mut settings: Vec<(S3Options, Option<String>)> = Vec::new();
        for job in jobs {
            let s3 = S3Options::of(&self.configuration_of(leading, job).await?);
            if settings.iter().all(|(known, _)| *known != s3) {
                settings.push((s3, Some(format!("job {job}"))));
            }
        }
        if settings.iter().all(|(known, _)| *known != cluster) {
            settings.push((cluster, Some("the cluster".to_owned())));
        }
        Ok(settings)
    }

    /// How an operation has ended, or that it is under way. `None`: there was none with this id, or it is long ago. Waits until what
    /// earlier JobManagers have undertaken is known. Cancel-safe.
    pub async fn outcome(&self, subject: Subject, id: TriggerId) -> Option<Option<Outcome>> {
        // One that ends still tells.
        let _ = self.leading().await;
        self.inner.operations.lock().get(subject, id)
    }

    /// Has `prepare` check whether it can be done, unless it was begun before, and does what that gives. That has to write down what it
    /// is about to do.
    pub(super) async fn start<F>(
        &self,
        subject: Subject,
        trigger: Option<TriggerId>,
        prepare: impl FnOnce(Notes) -> Result<F, Error>,
    ) -> Result<TriggerId, Error>
    where
        F: Future<Output: Into<Concluded>> + Send + 'static,
    {
        let leading = self.leading().await?;
        let id = trigger.unwrap_or_else(TriggerId::random);
        let notes = Notes::new(self, &leading, (subject, id));
        let work = {
            let mut operations = self.inner.operations.lock();
            if operations.knows(subject, id) {
                return Ok(id);
            }
            let work = prepare(notes.clone())?;
            if !operations.begin(subject, id) {
                return Err(Error::Busy);
            }
            work
        };
        let this = self.clone();
        self.inner.tasks.spawn(async move {
            let concluded = work.await.into();
            if let Err(failure) = &concluded.outcome {
                tracing::warn!(?subject, trigger = %id, %failure, "what was asked for was not done");
            }
            this.conclude(&leading, &notes, concluded).await;
        });
        Ok(id)
    }

    fn snapshotting(&self, job: JobId) -> Result<Snapshotting, Error> {
        let active = match self.inner.jobs.lock().get(job)? {
            Job::Active(active) => active,
            Job::Ended(overview) => return Err(Error::Ended { job, status: overview.state }),
        };
        if active.graph.mode == ExecutionMode::Batch {
            return Err(Error::NoCheckpoints(job));
        }
        match (active.master, active.keeper) {
            (Some(master), Some(keeper)) => Ok(Snapshotting { graph: active.graph, master, keeper }),
            _ => Err(Error::NotBegun(job)),
        }
    }

    fn effective(&self, graph: &JobGraph) -> Result<Configuration, Error> {
        let effective = submission::effective(graph, &self.inner.setup.configuration);
        Ok(effective.map_err(submission::SubmissionError::from)?.0)
    }

    async fn savepoint(
        &self,
        job: JobId,
        of: Snapshotting,
        root: &str,
        then: AfterSavepoint,
        notes: &Notes,
    ) -> Concluded {
        let directory = match of.keeper.new_savepoint(root).await {
            Ok(directory) => directory,
            Err(failure) => return Err(failure).into(),
        };
        notes.undertake(Undertaken::Savepoint { directory: directory.clone(), then }).await;
        let behind = match then {
            AfterSavepoint::GoOn | AfterSavepoint::Cancel => Behind::GoOn,
            AfterSavepoint::Stop => Behind::Stop,
            AfterSavepoint::Drain => Behind::Drain,
        };
        let request = SnapshotRequest::Savepoint { directory: directory.clone(), behind };
        if let Err(failure) = of.master.snapshot(request).await {
            let is_left = of.keeper.abandon_savepoint(&directory).await;
            let leftover = is_left.then_some(Leftover { job, what: Left::Savepoint { directory } });
            return Concluded { outcome: Err(failure), leftover };
        }
        tracing::info!(%job, location = %directory, "savepoint complete");
        self.go_on_behind(job, directory, then).await.into()
    }

    /// What becomes of a job whose savepoint is complete.
    async fn go_on_behind(&self, job: JobId, directory: String, then: AfterSavepoint) -> Outcome {
        let wanted = match then {
            AfterSavepoint::GoOn => return Ok(Done::Savepoint(directory)),
            AfterSavepoint::Cancel => {
                self.cancel(job).await.map_err(|error| {
                    let message = format!("the savepoint at {directory} is complete, but the job is not cancelled");
                    Failure::environment(message).caused_by(&error)
                })?;
                JobStatus::Canceled
            }
            AfterSavepoint::Stop | AfterSavepoint::Drain => JobStatus::Finished,
        };
        self.ended_behind(job, directory, wanted).await
    }

    /// The job ends behind its savepoint, as it was `wanted` to.
    pub(super) async fn ended_behind(&self, job: JobId, directory: String, wanted: JobStatus) -> Outcome {
        match self.end_of(job).await {
            Some(status) if status == wanted => Ok(Done::Savepoint(directory)),
            Some(status) => {
                let message = format!("the savepoint at {directory} is complete, but the job has ended as {status}");
                Err(Failure::environment(message))
            }
            None => {
                let message = format!(
                    "the savepoint at {directory} is complete, but the JobManager was shut down before the job had ended"
                );
                Err(Failure::environment(message))
            }
        }
    }

    /// How a job ends; nothing when the JobManager ends before.
    async fn end_of(&self, job: JobId) -> Option<JobStatus> {
        tokio::select! {
            status = self.ended(job) => status.ok(),
            () = self.is_ending() => None,
        }
    }

    /// Waits until this JobManager ends. Cancel-safe.
    pub(super) async fn is_ending(&self) {
        let mut started = self.inner.started.subscribe();
        // Who could say that it ends is this, so there is no error.
        let _ = started.wait_for(|start| matches!(start, Start::Ending)).await;
    }
}

/// Whether a location means the same for every process of the cluster.
pub(super) fn is_absolute(location: &str) -> bool {
    location.contains("://") || Path::new(location).is_absolute()
}

/// A path of the caller's machine means nothing here unless it is absolute.
fn absolute(location: String) -> Result<String, Error> {
    if is_absolute(&location) {
        return Ok(location);
    }
    let problem = "expected an absolute path or a URL".to_owned();
    Err(Error::Snapshot(flott_snapshot::Error::Location { location, problem }))
}
