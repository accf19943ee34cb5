//! JobManager and TaskManagers find each other, and end as they should.

use flott_helm_tests::{
    helm::{self},
    manifests::list,
};
use serde_json::{Value, json};

const SESSION: &str = "helm/flott/ci/session-standalone.yaml";
const APPLICATION: &str = "helm/flott/ci/application-standalone.yaml";

fn arguments(container: &Value) -> Vec<&str> {
    list(&container["args"]).iter().map(|argument| argument.as_str().unwrap()).collect()
}

#[test]
fn task_managers_dial_the_name_of_the_service() {
    let Some(helm) = helm::or_skipped("task_managers_dial_the_name_of_the_service") else { return };
    let manifests = helm.render(SESSION, &[]);
    let service = &manifests.named("Service", "demo")["spec"];
    assert_eq!((&service["clusterIP"], &service["publishNotReadyAddresses"]), (&json!("None"), &json!(true)));
    assert_eq!(service["ports"][0]["port"], 8081);
    let worker = &manifests.named("Deployment", "demo-taskmanager")["spec"]["template"]["spec"]["containers"][0];
    assert!(arguments(worker).contains(&"--jobmanager=demo.apps:8081"), "{worker}");
    // Their names and addresses are those of their pods.
    let from = |name: &str| {
        let variable = list(&worker["env"]).iter().find(|variable| variable["name"] == name);
        variable.unwrap_or_else(|| panic!("{name} in {worker}"))["valueFrom"]["fieldRef"]["fieldPath"].clone()
    };
    assert_eq!(from("FLOTT_TASKMANAGER__RESOURCE_ID"), "metadata.name");
    assert_eq!(from("FLOTT_TASKMANAGER__HOST"), "status.podIP");
}

#[test]
fn services_do_not_turn_into_settings() {
    let Some(helm) = helm::or_skipped("services_do_not_turn_into_settings") else { return };
    // `FLOTT_REST_PORT=tcp://…` of a Service `flott-rest` would be refused as a misspelt setting.
    for (name, pod) in helm.render(SESSION, &["clusterId=flott", "service.enabled=true"]).pods() {
        assert_eq!(pod["spec"]["enableServiceLinks"], false, "{name}");
    }
}

#[test]
fn probes_ask_what_wants_no_token() {
    let Some(helm) = helm::or_skipped("probes_ask_what_wants_no_token") else { return };
    let manifests = helm.render(SESSION, &[]);
    let container = &manifests.named("Deployment", "demo")["spec"]["template"]["spec"]["containers"][0];
    for (probe, path) in [("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": format!("/flott/v1/health/{path}"), "port": "rest" }));
    }
}

#[test]
fn a_session_has_one_job_manager_at_a_time() {
    let Some(helm) = helm::or_skipped("a_session_has_one_job_manager_at_a_time") else { return };
    let manifests = helm.render(SESSION, &[]);
    let spec = &manifests.named("Deployment", "demo")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&json!(1), &json!("Recreate")));
    assert!(manifests.kind("Job").is_empty());
}

#[test]
fn job_managers_that_agree_on_who_leads_need_no_volume_and_are_replaced_one_by_one() {
    let test = "job_managers_that_agree_on_who_leads_need_no_volume_and_are_replaced_one_by_one";
    let Some(helm) = helm::or_skipped(test) else { return };
    let manifests = helm.render("helm/flott/ci/session-native-several.yaml", &[]);
    let spec = &manifests.named("Deployment", "demo")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&json!(2), &json!("RollingUpdate")));
    let claims: Vec<_> =
        manifests.kind("PersistentVolumeClaim").iter().map(|claim| claim["metadata"]["name"].clone()).collect();
    assert_eq!(claims, ["demo-checkpoints"]);
    let config = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap().to_owned();
    for line in ["high-availability.type: \"kubernetes\"", "/var/lib/flott-checkpoints/high-availability\""] {
        assert!(config.contains(line), "{config}");
    }
    // Without the right to a Lease, by a file.
    let manifests =
        helm.render(SESSION, &["highAvailability.enabled=true", "highAvailability.storageDir=s3://bucket/ha"]);
    let config = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap().to_owned();
    assert!(config.contains("high-availability.type: \"storage\""), "{config}");
}

