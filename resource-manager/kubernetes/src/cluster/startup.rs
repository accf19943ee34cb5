//! What the JobManager of a cluster waits for, seen from outside: it cannot tell itself yet.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api,
    api::{ListParams, LogParams},
};

use super::{
    find,
    head::{Head, HeadKind},
};
use crate::{
    client::Connection,
    error::{ApiError, Failure},
    names::ClusterId,
    observed::ObservedPod,
    reason::{self, Phase, short},
    template::MAIN_CONTAINER,
};

/// How many lines of its log are told of a JobManager that has ended.
const LAST_LINES: i64 = 5;

/// Where the JobManager's pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// There is none yet, and why, if that is known.
    NoPod(Option<String>),
    /// It waits.
    Waiting {
        /// Which pod.
        pod: String,
        /// Why.
        reason: String,
        /// Whether every pod goes through it.
        is_usual: bool,
    },
    /// It runs.
    Running {
        /// Which pod.
        pod: String,
    },
    /// It has done its work.
    Done {
        /// Which pod.
        pod: String,
        /// What it left as its last words.
        words: String,
    },
    /// It has ended, or ends again and again.
    Crashed {
        /// Which pod.
        pod: String,
        /// How it ended.
        how: String,
        /// What it said last.
        words: String,
    },
}

/// Looks once.
///
/// # Errors
/// When the API server does not say.
pub async fn look(connection: &Connection, cluster: &ClusterId, head: &Head) -> Result<Startup, ApiError> {
    let Some(pod) = find::jobmanagers(connection, cluster).await?.into_iter().find(|pod| !pod.is_being_deleted())
    else {
        return Ok(Startup::NoPod(why_no_pod(connection, head).await?));
    };
    let name = pod.name().to_owned();
    if let Some(words) = done(&pod) {
        return Ok(Startup::Done { pod: name, words });
    }
    if let Some((how, is_earlier)) = crash(&pod) {
        let words = last_words(connection, &name, is_earlier).await;
        return Ok(Startup::Crashed { pod: name, how, words });
    }
    Ok(match reason::phase(&pod, MAIN_CONTAINER) {
        Phase::Running => Startup::Running { pod: name },
        Phase::Waiting(obstacle) => Startup::Waiting {
            pod: name,
            reason: format!("{}: {}", obstacle.rejection, obstacle.message),
            is_usual: obstacle.is_usual,
        },
        Phase::Ended(how) => {
            Startup::Crashed { words: last_words(connection, &name, false).await, pod: name, how: how.to_string() }
        }
    })
}

/// The last words of a container that has ended well.
pub fn done(pod: &ObservedPod) -> Option<String> {
    let container = pod.status.container_statuses.iter().find(|container| container.name == MAIN_CONTAINER)?;
    let terminated = container.state.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
    Some(terminated.message.clone().unwrap_or_default())
}

/// How the container ended that is to be started again, and whether it is started already. A container that is only
/// started again tells by its log of the time before.
fn crash(pod: &ObservedPod) -> Option<(String, bool)> {
    let container = pod.status.container_statuses.iter().find(|container| container.name == MAIN_CONTAINER)?;
    let earlier = container.last_state.terminated.as_ref();
    let terminated = container.state.terminated.as_ref().or(earlier).filter(|ended| ended.exit_code != 0)?;
    let why = terminated.reason.as_deref().filter(|reason| !reason.is_empty() && *reason != "Error");
    let how = match why {
        Some(why) => format!("{why} (exit code {})", terminated.exit_code),
        None => format!("exit code {}", terminated.exit_code),
    };
    Some((how, container.state.terminated.is_none() && container.state.running.is_some()))
}

async fn last_words(connection: &Connection, pod: &str, previous: bool) -> String {
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let parameters = LogParams {
        container: Some(MAIN_CONTAINER.to_owned()),
        tail_lines: Some(LAST_LINES),
        previous,
        ..LogParams::default()
    };
    match api.logs(pod, &parameters).await {
        Ok(log) if log.trim().is_empty() => "it has said nothing".to_owned(),
        Ok(log) => log.trim_end().to_owned(),
        Err(error) => ApiError::new("get", format!("pods/log {pod:?}"), &error).to_string(),
    }
}

/// What the controller of the head says that makes no pod: a quota, an admission rule.
async fn why_no_pod(connection: &Connection, head: &Head) -> Result<Option<String>, ApiError> {
    if head.kind == HeadKind::Deployment {
        let object = find::heads_of(connection, head.kind).get(&head.name).await?;
        let conditions = object.as_ref().and_then(|object| object.data["status"]["conditions"].as_array());
        let failure = conditions.into_iter().flatten().find(|condition| condition["type"] == "ReplicaFailure");
        return Ok(failure.and_then(|failure| failure["message"].as_str()).map(short));
    }
    let api: Api<Event> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let of_head = format!("involvedObject.uid={},reason=FailedCreate", head.uid);
    match api.list(&ListParams::default().fields(&of_head)).await {
        Ok(events) => {
            Ok(events.items.into_iter().filter_map(|event| event.message).next_back().map(|text| short(&text)))
        }
        Err(error) => match ApiError::new("list", "events", &error) {
            ApiError { failure: Failure::Forbidden(_), .. } => Ok(None),
            error => Err(error),
        },
    }
}
