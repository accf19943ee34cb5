//! The jobs in memory.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{JobId, JobMasterEpoch},
    job_graph::JobGraph,
    past::Past,
    status::JobStatus,
    view::{ExceptionView, JobView},
};
use flott_jobmaster::{CheckpointKeeper, JobMasterHandle};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::run::with_past;
use crate::{error::Error, history::History, rest::shapes::JobOverview};

/// A job that has not been archived.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub graph: Arc<JobGraph>,
    pub default_parallelism: u32,
    pub accepted_at: u64,
    pub epoch: JobMasterEpoch,
    /// Never terminal: a job has ended when it is archived.
    pub status: JobStatus,
    /// None until it is started.
    pub master: Option<JobMasterHandle>,
    /// Of a job that takes checkpoints, once it is started.
    pub keeper: Option<Arc<CheckpointKeeper>>,
    /// Its cancellation was asked for: if it is not started, or has to be once more, it is cancelled then.
    pub cancelled: bool,
    /// Why it is not started yet.
    pub trouble: Option<ExceptionView>,
    /// What earlier lives have written down of it, as it was when this one began.
    pub past: Arc<Past>,
}

impl Active {
    /// What is shown before there is a JobMaster.
    pub fn first_view(&self) -> JobView {
        let view = JobView {
            job: self.graph.job_id,
            name: self.graph.name.clone(),
            status: JobStatus::Initializing,
            started_at: self.accepted_at,
            ended_at: None,
            entered: BTreeMap::from([(JobStatus::Initializing, self.accepted_at)]),
            vertices: Vec::new(),
            failure: None,
            exceptions: self.trouble.iter().cloned().collect(),
            exceptions_truncated: false,
            restarts: 0,
            accumulators: BTreeMap::new(),
            pending: Vec::new(),
            checkpoints: Default::default(),
            rescales: Vec::new(),
        };
        with_past(view, Past::clone(&self.past))
    }
}

/// A job in memory.
#[derive(Debug, Clone)]
pub(super) enum Job {
    Active(Box<Active>),
    /// Archived; only what the list of jobs shows is kept here.
    Ended(Arc<JobOverview>),
}

impl Job {
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Active(active) => active.status,
            Self::Ended(overview) => overview.state,
        }
    }
}

/// Waits while the JobMaster of a job hears nothing any more, until the job is archived or that one has stepped aside. Cancel-safe.
///
/// # Errors
/// [`Error::UnknownJob`], [`Error::Ending`].
pub(super) async fn settled(jobs: &Mutex<Jobs>, job: JobId) -> Result<Job, Error> {
    let mut changes = jobs.lock().changes();
    loop {
        let known = jobs.lock().get(job)?;
        match &known {
            Job::Active(active) if active.master.as_ref().is_some_and(|master| !master.hears()) => {}
            Job::Active(_) | Job::Ended(_) => return Ok(known),
        }
        changes.changed().await.map_err(|_| Error::Ending)?;
    }
}

/// All jobs that are shown.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub by_id: BTreeMap<JobId, Job>,
    pub history: History,
    changed: watch::Sender<()>,
}

impl Jobs {
    pub fn get(&self, job: JobId) -> Result<Job, Error> {
        self.by_id.get(&job).cloned().ok_or(Error::UnknownJob(job))
    }

    /// Changes an active job, if it is led by `epoch`.
    pub fn update(&mut self, job: JobId, epoch: JobMasterEpoch, change: impl FnOnce(&mut Active)) {
        if let Some(Job::Active(active)) = self.by_id.get_mut(&job)
            && active.epoch == epoch
        {
            change(active);
        }
    }

    pub fn active(&self) -> Vec<Active> {
        let active = |job: &Job| match job {
            Job::Active(active) => Some((**active).clone()),
            Job::Ended(_) => None,
        };
        self.by_id.values().filter_map(active).collect()
    }

    pub fn end(&mut self, job: JobId, ended_at: u64, overview: JobOverview) {
        self.by_id.insert(job, Job::Ended(Arc::new(overview)));
        self.history.add(job, ended_at);
        self.changed.send_replace(());
    }

    /// A job that was accepted.
    pub fn enter(&mut self, active: Active) {
        self.by_id.insert(active.graph.job_id, Job::Active(Box::new(active)));
        self.changed.send_replace(());
    }

    /// The JobMaster of an active job has stepped aside, if it is `epoch`'s: another will be started.
    pub fn step_aside(&mut self, job: JobId, epoch: JobMasterEpoch) {
        self.update(job, epoch, |active| {
            (active.master, active.keeper) = (None, None);
            active.status = JobStatus::Initializing;
        });
        self.changed.send_replace(());
    }

    /// Told after each job that is accepted or archived, or whose JobMaster has stepped aside.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn ended_status(&self, job: JobId) -> Result<Option<JobStatus>, Error> {
        match self.by_id.get(&job) {
            Some(Job::Active(_)) => Ok(None),
            Some(Job::Ended(overview)) => Ok(Some(overview.state)),
            None => Err(Error::UnknownJob(job)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use flott_jobmaster::testing::{Overheard, TestGraph};

    use super::*;

    /// A job that is led.
    pub fn led_by(master: JobMasterHandle) -> Active {
        Active {
            graph: Arc::new(TestGraph::new("waiting").build()),
            default_parallelism: 1,
            accepted_at: 0,
            epoch: master.epoch(),
            status: JobStatus::Created,
            master: Some(master),
            keeper: None,
            cancelled: false,
            trouble: None,
            past: Arc::default(),
        }
    }

    #[tokio::test]
    async fn who_meets_a_job_master_that_has_stepped_aside_waits_for_no_end() {
        let (job, epoch) = (TestGraph::new("waiting").build().job_id, JobMasterEpoch(2));
        let (master, mut overheard) = Overheard::of(job, epoch);
        let jobs = Mutex::new(Jobs::default());
        jobs.lock().enter(led_by(master));
        overheard.close();
        let known = async {
            match settled(&jobs, job).await {
                Ok(Job::Active(active)) => active.first_view().status,
                other => panic!("{other:?}"),
            }
        };
        let step_aside = async {
            tokio::task::yield_now().await;
            jobs.lock().step_aside(job, epoch);
        };
        assert_eq!(tokio::join!(known, step_aside).0, JobStatus::Initializing);
    }
}
