//! Workers that the JobManager asks for, with the chart's own service account and Role.

use std::fs;

use flott_kubernetes_lab::{skipped, toolchain::Tool};
use flott_tests::{
    binaries::shipped,
    eventually::{PATIENCE, eventually},
    program::{check_output_in_any_order, slim, test_program},
    sandbox::Sandbox,
};
use serde_json::{Value, json};

use crate::{
    application::files,
    release::{Release, cluster, done},
};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const RECORDS: u64 = 4000;
const KEYS: u64 = 20;

const SETTINGS: &[&str] = &[
    "workers=native",
    "checkpoints.persistence.enabled=true",
    "config.execution\\.checkpointing\\.interval=500 ms",
    "config.taskmanager\\.memory\\.process\\.size=512 mb",
    "config.taskmanager\\.cpu\\.cores=0.5",
    "config.resourcemanager\\.taskmanager-timeout=2 s",
];

/// Waits until there are so many TaskManagers, and gives them.
#[track_caller]
fn until_workers(release: &Release<'_>, count: usize) -> Vec<Value> {
    eventually(&format!("{count} TaskManagers"), PATIENCE, || {
        let pods = release.pods("taskmanager");
        if pods.len() == count { Ok(pods) } else { Err(release.seen()) }
    })
}

/// Wants the service account of a release to be allowed what is said to be needed, and nothing beside it.
#[track_caller]
fn check_rights(release: &Release<'_>) {
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]});
    let head = json!({
        "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": [release.name], "verbs": ["get"],
    });
    assert_eq!(release.get(&["role", release.name])["rules"], json!([pods, head]));
    let whom = format!("--as=system:serviceaccount:apps:{}", release.name);
    let may = |words: &[&str]| {
        let output = release.cluster.kubectl().args(["auth", "can-i", "--quiet", &whom]).args(words).output().unwrap();
        output.status.success()
    };
    assert!(may(&["create", "pods", "--namespace=apps"]));
    let forbidden: [&[&str]; 7] = [
        &["create", "pods", "--namespace=default"],
        &["patch", "pods", "--namespace=apps"],
        &["create", "pods", "--subresource=exec", "--namespace=apps"],
        &["get", "secrets", "--namespace=apps"],
        &["get", "configmaps", "--namespace=apps"],
        &["create", "deployments.apps", "--namespace=apps"],
        &["list", "nodes"],
    ];
    for words in forbidden {
        assert!(!may(words), "{words:?} is allowed");
    }
}

#[test]
fn native_workers_need_the_role_of_the_chart_alone_and_go_with_the_release() {
    let test = "native_workers_need_the_role_of_the_chart_alone_and_go_with_the_release";
    let Some(cluster) = cluster(test) else { return };
    let sandbox = Sandbox::new();
    let release = Release::install(&cluster, "native", SETTINGS);
    release.notes_can_be_followed();
    release.helm("test", &[]);
    check_rights(&release);
    assert!(release.pods("taskmanager").is_empty(), "nothing needs one yet");

    let client = release.client();
    let (hold, out) = (format!("hold={SHARED}/hold"), format!("output={SHARED}/out"));
    let (records, keys) = (format!("records={RECORDS}"), format!("keys={KEYS}"));
    let token = format!("security.token={}", release.token());
    let program = slim(&test_program(), sandbox.path());
    let submit = |address: &str, arguments: &[&str]| {
        let run = ["run", "-m", address, "-D", &token, "-d", "-p", "2", &program];
        sandbox.flott(run.iter().chain(arguments)).success().job()
    };
    let job = submit(&client.address, &["held", &records, "splits=400", &keys, &hold, &out]);
    client.rest.until_all_run(&job);
    for pod in until_workers(&release, 2) {
        assert_eq!(pod["spec"]["serviceAccountName"], "native");
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false, "what they run is not trusted with it");
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["name"]), (&"Deployment".into(), &"native".into()));
    }

    // One that somebody deletes is replaced, and told of.
    let (victim, _) = release.pod_uids("taskmanager").remove(0);
    release.kubectl(&["delete", "pod", &victim, "--wait=false"]);
    eventually("the loss to be told", PATIENCE, || {
        let told = client.rest.exceptions(&job);
        let is_it = |failure: &Value| {
            let report = failure["stacktrace"].as_str().unwrap_or_default();
            failure["taskManagerId"] == victim && report.contains("TaskManager lost: deleted by somebody")
        };
        if told.iter().any(is_it) { Ok(()) } else { Err(Value::from(told)) }
    });
    client.rest.until_all_run(&job);
    let workers = release.pod_uids("taskmanager");
    assert!(workers.len() == 2 && workers.iter().all(|(name, _)| *name != victim), "{workers:?}");

    // The next JobManager takes them over, also one of another revision.
    release.replace_jobmanager(&["--wait=false"]);
    release.client().rest.until_all_run(&job);
    release.upgrade(&[SETTINGS, &["config.heartbeat\\.timeout=9 s"]].concat());
    release.client().rest.until_all_run(&job);
    release.helm("rollback", &["1", "--wait", "--timeout=2m"]);
    let client = release.client();
    client.rest.until_all_run(&job);
    assert_eq!(release.pod_uids("taskmanager"), workers, "they are those of before");

    let rescale = ["rescale", "-m", &client.address, "-D", &token, &job, "-p", "3"];
    sandbox.flott(rescale).success().prints(&["rescaled from checkpoint"]);
    until_workers(&release, 3);
    let shared = release.directory("native-checkpoints");
    fs::write(shared.join("hold"), "").unwrap();
    client.rest.finished(&job);
    check_output_in_any_order(shared.join("out").to_str().unwrap(), RECORDS, KEYS);
    until_workers(&release, 0);

    // What runs when a release is uninstalled goes with it.
    let never = format!("hold={SHARED}/never");
    let job = submit(&client.address, &["held", &never]);
    client.rest.until_all_run(&job);
    until_workers(&release, 2);
    drop(client);
    release.uninstall(&["persistentvolumeclaim/native-checkpoints"]);
}

