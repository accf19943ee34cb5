//! Jobs of an earlier JobManager, from when they are read until they have a JobMaster.
//!
//! They were started before, and what they need may be away for a while: a disk that is full, a mount that is not there yet, a bucket that
//! does not answer, a program that cannot be fetched. To end them would lose what they know over something that passes, and to begin
//! without what they had would do again what they have done. So they are shown as INITIALIZING, with the reason, and tried again until
//! they start, are cancelled, or the next JobManager has them. Tasks that run on stay with their slots until then.
//!
//! No job waits for what another one needs: none is waited for longer than a moment, [`GRACE`], before the first TaskManager is let in.
//! What TaskManagers say of those that are not started by then is kept for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use flott_core::{
    config::keys::checkpointing,
    failure::{Domain, Failure, Retry},
    id::{Digest, JobId, JobMasterEpoch},
    resource::ResourceProfile,
    status::JobStatus,
    view::{ExceptionView, JobView},
};
use flott_jobmaster::FoundOn;
use flott_resource_manager::Declaration;
use tokio::sync::oneshot;

use super::{
    Dispatcher, Leading,
    jobs::Job,
    leftovers::Doomed,
    reports::{discards, retention},
    run::{AGAIN, Begin, Opened, with_past},
};
use crate::{
    blobs::{BlobError, BlobStore},
    clock::now_ms,
    error::Error,
    ha::SharedPrograms,
};

/// How long a new leader waits for a job to be started, all of them side by side, before it lets TaskManagers in. JobMasters that are
/// started by then wait for their tasks from their start on ([`Timeouts::reconcile`](flott_jobmaster::Timeouts)), so it is short beside
/// that.
const GRACE: Duration = Duration::from_secs(2);

/// The longest pause between two tries to start a job. The first is [`AGAIN`]; they grow, since each try reads all that it can of the log.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long what a job needs may be silent before the job is cancelled without it. What answers in time gets a JobMaster, which can do
/// more than that.
const SILENCE: Duration = Duration::from_secs(40);

/// Whether it may be otherwise when it is tried again with a job that has `begun` before.
fn may_pass(failure: &Failure, begun: bool) -> bool {
    // What it has begun with was right then: the savepoint that it was started from is on a volume, too.
    let was_right = begun && failure.domain == Domain::User && failure.retry != Retry::Never;
    was_right || failure.may_pass()
}

impl Dispatcher {
    /// Starts a job of an earlier JobManager that was entered, as soon as it can be. Returns when it is started or it is known why it is not,
    /// and after [`GRACE`] in any case. From then on, what is found of it is for its JobMaster, and its slots stay with it.
    pub(super) async fn take_up(&self, leading: &Leading, begin: Begin) {
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        self.inner.control.await_master(job);
        let (tried, first) = oneshot::channel();
        self.start_in_time(leading, begin, Some(tried));
        if tokio::time::timeout(GRACE, first).await.is_err() {
            let slow = Failure::environment(
                "what the job needs to go on has not answered yet: the store of its checkpoints, or of its program",
            );
            tracing::warn!(%job, "a job is not started yet; its store does not answer");
            self.note_trouble(job, epoch, &slow);
        }
    }

    /// The JobMaster of a job has stepped aside, since its log was another one: starts another when the log is there. This was `found`.
    pub(super) fn take_up_again(&self, leading: &Leading, begin: Begin, found: Vec<FoundOn>) {
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        {
            let mut jobs = self.inner.jobs.lock();
            jobs.step_aside(job, epoch);
            self.inner.control.await_another(job, epoch, found);
        }
        self.start_in_time(leading, begin, None);
    }

