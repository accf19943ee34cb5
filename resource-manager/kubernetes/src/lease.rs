//! The Lease by which JobManagers of a cluster agree on who leads: how it is read and written. Who should write it, and when, is not
//! decided here.
//!
//! What clients of Kubernetes know of leases stands in its `spec`; the address of the leader, and whether the cluster is over, in
//! annotations. A write names the version that it replaces, and of two that name one the API server refuses the second.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{PostParams, ResourceExt},
};

use crate::{
    client::Connection,
    error::ApiError,
    labels::{self, Component},
    names::ClusterId,
};

/// Annotation: `HOST:PORT` of the JobManager that leads.
const LEADER: &str = "flott.dev/leader";
/// Annotation: the cluster was shut down.
const OVER: &str = "flott.dev/over";

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who leads; empty for nobody.
    pub holder: String,
    /// `HOST:PORT` of it.
    pub address: String,
    /// How long it lasts without being renewed.
    pub duration: Duration,
    /// How often it has passed to another.
    pub transitions: u64,
    /// Whether the cluster was shut down.
    pub over: bool,
}

/// The Lease of one cluster.
#[derive(Debug, Clone)]
pub struct ClusterLease {
    connection: Connection,
    cluster: ClusterId,
    owner: Option<OwnerReference>,
}

impl ClusterLease {
    /// That of `cluster`, which goes when `owner` goes.
    pub fn new(connection: Connection, cluster: ClusterId, owner: Option<OwnerReference>) -> Self {
        Self { connection, cluster, owner }
    }

    /// Reads it, with its version; none if there is none.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn read(&self) -> Result<Option<(Record, String)>, ApiError> {
        let found = self.api().get_opt(&self.name()).await.map_err(|error| self.failed("get", &error))?;
        Ok(found.map(|lease| (record(&lease), lease.resource_version().unwrap_or_default())))
    }

    /// Writes it over that version, or where there is none; says its version then.
    ///
    /// # Errors
    /// [`Failure::Conflict`](crate::error::Failure::Conflict) when somebody else has written in between.
    pub async fn write(&self, record: &Record, over: Option<String>) -> Result<String, ApiError> {
        let lease = self.object(record, over.clone());
        let written = match over {
            None => {
                self.api().create(&PostParams::default(), &lease).await.map_err(|error| self.failed("create", &error))
            }
            Some(_) => {
                let replaced = self.api().replace(&self.name(), &PostParams::default(), &lease).await;
                replaced.map_err(|error| self.failed("update", &error))
            }
        };
        Ok(written?.resource_version().unwrap_or_default())
    }

    fn api(&self) -> Api<Object> {
        Api::namespaced(self.connection.client.clone(), &self.connection.namespace)
    }

    fn name(&self) -> String {
        self.cluster.lease()
    }

    fn failed(&self, verb: &'static str, error: &kube::Error) -> ApiError {
        ApiError::new(verb, format!("leases {:?}", self.name()), error)
    }

    fn object(&self, record: &Record, version: Option<String>) -> Object {
        let mut annotations = BTreeMap::from([(LEADER.to_owned(), record.address.clone())]);
        if record.over {
            annotations.insert(OVER.to_owned(), "true".to_owned());
        }
        Object {
            metadata: ObjectMeta {
                name: Some(self.name()),
                namespace: Some(self.connection.namespace.clone()),
                labels: Some(labels::of(&self.cluster, Component::JobManager)),
                annotations: Some(annotations),
                resource_version: version,
                owner_references: self.owner.clone().map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(record.holder.clone()).filter(|holder| !holder.is_empty()),
                // The object counts in seconds; JobManagers go by their own setting where theirs is longer.
                lease_duration_seconds: Some(i32::try_from(record.duration.as_secs()).unwrap_or(i32::MAX).max(1)),
                lease_transitions: Some(i32::try_from(record.transitions).unwrap_or(i32::MAX)),
                // For people: nobody compares it with a clock.
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn record(lease: &Object) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let annotation = |key| lease.annotations().get(key);
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        address: annotation(LEADER).cloned().unwrap_or_default(),
        duration: Duration::from_secs(spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0)),
        transitions: spec.lease_transitions.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        over: annotation(OVER).is_some_and(|over| over == "true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
            let connection = Connection {
                watching: client.clone(),
                client,
                namespace: "spaces".to_owned(),
                server: "none".to_owned(),
            };
            let lease = ClusterLease::new(connection, ClusterId::parse("demo").unwrap(), None);
            let held = Record {
                holder: "a-1".to_owned(),
                address: "10.0.0.1:8081".to_owned(),
                duration: Duration::from_secs(5),
                transitions: 3,
                over: false,
            };
            for written in [held.clone(), Record { holder: String::new(), over: true, ..held }] {
                let object = lease.object(&written, Some("7".to_owned()));
                assert_eq!(record(&object), written);
                assert_eq!(object.name_any(), "demo-leader");
                assert_eq!(object.resource_version().as_deref(), Some("7"));
            }
        });
    }
}
