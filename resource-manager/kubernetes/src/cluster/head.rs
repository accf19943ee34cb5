//! What is known of a cluster from its head.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

use crate::{labels, names::ClusterId};

/// Annotation of a head whose cluster is not whole yet.
pub const CREATING: &str = "flott.dev/creating";
/// Annotation of a head that tells apart the clients that make clusters.
pub const MAKER: &str = "flott.dev/maker";

/// Which object heads a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadKind {
    /// A session.
    Deployment,
    /// A cluster of one job.
    Job,
}

impl HeadKind {
    /// As in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::Job => "Job",
        }
    }

    const fn api_version(self) -> &'static str {
        match self {
            Self::Deployment => "apps/v1",
            Self::Job => "batch/v1",
        }
    }

    /// What such a cluster is, for people.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Deployment => "session cluster",
            Self::Job => "cluster of one job",
        }
    }
}

/// The head of a cluster, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: HeadKind,
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
    /// Changes with it.
    pub version: String,
    /// Which client has made it.
    pub maker: Option<String>,
    /// Where it is in its life.
    pub state: HeadState,
}

/// Where a head is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadState {
    /// It is no cluster that this client may touch, and why.
    Foreign(String),
    /// Somebody makes the cluster, or has begun to.
    Creating,
    /// The cluster is there.
    Whole,
    /// The one job of the cluster has ended.
    Finished,
    /// It is being removed.
    Deleting,
}

impl Head {
    /// Reads an object of the name of `cluster`.
    pub fn read(kind: HeadKind, cluster: &ClusterId, object: &DynamicObject) -> Self {
        let label = |key: &str| object.labels().get(key).map(String::as_str);
        let is_ours = label(labels::NAME) == Some("flott") && label(labels::INSTANCE) == Some(cluster.as_str());
        let state = if !is_ours {
            HeadState::Foreign(format!("there is a {} of that name which is no Flott cluster", kind.as_str()))
        } else if label(labels::MANAGED_BY) == Some("Helm") {
            HeadState::Foreign(format!("its {} is managed by Helm, which also removes it", kind.as_str()))
        } else if object.metadata.deletion_timestamp.is_some() {
            HeadState::Deleting
        } else if object.annotations().contains_key(CREATING) {
            HeadState::Creating
        } else if is_finished(&object.data) {
            HeadState::Finished
        } else {
            HeadState::Whole
        };
        Self {
            kind,
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
            maker: object.annotations().get(MAKER).cloned(),
            state,
        }
    }

    /// What makes an object belong to it.
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.kind.api_version().to_owned(),
            kind: self.kind.as_str().to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: None,
            // To block needs a right more.
            block_owner_deletion: None,
        }
    }
}

/// Whether a Job has completed or failed: the last two are said before, while pods of lost nodes still count as ending. A
/// Deployment never has.
fn is_finished(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let ends = ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];
    conditions.iter().any(|condition| condition["status"] == "True" && ends.iter().any(|end| condition["type"] == *end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(labels: Value, more: Value, expected: HeadState) {
        let mut object = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "demo", "uid": "u", "labels": labels },
        });
        let metadata = more["metadata"].as_object().cloned().unwrap_or_default();
        object["metadata"].as_object_mut().expect("an object").extend(metadata);
        object["status"] = more["status"].clone();
        let object = serde_json::from_value(object).expect("an object of Kubernetes");
        let head = Head::read(HeadKind::Job, &ClusterId::parse("demo").expect("fits"), &object);
        assert_eq!(head.state, expected);
    }

    #[test]
    fn a_head_says_where_its_cluster_is_in_its_life() {
        let ours = || {
            json!({ "app.kubernetes.io/name": "flott", "app.kubernetes.io/instance": "demo",
                    "app.kubernetes.io/managed-by": "flott" })
        };
        check(ours(), json!({}), HeadState::Whole);
        let creating = json!({ "metadata": { "annotations": { CREATING: "me" } } });
        check(ours(), creating, HeadState::Creating);
        let deleting =
            json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": { CREATING: "me" } } });
        check(ours(), deleting, HeadState::Deleting);
        for end in ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"] {
            check(
                ours(),
                json!({ "status": { "conditions": [{ "type": end, "status": "True" }] } }),
                HeadState::Finished,
            );
        }
        let suspended = json!({ "status": { "conditions": [{ "type": "Suspended", "status": "True" }] } });
        check(ours(), suspended, HeadState::Whole);
    }

    #[test]
    fn what_others_have_made_is_left_alone() {
        let foreign = |text: &str| HeadState::Foreign(text.to_owned());
        let none = "there is a Job of that name which is no Flott cluster";
        check(json!({}), json!({}), foreign(none));
        let other = json!({ "app.kubernetes.io/name": "flott", "app.kubernetes.io/instance": "other" });
        check(other, json!({}), foreign(none));
        let helm = json!({ "app.kubernetes.io/name": "flott", "app.kubernetes.io/instance": "demo",
                           "app.kubernetes.io/managed-by": "Helm" });
        check(helm, json!({}), foreign("its Job is managed by Helm, which also removes it"));
    }
}
