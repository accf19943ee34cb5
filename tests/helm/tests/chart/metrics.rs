//! Whoever collects metrics finds every pod that serves some, is let in, and shows what opens them.

use flott_helm_tests::{
    helm::{self, Helm},
    manifests::{Manifests, list},
};
use serde_json::{Value, json};

const SESSION: &str = "helm/flott/ci/session-standalone.yaml";
const EVERYTHING: &str = "helm/flott/ci/everything.yaml";
const NATIVE: &str = "helm/flott/ci/session-native-several.yaml";

const MONITORED: &str = "podMonitor.enabled=true";
const PORT: &str = "config.taskmanager\\.metrics\\.port=9249";

#[track_caller]
fn endpoint(manifests: &Manifests, name: &str) -> Value {
    let endpoints = list(&manifests.named("PodMonitor", name)["spec"]["podMetricsEndpoints"]);
    assert_eq!(endpoints.len(), 1, "{name}");
    assert_eq!(endpoints[0]["path"], "/metrics");
    endpoints[0].clone()
}

/// The ports of the container of what makes pods.
fn ports(manifests: &Manifests, kind: &str, name: &str) -> Value {
    manifests.named(kind, name)["spec"]["template"]["spec"]["containers"][0]["ports"].clone()
}

/// Where the variable with the token for metrics comes from, in what makes pods.
fn token_of(manifests: &Manifests, name: &str) -> Value {
    let container = &manifests.named("Deployment", name)["spec"]["template"]["spec"]["containers"][0];
    let variable = list(&container["env"]).iter().find(|one| one["name"] == "FLOTT_SECURITY__METRICS_TOKEN");
    variable.map_or(Value::Null, |variable| variable["valueFrom"]["secretKeyRef"].clone())
}

#[track_caller]
fn rendered(helm: &Helm, settings: &[&str]) -> Manifests {
    helm.render(SESSION, settings)
}

#[test]
fn nobody_is_asked_to_collect_unless_it_is_wanted() {
    let Some(helm) = helm::or_skipped("nobody_is_asked_to_collect_unless_it_is_wanted") else { return };
    let manifests = rendered(&helm, &[]);
    assert!(manifests.kind("PodMonitor").is_empty());
    assert!(ports(&manifests, "Deployment", "demo-taskmanager").is_null());
    // TaskManagers without a port have nothing to collect.
    let names: Vec<_> = rendered(&helm, &[MONITORED]).names();
    assert!(names.iter().any(|name| name == "PodMonitor/demo-jobmanager"), "{names:?}");
    assert!(names.iter().all(|name| name != "PodMonitor/demo-taskmanager"), "{names:?}");
}

#[test]
fn a_collector_finds_ports_by_name_and_shows_a_token_that_opens_nothing_else() {
    let test = "a_collector_finds_ports_by_name_and_shows_a_token_that_opens_nothing_else";
    let Some(helm) = helm::or_skipped(test) else { return };
    let manifests = rendered(&helm, &[MONITORED, PORT]);
    let own = json!({ "name": "demo-token", "key": "metrics-token" });
    let has_port =
        |name: &str, port: &Value| list(&ports(&manifests, "Deployment", name)).iter().any(|one| one["name"] == *port);
    for (monitor, pods) in [("demo-jobmanager", "demo"), ("demo-taskmanager", "demo-taskmanager")] {
        let endpoint = endpoint(&manifests, monitor);
        assert!(has_port(pods, &endpoint["port"]), "{endpoint}");
        assert_eq!((&endpoint["scheme"], &endpoint["tlsConfig"]), (&json!("http"), &Value::Null));
        assert_eq!(endpoint["authorization"], json!({ "type": "Bearer", "credentials": own }));
        assert_eq!(token_of(&manifests, pods), own, "{pods}");
        for absent in ["interval", "scrapeTimeout", "relabelings", "metricRelabelings"] {
            assert!(endpoint[absent].is_null(), "{endpoint}");
        }
    }
    let data = &manifests.named("Secret", "demo-token")["data"];
    assert!(
        data["metrics-token"].as_str().is_some_and(|token| token.len() >= 40) && data["metrics-token"] != data["token"],
        "{data}"
    );
    let metrics = json!([{ "name": "metrics", "containerPort": 9249 }]);
    assert_eq!(ports(&manifests, "Deployment", "demo-taskmanager"), metrics);
}

#[test]
fn the_token_itself_is_shown_where_there_is_no_other() {
    let Some(helm) = helm::or_skipped("the_token_itself_is_shown_where_there_is_no_other") else { return };
    let given = ["token.existingSecret=shared", "token.key=flott"];
    let manifests = rendered(&helm, &[&given[..], &[MONITORED]].concat());
    let credentials = endpoint(&manifests, "demo-jobmanager")["authorization"]["credentials"].clone();
    assert_eq!(credentials, json!({ "name": "shared", "key": "flott" }));
    assert_eq!(token_of(&manifests, "demo"), Value::Null);
    let manifests = rendered(&helm, &[&given[..], &[MONITORED, "token.metricsKey=metrics"]].concat());
    let credentials = endpoint(&manifests, "demo-jobmanager")["authorization"]["credentials"].clone();
    assert_eq!(credentials, json!({ "name": "shared", "key": "metrics" }));
    assert_eq!(token_of(&manifests, "demo"), credentials);
}