    /// Starts a job in a task of its own. `tried` goes with the first try.
    fn start_in_time(&self, leading: &Leading, begin: Begin, tried: Option<oneshot::Sender<()>>) {
        // It gets no others, so how many it needs does not matter.
        let needs = [(ResourceProfile::ANY, 1)].into();
        leading.resources.declare(Declaration::new(begin.graph.job_id, begin.epoch, needs).reconciling(true));
        let (this, leading) = (self.clone(), leading.clone());
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = this.try_to_start(&leading, begin, tried) => {}
                () = this.is_ending() => {}
            }
        });
    }

    async fn try_to_start(&self, leading: &Leading, mut begin: Begin, mut tried: Option<oneshot::Sender<()>>) {
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        // Opened once: each time leaves something in the log.
        let mut opened = None;
        let mut pause = AGAIN;
        // What has decided to finish does so: its last results are in no checkpoint, or in the savepoint that it stops with.
        let (was_cancelled, finishes) = (begin.cancelled, begin.manifest.is_some());
        loop {
            let made_ready = tokio::select! {
                biased;
                made_ready = self.make_ready(leading, &mut begin, &mut opened) => made_ready,
                () = self.is_given_up(job, was_cancelled, SILENCE), if !finishes => {
                    Err(Failure::environment("what the job needs to go on does not answer"))
                }
            };
            let failure = match made_ready {
                Ok(()) => break,
                Err(failure) if may_pass(&failure, begin.past.claimed.is_some()) => failure,
                Err(failure) => return self.cannot_start(leading, begin, failure),
            };
            if tried.take().is_some() {
                tracing::warn!(%job, %failure, "a job cannot be started; trying again until it can");
            }
            let is_cancelled = self.note_trouble(job, epoch, &failure) || was_cancelled;
            if is_cancelled && !finishes {
                let doomed = doomed(&begin.configuration);
                let view = cancelled(&begin, failure);
                return self.archive(leading.clone(), epoch, Arc::new(view), doomed);
            }
            // Who cancels it does not wait for all of that.
            let cancelled = self.is_given_up(job, was_cancelled, AGAIN);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancelled, if !finishes => {}
            }
            pause = (2 * pause).min(PAUSE_MAX);
        }
        if let Some(opened) = opened {
            self.start_master(leading, begin, opened);
            tracing::info!(%job, "a job of an earlier JobManager is started");
        }
    }

    /// Has all that a JobMaster is started from. May be called again after an error.
    async fn make_ready(
        &self,
        leading: &Leading,
        begin: &mut Begin,
        opened: &mut Option<Opened>,
    ) -> Result<(), Failure> {
        // Whoever cancels it has to know.
        self.locate_checkpoints(begin)?;
        self.restore_blobs(begin).await?;
        let opened = match opened {
            Some(opened) => opened,
            None => opened.insert(self.open_as_needed(begin).await?),
        };
        self.note_claim(leading, begin, opened).await
    }

    /// Opens the log of the job's checkpoints. All that is needed of it for a last commit is that there is one: what is gone would be waited
    /// for for ever, since who has decided to finish cannot be cancelled.
    async fn open_as_needed(&self, begin: &Begin) -> Result<Opened, Failure> {
        let mut asked = begin.clone();
        if begin.manifest.is_none() {
            return self.open_checkpoints(&mut asked).await;
        }
        (asked.past.claimed, asked.complete) = (None, None);
        match self.open_checkpoints(&mut asked).await {
            Err(failure) if failure.domain == Domain::User => {
                asked.configuration.remove(checkpointing::RECOVERY_PATH.key());
                self.open_checkpoints(&mut asked).await
            }
            opened => opened,
        }
    }

    /// Returns when a job that waits is cancelled, or was before, but not before this has gone by.
    async fn is_given_up(&self, job: JobId, was_cancelled: bool, not_before: Duration) {
        tokio::time::sleep(not_before).await;
        let is_cancelled = || matches!(self.inner.jobs.lock().get(job), Ok(Job::Active(active)) if active.cancelled);
        while !was_cancelled && !is_cancelled() {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Has the program and the graph where TaskManagers fetch them.
    async fn restore_blobs(&self, begin: &Begin) -> Result<(), Failure> {
        let (blobs, programs) = (self.inner.blobs.clone(), self.inner.programs.clone());
        let (job, program, graph) = (begin.graph.job_id, begin.graph.program.digest, begin.document.clone());
        let digest = begin.graph_digest;
        let restored = tokio::task::spawn_blocking(move || {
            restore_program(&blobs, programs.as_ref(), job, program)?;
            restore_graph(&blobs, job, digest, &graph)
        });
        match restored.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error @ Error::Blob(BlobError::Missing(_)))) => {
                Err(Failure::environment("the job's program is lost").caused_by(&error).fatal())
            }
            Ok(Err(error)) => Err(Failure::environment("the job's program cannot be had").caused_by(&error)),
            Err(error) => Err(Failure::environment("the job's program cannot be had").because(&error)),
        }
    }

    /// Shows why the job is not started; `true` if it is not to be any more.
    fn note_trouble(&self, job: JobId, epoch: JobMasterEpoch, failure: &Failure) -> bool {
        let mut jobs = self.inner.jobs.lock();
        jobs.update(job, epoch, |active| {
            let is_new = active.trouble.as_ref().is_none_or(|trouble| trouble.failure != *failure);
            if is_new {
                active.trouble = Some(trouble(failure.clone()));
            }
        });
        matches!(jobs.get(job), Ok(Job::Active(active)) if active.cancelled)
    }
}

