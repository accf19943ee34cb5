//! What holds for every set of values.

use std::collections::BTreeSet;

use flott_helm_tests::{
    helm::{self, CHART, Helm},
    manifests::{Manifests, list},
    workspace::value_sets,
};
use serde_json::Value;

/// Every set of values, rendered.
#[track_caller]
fn rendered(helm: &Helm) -> Vec<(String, Manifests)> {
    value_sets().into_iter().map(|values| (values.clone(), helm.render(&values, &[]))).collect()
}

#[test]
fn the_chart_has_no_lint() {
    let Some(helm) = helm::or_skipped("the_chart_has_no_lint") else { return };
    for values in value_sets() {
        let output = helm.run(&["lint", "--strict", CHART, "--values", &values]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("[WARNING]"), "{values}: {said}");
    }
}

#[test]
fn everything_carries_the_labels_of_its_cluster() {
    let Some(helm) = helm::or_skipped("everything_carries_the_labels_of_its_cluster") else { return };
    for (values, manifests) in rendered(&helm) {
        let id = if values.ends_with("everything.yaml") { "everything" } else { "demo" };
        for document in manifests.all() {
            let labels = &document["metadata"]["labels"];
            let at = format!("{values}: {} {}", document["kind"], document["metadata"]["name"]);
            check_labels(&at, labels, id);
            assert_eq!(labels["helm.sh/chart"], "flott-0.1.0", "{at}");
            let name = document["metadata"]["name"].as_str().unwrap();
            assert!(name == id || name.starts_with(&format!("{id}-")), "{at}");
        }
        for (name, pod) in manifests.pods().iter().filter(|(name, _)| !name.contains("template")) {
            check_labels(&format!("{values}: pods of {name}"), &pod["metadata"]["labels"], id);
        }
    }
}

#[track_caller]
fn check_labels(at: &str, labels: &Value, id: &str) {
    assert_eq!(labels["app.kubernetes.io/name"], "flott", "{at}");
    assert_eq!(labels["app.kubernetes.io/instance"], id, "{at}");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{at}");
    let component = labels["app.kubernetes.io/component"].as_str();
    assert!(matches!(component, Some("jobmanager" | "taskmanager" | "test")), "{at}: {component:?}");
}

#[test]
fn names_are_taken_once() {
    let Some(helm) = helm::or_skipped("names_are_taken_once") else { return };
    for (values, manifests) in rendered(&helm) {
        let names = manifests.names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{values}: {names:?}");
    }
}

#[test]
fn selectors_find_pods_that_the_chart_makes() {
    let Some(helm) = helm::or_skipped("selectors_find_pods_that_the_chart_makes") else { return };
    for (values, manifests) in rendered(&helm) {
        // Native workers are made by the JobManager, with the labels of its contract.
        let native = manifests.find("Deployment", "demo-taskmanager").is_none();
        let mut pods: Vec<Value> =
            manifests.pods().into_iter().map(|(_, pod)| pod["metadata"]["labels"].clone()).collect();
        if native {
            pods.push(serde_json::json!({
                "app.kubernetes.io/name": "flott",
                "app.kubernetes.io/instance": "demo",
                "app.kubernetes.io/component": "taskmanager",
            }));
        }
        let mut seen = 0;
        for document in manifests.all() {
            let (kind, spec) = (document["kind"].as_str().unwrap(), &document["spec"]);
            let selector = match kind {
                "Service" => &spec["selector"],
                "Deployment" | "PodDisruptionBudget" | "PodMonitor" => &spec["selector"]["matchLabels"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                _ => continue,
            };
            let selector = selector.as_object().unwrap_or_else(|| panic!("{values}: {kind} selects everything"));
            assert!(!selector.is_empty(), "{values}: {kind} selects everything");
            let found = pods.iter().any(|labels| selector.iter().all(|(key, value)| labels[key] == *value));
            assert!(found, "{values}: no pod has {selector:?} of {kind} {}", document["metadata"]["name"]);
            if kind == "Deployment" {
                let own = &spec["template"]["metadata"]["labels"];
                assert!(selector.iter().all(|(key, value)| own[key] == *value), "{values}: {own}");
            }
            seen += 1;
        }
        assert!(seen >= 3, "{values}: {:?}", manifests.names());
    }
}

#[test]
fn what_pods_refer_to_is_made_or_was_named() {
    let Some(helm) = helm::or_skipped("what_pods_refer_to_is_made_or_was_named") else { return };
    let given = ["Secret/shared", "Secret/more", "PersistentVolumeClaim/everybody", "ConfigMap/wordcount"];
    for (values, manifests) in rendered(&helm) {
        let made: Vec<_> = manifests.names().into_iter().chain(given.map(str::to_owned)).collect();
        for (name, pod) in manifests.pods() {
            let spec = &pod["spec"];
            let mut wanted = Vec::new();
            for volume in list(&spec["volumes"]) {
                wanted.extend(volume["configMap"]["name"].as_str().map(|name| format!("ConfigMap/{name}")));
                let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
                wanted.extend(claim.map(|name| format!("PersistentVolumeClaim/{name}")));
            }
            for container in list(&spec["containers"]) {
                for variable in list(&container["env"]) {
                    let secret = variable["valueFrom"]["secretKeyRef"]["name"].as_str();
                    wanted.extend(secret.map(|name| format!("Secret/{name}")));
                }
                let volumes: Vec<_> = list(&spec["volumes"]).iter().map(|volume| &volume["name"]).collect();
                for mount in list(&container["volumeMounts"]) {
                    assert!(volumes.contains(&&mount["name"]), "{values}: {name} mounts {mount}, of {volumes:?}");
                }
            }
            wanted.extend(spec["serviceAccountName"].as_str().map(|name| format!("ServiceAccount/{name}")));
            for one in wanted {
                assert!(made.contains(&one), "{values}: {name} wants {one}, and there is {made:?}");
            }
        }
    }
}
