use flott_core::config::Loader;
use serde_json::{Value, json};

use super::*;
use crate::cluster::head::{HeadKind, HeadState};

fn spec(keys: &[&str], work: Work) -> ClusterSpec {
    let keys = ["kubernetes.cluster-id=demo", "jobmanager.memory.process.size=512 mb"].iter().chain(keys);
    let config = Loader::new().overrides(keys).load().expect("known keys").config;
    ClusterSpec::read(&config, "ns", work, "t0ken").expect("a spec")
}

fn awaited() -> Work {
    Work::Awaited { job: "0123".into(), patience: std::time::Duration::from_secs(60) }
}

fn container(head: &Object) -> &Value {
    &head.value["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn a_session_is_headed_by_a_deployment_that_sleeps() {
    let spec = spec(&[], Work::Session);
    let head = head(&spec, "me");
    assert_eq!((head.kind.kind.as_str(), head.name.as_str()), ("Deployment", "demo"));
    assert_eq!(head.value["metadata"]["annotations"], json!({ CREATING: "true", MAKER: "me" }));
    assert_eq!(
        (&head.value["spec"]["replicas"], &head.value["spec"]["strategy"]["type"]),
        (&json!(0), &json!("Recreate"))
    );
    let arguments = json!(["jobmanager", "--state-dir=/var/lib/flott", "--config=/etc/flott/config.yaml"]);
    assert_eq!(container(&head)["args"], arguments);
    let selected = &head.value["spec"]["selector"]["matchLabels"];
    let labels = &head.value["spec"]["template"]["metadata"]["labels"];
    for (key, value) in selected.as_object().expect("labels") {
        assert_eq!(&labels[key], value, "{key}");
    }
    let woken = awakening(&spec, "u");
    assert_eq!(
        woken,
        json!({ "metadata": { "uid": "u", "annotations": { CREATING: null } }, "spec": { "replicas": 1 } })
    );
}

#[test]
fn job_managers_that_agree_on_who_leads_are_several_and_replaced_one_by_one() {
    let keys = [
        "kubernetes.jobmanager.replicas=3",
        "high-availability.type=kubernetes",
        "high-availability.storageDir=s3://bucket/flott",
    ];
    let spec = spec(&keys, Work::Session);
    assert_eq!(head(&spec, "me").value["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(awakening(&spec, "u")["spec"], json!({ "replicas": 3 }));
}

#[test]
fn a_cluster_of_one_job_is_headed_by_a_job_that_is_removed_after_its_end() {
    let spec = spec(&["kubernetes.finished-ttl=90 s"], awaited());
    let head = head(&spec, "me");
    let job = &head.value["spec"];
    assert_eq!((head.kind.kind.as_str(), &job["suspend"]), ("Job", &json!(true)));
    assert_eq!((&job["ttlSecondsAfterFinished"], &job["podReplacementPolicy"]), (&json!(90), &json!("Failed")));
    assert_eq!(job["template"]["spec"]["restartPolicy"], "OnFailure");
    let arguments = container(&head)["args"].as_array().expect("arguments").clone();
    let last = json!(["--await-job=0123", "--patience=60000 ms", "--outcome-file=/dev/termination-log"]);
    assert_eq!(json!(arguments[3..]), last);
    assert_eq!(awakening(&spec, "u")["spec"], json!({ "suspend": false }));
}

/// With jobs in a directory that all share.
const AGREED: [&str; 2] = ["high-availability.type=kubernetes", "high-availability.storageDir=s3://bucket/flott"];

fn pod_of(keys: &[&str], work: Work) -> Value {
    let head = head(&spec(&[&AGREED, keys].concat(), work), "me");
    head.value["spec"]["template"]["spec"].clone()
}

#[test]
fn a_lost_node_keeps_a_jobmanager_for_as_long_as_is_said() {
    #[track_caller]
    fn check(pod: &Value, seconds: &[Option<i64>]) {
        let tolerations = pod["tolerations"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = tolerations.iter().map(|one| one["tolerationSeconds"].as_i64()).collect();
        assert_eq!(found, seconds, "{tolerations:?}");
    }
    let key = "kubernetes.jobmanager.node-loss-timeout=7 s";
    check(&pod_of(&[], Work::Session), &[Some(30); 2]);
    check(&pod_of(&[key], awaited()), &[Some(7); 2]);
    // Without another that may take its place, it may come back with its state.
    let alone = |keys: &[&str]| head(&spec(keys, Work::Session), "me").value["spec"]["template"]["spec"].clone();
    check(&alone(&[]), &[]);
    check(&alone(&[key]), &[Some(7); 2]);
    let own = |toleration: &str| pod_of(&[&format!("kubernetes.jobmanager.tolerations={toleration}")], Work::Session);
    let unreachable = "key:node.kubernetes.io/unreachable,operator:Exists,effect:NoExecute,tolerationSeconds:3";
    check(&own(unreachable), &[Some(3), Some(30)]);
    check(&own("operator:Exists"), &[None]);
    check(&own("key:gpu,operator:Exists"), &[None, Some(30), Some(30)]);
}

#[test]
fn of_a_cluster_of_one_job_the_next_jobmanager_waits_for_the_last_one_unless_they_agree_on_who_leads() {
    let policy = |keys: &[&str]| head(&spec(keys, awaited()), "me").value["spec"]["podReplacementPolicy"].clone();
    assert_eq!(policy(&[]), "Failed");
    assert_eq!(policy(&AGREED), "TerminatingOrFailed");
}

#[test]
fn several_jobmanagers_are_spread_over_nodes() {
    let several = pod_of(&["kubernetes.jobmanager.replicas=2"], Work::Session);
    let constraint = &several["topologySpreadConstraints"][0];
    assert_eq!(
        (&constraint["topologyKey"], &constraint["whenUnsatisfiable"]),
        (&json!("kubernetes.io/hostname"), &json!("ScheduleAnyway"))
    );
    assert_eq!(constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], "jobmanager");
    assert!(pod_of(&[], Work::Session)["topologySpreadConstraints"].is_null());
}

#[test]
fn a_program_of_the_image_keeps_its_arguments_as_they_are() {
    let program = ImageProgram {
        path: "/opt/program".into(),
        arguments: vec!["--input".into(), "$(HOME)".into(), "--".into()],
        entry: Some("main".into()),
        job: "0123".into(),
    };
    let head = head(&spec(&[], Work::Program(program)), "me");
    let arguments = container(&head)["args"].as_array().expect("arguments").clone();
    let last = json!([
        "--application=/opt/program",
        "--job-id=0123",
        "--outcome-file=/dev/termination-log",
        "--class=main",
        "--",
        "--input",
        "$$(HOME)",
        "--"
    ]);
    assert_eq!(json!(arguments[3..]), last);
}

#[test]
fn the_pod_is_restricted_and_asks_for_what_is_configured() {
    let keys = [
        "kubernetes.jobmanager.service-account=flott",
        "kubernetes.jobmanager.cpu.amount=0.5",
        "kubernetes.container.image.pull-secrets=registry",
        "kubernetes.jobmanager.node-selector=pool:control",
    ];
    let head = head(&spec(&keys, Work::Session), "me");
    let pod = &head.value["spec"]["template"]["spec"];
    assert_eq!((&pod["serviceAccountName"], &pod["automountServiceAccountToken"]), (&json!("flott"), &json!(true)));
    assert_eq!(pod["securityContext"], json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }));
    assert_eq!(
        (&pod["imagePullSecrets"], &pod["nodeSelector"]),
        (&json!([{ "name": "registry" }]), &json!({ "pool": "control" }))
    );
    let main = container(&head);
    let memory = 512 << 20;
    assert_eq!(
        main["resources"],
        json!({
            "requests": { "cpu": "500m", "memory": memory.to_string() }, "limits": { "memory": memory.to_string() },
        })
    );
    let security = &main["securityContext"];
    assert_eq!(
        (&security["readOnlyRootFilesystem"], &security["capabilities"]),
        (&json!(true), &json!({ "drop": ["ALL"] }))
    );
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        assert_eq!(main[probe]["httpGet"]["port"], json!(PORT), "{probe}");
        assert_eq!(main[probe]["httpGet"]["scheme"], Value::Null, "{probe}");
    }
}

