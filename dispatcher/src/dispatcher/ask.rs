use std::{collections::BTreeSet, sync::Arc};

use flott_core::{
    id::{JobId, VertexId},
    job_graph::{JobGraph, JobVertex, Parallelism, document},
    message::LogAnswer,
    status::JobStatus,
    view::{JobView, WorkerView},
};
use flott_jobmaster::Stopped;
use flott_resource_manager::handle::{Census, LogRead};
use futures::{StreamExt, stream};

use super::{
    Dispatcher, Start,
    jobs::{Active, Job, settled},
    on_store,
};
use crate::{
    clock::now_ms,
    error::Error,
    rest::{render::job_overview, shapes::JobOverview},
    stores::StoreError,
    submission,
};

/// JobMasters that are asked at a time.
const ASKED_AT_ONCE: usize = 64;

/// A job as it is at one moment.
#[derive(Debug, Clone)]
pub struct JobSnapshot {
    /// Its state with all its history.
    pub view: Arc<JobView>,
    /// What was submitted, with the parallelism that it has now.
    pub graph: Arc<JobGraph>,
    /// Parallelism of vertices that name none.
    pub default_parallelism: u32,
}

/// What is measured of a cluster at one moment.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Its TaskManagers.
    pub census: Census,
    /// The states of all jobs.
    pub statuses: Vec<JobStatus>,
    /// Those that have not ended.
    pub jobs: Vec<MeasuredJob>,
}

/// A job that has not ended.
#[derive(Debug)]
pub(crate) struct MeasuredJob {
    pub view: Arc<JobView>,
    /// Vertices that have no input.
    pub sources: BTreeSet<VertexId>,
}

impl Dispatcher {
    /// What is measured of the cluster; nothing where this JobManager does not lead. Does not wait until it does.
    pub(crate) async fn measured(&self) -> Option<Measured> {
        let leading = match &*self.inner.started.borrow() {
            Start::Ready(leading) => leading.clone(),
            Start::StandingBy(_) | Start::Opening | Start::Ending => return None,
        };
        let census = leading.resources.census().await.ok()?;
        let (statuses, active) = {
            let jobs = self.inner.jobs.lock();
            (jobs.by_id.values().map(Job::status).collect(), jobs.active())
        };
        let measured = |active: Active| async move {
            let fed: BTreeSet<_> = active.graph.edges.iter().map(|edge| edge.target).collect();
            let vertices = active.graph.vertices.iter().map(|vertex| vertex.id);
            let sources = vertices.filter(|id| !fed.contains(id)).collect();
            Some(MeasuredJob { view: shown(&active).await?, sources })
        };
        let jobs = stream::iter(active).map(measured).buffered(ASKED_AT_ONCE);
        Some(Measured { census, statuses, jobs: jobs.filter_map(std::future::ready).collect().await })
    }

    /// A job, whether it runs or is archived.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Store`], [`Error::Ending`].
    pub async fn job(&self, job: JobId) -> Result<JobSnapshot, Error> {
        let leading = self.leading().await?;
        let mut known = self.inner.jobs.lock().get(job)?;
        while let Job::Active(active) = known {
            if let Some(view) = view_of(&active).await {
                let graph = as_it_runs(active.graph, &view, active.default_parallelism);
                return Ok(JobSnapshot { view, graph, default_parallelism: active.default_parallelism });
            }
            // The JobMaster has ended: what it ended with is shown when it is durable. Or it has stepped aside.
            known = settled(&self.inner.jobs, job).await?;
        }
        let archived = on_store(&leading.store, move |store| store.archived_job(job)).await?;
        let archived = archived.ok_or(Error::UnknownJob(job))?;
        let damaged = |cause: String| StoreError::Damaged { what: format!("job {job}"), cause };
        let graph = document::read(&archived.graph).map_err(|error| damaged(error.to_string()))?;
        let (_, default_parallelism) = submission::effective(&graph, &self.inner.setup.configuration)
            .map_err(|error| damaged(error.to_string()))?;
        let graph = as_it_runs(Arc::new(graph), &archived.view, default_parallelism);
        Ok(JobSnapshot { view: Arc::new(archived.view), graph, default_parallelism })
    }

    /// The state of a job.
    ///
    /// # Errors
    /// As [`Dispatcher::job`].
    pub async fn status(&self, job: JobId) -> Result<JobStatus, Error> {
        self.leading().await?;
        Ok(self.inner.jobs.lock().get(job)?.status())
    }

