//! The Secret with the certificates of a cluster.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{error::ClusterError, spec::ClusterSpec};
use crate::{
    client::Connection,
    error::{ApiError, Failure},
};

/// What pods mount of it.
const ENTRIES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// Whether the Secret is there that the pods of `spec` are to mount: without it they would wait for it. Who may not read it is
/// not kept from making the cluster.
///
/// # Errors
/// When it is not there or lacks an entry, and when the API server does not say.
pub async fn check(connection: &Connection, spec: &ClusterSpec) -> Result<(), ClusterError> {
    let Some(name) = spec.pod.tls.as_ref().map(|tls| tls.secret.clone()) else { return Ok(()) };
    let api: Api<Secret> = Api::namespaced(connection.client.clone(), &spec.namespace);
    let found = match api.get_opt(&name).await {
        Ok(found) => found,
        Err(error) => match ApiError::new("get", format!("secrets {name:?}"), &error) {
            error if matches!(error.failure, Failure::Forbidden(_)) => {
                tracing::debug!(%error, "the certificates of the cluster are not looked at");
                return Ok(());
            }
            error => return Err(error.into()),
        },
    };
    let lacks = match found {
        None => "is not there".to_owned(),
        Some(secret) => {
            let has = |entry: &str| secret.data.as_ref().is_some_and(|data| data.contains_key(entry));
            let missing: Vec<_> = ENTRIES.into_iter().filter(|entry| !has(entry)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            format!("has no {}", missing.join(", "))
        }
    };
    Err(ClusterError::Tls { secret: name, namespace: spec.namespace.clone(), lacks })
}
