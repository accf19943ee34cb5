//! Whom TaskManager pods belong to: what keeps the JobManager. When that goes, the API server's garbage collector removes
//! them, and a JobManager pod that is merely replaced leaves them alone.

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Api, ResourceExt};

use crate::{client::Connection, error::ApiError, names::ClusterId};

/// Finds the owner. `pod` is the JobManager's own, if it runs in one. None is found for a JobManager outside the cluster
/// that has no Deployment there.
///
/// # Errors
/// When the API server does not say.
pub async fn find(
    connection: &Connection,
    cluster: &ClusterId,
    pod: Option<&str>,
) -> Result<Option<OwnerReference>, ApiError> {
    let pods: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let pod = match pod {
        Some(name) => {
            pods.get_opt(name).await.map_err(|error| ApiError::new("get", format!("pods {name:?}"), &error))?
        }
        None => None,
    };
    let controller = pod.as_ref().and_then(controller);
    if let Some(owner) = controller.filter(|owner| owner.kind != "ReplicaSet") {
        return Ok(Some(kept_by(owner)));
    }
    let deployments: Api<Deployment> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let name = cluster.jobmanager();
    let deployment = deployments
        .get_opt(&name)
        .await
        .map_err(|error| ApiError::new("get", format!("deployments {name:?}"), &error))?;
    if let Some(deployment) = deployment {
        return Ok(deployment.uid().map(|uid| reference("apps/v1", "Deployment", &name, &uid, true)));
    }
    // A pod alone, or one whose Deployment has another name: then they share the fate of the pod.
    Ok(pod.and_then(|pod| Some(reference("v1", "Pod", &pod.name_any(), &pod.uid()?, true))))
}

fn controller(pod: &Pod) -> Option<&OwnerReference> {
    pod.owner_references().iter().find(|owner| owner.controller == Some(true))
}

/// What counts the pods that it controls must not count TaskManagers.
fn kept_by(owner: &OwnerReference) -> OwnerReference {
    reference(&owner.api_version, &owner.kind, &owner.name, &owner.uid, false)
}

fn reference(api_version: &str, kind: &str, name: &str, uid: &str, controller: bool) -> OwnerReference {
    OwnerReference {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        // Of a pod without a controller `kubectl drain` and autoscalers think that nobody would replace it.
        controller: Some(controller),
        // To block needs a right that the JobManager has not.
        block_owner_deletion: None,
    }
}