#[test]
fn a_lost_node_keeps_a_job_manager_for_a_short_while_where_another_may_take_its_place() {
    let test = "a_lost_node_keeps_a_job_manager_for_a_short_while_where_another_may_take_its_place";
    let Some(helm) = helm::or_skipped(test) else { return };
    let pod = |values: &str, settings: &[&str]| {
        helm.render(values, settings).named("Deployment", "demo")["spec"]["template"]["spec"].clone()
    };
    let seconds = |pod: &Value| {
        let tolerations = pod["tolerations"].as_array().cloned().unwrap_or_default();
        tolerations.iter().map(|one| one["tolerationSeconds"].as_i64()).collect::<Vec<_>>()
    };
    let several = "helm/flott/ci/session-native-several.yaml";
    let spread = &pod(several, &[])["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    assert_eq!(spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], "jobmanager");
    assert_eq!(seconds(&pod(several, &[])), [Some(30); 2]);
    let set = ["jobmanager.nodeLossSeconds=5", "jobmanager.tolerations[0].key=gpu"];
    assert_eq!(seconds(&pod(several, &set)), [None, Some(5), Some(5)]);
    assert_eq!(seconds(&pod(SESSION, &[])), []);
    assert_eq!(seconds(&pod(SESSION, &set[..1])), [Some(5); 2]);
    assert!(pod(SESSION, &[])["topologySpreadConstraints"].is_null());
}

#[test]
fn an_application_is_a_job_that_outlives_its_pods() {
    let Some(helm) = helm::or_skipped("an_application_is_a_job_that_outlives_its_pods") else { return };
    let manifests = helm.render(APPLICATION, &[]);
    assert!(manifests.find("Deployment", "demo").is_none());
    let job = manifests.kind("Job")[0];
    let rules = list(&job["spec"]["podFailurePolicy"]["rules"]);
    let action = |code: u64| {
        let rule = rules.iter().find(|rule| list(&rule["onExitCodes"]["values"]).contains(&json!(code)));
        rule.map_or("Count", |rule| rule["action"].as_str().unwrap())
    };
    // How `flott jobmanager --supervised` ends: the job failed, was cancelled, was left to the next; another leads; a bad configuration.
    assert_eq!([2, 4, 143, 75, 1].map(action), ["FailJob", "FailJob", "Ignore", "Ignore", "Count"]);
    assert_eq!(job["spec"]["podReplacementPolicy"], "Failed");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    let line = arguments(&pod["containers"][0]);
    for argument in ["--supervised", "--job-graph=/opt/flott/job/job.graph", "--program=/opt/flott/job/program"] {
        assert!(line.contains(&argument), "{line:?}");
    }
    let job_volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == "job").unwrap();
    assert_eq!(job_volume["configMap"]["name"], "wordcount");
}

#[test]
fn the_next_jobmanager_of_an_application_waits_for_no_lost_node_where_they_agree_on_who_leads() {
    let test = "the_next_jobmanager_of_an_application_waits_for_no_lost_node_where_they_agree_on_who_leads";
    let Some(helm) = helm::or_skipped(test) else { return };
    let agreed = ["highAvailability.enabled=true", "highAvailability.storageDir=s3://bucket/flott"];
    let job = helm.render(APPLICATION, &agreed).kind("Job")[0].clone();
    // Kubernetes takes no policy of failures beside this one of replacement.
    assert_eq!(job["spec"]["podReplacementPolicy"], "TerminatingOrFailed");
    assert!(job["spec"]["podFailurePolicy"].is_null());
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "OnFailure");
    // So it is the JobManager that has the Job fail.
    let container = &pod["containers"][0];
    for argument in ["--outcome-file=/dev/termination-log", "--outcome-job=$(FLOTT_POD_JOB)"] {
        assert!(arguments(container).contains(&argument), "{container}");
    }
    let name = list(&container["env"]).iter().find(|variable| variable["name"] == "FLOTT_POD_JOB").unwrap();
    assert_eq!(name["valueFrom"]["fieldRef"]["fieldPath"], "metadata.labels['batch.kubernetes.io/job-name']");
    let seconds: Vec<_> = list(&pod["tolerations"]).iter().map(|one| one["tolerationSeconds"].as_i64()).collect();
    assert_eq!(seconds, [Some(30); 2]);
    let limit = |settings: &[&str]| helm.render(APPLICATION, settings).kind("Job")[0]["spec"]["backoffLimit"].clone();
    assert_eq!([limit(&[]), limit(&agreed)], [json!(100), json!(i32::MAX)]);
    assert_eq!(limit(&[&agreed[..], &["application.backoffLimit=3"]].concat()), 3);
}

