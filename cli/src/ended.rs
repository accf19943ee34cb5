//! What the JobManager of one job leaves behind of it, for whoever asks when it is gone.

use flott_core::{id::JobId, status::JobStatus};
use flott_dispatcher::Outcome;
use serde::{Deserialize, Serialize};

use crate::exit::Code;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The job.
    pub job: JobId,
    /// How; absent for one that never came.
    pub status: Option<JobStatus>,
}

impl Ended {
    /// What is worth noting of an outcome. What is left to another JobManager has not ended.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Job { job, status, .. } => Some(Self { job: *job, status: Some(*status) }),
            Outcome::NoJob { job, .. } => Some(Self { job: *job, status: None }),
            Outcome::ShutDown | Outcome::Suspended | Outcome::Deposed | Outcome::Over => None,
        }
    }

    /// The exit code for this end.
    pub fn code(&self) -> Code {
        match self.status {
            Some(JobStatus::Finished) => Code::Done,
            Some(JobStatus::Canceled) => Code::Cancelled,
            Some(_) => Code::JobFailed,
            None => Code::Usage,
        }
    }
}
