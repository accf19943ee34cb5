//! Looks for the heads of a name, and for what is left of a cluster.

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{ConfigMap, Secret, Service},
};
use kube::{
    Api,
    api::{ListParams, Resource},
};

use super::{
    head::{Head, HeadKind},
    objects::Objects,
};
use crate::{
    client::Connection,
    error::ApiError,
    labels::{self, Component},
    names::ClusterId,
    observed::ObservedPod,
};

/// What heads clusters of that kind.
pub fn heads_of(connection: &Connection, kind: HeadKind) -> Objects {
    match kind {
        HeadKind::Deployment => Objects::of::<Deployment>(connection),
        HeadKind::Job => Objects::of::<Job>(connection),
    }
}

/// All heads of that name: none or one, as a rule.
///
/// # Errors
/// When the API server does not say.
pub async fn heads(connection: &Connection, cluster: &ClusterId) -> Result<Vec<Head>, ApiError> {
    let mut found = Vec::new();
    for kind in [HeadKind::Deployment, HeadKind::Job] {
        let object = heads_of(connection, kind).get(&cluster.jobmanager()).await?;
        found.extend(object.map(|object| Head::read(kind, cluster, &object)));
    }
    Ok(found)
}

/// The pods of a cluster's JobManager, newest first.
///
/// # Errors
/// When the API server does not say.
pub async fn jobmanagers(connection: &Connection, cluster: &ClusterId) -> Result<Vec<ObservedPod>, ApiError> {
    pods(connection, &labels::selector(cluster, Component::JobManager)).await
}

async fn pods(connection: &Connection, selector: &str) -> Result<Vec<ObservedPod>, ApiError> {
    let api: Api<ObservedPod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let listed = api.list(&ListParams::default().labels(selector)).await;
    let mut pods = listed.map_err(|error| ApiError::new("list", "pods", &error))?.items;
    pods.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
    Ok(pods)
}

/// What is there of a cluster besides its head, for people: `Service "demo"`, `2 pods`.
///
/// # Errors
/// When the API server does not say.
pub async fn remains(connection: &Connection, cluster: &ClusterId) -> Result<Vec<String>, ApiError> {
    let mut left = Vec::new();
    let selector = format!("{}=flott,{}={cluster}", labels::NAME, labels::INSTANCE);
    let pods = pods(connection, &selector).await?.len();
    if pods > 0 {
        left.push(format!("{pods} pod{}", if pods == 1 { "" } else { "s" }));
    }
    let others = [
        (Service::kind(&()), cluster.service(), Objects::of::<Service>(connection)),
        (ConfigMap::kind(&()), cluster.config_map(), Objects::of::<ConfigMap>(connection)),
        (Secret::kind(&()), cluster.token_secret(), Objects::of::<Secret>(connection)),
    ];
    for (kind, name, objects) in others {
        let object = objects.get(&name).await?;
        // One of another owner, or of none, is not of this cluster.
        let is_ours = object.is_some_and(|object| {
            let labels = object.metadata.labels.unwrap_or_default();
            let label = |key: &str| labels.get(key).map(String::as_str);
            label(labels::INSTANCE) == Some(cluster.as_str()) && label(labels::MANAGED_BY) == Some("flott")
        });
        if is_ours {
            left.push(format!("{kind} {name:?}"));
        }
    }
    Ok(left)
}
