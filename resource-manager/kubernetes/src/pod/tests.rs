use flott_core::{config::Loader, id::WorkerId};
use flott_resource_manager::WorkerShape;
use serde_json::{Value, json};

use super::*;
use crate::{
    settings::{Place, Settings},
    template,
};

fn settings(keys: &[&str], in_pod: bool) -> Settings {
    let keys = ["kubernetes.cluster-id=demo"].iter().chain(keys);
    let config = Loader::new().overrides(keys).load().expect("known keys").config;
    let pod = in_pod.then(|| "demo-0".to_owned());
    Settings::read(&config, Place { address: "demo.ns:8081".into(), pod }).expect("settings")
}

fn worker() -> WorkerSpec {
    let shape = WorkerShape { slots: 2, memory: 1 << 30, cpu_millicores: 1500 };
    WorkerSpec::new(WorkerId("taskmanager-abc-1-7".into()), shape)
}

fn made(settings: &Settings, owner: Option<&OwnerReference>) -> Value {
    serde_json::to_value(taskmanager(&settings.cluster, &settings.pods, owner, &worker(), None)).expect("JSON")
}

fn variable<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let env = pod["spec"]["containers"][0]["env"].as_array().expect("variables");
    env.iter().find(|variable| variable["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn a_pod_has_its_worker_and_its_cluster_written_on_it() {
    let owner = OwnerReference { kind: "Deployment".into(), uid: "u".into(), ..OwnerReference::default() };
    let pod = made(&settings(&[], true), Some(&owner));
    assert_eq!(pod["metadata"]["name"], "demo-taskmanager-abc-1-7");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "u");
    assert_eq!(
        pod["metadata"]["labels"],
        json!({
            "app.kubernetes.io/name": "flott", "app.kubernetes.io/instance": "demo",
            "app.kubernetes.io/component": "taskmanager", "app.kubernetes.io/managed-by": "flott",
            "flott.dev/worker": "taskmanager-abc-1-7",
        })
    );
    let spec = pod["metadata"]["annotations"]["flott.dev/worker-spec"].as_str().expect("an annotation");
    assert_eq!(serde_json::from_str::<WorkerSpec>(spec).expect("JSON"), worker());
}

#[test]
fn what_is_asked_for_is_the_limit_too() {
    let pod = made(&settings(&[], true), None);
    let resources = &pod["spec"]["containers"][0]["resources"];
    assert_eq!(resources["limits"], json!({"cpu": "1500m", "memory": "1073741824"}));
    assert_eq!(resources["requests"], resources["limits"]);
}

