//! A Lease of Kubernetes as what JobManagers stand for election with.

use flott_core::config::Configuration;
use flott_dispatcher::ha::{Answer, Lease, LeaseRegister, RegisterError, Versioned};
use flott_kubernetes::{
    ApiError, Connection,
    error::Failure,
    lease::{ClusterLease, Record},
    owner, settings,
};

/// See the module.
#[derive(Debug)]
pub struct KubernetesLease(ClusterLease);

impl KubernetesLease {
    /// That of the cluster that `config` names.
    pub async fn of(config: &Configuration) -> anyhow::Result<Self> {
        let connection = Connection::open(config).await?;
        let cluster = settings::cluster_id(config)?;
        let pod = std::env::var("FLOTT_POD_NAME").ok().filter(|name| !name.is_empty());
        let owner = owner::find(&connection, &cluster, pod.as_deref()).await?;
        Ok(Self(ClusterLease::new(connection, cluster, owner)))
    }
}

impl LeaseRegister for KubernetesLease {
    fn read(&self) -> Answer<'_, Option<Versioned<String>>> {
        Box::pin(async {
            let read = self.0.read().await.map_err(error)?;
            Ok(read.map(|(record, version)| {
                let Record { holder, address, duration, transitions, over } = record;
                (Lease { holder, address, duration, transitions, over }, version)
            }))
        })
    }

    fn write(&self, lease: Lease, over: Option<String>) -> Answer<'_, String> {
        Box::pin(async move {
            let Lease { holder, address, duration, transitions, over: is_over } = lease;
            let record = Record { holder, address, duration, transitions, over: is_over };
            self.0.write(&record, over).await.map_err(error)
        })
    }
}

fn error(error: ApiError) -> RegisterError {
    match error.failure {
        Failure::Conflict(_) => RegisterError::Conflict,
        _ => RegisterError::Failed(error.to_string()),
    }
}
