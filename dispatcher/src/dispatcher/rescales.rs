//! Another parallelism for a running job.

use flott_core::{
    failure::Failure,
    id::{JobId, TriggerId},
};
use flott_jobmaster::{JobMasterHandle, RescaleOutcome, RescaleRequest};

use super::{Dispatcher, jobs::Job};
use crate::{
    error::Error,
    operations::{Done, Subject, Undertaken},
};

impl Dispatcher {
    /// Begins to change the parallelism of a job. The same `trigger` again is the same change, however it has ended.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Ended`], [`Error::NotBegun`], [`Error::Busy`], [`Error::Ending`]; [`Error::Rescale`] when
    /// the job cannot have it, or not at this moment. Whether it has it in the end is told by [`Dispatcher::outcome`].
    pub async fn trigger_rescale(
        &self,
        job: JobId,
        trigger: Option<TriggerId>,
        asked: RescaleRequest,
    ) -> Result<TriggerId, Error> {
        self.ready().await?;
        let id = trigger.unwrap_or_else(TriggerId::random);
        let this = self.clone();
        // Who asks may leave before the JobMaster has answered, and come again with the same id.
        let begun = self.inner.tasks.spawn(async move { this.begin_rescale(job, id, asked).await });
        begun.await.unwrap_or(Err(Error::Ending))
    }

    async fn begin_rescale(&self, job: JobId, id: TriggerId, asked: RescaleRequest) -> Result<TriggerId, Error> {
        let _only_one = self.inner.rescaling.lock().await;
        if self.inner.operations.lock().knows(Subject::Rescale(job), id) {
            return Ok(id);
        }
        let outcome = self.rescaling(job)?.rescale(asked).await.map_err(|failure| Error::Rescale(failure.into()))?;
        self.start(Subject::Rescale(job), Some(id), |notes| {
            Ok(async move {
                // Begun a moment ago; to begin it twice changes nothing.
                notes.undertake(Undertaken::Other).await;
                ended(outcome).await.map(Done::Rescaled)
            })
        })
        .await
    }

    fn rescaling(&self, job: JobId) -> Result<JobMasterHandle, Error> {
        match self.inner.jobs.lock().get(job)? {
            Job::Active(active) => active.master.ok_or(Error::NotBegun(job)),
            Job::Ended(overview) => Err(Error::Ended { job, status: overview.state }),
        }
    }
}

async fn ended(outcome: RescaleOutcome) -> Result<flott_jobmaster::Rescaled, Failure> {
    let gone = "the job has ended, or its JobMaster was stopped, before it was rescaled";
    outcome.await.map_err(|_| Failure::environment(gone))?
}