#[test]
fn pods_keep_to_the_restricted_profile() {
    let pod = made(&settings(&[], true), None);
    let spec = &pod["spec"];
    assert_eq!(spec["securityContext"], json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}));
    assert_eq!(
        spec["containers"][0]["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["restartPolicy"], "Never");
    let volumes = spec["volumes"].as_array().expect("volumes").iter();
    let kinds = volumes.map(|volume| (volume["name"].as_str().expect("a name"), volume.get("emptyDir").is_some()));
    assert_eq!(kinds.collect::<Vec<_>>(), [("flott-work", true), ("flott-tmp", true), ("flott-config", false)]);
}

#[test]
fn workers_are_told_who_and_where_they_are() {
    let pod = made(&settings(&[], true), None);
    let main = &pod["spec"]["containers"][0];
    assert_eq!(main.get("command"), None, "the image's entry point is flott");
    assert_eq!(
        main["args"],
        json!([
            "taskmanager",
            "--jobmanager",
            "demo.ns:8081",
            "--config",
            "/etc/flott/config.yaml",
            "--work-dir",
            "/var/lib/flott/taskmanager",
            "-D",
            "taskmanager.bind-host=0.0.0.0",
            "-D",
            "taskmanager.cpu.cores=1.5",
            "-D",
            "taskmanager.host=$(FLOTT_POD_IP)",
            "-D",
            "taskmanager.memory.process.size=1073741824 b",
            "-D",
            "taskmanager.numberOfTaskSlots=2",
            "-D",
            "taskmanager.resource-id=taskmanager-abc-1-7"
        ])
    );
    assert_eq!(variable(&pod, "FLOTT_POD_IP")["valueFrom"]["fieldRef"]["fieldPath"], "status.podIP");
    let token = json!({"name": "demo-token", "key": "token", "optional": true});
    assert_eq!(variable(&pod, "FLOTT_TOKEN")["valueFrom"]["secretKeyRef"], token);
}

#[test]
fn values_are_no_references_to_variables() {
    let outside = settings(&["taskmanager.data.port=7000", "taskmanager.bind-host=$(HOME)"], false);
    let pod = made(&outside, None);
    let arguments = pod["spec"]["containers"][0]["args"].as_array().expect("arguments");
    assert!(arguments.contains(&"taskmanager.data.port=7000".into()), "{arguments:?}");
    assert!(arguments.contains(&"taskmanager.bind-host=$$(HOME)".into()), "{arguments:?}");
    assert!(!arguments.contains(&"--config".into()));
}

#[test]
fn workers_trust_the_certificate_of_their_job_manager_and_are_not_given_its_key() {
    let keys = [
        "kubernetes.tls.secret=t",
        "security.ssl.rest.enabled=true",
        "security.ssl.rest.key=/home/me/key.pem",
        "security.ssl.rest.ca=/home/me/ca.pem",
    ];
    for in_pod in [true, false] {
        let pod = made(&settings(&keys, in_pod), None);
        let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
        let volume = volumes.iter().find(|volume| volume["name"] == "flott-tls").expect("the certificates");
        assert_eq!(volume["secret"], json!({"secretName": "t", "items": [{"key": "ca.crt", "path": "ca.crt"}]}));
        let arguments = pod["spec"]["containers"][0]["args"].as_array().expect("arguments");
        let told = |word: &str| arguments.iter().any(|argument| argument == word);
        // With a file of the cluster's configuration they need not be told.
        assert_eq!(told("security.ssl.rest.ca=/etc/flott-tls/ca.crt"), !in_pod, "{arguments:?}");
        assert_eq!(told("security.ssl.rest.enabled=true"), !in_pod, "{arguments:?}");
        assert!(!pod.to_string().contains("key.pem"), "{pod}");
    }
}

#[test]
fn settings_are_laid_over_the_template() {
    let mut settings = settings(
        &[
            "kubernetes.taskmanager.labels=team:a,flott.dev/worker:fake",
            "kubernetes.taskmanager.node-selector=disk:ssd",
            "kubernetes.taskmanager.tolerations=key:k,operator:Exists",
            "kubernetes.secrets=certs:/etc/certs",
            "kubernetes.env.secretKeyRef=env:PASSWORD,secret:db,key:password",
            "kubernetes.container.image.pull-secrets=registry",
            "kubernetes.priority-class=high",
            "kubernetes.queue=q",
        ],
        true,
    );
    let text = "metadata: {labels: {tier: x}, annotations: {a: b}}\nspec:\n  runtimeClassName: kata\n  tolerations: [{key: t}]\n  \
                volumes: [{name: data, emptyDir: {}}]\n  containers:\n  - {name: side, image: side}\n  - name: flott\n    \
                env: [{name: MINE, value: '1'}]\n    volumeMounts: [{name: data, mountPath: /data}]\n    \
                securityContext: {runAsUser: 7}\n    resources: {limits: {nvidia.com/gpu: '1'}}\n";
    settings.pods.template = template::parse("t", text).expect("a template");
    let pod = made(&settings, None);
    let labels = &pod["metadata"]["labels"];
    assert_eq!([&labels["team"], &labels["tier"], &labels["kueue.x-k8s.io/queue-name"]], ["a", "x", "q"]);
    assert_eq!(labels["flott.dev/worker"], "taskmanager-abc-1-7", "nobody takes away what pods are found by");
    assert_eq!(pod["metadata"]["annotations"]["a"], "b");
    let spec = &pod["spec"];
    assert_eq!([&spec["runtimeClassName"], &spec["priorityClassName"]], ["kata", "high"]);
    assert_eq!(spec["nodeSelector"], json!({"disk": "ssd"}));
    assert_eq!(spec["tolerations"], json!([{"key": "t"}, {"key": "k", "operator": "Exists"}]));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(spec["containers"][1]["name"], "side");
    let main = &spec["containers"][0];
    assert_eq!(main["resources"]["limits"]["nvidia.com/gpu"], "1");
    assert_eq!(main["securityContext"]["runAsUser"], 7);
    assert_eq!(main["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts: Vec<_> =
        main["volumeMounts"].as_array().expect("mounts").iter().map(|mount| &mount["mountPath"]).collect();
    assert_eq!(mounts, ["/data", "/var/lib/flott", "/tmp", "/etc/flott", "/etc/certs"]);
    assert_eq!(variable(&pod, "MINE")["value"], "1");
    assert_eq!(variable(&pod, "PASSWORD")["valueFrom"]["secretKeyRef"], json!({"name": "db", "key": "password"}));
}

#[test]
fn a_template_may_say_what_is_worked_on() {
    let mut settings = settings(&[], true);
    let claim = json!({"name": "flott-work", "persistentVolumeClaim": {"claimName": "state"}});
    let text = json!({"spec": {"volumes": [claim], "containers": []}}).to_string();
    settings.pods.template = template::parse("t", &text).expect("a template");
    let pod = made(&settings, None);
    let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
    assert_eq!(volumes.iter().filter(|volume| volume["name"] == "flott-work").collect::<Vec<_>>(), [&claim]);
    let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array().expect("mounts");
    let work: Vec<_> = mounts.iter().filter(|mount| mount["name"] == "flott-work").collect();
    assert_eq!(work, [&json!({"name": "flott-work", "mountPath": "/var/lib/flott"})]);
}

#[test]
fn a_port_for_metrics_has_a_name() {
    let ports = |keys: &[&str]| made(&settings(keys, true), None)["spec"]["containers"][0]["ports"].clone();
    assert_eq!(ports(&[]), Value::Null);
    assert_eq!(ports(&["taskmanager.metrics.port=0"]), Value::Null);
    let named = json!([{ "name": "metrics", "containerPort": 9250 }]);
    assert_eq!(ports(&["taskmanager.metrics.port=9250-9260"]), named);
}
