//! Clusters whose REST port speaks TLS.

use flott_helm_tests::{helm, manifests::list};
use serde_json::{Value, json};

const NATIVE: &str = "helm/flott/ci/session-native-tls.yaml";
const STANDALONE: &str = "helm/flott/ci/session-standalone.yaml";
const ON: &str = "tls.enabled=true";

fn certificates(pod: &Value) -> &Value {
    let volumes = list(&pod["spec"]["volumes"]);
    volumes.iter().find(|volume| volume["name"] == "tls").map_or(&Value::Null, |volume| &volume["secret"])
}

#[test]
fn without_tls_nothing_speaks_of_it() {
    let Some(helm) = helm::or_skipped("without_tls_nothing_speaks_of_it") else { return };
    let manifests = helm.render(STANDALONE, &[]);
    assert_eq!(manifests.kind("Secret").len(), 1);
    for (name, pod) in manifests.pods() {
        assert_eq!(certificates(&pod), &Value::Null, "{name}");
    }
}

#[test]
fn the_key_is_the_job_managers_alone() {
    let Some(helm) = helm::or_skipped("the_key_is_the_job_managers_alone") else { return };
    let manifests = helm.render(STANDALONE, &[ON]);
    let secret = manifests.named("Secret", "demo-tls");
    assert_eq!(secret["type"], "kubernetes.io/tls");
    for entry in ["ca.crt", "tls.crt", "tls.key"] {
        assert!(secret["data"][entry].as_str().is_some_and(|text| text.len() > 100), "{entry}");
    }
    let pods = manifests.pods();
    assert_eq!(pods.len(), 3);
    for (name, pod) in pods {
        let trusted = json!({ "secretName": "demo-tls", "items": [{ "key": "ca.crt", "path": "ca.crt" }] });
        let whole = json!({ "secretName": "demo-tls" });
        let expected = if name == "Deployment/demo" { whole } else { trusted };
        assert_eq!(certificates(&pod), &expected, "{name}");
        let mounts = list(&pod["spec"]["containers"][0]["volumeMounts"]);
        assert!(mounts.contains(&json!({ "name": "tls", "mountPath": "/etc/flott-tls", "readOnly": true })), "{name}");
    }
    let job_manager = &manifests.named("Deployment", "demo")["spec"]["template"]["spec"]["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(job_manager[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
}

#[test]
fn members_are_told_where_certificates_are_and_what_they_are_for() {
    let Some(helm) = helm::or_skipped("members_are_told_where_certificates_are_and_what_they_are_for") else { return };
    let told = |settings: &[&str]| {
        let manifests = helm.render(NATIVE, settings);
        let text = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap().to_owned();
        (manifests.kind("Secret").len(), text)
    };
    let (secrets, text) = told(&[]);
    assert_eq!(secrets, 2);
    for line in [
        "security.ssl.rest.enabled: \"true\"",
        "security.ssl.rest.certificate: \"/etc/flott-tls/tls.crt\"",
        "security.ssl.rest.key: \"/etc/flott-tls/tls.key\"",
        "security.ssl.rest.ca: \"/etc/flott-tls/ca.crt\"",
        "security.ssl.rest.server-name: \"demo.apps\"",
        "kubernetes.tls.secret: \"demo-tls\"",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (secrets, text) = told(&["tls.existingSecret=mine", "tls.serverName=flott.example"]);
    assert_eq!(secrets, 1, "none is made");
    for line in ["kubernetes.tls.secret: \"mine\"", "security.ssl.rest.server-name: \"flott.example\""] {
        assert!(text.contains(line), "{line} in {text}");
    }
    helm.refuses(&["config.security\\.ssl\\.rest\\.enabled=true"], &["security.ssl.rest.enabled", "tls.enabled"]);
    helm.refuses(&["tls.enabled=maybe"], &["tls", "enabled", "boolean"]);
}
