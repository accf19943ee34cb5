//! Pod templates: a pod in YAML, of which Flott keeps what it does not compute itself.

use std::path::Path;

use k8s_openapi::api::core::v1::{EnvVar, Pod};
use serde_json::Value;

/// The container in a template that is Flott's.
pub const MAIN_CONTAINER: &str = "flott";
/// Largest template in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// A pod template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pod template {name}: {reason}")]
pub struct TemplateError {
    /// The file.
    pub name: String,
    /// What is wrong, and where.
    pub reason: String,
}

/// Reads a template.
///
/// # Errors
/// When the file cannot be read, is no pod, has fields that no pod has, or sets what Flott computes.
pub fn load(path: &Path) -> Result<Pod, TemplateError> {
    let name = path.display().to_string();
    let fail = |reason: String| TemplateError { name: name.clone(), reason };
    let size = std::fs::metadata(path).map_err(|error| fail(format!("cannot be read: {error}")))?.len();
    if size > BYTES_MAX {
        return Err(fail(format!("has {size} bytes; at most {BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    parse(&name, &text)
}

/// Reads the text of a template; `name` is what errors call it.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Pod, TemplateError> {
    let fail = |reason: String| TemplateError { name: name.to_owned(), reason };
    let given: Value = serde_saphyr::from_str(text).map_err(|error| fail(format!("no YAML: {error}")))?;
    if given.is_null() {
        return Ok(Pod::default());
    }
    for (key, right) in [("kind", "Pod"), ("apiVersion", "v1")] {
        match given.get(key) {
            Some(other) if *other != right => return Err(fail(format!("{key} must be {right}, not {other}"))),
            Some(_) | None => {}
        }
    }
    let pod: Pod = serde_saphyr::from_str(text).map_err(|error| fail(format!("no pod: {error}")))?;
    let kept = serde_json::to_value(&pod).map_err(|error| fail(error.to_string()))?;
    if let Some(path) = lost(&given, &kept, "") {
        return Err(fail(format!("a pod has no field {path}")));
    }
    let computed = computed_fields(&pod);
    if computed.is_empty() {
        Ok(pod)
    } else {
        Err(fail(format!("Flott computes {}: leave that out", computed.join(", "))))
    }
}

/// The first path that stands in `given` and not in `kept`.
fn lost(given: &Value, kept: &Value, path: &str) -> Option<String> {
    match given {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match kept.get(key) {
                Some(kept) => lost(value, kept, &path),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| lost(item, kept.get(index).unwrap_or(&Value::Null), &format!("{path}[{index}]"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Paths in a template that computed values would override, each with the key that sets it, if there is one.
fn computed_fields(pod: &Pod) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |is_there: bool, path: &str, instead: &str| {
        if is_there {
            let instead = if instead.is_empty() { String::new() } else { format!(" (set {instead})") };
            found.push(format!("{path}{instead}"));
        }
    };
    let metadata = &pod.metadata;
    note(metadata.name.is_some(), "metadata.name", "kubernetes.cluster-id");
    note(metadata.generate_name.is_some(), "metadata.generateName", "kubernetes.cluster-id");
    note(metadata.namespace.is_some(), "metadata.namespace", "kubernetes.namespace");
    note(metadata.owner_references.is_some(), "metadata.ownerReferences", "");
    for key in metadata.labels.iter().flatten().map(|(key, _)| key) {
        note(is_own_label(key), &format!("metadata.labels[{key:?}]"), "");
    }
    for key in metadata.annotations.iter().flatten().map(|(key, _)| key) {
        note(key.starts_with("flott.dev/"), &format!("metadata.annotations[{key:?}]"), "");
    }
    let Some(spec) = &pod.spec else { return found };
    note(spec.restart_policy.as_deref().is_some_and(|policy| policy != "Never"), "spec.restartPolicy", "");
    note(spec.node_name.is_some(), "spec.nodeName", "kubernetes.taskmanager.node-selector");
    note(spec.service_account.is_some(), "spec.serviceAccount", "kubernetes.service-account");
    note(spec.service_account_name.is_some(), "spec.serviceAccountName", "kubernetes.service-account");
    note(spec.priority_class_name.is_some(), "spec.priorityClassName", "kubernetes.priority-class");
    let grace = spec.termination_grace_period_seconds.is_some();
    note(grace, "spec.terminationGracePeriodSeconds", "kubernetes.taskmanager.termination-grace");
    for (index, container) in spec.containers.iter().enumerate().filter(|(_, one)| one.name == MAIN_CONTAINER) {
        let at = |field: &str| format!("spec.containers[{index}].{field}");
        note(container.image.is_some(), &at("image"), "kubernetes.container.image.ref");
        note(container.image_pull_policy.is_some(), &at("imagePullPolicy"), "kubernetes.container.image.pull-policy");
        note(container.args.is_some(), &at("args"), "");
        let resources = container.resources.iter().flat_map(|r| [("requests", &r.requests), ("limits", &r.limits)]);
        for (kind, amounts) in resources {
            for (name, key) in [("memory", "taskmanager.memory.process.size"), ("cpu", "taskmanager.cpu.cores")] {
                let is_there = amounts.as_ref().is_some_and(|amounts| amounts.contains_key(name));
                note(is_there, &at(&format!("resources.{kind}.{name}")), key);
            }
        }
        for variable in container.env.iter().flatten().filter(|variable| is_own_variable(variable)) {
            note(true, &at(&format!("env[{:?}]", variable.name)), "");
        }
    }
    found
}

fn is_own_label(key: &str) -> bool {
    use crate::labels::{COMPONENT, INSTANCE, MANAGED_BY, NAME};
    key.starts_with("flott.dev/") || [COMPONENT, INSTANCE, MANAGED_BY, NAME].contains(&key)
}

fn is_own_variable(variable: &EnvVar) -> bool {
    ["FLOTT_TOKEN", "FLOTT_POD_NAME", "FLOTT_POD_IP", "FLOTT_POD_NAMESPACE", "FLOTT_STATE_DIR"]
        .contains(&variable.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, part: &str) {
        let error = parse("pod.yaml", text).expect_err(text).to_string();
        assert!(error.starts_with("pod template pod.yaml: ") && error.contains(part), "{error}");
    }

    #[test]
    fn what_is_no_pod_is_refused_with_its_place() {
        check("a: [", "no YAML");
        check("kind: Deployment", "kind must be Pod, not \"Deployment\"");
        check("apiVersion: v2", "apiVersion must be v1");
        check("spec:\n  containers: 5", "line 2");
        check("spec:\n  containers: []\n  nodeSelctor: {a: b}", "no field spec.nodeSelctor");
        check("spec:\n  containers: [{name: flott, envv: [{name: A}]}]", "no field spec.containers[0].envv");
    }

    #[test]
    fn what_flott_computes_is_refused_with_its_path_and_key() {
        check("metadata: {name: x}", "Flott computes metadata.name (set kubernetes.cluster-id): leave");
        check("metadata: {labels: {flott.dev/worker: x}}", "metadata.labels[\"flott.dev/worker\"]");
        let main = "spec:\n  containers:\n  - name: flott\n";
        check(&format!("{main}    image: x"), "spec.containers[0].image (set kubernetes.container.image.ref)");
        check(
            &format!("{main}    resources: {{limits: {{memory: 1Gi, nvidia.com/gpu: '1'}}}}"),
            "resources.limits.memory (set taskmanager.memory.process.size)",
        );
        check(&format!("{main}    env: [{{name: FLOTT_TOKEN, value: x}}]"), "env[\"FLOTT_TOKEN\"]");
        check("spec: {containers: [], restartPolicy: Always}", "spec.restartPolicy");
    }

    #[test]
    fn the_rest_is_kept() {
        let text = "spec:\n  affinity: {nodeAffinity: {}}\n  containers:\n  - {name: side, image: x}\n  - name: flott\n    \
                    resources: {limits: {nvidia.com/gpu: '1'}}\n";
        let pod = parse("pod.yaml", text).expect("a template");
        assert_eq!(pod.spec.expect("a spec").containers.len(), 2);
        assert_eq!(parse("pod.yaml", "# nothing\n"), Ok(Pod::default()));
    }
}
