//! Operations over the death of a JobManager: what is written down of them, and what the next one finds out.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use flott_core::{config::Configuration, failure::Failure, id::JobId, job_graph::document, status::JobStatus};
use flott_snapshot::{Error as SnapshotError, S3Options, Snapshot};

use super::{Dispatcher, Leading, jobs::Job, on_store, run::AGAIN};
use crate::{
    clock::now_ms,
    operations::{
        AfterSavepoint, Done, Forgotten, OperationKey, OperationRecord, OperationState, Outcome, Subject, Undertaken,
    },
    stores::{JobStore, Left, Leftover},
    submission,
};

/// How long the store may take to write something down. What was asked for is done all the same.
const WRITING: Duration = Duration::from_secs(10);
/// Tries to find out whether a savepoint is complete.
const LOOKS_MAX: u32 = 60;

/// Writes down how far one operation is.
#[derive(Clone)]
pub(super) struct Notes {
    dispatcher: Dispatcher,
    store: Arc<dyn JobStore>,
    key: OperationKey,
}

/// How an operation has ended.
pub(super) struct Concluded {
    pub outcome: Outcome,
    /// What it has left to be removed.
    pub leftover: Option<Leftover>,
}

impl From<Outcome> for Concluded {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, leftover: None }
    }
}

impl Notes {
    pub fn new(dispatcher: &Dispatcher, leading: &Leading, key: OperationKey) -> Self {
        Self { dispatcher: dispatcher.clone(), store: leading.store.clone(), key }
    }

    /// It is about to be done.
    pub async fn undertake(&self, what: Undertaken) {
        let at = self.dispatcher.inner.operations.lock().stamp(now_ms());
        self.write(at, OperationState::Undertaken(what), Vec::new(), None).await;
    }

    /// It has ended, these are forgotten, and this is left. Says whether that is durable.
    async fn end(&self, at: u64, outcome: Outcome, forgotten: Vec<Forgotten>, left: Option<Leftover>) -> bool {
        let outcome = outcome.map_err(|mut failure| {
            failure.shorten();
            failure
        });
        self.write(at, OperationState::Ended(outcome), forgotten, left).await
    }

    /// A write that takes too long goes on by itself, so it may come behind a later one.
    async fn write(&self, at: u64, state: OperationState, forgotten: Vec<Forgotten>, left: Option<Leftover>) -> bool {
        let (subject, id) = self.key;
        let record = OperationRecord { subject, id, at, state };
        let writing = on_store(&self.store, move |store| store.save_operation(&record, &forgotten, left.as_ref()));
        let why = match tokio::time::timeout(WRITING, writing).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the store did not answer within {} s", WRITING.as_secs()),
        };
        tracing::warn!(?subject, trigger = %id, why, "the next JobManager will not know what was asked for");
        false
    }
}

impl Dispatcher {
    /// Ends operations that an earlier JobManager has undertaken; jobs that are `ending` have been on their way to it.
    pub(super) fn settle(
        &self,
        leading: &Leading,
        open: Vec<(OperationKey, Undertaken)>,
        ending: &Arc<BTreeSet<JobId>>,
    ) {
        for (key, what) in open {
            let (this, leading, ending) = (self.clone(), leading.clone(), ending.clone());
            self.inner.tasks.spawn(async move {
                let concluded = tokio::select! {
                    found = this.found_out(&leading, key.0, what, &ending) => found,
                    // It is left to the next one.
                    () = this.is_ending() => return,
                };
                let outcome = &concluded.outcome;
                tracing::info!(subject = ?key.0, trigger = %key.1, ?outcome, "this has become of what an earlier JobManager was asked for");
                this.conclude(&leading, &Notes::new(&this, &leading, key), concluded).await;
            });
        }
    }

    /// Shows how an operation has ended, has it written down with what it has left, and removes that.
    pub(super) async fn conclude(&self, leading: &Leading, notes: &Notes, concluded: Concluded) {
        let Concluded { outcome, leftover } = concluded;
        leftover.iter().for_each(|leftover| self.note_doomed(leftover));
        let (at, forgotten) = {
            let mut operations = self.inner.operations.lock();
            (operations.end(notes.key, outcome.clone(), now_ms()), operations.forgotten())
        };
        if notes.end(at, outcome, forgotten.clone(), leftover.clone()).await {
            self.inner.operations.lock().dropped(&forgotten);
        }
        if let Some(leftover) = leftover {
            self.clear(leading, leftover);
        }
    }

