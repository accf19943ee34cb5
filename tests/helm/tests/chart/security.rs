//! Pods are as restricted as Kubernetes' strictest standard has it, and nothing secret is where everyone reads it.

use flott_helm_tests::{
    helm::{self},
    manifests::list,
    workspace::value_sets,
};

#[test]
fn every_pod_is_restricted() {
    let Some(helm) = helm::or_skipped("every_pod_is_restricted") else { return };
    for values in value_sets() {
        let pods = helm.render(&values, &[]).pods();
        assert!(pods.len() >= 3 || values.contains("native") && pods.len() >= 2, "{values}: {}", pods.len());
        for (name, pod) in pods {
            let (at, spec) = (format!("{values}: {name}"), &pod["spec"]);
            let context = &spec["securityContext"];
            assert_eq!(context["runAsNonRoot"], true, "{at}");
            assert!(context["runAsUser"].as_u64() > Some(0), "{at}");
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            for host in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(spec[host].is_null(), "{at}: {host}");
            }
            for container in list(&spec["containers"]).iter().chain(list(&spec["initContainers"])) {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{at}");
                assert_eq!(context["privileged"], false, "{at}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{at}");
                assert_eq!(context["capabilities"], serde_json::json!({ "drop": ["ALL"] }), "{at}");
            }
            for volume in list(&spec["volumes"]) {
                assert!(volume["hostPath"].is_null(), "{at}: {volume}");
            }
        }
    }
}

#[test]
fn only_a_job_manager_that_asks_for_pods_may_speak_to_the_api_server() {
    let Some(helm) = helm::or_skipped("only_a_job_manager_that_asks_for_pods_may_speak_to_the_api_server") else {
        return;
    };
    for values in value_sets() {
        let manifests = helm.render(&values, &[]);
        let native = values.contains("native");
        for (name, pod) in manifests.pods().into_iter().filter(|(name, _)| !name.contains("template")) {
            let may = native && (name == "Deployment/demo" || name.starts_with("Job/"));
            assert_eq!(pod["spec"]["automountServiceAccountToken"], may, "{values}: {name}");
        }
        assert_eq!(manifests.kind("Role").len(), usize::from(native), "{values}");
        assert_eq!(manifests.kind("RoleBinding").len(), usize::from(native), "{values}");
        assert!(manifests.kind("ClusterRole").is_empty() && manifests.kind("ClusterRoleBinding").is_empty());
    }
}

