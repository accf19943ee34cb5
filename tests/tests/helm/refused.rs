//! What the API server says of the chart: nothing. What it would say, were the chart otherwise.

use std::fs;

use flott_kubernetes_lab::command::output;
use flott_tests::binaries::shipped;
use serde_json::json;

use crate::release::{IMAGE, cluster, done, with_pod_monitors};

#[test]
fn the_api_server_takes_every_set_of_values() {
    let Some(cluster) = cluster("the_api_server_takes_every_set_of_values") else { return };
    with_pod_monitors(&cluster);
    // A namespace of its own: releases of other tests are in theirs.
    done(cluster.kubectl().args(["create", "namespace", "dry"]));
    let sets = fs::read_dir(shipped("helm/flott/ci")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for values in sets {
        let line = ["install", "demo", &*shipped("helm/flott"), "--namespace", "dry", "--dry-run=server", "--values"];
        done(cluster.helm().args(line).arg(&values));
        // Helm asks for no admission, kubectl does: of pods, of quantities, of names.
        let line =
            ["template", "demo", &*shipped("helm/flott"), "--namespace", "dry", "--kube-version=1.36.0", "--values"];
        let manifests = done(cluster.helm().args(line).arg(&values));
        let file = cluster.directory().join("manifests.yaml");
        fs::write(&file, manifests).unwrap();
        let line = ["apply", "--namespace", "dry", "--dry-run=server", "--filename"];
        let output = cluster.kubectl().args(line).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", values.display());
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

/// Why the Job of an application whose JobManagers agree on who leads is told by its JobManager that it has failed.
#[test]
fn the_api_server_takes_no_policy_of_failures_beside_pods_that_are_replaced_while_they_end() {
    let test = "the_api_server_takes_no_policy_of_failures_beside_pods_that_are_replaced_while_they_end";
    let Some(cluster) = cluster(test) else { return };
    let created = |replacement: &str| {
        let exit_codes = json!({ "containerName": "flott", "operator": "In", "values": [2] });
        let job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": "told" },
            "spec": {
                "podReplacementPolicy": replacement,
                "podFailurePolicy": { "rules": [{ "action": "FailJob", "onExitCodes": exit_codes }] },
                "template": { "spec": {
                    "restartPolicy": "Never",
                    "containers": [{ "name": "flott", "image": IMAGE }],
                } },
            },
        });
        let file = cluster.directory().join(format!("{replacement}.json"));
        fs::write(&file, job.to_string()).unwrap();
        let line = ["create", "--namespace", "default", "--dry-run=server", "--filename"];
        output(cluster.kubectl().args(line).arg(&file))
    };
    created("Failed").unwrap();
    let refused = created("TerminatingOrFailed").unwrap_err();
    let why = "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"";
    assert!(refused.contains(why), "{refused}");
}