#[test]
fn a_port_that_speaks_tls_is_looked_at_by_tls() {
    let head = head(&spec(&["security.ssl.rest.enabled=true", "kubernetes.tls.secret=t"], Work::Session), "me");
    let main = container(&head);
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        assert_eq!(main[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
    let volumes = head.value["spec"]["template"]["spec"]["volumes"].as_array().expect("volumes");
    let volume = volumes.iter().find(|volume| volume["name"] == "flott-tls").expect("the certificates");
    assert_eq!(volume["secret"], json!({ "secretName": "t" }));
    let mounts = main["volumeMounts"].as_array().expect("mounts");
    assert!(mounts.contains(&json!({ "name": "flott-tls", "mountPath": "/etc/flott-tls", "readOnly": true })));
}

#[test]
fn all_the_rest_belongs_to_the_head_and_secrets_are_in_the_secret_alone() {
    let spec = spec(&[], Work::Session);
    let head = Head {
        kind: HeadKind::Deployment,
        name: "demo".into(),
        uid: "u".into(),
        version: "1".into(),
        maker: None,
        state: HeadState::Creating,
    };
    let others = others(&spec, &head);
    let names: Vec<_> = others.iter().map(Object::shown).collect();
    assert_eq!(names, ["ConfigMap \"demo-config\"", "Secret \"demo-token\"", "Service \"demo\""]);
    for object in &others {
        let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "demo", "uid": "u" }]);
        assert_eq!(object.value["metadata"]["ownerReferences"], owner, "{}", object.shown());
        let tells = object.value.to_string().contains("t0ken") || object.value["data"]["token"].is_string();
        assert_eq!(tells, object.kind.kind == "Secret", "{}", object.shown());
    }
    assert_eq!(others[2].value["spec"]["clusterIP"], "None");
}

#[test]
fn a_template_keeps_what_is_not_computed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pod.yaml");
    let text = "metadata: {labels: {team: a}}\nspec:\n  containers:\n  - {name: side, image: x}\n  - name: flott\n    \
                env: [{name: A, value: b}]\n";
    std::fs::write(&path, text).expect("it can be written");
    let key = format!("kubernetes.pod-template-file.jobmanager={}", path.display());
    let head = head(&spec(&[&key], Work::Session), "me");
    let template = &head.value["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["team"], "a");
    let containers = template["spec"]["containers"].as_array().expect("containers");
    let names: Vec<_> = containers.iter().map(|container| container["name"].as_str()).collect();
    assert_eq!(names, [Some("flott"), Some("side")]);
    assert_eq!(containers[0]["env"][0], json!({ "name": "A", "value": "b" }));
}