#[test]
fn native_workers_are_told_by_the_configuration() {
    let Some(helm) = helm::or_skipped("native_workers_are_told_by_the_configuration") else { return };
    let manifests = helm.render(NATIVE, &[]);
    assert_eq!(endpoint(&manifests, "demo-taskmanager")["port"], "metrics", "as their JobManager calls it");
    let config = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap();
    for line in [
        "taskmanager.metrics.port: \"9250-9260\"",
        "kubernetes.env.secretKeyRef: \"env:FLOTT_SECURITY__METRICS_TOKEN,secret:demo-token,key:metrics-token\"",
    ] {
        assert!(config.contains(line), "{line} in {config}");
    }
    let both = ["token.existingSecret=shared", "token.metricsKey=metrics"];
    let manifests = helm.render(NATIVE, &both);
    let config = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap();
    let line =
        "\"env:FLOTT_TOKEN,secret:shared,key:token;env:FLOTT_SECURITY__METRICS_TOKEN,secret:shared,key:metrics\"";
    assert!(config.contains(line), "{line} in {config}");
}

#[test]
fn where_the_rest_port_speaks_tls_a_collector_is_told_whom_to_trust() {
    let Some(helm) = helm::or_skipped("where_the_rest_port_speaks_tls_a_collector_is_told_whom_to_trust") else {
        return;
    };
    let tls = |settings: &[&str]| {
        let manifests = helm.render("helm/flott/ci/session-native-tls.yaml", settings);
        let worker = endpoint(&manifests, "demo-taskmanager");
        assert_eq!((&worker["scheme"], &worker["tlsConfig"]), (&json!("http"), &Value::Null), "it has no key");
        let leader = endpoint(&manifests, "demo-jobmanager");
        assert_eq!(leader["scheme"], "https");
        leader["tlsConfig"].clone()
    };
    let config = |secret: &str, name: &str| json!({ "ca": { "secret": { "name": secret, "key": "ca.crt" } }, "serverName": name });
    assert_eq!(tls(&[]), config("demo-tls", "demo.apps"));
    assert_eq!(tls(&["tls.existingSecret=mine", "tls.serverName=jobs.example"]), config("mine", "jobs.example"));
}

#[test]
fn collectors_are_let_in_to_both() {
    let Some(helm) = helm::or_skipped("collectors_are_let_in_to_both") else { return };
    let scraper = "networkPolicy.scrapers[0].namespaceSelector.matchLabels.team=monitoring";
    let peer = json!({ "namespaceSelector": { "matchLabels": { "team": "monitoring" } } });
    let rules = |settings: &[&str], name: &str| {
        let manifests = rendered(&helm, settings);
        list(&manifests.named("NetworkPolicy", name)["spec"]["ingress"]).to_vec()
    };
    let lets_in =
        |rule: &Value, port: &str| list(&rule["from"]).contains(&peer) && rule["ports"] == json!([{ "port": port }]);
    assert!(lets_in(&rules(&[scraper], "demo-jobmanager")[0], "rest"));
    assert!(lets_in(&rules(&[scraper, PORT], "demo-taskmanager")[1], "metrics"));
    for settings in [&[scraper][..], &[PORT]] {
        assert_eq!(rules(settings, "demo-taskmanager").len(), 1, "{settings:?}");
    }
}

#[test]
fn what_is_set_of_a_monitor_is_in_it() {
    let Some(helm) = helm::or_skipped("what_is_set_of_a_monitor_is_in_it") else { return };
    let manifests = helm.render(EVERYTHING, &[]);
    for name in ["everything-jobmanager", "everything-taskmanager"] {
        let (monitor, endpoint) = (manifests.named("PodMonitor", name), endpoint(&manifests, name));
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        assert_eq!(monitor["metadata"]["annotations"], json!({ "a/b": "c" }));
        assert_eq!(monitor["spec"]["podTargetLabels"], json!(["team"]));
        assert_eq!((&endpoint["interval"], &endpoint["scrapeTimeout"]), (&json!("15s"), &json!("10s")));
        assert_eq!(endpoint["relabelings"][0]["targetLabel"], "node");
        assert_eq!(endpoint["metricRelabelings"][0]["action"], "drop");
    }
}

#[test]
fn what_a_monitor_cannot_find_is_refused() {
    let Some(helm) = helm::or_skipped("what_a_monitor_cannot_find_is_refused") else { return };
    let any = "config.taskmanager\\.metrics\\.port=0";
    helm.refuses(&[MONITORED, any], &["taskmanager.metrics.port", "always the same"]);
    helm.refuses(&["podMonitor.interval=often"], &["interval"]);
    helm.refuses(&["config.security\\.metrics-token=x"], &["security.metrics-token", "token.metricsKey"]);
    // Without a monitor, any will do.
    assert!(rendered(&helm, &[any]).kind("PodMonitor").is_empty());
}