#[test]
fn an_application_asks_for_its_own_workers_and_leaves_none() {
    let Some(cluster) = cluster("an_application_asks_for_its_own_workers_and_leaves_none") else { return };
    let sandbox = Sandbox::new();
    let release = Release { cluster: &cluster, name: "single" };
    let (hold, out) = (format!("hold={SHARED}/hold"), format!("output={SHARED}/out"));
    files(&release, &sandbox, &["held", &hold, &out]);
    let application = [
        "mode=application",
        "checkpoints.persistence.keep=false",
        "application.volume.persistentVolumeClaim.claimName=single-files",
    ];
    let release = Release::install(&cluster, "single", &[SETTINGS, &application].concat());
    release.notes_can_be_followed();
    // Helm does not wait for the pod of a Job.
    release.until_led(&[]);
    release.helm("test", &[]);
    let client = release.client();
    let job = eventually("the job", PATIENCE, || {
        let jobs = client.rest.get("/jobs");
        jobs["jobs"][0]["id"].as_str().map(str::to_owned).ok_or(jobs)
    });
    client.rest.until_all_run(&job);
    let worker = &until_workers(&release, 1)[0];
    assert_eq!(worker["metadata"]["ownerReferences"][0]["kind"], "Job");
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]});
    assert_eq!(release.get(&["role", "single"])["rules"], json!([pods]));
    drop(client);

    let shared = release.directory("single-checkpoints");
    fs::write(shared.join("hold"), "").unwrap();
    release.until_job("Complete");
    check_output_in_any_order(shared.join("out").to_str().unwrap(), 1000, 10);
    until_workers(&release, 0);
    release.uninstall(&[]);
    let left = done(cluster.kubectl().args(["get", "pods", "--namespace=apps", "--output=name"]));
    assert!(!left.contains("single"), "{left}");
}

#[test]
fn the_role_is_about_pod_groups_only_where_volcano_lets_gangs_in() {
    let test = "the_role_is_about_pod_groups_only_where_volcano_lets_gangs_in";
    let Some(toolchain) = skipped::without_toolchain(test) else { return };
    let rules = |settings: &[&str]| {
        let line =
            ["template", "demo", &*shipped("helm/flott"), "--show-only=templates/rbac.yaml", "--set=workers=native"];
        let role = done(toolchain.command(Tool::Helm).args(line).args(settings));
        role.split("\n  - ").filter(|rule| rule.contains("podgroups")).map(str::to_owned).collect::<Vec<_>>()
    };
    let gang = "--set=config.kubernetes\\.gang-minimum=2,config.slotmanager\\.number-of-slots\\.min=2";
    let system = |name| format!("--set=config.kubernetes\\.queue-system={name}");
    assert_eq!(rules(&[]), [""; 0]);
    assert_eq!(rules(&[gang, &system("kueue")]), [""; 0]);
    assert_eq!(rules(&[&system("volcano")]), [""; 0]);
    let allowed = rules(&[gang, &system("volcano")]);
    assert_eq!(allowed.len(), 2, "{allowed:?}");
    assert!(allowed[0].contains("verbs: [create]"), "{allowed:?}");
    let named = allowed[1].contains("resourceNames: [demo-taskmanagers]") && allowed[1].contains("verbs: [patch]");
    assert!(named, "{allowed:?}");
}
