//! How the Job of Kubernetes that keeps a JobManager hears that the Flott job has not finished.
//!
//! A Job fails by itself only when its pods do, and a pod that was lost with its node counts as one that has failed. To tell the one
//! from the other it has `podFailurePolicy`, which Kubernetes refuses beside `podReplacementPolicy: TerminatingOrFailed`, and that is
//! what has the next pod begin while the node of the last one is lost. So its JobManager says it: with the condition
//! `FailureTarget`, which the Job controller turns into `Failed`, reason and message included, as soon as no pod is left.

use k8s_openapi::{
    api::batch::v1::{Job, JobCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{client::Connection, error::ApiError, reason::short};

/// Has the Job called `name` fail for `reason`, a word in camel case, with a `message` for people. May be repeated. The controller
/// deletes pods of the Job that still run.
///
/// # Errors
/// When the API server has not taken it: it may have worked all the same, if [`ApiError::may_have_worked`] says so.
pub async fn fail(connection: &Connection, name: &str, reason: &str, message: &str) -> Result<(), ApiError> {
    let jobs: Api<Job> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let patch = Patch::Strategic(condition(reason, &short(message), Timestamp::now()));
    let patched = jobs.patch_status(name, &PatchParams::default(), &patch).await;
    patched.map(drop).map_err(|error| ApiError::new("patch", format!("jobs/status {name:?}"), &error))
}

/// Conditions are merged by their type, so that others stay.
fn condition(reason: &str, message: &str, now: Timestamp) -> Value {
    let condition = JobCondition {
        type_: "FailureTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    json!({ "status": { "conditions": [condition] } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_to_fail_with_a_reason_and_since_when() {
        let expected = json!({ "status": { "conditions": [{
            "type": "FailureTarget",
            "status": "True",
            "reason": "FlottJobFailed",
            "message": "job a is FAILED",
            "lastProbeTime": "1970-01-01T00:00:00Z",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }] } });
        assert_eq!(condition("FlottJobFailed", "job a is FAILED", Timestamp::UNIX_EPOCH), expected);
    }
}