    /// The states of all jobs, by id.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn statuses(&self) -> Result<Vec<(JobId, JobStatus)>, Error> {
        self.leading().await?;
        Ok(self.inner.jobs.lock().by_id.iter().map(|(id, job)| (*id, job.status())).collect())
    }

    /// All jobs in short, by id.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn overviews(&self) -> Result<Vec<JobOverview>, Error> {
        self.leading().await?;
        let jobs: Vec<_> = self.inner.jobs.lock().by_id.iter().map(|(id, job)| (*id, job.clone())).collect();
        let overview = |(id, mut job): (JobId, Job)| async move {
            loop {
                let active = match job {
                    Job::Ended(overview) => return Some((*overview).clone()),
                    Job::Active(active) => active,
                };
                if let Some(view) = view_of(&active).await {
                    return Some(job_overview(&view, active.graph.mode, now_ms()));
                }
                job = settled(&self.inner.jobs, id).await.ok()?;
            }
        };
        let overviews = stream::iter(jobs).map(overview).buffered(ASKED_AT_ONCE);
        Ok(overviews.filter_map(std::future::ready).collect().await)
    }

    /// The jobs that have not ended.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn running(&self) -> Result<Vec<Arc<JobView>>, Error> {
        self.leading().await?;
        let active = self.inner.jobs.lock().active();
        let views = stream::iter(active).map(|active| async move { shown(&active).await }).buffered(ASKED_AT_ONCE);
        Ok(views.filter_map(std::future::ready).collect().await)
    }

    /// Registered TaskManagers.
    ///
    /// # Errors
    /// [`Error::Ending`], [`Error::Resources`].
    pub async fn workers(&self) -> Result<Vec<WorkerView>, Error> {
        Ok(self.leading().await?.resources.overview().await?)
    }

    /// A piece of a TaskManager's log, or the list of its logs.
    ///
    /// # Errors
    /// [`Error::Ending`], [`Error::Resources`].
    pub async fn read_log(&self, read: LogRead) -> Result<LogAnswer, Error> {
        Ok(self.leading().await?.resources.read_log(read).await?)
    }

    /// Asks for a job's cancellation; it is durable when this returns. A cancelled job is cancelled again without harm.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Ended`] for a job that ended otherwise, [`Error::Store`], [`Error::Ending`].
    pub async fn cancel(&self, job: JobId) -> Result<(), Error> {
        let leading = self.leading().await?;
        let known = self.inner.jobs.lock().get(job)?;
        match known {
            Job::Ended(overview) if overview.state == JobStatus::Canceled => Ok(()),
            Job::Ended(overview) => Err(Error::Ended { job, status: overview.state }),
            Job::Active(_) => {
                match on_store(&leading.store, move |store| store.mark_cancelled(job)).await {
                    // It has ended meanwhile, and had nothing left to cancel.
                    Ok(()) | Err(StoreError::Unknown(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                self.cancel_master(job);
                Ok(())
            }
        }
    }

    /// Tells the job's JobMaster. A job without one is told when it gets one.
    pub(super) fn cancel_master(&self, job: JobId) {
        if let Some(Job::Active(active)) = self.inner.jobs.lock().by_id.get_mut(&job) {
            // Also where it has one: that one may have stepped aside, and hear nothing any more.
            active.cancelled = true;
            if let Some(master) = &active.master {
                master.cancel();
            }
        }
    }
}

/// A graph with the parallelism that its vertices have: a job that was rescaled has another than it was submitted with.
fn as_it_runs(mut graph: Arc<JobGraph>, view: &JobView, default: u32) -> Arc<JobGraph> {
    for vertex in &view.vertices {
        let differs =
            |given: &JobVertex| given.id == vertex.id && given.parallelism.resolve(default) != vertex.parallelism;
        if let Some(place) = graph.vertices.iter().position(differs) {
            Arc::make_mut(&mut graph).vertices[place].parallelism = Parallelism::Fixed(vertex.parallelism);
        }
    }
    graph
}

/// What a job's JobMaster says; `None` when the job has ended, an error when that one has stepped aside.
async fn said(active: &Active) -> Result<Option<Arc<JobView>>, Stopped> {
    match &active.master {
        None => Ok(Some(Arc::new(active.first_view()))),
        Some(master) => master.view().await.map(|view| Some(view).filter(|view| !view.status.is_terminal())),
    }
}

/// As [`said`], for who waits for what becomes of the job where nothing is said.
async fn view_of(active: &Active) -> Option<Arc<JobView>> {
    said(active).await.ok().flatten()
}

/// As [`said`], for who does not: a job whose JobMaster has stepped aside waits for one.
async fn shown(active: &Active) -> Option<Arc<JobView>> {
    said(active).await.unwrap_or_else(|_| Some(Arc::new(active.first_view())))
}

#[cfg(test)]
mod tests {
    use flott_core::id::JobMasterEpoch;
    use flott_jobmaster::testing::Overheard;

    use super::*;
    use crate::dispatcher::jobs::tests::led_by;

    #[tokio::test]
    async fn a_job_whose_job_master_has_stepped_aside_is_measured_as_one_that_waits() {
        let (master, mut overheard) = Overheard::of(JobId::from_bytes([1; 16]), JobMasterEpoch(2));
        let active = led_by(master);
        overheard.close();
        assert!(view_of(&active).await.is_none());
        assert_eq!(shown(&active).await.map(|view| view.status), Some(JobStatus::Initializing));
    }
}