#[test]
fn another_pod_of_an_application_is_another_job() {
    let Some(helm) = helm::or_skipped("another_pod_of_an_application_is_another_job") else { return };
    let name = |settings: &[&str]| helm.render(APPLICATION, settings).kind("Job")[0]["metadata"]["name"].clone();
    assert_eq!(name(&[]), name(&["taskmanager.replicas=5"]));
    assert_ne!(name(&[]), name(&["image.tag=next"]));
    assert!(name(&[]).as_str().unwrap().len() <= 45 + 9);
}

#[test]
fn the_files_of_an_application_may_be_in_the_image() {
    let Some(helm) = helm::or_skipped("the_files_of_an_application_may_be_in_the_image") else { return };
    let settings =
        ["application.jobGraph=local:///jobs/a.graph", "application.program=/jobs/a", "application.volume=null"];
    let manifests = helm.render(APPLICATION, &settings);
    let pod = &manifests.kind("Job")[0]["spec"]["template"]["spec"];
    let line = arguments(&pod["containers"][0]);
    assert!(line.contains(&"--job-graph=/jobs/a.graph") && line.contains(&"--program=/jobs/a"), "{line:?}");
    assert!(list(&pod["volumes"]).iter().all(|volume| volume["name"] != "job"), "{pod}");
}

#[test]
fn an_autoscaler_is_the_only_one_to_count_replicas() {
    let Some(helm) = helm::or_skipped("an_autoscaler_is_the_only_one_to_count_replicas") else { return };
    let manifests = helm.render(SESSION, &["taskmanager.autoscaling.enabled=true"]);
    assert!(manifests.named("Deployment", "demo-taskmanager")["spec"]["replicas"].is_null());
    let target = &manifests.named("HorizontalPodAutoscaler", "demo-taskmanager")["spec"]["scaleTargetRef"];
    assert_eq!((&target["kind"], &target["name"]), (&json!("Deployment"), &json!("demo-taskmanager")));
}

#[test]
fn native_workers_come_from_a_template_and_nothing_else() {
    let Some(helm) = helm::or_skipped("native_workers_come_from_a_template_and_nothing_else") else { return };
    let manifests = helm.render("helm/flott/ci/session-native.yaml", &[]);
    assert!(manifests.find("Deployment", "demo-taskmanager").is_none());
    assert!(manifests.find("PodDisruptionBudget", "demo-taskmanager").is_none());
    let pods = manifests.pods();
    let (_, pod) = pods.iter().find(|(name, _)| name.contains("template")).expect("there is a template");
    assert_eq!((&pod["apiVersion"], &pod["kind"]), (&json!("v1"), &json!("Pod")));
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "pool": "workers" }));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["name"], "flott");
    assert_eq!(container["env"], json!([{ "name": "LEVEL", "value": "9" }]));
    assert_eq!(container["resources"], json!({ "limits": { "nvidia.com/gpu": "1" } }));
    // What the JobManager computes, it refuses in a template.
    for computed in ["image", "imagePullPolicy", "args", "command"] {
        assert!(container[computed].is_null(), "{computed}: {container}");
    }
    for computed in ["serviceAccountName", "priorityClassName", "terminationGracePeriodSeconds", "restartPolicy"] {
        assert!(pod["spec"][computed].is_null(), "{computed}: {pod}");
    }
    let places: Vec<_> = list(&container["volumeMounts"]).iter().map(|mount| mount["mountPath"].clone()).collect();
    assert_eq!(places, ["/var/lib/flott-checkpoints"], "Flott's own are computed");
    // It has them from the configuration instead.
    let config = manifests.named("ConfigMap", "demo-config")["data"]["config.yaml"].as_str().unwrap().to_owned();
    for setting in [
        "kubernetes.cluster-id: \"demo\"",
        "kubernetes.namespace: \"apps\"",
        "kubernetes.container.image.ref: \"flott:0.1.0\"",
        "kubernetes.service-account: \"demo\"",
        "kubernetes.priority-class: \"high\"",
        "kubernetes.taskmanager.termination-grace: \"60 s\"",
        "kubernetes.env.secretKeyRef: \"env:FLOTT_TOKEN,secret:shared,key:flott\"",
    ] {
        assert!(config.contains(setting), "{setting} in {config}");
    }
}

#[test]
fn constraints_of_spreading_are_about_the_component() {
    let Some(helm) = helm::or_skipped("constraints_of_spreading_are_about_the_component") else { return };
    let manifests = helm.render("helm/flott/ci/everything.yaml", &[]);
    let pod = &manifests.named("Deployment", "everything-taskmanager")["spec"]["template"]["spec"];
    let spread = &pod["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], "taskmanager");
}
