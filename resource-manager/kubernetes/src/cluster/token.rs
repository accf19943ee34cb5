//! The token of a cluster, which its Secret holds.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::spec::TOKEN;
use crate::{
    client::Connection,
    error::{ApiError, Failure},
    names::ClusterId,
};

/// Reads the token; `None` if there is no such Secret, or none that this client may read.
///
/// # Errors
/// When the API server does not say.
pub async fn read(connection: &Connection, cluster: &ClusterId) -> Result<Option<String>, ApiError> {
    let name = cluster.token_secret();
    let api: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let secret = match api.get_opt(&name).await {
        Ok(secret) => secret,
        Err(error) => match ApiError::new("get", format!("secrets {name:?}"), &error) {
            error if matches!(error.failure, Failure::Forbidden(_)) => {
                tracing::debug!(%error, "the token of the cluster is not read");
                None
            }
            error => return Err(error),
        },
    };
    let token = secret.and_then(|secret| secret.data).and_then(|mut data| data.remove(TOKEN));
    Ok(token.and_then(|token| String::from_utf8(token.0).ok()))
}