    async fn found_out(
        &self,
        leading: &Leading,
        subject: Subject,
        what: Undertaken,
        ending: &BTreeSet<JobId>,
    ) -> Concluded {
        let (Subject::Savepoint(job), Undertaken::Savepoint { directory, then }) = (subject, what) else {
            let message =
                "the JobManager was ended before it was known what became of it; look, and ask again under another id";
            return Err(Failure::environment(message)).into();
        };
        let failure = match self.is_complete(leading, job, &directory).await {
            Ok(true) => return self.behind_savepoint(job, directory, then, ending).await.into(),
            Ok(false) => Failure::environment(format!(
                "the JobManager was ended before the savepoint at {directory} was complete"
            )),
            Err(failure) => failure,
        };
        // With several JobManagers it stays: one that is deposed, and does not know it, may yet complete it.
        let is_alone = self.inner.programs.is_none();
        let leftover = is_alone.then_some(Leftover { job, what: Left::Savepoint { directory } });
        Concluded { outcome: Err(failure), leftover }
    }

    /// What has become of a job behind a savepoint that is complete.
    async fn behind_savepoint(
        &self,
        job: JobId,
        directory: String,
        then: AfterSavepoint,
        ending: &BTreeSet<JobId>,
    ) -> Outcome {
        let wanted = match then {
            AfterSavepoint::GoOn => return Ok(Done::Savepoint(directory)),
            AfterSavepoint::Cancel => JobStatus::Canceled,
            AfterSavepoint::Stop | AfterSavepoint::Drain => JobStatus::Finished,
        };
        let known = self.inner.jobs.lock().get(job);
        let problem = match known {
            Ok(Job::Active(_)) if !ending.contains(&job) => {
                "the JobManager was ended before the job had, and the job runs on"
            }
            Ok(Job::Active(_) | Job::Ended(_)) => return self.ended_behind(job, directory, wanted).await,
            Err(_) => "how the job has ended is not remembered any more",
        };
        Err(Failure::environment(format!("the savepoint at {directory} is complete, but {problem}")))
    }

    /// Whether a savepoint is complete. A store that fails is asked for a while.
    async fn is_complete(&self, leading: &Leading, job: JobId, directory: &str) -> Result<bool, Failure> {
        let mut problem = String::new();
        for _ in 0..LOOKS_MAX {
            match self.configuration_of(leading, job).await {
                Ok(configuration) => {
                    let s3 = S3Options::of(&configuration);
                    match tokio::time::timeout(WRITING, Snapshot::load(directory, &s3)).await {
                        Ok(Ok(_)) => return Ok(true),
                        Ok(Err(SnapshotError::NotFound(_))) => return Ok(false),
                        Ok(Err(error @ SnapshotError::Store { .. })) => problem = error.to_string(),
                        Ok(Err(error)) => return Err(error.into()),
                        Err(_) => problem = format!("the store did not answer within {} s", WRITING.as_secs()),
                    }
                }
                Err(failure) => problem = failure.to_string(),
            }
            tokio::time::sleep(AGAIN).await;
        }
        let message =
            format!("the JobManager was ended before it was known whether the savepoint at {directory} is complete");
        Err(Failure::environment(message).because(problem))
    }

    /// The configuration of a job, whether it runs or has ended; the cluster's if nothing is known of the job any more.
    ///
    /// # Errors
    /// When the archive cannot be read: it may be otherwise another time.
    pub(super) async fn configuration_of(&self, leading: &Leading, job: JobId) -> Result<Configuration, Failure> {
        let known = self.inner.jobs.lock().get(job);
        let graph = match known {
            Ok(Job::Active(active)) => Some(active.graph),
            Ok(Job::Ended(_)) | Err(_) => {
                let archived =
                    on_store(&leading.store, move |store| store.archived_job(job)).await.map_err(|error| {
                        Failure::environment("the job's configuration cannot be read").caused_by(&error)
                    })?;
                let graph = archived.and_then(|archived| document::read(&archived.graph).ok());
                graph.map(Arc::new)
            }
        };
        let cluster = &self.inner.setup.configuration;
        let effective = graph.and_then(|graph| submission::effective(&graph, cluster).ok());
        Ok(effective.map_or_else(|| cluster.clone(), |(configuration, _)| configuration))
    }
}
