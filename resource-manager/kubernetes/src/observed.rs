//! A pod as it is watched: the few fields that are looked at. With a thousand pods the others would be most of the memory.

use std::borrow::Cow;

use kube::{Resource, api::ObjectMeta, core::NamespaceResourceScope};
use serde::Deserialize;

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ObservedPod {
    /// Names, labels, owners, deletion.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default)]
    pub spec: Spec,
    /// What is.
    #[serde(default)]
    pub status: Status,
}

/// What is looked at of a pod's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The node that it was given.
    pub node_name: Option<String>,
}

/// What is looked at of a pod's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: Option<String>,
    /// Why it is in that phase, in a word.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// Steps that it has taken, or not.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    /// Init containers.
    #[serde(deserialize_with = "or_default")]
    pub init_container_statuses: Vec<Container>,
    /// Containers.
    #[serde(deserialize_with = "or_default")]
    pub container_statuses: Vec<Container>,
}

/// A condition of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Why, in a sentence.
    pub message: Option<String>,
}

/// A container's state.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// What it does.
    pub state: State,
    /// What it did before it was started again.
    pub last_state: State,
}

/// What a container does; one of these is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct State {
    /// It does not run yet.
    pub waiting: Option<Waiting>,
    /// It runs.
    pub running: Option<Running>,
    /// It has ended.
    pub terminated: Option<Terminated>,
}

/// Why a container does not run yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// In a word.
    pub reason: Option<String>,
    /// In a sentence.
    pub message: Option<String>,
}

/// A container runs.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Running {}

/// How a container ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    /// Its exit code, or 128 and the signal.
    pub exit_code: i32,
    /// The signal, where the runtime says it.
    pub signal: Option<i32>,
    /// Why, in a word.
    pub reason: Option<String>,
    /// The last it said.
    pub message: Option<String>,
}

/// Lists may be `null`.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl ObservedPod {
    /// Its name; empty for none, which no server gives.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether somebody has asked for its end.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

impl Resource for ObservedPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
