//! What a job leaves with its caller.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use flott_core::{
    id::{JobId, OperatorId},
    status::JobStatus,
    view::{Accumulator, JobView},
};
use serde::de::DeserializeOwned;

use crate::{
    error::{Error, Result},
    plan::NodeIndex,
    sink::{Collected, accumulator_name, is_collected},
};

/// A job that has finished.
pub struct JobResult {
    view: Arc<JobView>,
    plan: u64,
    operators: BTreeMap<NodeIndex, OperatorId>,
}

impl fmt::Debug for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResult")
            .field("job", &self.job())
            .field("duration", &self.duration())
            .finish_non_exhaustive()
    }
}

impl JobResult {
    pub(crate) fn new(view: Arc<JobView>, plan: u64, operators: BTreeMap<NodeIndex, OperatorId>) -> Self {
        Self { view, plan, operators }
    }

    /// Of a job that was planned and has not run: there is nothing in it.
    pub(crate) fn unknown(job: JobId, name: String, plan: u64, operators: BTreeMap<NodeIndex, OperatorId>) -> Self {
        let view = JobView { entered: BTreeMap::new(), ..JobView::ended(job, name, JobStatus::Finished, 0, 0) };
        Self::new(Arc::new(view), plan, operators)
    }

    /// Identity of the job.
    pub fn job(&self) -> JobId {
        self.view.job
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.view.ended_at.unwrap_or(self.view.started_at).saturating_sub(self.view.started_at))
    }

    /// How often tasks were restarted after a failure.
    pub fn restarts(&self) -> u32 {
        self.view.restarts
    }

    /// The job with all its history, as REST shows it.
    pub fn view(&self) -> &JobView {
        &self.view
    }

    /// An accumulator by name.
    pub fn accumulator(&self, name: &str) -> Option<&Accumulator> {
        self.view.accumulators.get(name)
    }

    /// Accumulators by name, those of collected records left out.
    pub fn accumulators(&self) -> impl Iterator<Item = (&str, &Accumulator)> {
        let own = self.view.accumulators.iter().filter(|(name, _)| !is_collected(name));
        own.map(|(name, accumulator)| (name.as_str(), accumulator))
    }

    /// The value of a counter; 0 if nobody has counted.
    pub fn counter(&self, name: &str) -> i64 {
        match self.accumulator(name) {
            Some(Accumulator::LongCounter(sum)) => *sum,
            _ => 0,
        }
    }

    /// What a stream's `collect` has gathered: in order within a subtask, subtasks in any order.
    ///
    /// # Errors
    /// When `collected` belongs to another job, or a record cannot be read back from its JSON: types that need more than
    /// JSON has, such as NaN or maps with compound keys, cannot be collected.
    pub fn collected<T: DeserializeOwned>(&self, collected: &Collected<T>) -> Result<Vec<T>> {
        let operator = self.operators.get(&collected.node).filter(|_| collected.plan == self.plan);
        let Some(operator) = operator else {
            return Err(Error::Collected {
                name: "collect".to_owned(),
                problem: "it is of another environment than this result".to_owned(),
            });
        };
        let name = accumulator_name(*operator);
        let problem = |problem: String| Error::Collected { name: name.clone(), problem };
        match self.view.accumulators.get(&name) {
            None => Ok(Vec::new()),
            Some(Accumulator::List(records)) => records
                .iter()
                .map(|json| serde_json::from_str(json).map_err(|error| problem(format!("{error} in {json}"))))
                .collect(),
            Some(other) => Err(problem(format!("it is {other:?} and not a list"))),
        }
    }
}
