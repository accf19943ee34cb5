//! Jobs of an earlier JobManager whose checkpoints cannot be reached.
//!
//! They were started before, and a disk that is full or a mount that is away comes back: to end them would lose what they know
//! over something that passes. So they are shown as INITIALIZING, with the reason, and tried again until they start, are
//! cancelled, or the next JobManager has them. Tasks that run on stay with their slots until then.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    config::keys::checkpointing,
    failure::Failure,
    id::{JobId, JobMasterEpoch},
    resource::ResourceProfile,
    status::JobStatus,
    view::{ExceptionView, JobView},
};

use flott_resource_manager::Declaration;

use super::{
    Dispatcher, Leading,
    jobs::Job,
    leftovers::Doomed,
    reports::{discards, retention},
    run::{AGAIN, Begin, failed, with_past},
};
use crate::clock::now_ms;

impl Dispatcher {
    /// Starts a job once its checkpoints can be reached.
    pub(super) fn begin_later(&self, leading: Leading, mut begin: Begin, mut failure: Failure) {
        let this = self.clone();
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        self.inner.control.await_master(job);
        // It gets no others, so how many it needs does not matter.
        let keeps = Declaration::new(job, epoch, [(ResourceProfile::ANY, 1)].into()).reconciling(true);
        leading.resources.declare(keeps);
        self.inner.tasks.spawn(async move {
            tracing::warn!(%job, %failure, "the checkpoints of a job cannot be reached; trying again until they can");
            loop {
                let is_cancelled = this.note_trouble(job, epoch, &failure) || begin.cancelled;
                // What has decided to finish does so: its last results are in no checkpoint, or in the savepoint that it stops with.
                if is_cancelled && begin.manifest.is_none() {
                    let doomed = doomed(&begin.configuration);
                    let view = cancelled(&begin, failure);
                    this.archive(leading, epoch, Arc::new(view), doomed);
                    return;
                }
                if this.is_ending_within_a_pause().await {
                    return;
                }
                match this.open_checkpoints(&mut begin).await {
                    Ok(opened) => {
                        tracing::info!(%job, "the checkpoints of the job can be reached");
                        this.start_master(&leading, begin, opened);
                        return;
                    }
                    Err(next) if next.may_pass() => failure = next,
                    Err(next) => {
                        tracing::warn!(%job, failure = %next, "job cannot be started");
                        let view = failed(job, begin.graph.name.clone(), begin.accepted_at, next);
                        this.archive(leading, epoch, Arc::new(with_past(view, begin.past)), None);
                        return;
                    }
                }
            }
        });
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

    async fn is_ending_within_a_pause(&self) -> bool {
        tokio::time::timeout(AGAIN, self.is_ending()).await.is_ok()
    }
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
