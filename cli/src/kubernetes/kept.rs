//! The Job of Kubernetes that keeps a JobManager, which is told when the Flott job has not finished.

use std::time::Duration;

use flott_core::{
    config::{Configuration, keys::kubernetes as keys},
    status::JobStatus,
};
use flott_kubernetes::{ApiError, Connection, outcome};

use super::told;
use crate::{ended::Ended, exit::Code};

/// How long the API server may be away until this JobManager is to be started again, and to tell it then.
const TELL_MAX: Duration = Duration::from_secs(60);
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct KeptBy {
    connection: Connection,
    /// Its name.
    job: String,
    request_max: Duration,
}

impl KeptBy {
    /// The Job called `job`, in the namespace that `config` says. Asks nothing of the API server yet.
    pub async fn of(config: &Configuration, job: &str) -> anyhow::Result<Self> {
        let connection = Connection::open(config).await?;
        Ok(Self { connection, job: job.to_owned(), request_max: config.get(&keys::REQUEST_TIMEOUT) })
    }

    /// Tells how the Flott job has ended, if it has not finished, and of what; says what to exit with. Where no role allows it, the
    /// Job completes.
    pub async fn tell(&self, ended: &Ended, cause: Option<&str>) -> Code {
        let Some((reason, message)) = failure(ended, cause) else { return Code::Done };
        let telling = async {
            loop {
                match self.tell_once(reason, &message).await {
                    Err(error) if error.is_passing() => {
                        tracing::warn!(job = self.job, %error, "the Job is not told yet how its job has ended");
                        tokio::time::sleep(TELL_PAUSE).await;
                    }
                    told => return told,
                }
            }
        };
        match tokio::time::timeout(TELL_MAX, telling).await {
            Ok(Ok(())) => {
                tracing::info!(job = self.job, reason, "the Job fails, as its job has not finished");
                Code::Done
            }
            Ok(Err(error)) => {
                tracing::error!(job = self.job, %error, "the Job will complete though its job has not finished");
                Code::Done
            }
            Err(_) => {
                tracing::error!(
                    job = self.job,
                    "the API server is away; the next JobManager tells the Job how its job has ended"
                );
                Code::Unreachable
            }
        }
    }

    async fn tell_once(&self, reason: &str, message: &str) -> Result<(), ApiError> {
        let request = outcome::fail(&self.connection, &self.job, reason, message);
        let late = |_| ApiError::late("patch", format!("jobs/status {:?}", self.job), self.request_max);
        tokio::time::timeout(self.request_max, request).await.map_err(late)?
    }
}

/// What the Job is to fail with, if it is: a word for programs, and the rest for people.
fn failure(ended: &Ended, cause: Option<&str>) -> Option<(&'static str, String)> {
    let reason = match ended.status? {
        JobStatus::Failed => "FlottJobFailed",
        JobStatus::Canceled => "FlottJobCanceled",
        // It has finished, or has not ended.
        _ => return None,
    };
    Some((reason, cause.map_or_else(|| told(ended), |cause| format!("{}: {cause}", told(ended)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_has_failed_or_was_cancelled_has_its_job_fail_and_says_of_what() {
        let check = |status, cause, expected: Option<(&'static str, &str)>| {
            let job = "0123456789abcdef0123456789abcdef".parse().expect("an id");
            let got = failure(&Ended { job, status }, cause);
            assert_eq!(got, expected.map(|(reason, message)| (reason, message.to_owned())), "{status:?}");
        };
        let failed = "job 0123456789abcdef0123456789abcdef is FAILED: on a: program ended with exit code 7";
        let cause = Some("on a: program ended with exit code 7");
        check(Some(JobStatus::Failed), cause, Some(("FlottJobFailed", failed)));
        let cancelled = "job 0123456789abcdef0123456789abcdef is CANCELED";
        check(Some(JobStatus::Canceled), None, Some(("FlottJobCanceled", cancelled)));
        check(Some(JobStatus::Finished), None, None);
        check(None, None, None);
    }
}
