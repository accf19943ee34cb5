//! Labels and annotations, and how to select by them.

use std::collections::BTreeMap;

use flott_core::id::WorkerId;

use crate::names::ClusterId;

/// `flott` on everything.
pub const NAME: &str = "app.kubernetes.io/name";
/// The cluster's name on everything.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// [`Component`] on everything.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Who made it: `flott`, or `Helm`.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The worker's name on TaskManager pods.
pub const WORKER: &str = "flott.dev/worker";
/// Annotation of TaskManager pods: the worker as it was asked for, as JSON.
pub const WORKER_SPEC: &str = "flott.dev/worker-spec";

/// Longest value of a label.
const VALUE_MAX: usize = 63;

/// What part of a cluster something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The JobManager.
    JobManager,
    /// A TaskManager.
    TaskManager,
}

impl Component {
    /// The value of its label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobManager => "jobmanager",
            Self::TaskManager => "taskmanager",
        }
    }
}

/// The labels of everything that Flott makes for a cluster.
pub fn of(cluster: &ClusterId, component: Component) -> BTreeMap<String, String> {
    let labels =
        [(NAME, "flott"), (INSTANCE, cluster.as_str()), (COMPONENT, component.as_str()), (MANAGED_BY, "flott")];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Selects one component of a cluster, whoever made it.
pub fn selector(cluster: &ClusterId, component: Component) -> String {
    format!("{NAME}=flott,{INSTANCE}={cluster},{COMPONENT}={}", component.as_str())
}

/// The value of [`WORKER`]: the worker's name, or what a label can hold of it.
pub fn worker_value(worker: &WorkerId) -> String {
    let name = &worker.0;
    let inner = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let fits =
        name.len() <= VALUE_MAX && name.chars().all(inner) && ends(name.chars().next()) && ends(name.chars().last());
    if fits { name.clone() } else { blake3::hash(name.as_bytes()).to_hex()[..VALUE_MAX].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_labelled_by_name_where_a_label_can_hold_it() {
        assert_eq!(worker_value(&WorkerId("taskmanager-1".into())), "taskmanager-1");
        for odd in ["", "-a", "a b", &"a".repeat(64)] {
            let value = worker_value(&WorkerId(odd.into()));
            assert!(value.len() == 63 && value.chars().all(|char| char.is_ascii_hexdigit()), "{value}");
        }
    }

    #[test]
    fn a_component_is_selected_by_three_labels() {
        let cluster = ClusterId::parse("demo").expect("fits");
        assert_eq!(
            selector(&cluster, Component::TaskManager),
            "app.kubernetes.io/name=flott,app.kubernetes.io/instance=demo,app.kubernetes.io/component=taskmanager"
        );
        let labels = of(&cluster, Component::JobManager);
        assert_eq!(labels.get(COMPONENT).map(String::as_str), Some("jobmanager"));
        assert_eq!(labels.len(), 4);
    }
}