/// The program must be here, or where another JobManager has kept it that has accepted the job.
fn restore_program(
    blobs: &BlobStore,
    programs: Option<&SharedPrograms>,
    job: JobId,
    program: Digest,
) -> Result<(), Error> {
    match (blobs.locate(program), programs) {
        (Ok(_), _) => {}
        (Err(BlobError::Missing(_)), Some(programs)) => {
            let lease = programs.fetch(job, program, blobs)?;
            blobs.adopt(job, [lease.digest()]);
        }
        (Err(error), _) => return Err(error.into()),
    }
    Ok(())
}

/// The graph is written again if it is not there, since the store has it.
fn restore_graph(blobs: &BlobStore, job: JobId, digest: Digest, graph: &Bytes) -> Result<(), Error> {
    if blobs.locate(digest).is_err() {
        let lease = blobs.put(graph)?;
        blobs.adopt(job, [lease.digest()]);
    }
    Ok(())
}

/// Where its checkpoints are, if they go when it is cancelled.
fn doomed(configuration: &BTreeMap<String, String>) -> Option<Doomed> {
    let root = configuration.get(checkpointing::DIR.key()).cloned();
    root.filter(|_| discards(retention(configuration), JobStatus::Canceled)).map(Doomed::Unseen)
}

fn trouble(failure: Failure) -> ExceptionView {
    ExceptionView { at: now_ms(), failure, concurrent: Vec::new() }
}

/// The view of a job that was cancelled while it waited. What its sinks have prepared stays: its checkpoints may hold it, and then they
/// stay too, whatever the retention.
fn cancelled(begin: &Begin, failure: Failure) -> JobView {
    let name = begin.graph.name.clone();
    let view = JobView {
        exceptions: vec![trouble(failure)],
        ..JobView::ended(begin.graph.job_id, name, JobStatus::Canceled, begin.accepted_at, now_ms())
    };
    with_past(view, begin.past.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_away_may_come_back_and_what_was_right_once_may_be_so_again() {
        let away = Failure::environment("no mount");
        let no_savepoint = Failure::user("/mnt/savepoint: no checkpoint or savepoint there");
        for begun in [false, true] {
            assert!(may_pass(&away, begun) && !may_pass(&away.clone().fatal(), begun));
            assert_eq!(may_pass(&no_savepoint, begun), begun);
            assert!(!may_pass(&Failure::internal("a bug"), begun));
        }
    }
}
