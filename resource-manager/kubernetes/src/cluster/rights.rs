//! Whether the JobManager will be allowed what it has to do, asked before anything is made: without it, it would run and
//! never get a TaskManager.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};

use super::{error::ClusterError, spec::ClusterSpec};
use crate::{
    client::Connection,
    error::{ApiError, Failure},
    pod_group,
};

/// What a JobManager needs, as group, resource and verbs.
const NEEDED: [(&str, &str, &[&str]); 2] =
    [("", "pods", &["get", "list", "watch", "create", "delete"]), ("apps", "deployments", &["get"])];

/// What one needs besides that stands for election with a Lease.
const NEEDED_TO_LEAD: (&str, &str, &[&str]) = ("coordination.k8s.io", "leases", &["get", "create", "update"]);

/// What one needs besides that lets TaskManagers in together by Volcano.
const NEEDED_FOR_POD_GROUP: (&str, &str, &[&str]) = (pod_group::GROUP, "podgroups", &pod_group::VERBS);

/// Asks about the service account of `spec`. A client that may not ask goes on without: the JobManager would tell.
///
/// # Errors
/// [`ClusterError::Rights`] names what is missing.
pub async fn check(connection: &Connection, spec: &ClusterSpec) -> Result<(), ClusterError> {
    let user = format!("system:serviceaccount:{}:{}", spec.namespace, spec.pod.service_account);
    let elected = spec.elected.then_some(&NEEDED_TO_LEAD);
    let grouped = spec.has_pod_group.then_some(&NEEDED_FOR_POD_GROUP);
    let needed = NEEDED
        .iter()
        .chain(elected)
        .chain(grouped)
        .flat_map(|(group, resource, verbs)| verbs.iter().map(move |verb| (*group, *resource, *verb)));
    let answers =
        needed.map(|(group, resource, verb)| {
            let user = user.clone();
            async move {
                may(connection, &spec.namespace, user, group, resource, verb).await.map(|may| (resource, verb, may))
            }
        });
    let answers = match try_join_all(answers).await {
        Ok(answers) => answers,
        Err(error) if matches!(error.failure, Failure::Forbidden(_)) => {
            tracing::debug!(%error, "it is not known whether the JobManager may do what it has to");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let denied: Vec<_> =
        answers.into_iter().filter(|(.., may)| !may).map(|(resource, verb, _)| (resource, verb)).collect();
    match missing(&denied) {
        None => Ok(()),
        Some(missing) => Err(ClusterError::Rights {
            account: spec.pod.service_account.clone(),
            namespace: spec.namespace.clone(),
            missing,
        }),
    }
}

async fn may(
    connection: &Connection,
    namespace: &str,
    user: String,
    group: &str,
    resource: &str,
    verb: &str,
) -> Result<bool, ApiError> {
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        namespace: Some(namespace.to_owned()),
        resource: Some(resource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    let mut review = LocalSubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user),
            groups: Some(groups.to_vec()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..LocalSubjectAccessReview::default()
    };
    review.metadata.namespace = Some(namespace.to_owned());
    let api: Api<LocalSubjectAccessReview> = Api::namespaced(connection.client.clone(), namespace);
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| ApiError::new("create", "localsubjectaccessreviews", &error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// `create, delete pods and get deployments`; `None` for nothing.
fn missing(denied: &[(&str, &str)]) -> Option<String> {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for (resource, verb) in denied {
        match parts.iter_mut().find(|(known, _)| known == resource) {
            Some((_, verbs)) => verbs.push(verb),
            None => parts.push((resource, vec![verb])),
        }
    }
    let parts: Vec<_> = parts.iter().map(|(resource, verbs)| format!("{} {resource}", verbs.join(", "))).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_told_by_resource() {
        assert_eq!(missing(&[]), None);
        let denied = [("pods", "create"), ("pods", "delete"), ("deployments", "get")];
        assert_eq!(missing(&denied).as_deref(), Some("create, delete pods and get deployments"));
    }
}
