//! Clients in pods of the cluster.

use flott_tests::eventually::{PATIENCE, eventually};
use serde_json::json;

use crate::{job::Job, world::World};

/// What a client needs that asks a session something: without the right to forward ports, it gets there by the Service or not at all.
const RIGHTS: [(&str, &str); 3] =
    [("get", "deployments.apps,jobs.batch"), ("get,list", "pods"), ("get", "secrets,configmaps,services")];

/// Runs `flott` in a pod, to its good end; what it prints.
#[track_caller]
fn flott(world: &World, pod: &str, arguments: &[&str]) -> String {
    let namespace = format!("kubernetes.namespace={}", world.namespace);
    let settings = ["-D", "kubernetes.cluster-id=demo", "-D", &namespace];
    let own = ["--state-dir", "/tmp/flott", "-t", "kubernetes-session"].iter().chain(&settings);
    let pod_of = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": pod },
        "spec": {
            "serviceAccountName": "client",
            "restartPolicy": "Never",
            "containers": [
                { "name": "flott", "image": "flott:dev", "args": arguments.iter().chain(own).collect::<Vec<_>>() },
            ],
        },
    });
    world.create(&pod_of.to_string());
    let phase = eventually(&format!("the end of {pod}"), PATIENCE, || {
        let phase = world.kubectl(&["get", "pod", pod, "-o=jsonpath={.status.phase}"]);
        if ["Succeeded", "Failed"].contains(&phase.as_str()) { Ok(phase) } else { Err(phase) }
    });
    let printed = world.kubectl(&["logs", pod]);
    assert_eq!(phase, "Succeeded", "{printed}");
    printed
}

#[test]
fn a_client_in_a_pod_reaches_a_session_by_its_service() {
    let Some(world) = World::new("a_client_in_a_pod_reaches_a_session_by_its_service", "inside", "") else { return };
    world.account("client", &RIGHTS);
    let job = Job::start(&world, "1", &[]);
    let listed = flott(&world, "list", &["list"]);
    assert!(listed.contains(&job.id) && listed.contains("RUNNING"), "{listed}");
    let taken = flott(&world, "checkpoint", &["checkpoint", &job.id]);
    assert!(taken.contains("chk-"), "{taken}");
    job.end();
}
