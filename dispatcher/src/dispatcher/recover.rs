//! The start of a leadership: what an earlier JobManager has left is taken up again.

use std::sync::Arc;

use flott_core::{
    failure::Failure,
    id::{Digest, JobId, JobMasterEpoch},
    job_graph::{ExecutionMode, document},
    view::JobView,
};

use super::{
    Dispatcher, Leading, Start,
    run::{Begin, failed, with_past},
};
use crate::{
    clock::now_ms,
    error::Error,
    operations::OperationRecord,
    rest::render::job_overview,
    stores::{JobRecord, Leftover, StoreError},
    submission,
};

/// A job of an earlier life.
enum Recovered {
    /// It runs on.
    Begin(Box<Begin>),
    /// It cannot run on.
    Unfit(JobMasterEpoch, Box<JobView>),
}

/// What an earlier life has left, beside the archive.
struct Left {
    jobs: Vec<Recovered>,
    operations: Vec<OperationRecord>,
    leftovers: Vec<Leftover>,
    /// All that has not ended.
    unfinished: Vec<JobId>,
}

impl Dispatcher {
    /// Takes up the archive and the unfinished jobs, and answers requests from then on. Each job is started by then, or what TaskManagers
    /// say of it is kept for it: none of its slots is given to another, and no job waits for the store of another.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Blob`] when what an earlier life has left cannot be read; nothing was started then.
    pub(crate) async fn lead(&self, leading: Leading) -> Result<(), Error> {
        let this = self.clone();
        let recovering = leading.clone();
        let recovered = tokio::task::spawn_blocking(move || this.recover(&recovering))
            .await
            .map_err(|error| StoreError::Io(error.to_string()))??;
        let Left { jobs: recovered, operations, leftovers, unfinished } = recovered;
        let ends = |begin: &Begin| begin.cancelled || begin.manifest.is_some();
        let ending = recovered.iter().filter_map(|job| match job {
            Recovered::Begin(begin) => ends(begin).then_some(begin.graph.job_id),
            Recovered::Unfit(_, view) => Some(view.job),
        });
        let ending = Arc::new(ending.collect());
        let open = self.inner.operations.lock().recover(operations);
        leftovers.iter().for_each(|leftover| self.note_doomed(leftover));
        self.expire(&leading).await;
        let (mut unfit, mut beginning) = (Vec::new(), Vec::new());
        for job in recovered {
            match job {
                Recovered::Begin(begin) => {
                    tracing::info!(job = %begin.graph.job_id, epoch = begin.epoch.0, "job recovered");
                    self.enter(&begin);
                    beginning.push(*begin);
                }
                Recovered::Unfit(epoch, view) => unfit.push((epoch, view)),
            }
        }
        // Before: JobMasters wait for their tasks from their start on, and those are let in when all this is done.
        for (epoch, view) in unfit {
            self.end_unfit(&leading, epoch, *view).await;
        }
        futures::future::join_all(beginning.into_iter().map(|begin| self.take_up(&leading, begin))).await;
        self.settle(&leading, open, &ending);
        leftovers.into_iter().for_each(|leftover| self.clear(&leading, leftover));
        self.sweep_programs(&leading, unfinished);
        self.inner.started.send_replace(Start::Ready(leading));
        Ok(())
    }

    /// Removes programs of jobs that were never accepted. Nobody waits for it.
    fn sweep_programs(&self, leading: &Leading, unfinished: Vec<JobId>) {
        let Some(programs) = self.inner.programs.clone() else { return };
        let (this, leader) = (self.clone(), leading.leader);
        self.inner.tasks.spawn(async move {
            let swept = tokio::task::spawn_blocking(move || programs.sweep(leader, &unfinished));
            tokio::select! {
                swept = swept => if let Ok(Err(error)) = swept {
                    tracing::warn!(%error, "programs of jobs that were not accepted stay; the next leader tries again");
                },
                () = this.is_ending() => {}
            }
        });
    }

    /// Blocks on the disk.
    fn recover(&self, leading: &Leading) -> Result<Left, Error> {
        let store = &leading.store;
        let (operations, leftovers) = (store.operations()?, store.leftovers()?);
        for archived in store.archived()? {
            // An unreadable graph costs the plan, not the listing.
            let mode = document::read(&archived.graph).map_or(ExecutionMode::Streaming, |graph| graph.mode);
            let overview = job_overview(&archived.view, mode, now_ms());
            let ended_at = archived.view.ended_at.unwrap_or(archived.view.started_at);
            self.inner.jobs.lock().end(archived.view.job, ended_at, overview);
        }
        let mut recovered = Vec::new();
        let records = store.unfinished()?;
        let unfinished = records.iter().map(|record| record.job).collect();
        for record in records {
            let epoch = store.begin_mastership(record.job)?;
            recovered.push(self.recover_job(record, epoch));
        }
        self.inner.blobs.sweep()?;
        Ok(Left { jobs: recovered, operations, leftovers, unfinished })
    }

    fn recover_job(&self, record: JobRecord, epoch: JobMasterEpoch) -> Recovered {
        let (job, accepted_at) = (record.job, record.accepted_at);
        let past = record.past.clone();
        let unfit = |name: String, failure: Failure| {
            Recovered::Unfit(epoch, Box::new(with_past(failed(job, name, accepted_at, failure.fatal()), past)))
        };
        let graph = match document::read(&record.graph) {
            Ok(graph) => graph,
            Err(error) => {
                let failure = Failure::internal("the stored job graph cannot be read").caused_by(&error);
                return unfit(job.to_string(), failure);
            }
        };
        let (configuration, default_parallelism) = match submission::effective(&graph, &self.inner.setup.configuration)
        {
            Ok(effective) => effective,
            Err(error) => {
                let failure = Failure::user("the job's configuration does not fit any more").caused_by(&error);
                return unfit(graph.name, failure);
            }
        };
        // Before they are there, perhaps: else they are not kept.
        let graph_digest = Digest::of(&record.graph);
        self.inner.blobs.adopt(job, [graph_digest, record.program]);
        Recovered::Begin(Box::new(Begin {
            graph: Arc::new(graph),
            document: record.graph,
            graph_digest,
            configuration: configuration.into(),
            default_parallelism,
            accepted_at,
            epoch,
            cancelled: record.cancelled,
            manifest: record.manifest,
            scale: record.scale,
            past: record.past,
            recovered: true,
            complete: None,
        }))
    }

    async fn end_unfit(&self, leading: &Leading, epoch: JobMasterEpoch, view: JobView) {
        tracing::error!(job = %view.job, failure = ?view.failure, "job cannot be recovered");
        let (job, ended_at) = (view.job, view.ended_at.unwrap_or(view.started_at));
        let overview = job_overview(&view, ExecutionMode::Streaming, now_ms());
        let ended = super::on_store(&leading.store, move |store| store.end(epoch, &view, None));
        if let Err(error) = ended.await {
            tracing::error!(%job, %error, "the end of a job cannot be stored; the next start tries again");
        }
        self.inner.jobs.lock().end(job, ended_at, overview);
    }
}
