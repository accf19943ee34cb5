//! The configuration file is one that Flott takes, and containers have the memory that it names.

use flott_core::config::{Configuration, Loader, keys};
use flott_helm_tests::{
    helm::{self, Helm},
    manifests::{Manifests, list},
    workspace::value_sets,
};
use serde_json::{Value, json};

const SESSION: &str = "helm/flott/ci/session-standalone.yaml";
const EVERYTHING: &str = "helm/flott/ci/everything.yaml";

#[track_caller]
fn configuration(manifests: &Manifests) -> Configuration {
    let config = manifests.kind("ConfigMap");
    let text = config[0]["data"]["config.yaml"].as_str().unwrap();
    Loader::new().file("config.yaml", text).load().unwrap_or_else(|error| panic!("{error}\n{text}")).config
}

#[track_caller]
fn resources(helm: &Helm, values: &str, settings: &[&str], of: (&str, &str)) -> Value {
    helm.render(values, settings).named(of.0, of.1)["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
}

#[test]
fn every_configuration_is_one_that_flott_takes() {
    let Some(helm) = helm::or_skipped("every_configuration_is_one_that_flott_takes") else { return };
    for values in value_sets() {
        let manifests = helm.render(&values, &[]);
        let config = configuration(&manifests);
        let id = manifests.kind("ConfigMap")[0]["metadata"]["labels"]["app.kubernetes.io/instance"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(config.get(&keys::rest::ADDRESS), format!("{id}.apps"), "{values}");
        assert_eq!(config.get(&keys::rest::PORT), 8081, "{values}");
        let backend = if values.contains("native") { "Kubernetes" } else { "Standalone" };
        assert_eq!(format!("{:?}", config.get(&keys::cluster::BACKEND)), backend, "{values}");
    }
}

#[test]
fn numbers_stay_whole() {
    let Some(helm) = helm::or_skipped("numbers_stay_whole") else { return };
    let config = configuration(&helm.render(EVERYTHING, &[]));
    assert_eq!(config.get(&keys::taskmanager::NUMBER_OF_TASK_SLOTS), 4);
    assert_eq!(config.get(&keys::slots::TOTAL_MEMORY_MAX).map(|memory| memory.bytes()), Some(16 << 30));
}

#[test]
fn memory_is_one_number() {
    let Some(helm) = helm::or_skipped("memory_is_one_number") else { return };
    let workers = ("Deployment", "demo-taskmanager");
    assert_eq!(
        resources(&helm, SESSION, &[], workers),
        json!({ "requests": { "cpu": "1", "memory": "1728Mi" }, "limits": { "memory": "1728Mi" } })
    );
    for (size, quantity) in
        [("2g", "2Gi"), ("512 mb", "512Mi"), ("1tb", "1Ti"), ("1073741824", "1073741824"), ("900000 KB", "900000Ki")]
    {
        let setting = format!("config.taskmanager\\.memory\\.process\\.size={size}");
        let found = resources(&helm, SESSION, &[&setting], workers);
        assert_eq!(found["limits"]["memory"], quantity, "{size}");
        assert_eq!(found["requests"]["memory"], quantity, "{size}");
        let config = configuration(&helm.render(SESSION, &[&setting]));
        assert!(config.is_set(&keys::taskmanager::MEMORY_PROCESS_SIZE));
    }
    // Flott's default holds where the key is taken out, and no limit where Flott has none.
    let without =
        ["config.taskmanager\\.memory\\.process\\.size=null", "config.jobmanager\\.memory\\.process\\.size=null"];
    assert_eq!(resources(&helm, SESSION, &without, workers)["limits"]["memory"], "1728Mi");
    assert_eq!(resources(&helm, SESSION, &without, ("Deployment", "demo")), json!({ "requests": { "cpu": "500m" } }));
}

#[test]
fn a_slot_is_a_core_unless_it_is_said_otherwise() {
    let Some(helm) = helm::or_skipped("a_slot_is_a_core_unless_it_is_said_otherwise") else { return };
    let slots = ["config.taskmanager\\.numberOfTaskSlots=3"];
    assert_eq!(resources(&helm, SESSION, &slots, ("Deployment", "demo-taskmanager"))["requests"]["cpu"], "3");
    let given = resources(&helm, EVERYTHING, &[], ("Deployment", "everything-taskmanager"));
    assert_eq!(given["requests"], json!({ "cpu": "2", "ephemeral-storage": "10Gi", "memory": "4Gi" }));
}

#[test]
fn checkpoints_are_taken_only_where_all_pods_reach_them() {
    let Some(helm) = helm::or_skipped("checkpoints_are_taken_only_where_all_pods_reach_them") else { return };
    let none = configuration(&helm.render(SESSION, &[]));
    assert!(none.get(&keys::checkpointing::INTERVAL).is_zero());
    let manifests = helm.render(SESSION, &["checkpoints.persistence.enabled=true"]);
    let shared = configuration(&manifests);
    assert!(!shared.get(&keys::checkpointing::INTERVAL).is_zero());
    let place = shared.get(&keys::checkpointing::DIR).expect("a directory is set");
    let members: Vec<_> = manifests.pods().into_iter().filter(|(name, _)| name.starts_with("Deployment")).collect();
    assert_eq!(members.len(), 2);
    for (name, pod) in members {
        let mounts = list(&pod["spec"]["containers"][0]["volumeMounts"]);
        let claim =
            |mount: &&Value| place.starts_with(mount["mountPath"].as_str().unwrap()) && mount["name"] == "checkpoints";
        assert!(mounts.iter().any(|mount| claim(&mount)), "{name}: {mounts:?}");
    }
}

#[test]
fn pods_are_replaced_when_the_configuration_changes_and_not_with_the_chart() {
    let Some(helm) = helm::or_skipped("pods_are_replaced_when_the_configuration_changes_and_not_with_the_chart") else {
        return;
    };
    let pods = |settings: &[&str]| {
        let manifests = helm.render(SESSION, settings);
        ["demo", "demo-taskmanager"].map(|name| manifests.named("Deployment", name)["spec"]["template"].clone())
    };
    let before = pods(&[]);
    assert_eq!(before, pods(&[]), "rendering twice gives the same pods, though another token");
    let after = pods(&["config.heartbeat\\.timeout=9 s"]);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    for pod in before {
        assert!(!pod.to_string().contains("helm.sh/chart"), "{pod}");
    }
}