#[test]
fn the_role_has_the_least_verbs() {
    let Some(helm) = helm::or_skipped("the_role_has_the_least_verbs") else { return };
    let role = |values: &str| helm.render(values, &[]).named("Role", "demo")["rules"].clone();
    let pods = serde_json::json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"] });
    let session = role("helm/flott/ci/session-native.yaml");
    let owner = serde_json::json!({ "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["demo"], "verbs": ["get"] });
    assert_eq!(session, serde_json::json!([pods, owner]));

    let several = role("helm/flott/ci/session-native-several.yaml");
    let group = serde_json::json!(["coordination.k8s.io"]);
    let created = serde_json::json!({ "apiGroups": group, "resources": ["leases"], "verbs": ["create"] });
    let named = ["demo-leader"];
    let own = serde_json::json!({ "apiGroups": group, "resources": ["leases"], "resourceNames": named, "verbs": ["get", "update"] });
    assert_eq!(several, serde_json::json!([pods, created, own, owner]));

    // A Job is named by its own pods.
    assert_eq!(role("helm/flott/ci/application-native.yaml"), serde_json::json!([pods]));
}

#[test]
fn a_job_manager_may_have_its_own_job_fail_where_its_exit_code_does_not() {
    let test = "a_job_manager_may_have_its_own_job_fail_where_its_exit_code_does_not";
    let Some(helm) = helm::or_skipped(test) else { return };
    let agreed = ["highAvailability.enabled=true", "highAvailability.storageDir=s3://bucket/flott"];
    for (values, others) in [("application-standalone", 0), ("application-native", 3)] {
        let manifests = helm.render(&format!("helm/flott/ci/{values}.yaml"), &agreed);
        let job = manifests.kind("Job")[0];
        assert_eq!(job["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
        let rules = manifests.named("Role", "demo")["rules"].as_array().unwrap().clone();
        let own = serde_json::json!({
            "apiGroups": ["batch"], "resources": ["jobs/status"], "resourceNames": [job["metadata"]["name"]], "verbs": ["patch"],
        });
        assert_eq!(rules.iter().filter(|rule| **rule == own).count(), 1, "{rules:?}");
        assert_eq!(rules.len(), 1 + others, "{rules:?}");
        assert_eq!(manifests.kind("RoleBinding").len(), 1);
        for (name, pod) in manifests.pods().into_iter().filter(|(name, _)| name.contains("taskmanager")) {
            assert_ne!(pod["spec"]["automountServiceAccountToken"], true, "{name}");
        }
    }
}

#[test]
fn the_token_is_in_a_secret_alone() {
    let Some(helm) = helm::or_skipped("the_token_is_in_a_secret_alone") else { return };
    for values in value_sets() {
        let manifests = helm.render(&values, &[]);
        let secrets = manifests.kind("Secret");
        let (name, key) = if values.ends_with("everything.yaml") || values.ends_with("session-native.yaml") {
            assert!(secrets.is_empty(), "one is there already: {:?}", manifests.names());
            ("shared", "flott")
        } else {
            let token = manifests.named("Secret", "demo-token")["data"]["token"].as_str().unwrap().to_owned();
            assert!(token.len() >= 40, "{token}");
            let elsewhere = manifests.all().iter().filter(|document| document["kind"] != "Secret");
            elsewhere.for_each(|document| assert!(!document.to_string().contains(&token), "{values}: {document}"));
            ("demo-token", "token")
        };
        for config in manifests.kind("ConfigMap") {
            assert!(!config.to_string().contains("security.token"), "{values}: {config}");
        }
        for (pod_name, pod) in manifests.pods().iter().filter(|(name, _)| !name.contains("template")) {
            let environment = list(&pod["spec"]["containers"][0]["env"]);
            let token = environment.iter().find(|variable| variable["name"] == "FLOTT_TOKEN");
            let from =
                &token.unwrap_or_else(|| panic!("{values}: {pod_name} has no token"))["valueFrom"]["secretKeyRef"];
            assert_eq!((&from["name"], &from["key"]), (&name.into(), &key.into()), "{values}: {pod_name}");
        }
    }
}

#[test]
fn connections_are_limited_to_those_of_the_cluster() {
    let Some(helm) = helm::or_skipped("connections_are_limited_to_those_of_the_cluster") else { return };
    let manifests = helm.render("helm/flott/ci/session-standalone.yaml", &[]);
    let peers = |name: &str| manifests.named("NetworkPolicy", name)["spec"].clone();
    let component =
        |peer: &serde_json::Value| peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"].clone();
    let jobmanager = peers("demo-jobmanager");
    assert_eq!(jobmanager["policyTypes"], serde_json::json!(["Ingress"]));
    let from: Vec<_> = list(&jobmanager["ingress"][0]["from"]).iter().map(component).collect();
    assert_eq!(from, ["taskmanager", "test"]);
    let taskmanager = peers("demo-taskmanager");
    let from: Vec<_> = list(&taskmanager["ingress"][0]["from"]).iter().map(component).collect();
    assert_eq!(from, ["taskmanager"]);

    let manifests = helm.render("helm/flott/ci/everything.yaml", &[]);
    for name in ["everything-jobmanager", "everything-taskmanager"] {
        let policy = manifests.named("NetworkPolicy", name);
        assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
        let to = policy["spec"]["egress"].to_string();
        assert!(to.contains("10.0.0.0/8") && to.contains("53"), "{to}");
    }
    let clients = manifests.named("NetworkPolicy", "everything-jobmanager")["spec"]["ingress"].to_string();
    assert!(clients.contains("kubernetes.io/metadata.name"), "{clients}");
}
