use std::time::Duration;

use super::support::{Namespace, eventually, run, shared};

#[test]
fn a_node_evicts_a_pod_on_request() {
    let Some(cluster) = shared("a_node_evicts_a_pod_on_request") else { return };
    let here = Namespace::new(&cluster, "evicted");
    here.pod("victim", &["serve", "8000", "hello"], "");
    here.until_phase("victim", "Running");
    cluster.evict(here.name(), "victim", "memory", Duration::ZERO).unwrap();
    let pod = here.until_phase("victim", "Failed");
    let status = &pod["status"];
    assert_eq!(status["reason"], "Evicted", "{status:#}");
    assert!(status["message"].as_str().unwrap().starts_with("The node was low on resource: memory"), "{status:#}");
    let disrupted = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "DisruptionTarget");
    assert_eq!(disrupted.unwrap()["reason"], "TerminationByKubelet");
}

#[test]
fn a_drained_pod_is_evicted_by_the_api_server() {
    let Some(cluster) = shared("a_drained_pod_is_evicted_by_the_api_server") else { return };
    let here = Namespace::new(&cluster, "drained");
    here.pod("victim", &["serve", "8000", "hello"], "");
    here.until_phase("victim", "Running");
    let path = format!("/api/v1/namespaces/{}/pods/victim/eviction", here.name());
    let mut kubectl = cluster.kubectl();
    kubectl.args(["create", "--raw", &path, "-f"]).arg(eviction(&cluster));
    run(&mut kubectl);
    eventually("the pod to be gone", || {
        let left = here.kubectl(&["get", "pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// A file with what asks for the eviction.
fn eviction(cluster: &flott_kubernetes_lab::Cluster) -> std::path::PathBuf {
    let path = cluster.directory().join("eviction.json");
    let body =
        r#"{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "victim", "namespace": "drained"}}"#;
    std::fs::write(&path, body).unwrap();
    path
}
