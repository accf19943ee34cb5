//! A session with all that a release may have beside it: what scales it, what guards it, what leads to it, and Secrets of others.

use std::process::{Command, Stdio};

use flott_kubernetes_lab::{Options, command::output};
use flott_tests::{
    certificates::Certificates,
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    sandbox::Sandbox,
};
use serde_json::{Value, json};

use crate::release::{NAMESPACE, Release, done, own};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const TOKEN: &str = "that-of-somebody-else";

const SETTINGS: &[&str] = &[
    "token.existingSecret=own-token",
    "token.key=flott",
    "tls.enabled=true",
    "tls.existingSecret=own-tls",
    "taskmanager.autoscaling.enabled=true",
    "taskmanager.autoscaling.maxReplicas=4",
    "taskmanager.resources.requests.cpu=250m",
    "config.taskmanager\\.memory\\.process\\.size=512 mb",
    "jobmanager.resources.requests.cpu=250m",
    "service.enabled=true",
    "ingress.enabled=true",
    "ingress.className=nginx",
    "ingress.hosts[0]=flott.example",
    "podDisruptionBudget.jobmanager.enabled=true",
    "checkpoints.persistence.enabled=true",
    "checkpoints.persistence.keep=false",
];

/// Asks the API server to evict a pod, as a drain does.
fn evict(release: &Release<'_>, sandbox: &Sandbox, pod: &str) -> Result<String, String> {
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod, "namespace": NAMESPACE },
    });
    let file = sandbox.write("eviction.json", body.to_string());
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
    output(release.cluster.kubectl().args(["create", "--raw", &path, "-f", &file]))
}

/// Wants an eviction to be refused for now, with 429, because of a budget.
#[track_caller]
fn is_guarded(answer: Result<String, String>) {
    let refused = answer.expect_err("a budget forbids this");
    let is_it = refused.contains("TooManyRequests") && refused.contains("would violate the pod's disruption budget");
    assert!(is_it, "{refused}");
}

/// Waits until so many TaskManagers run, and so many may be away, as the budget counts.
#[track_caller]
fn until_workers(release: &Release<'_>, count: usize) -> Vec<(String, String)> {
    eventually(&format!("{count} TaskManagers that the budget knows of"), PATIENCE, || {
        let budget = release.get(&["poddisruptionbudget", "full-taskmanager"]);
        let status = &budget["status"];
        let pods = release.pod_uids("taskmanager");
        let is_so = status["currentHealthy"] == count && status["expectedPods"] == count && pods.len() == count;
        if is_so && status["disruptionsAllowed"] == 1 { Ok(pods) } else { Err(status.to_string()) }
    })
}

/// What the autoscaler says of a condition.
fn condition(release: &Release<'_>, kind: &str) -> Result<Value, String> {
    let autoscaler = release.get(&["horizontalpodautoscaler", "full-taskmanager"]);
    let conditions = autoscaler["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|one| one["type"] == kind).ok_or_else(|| autoscaler["status"].to_string())
}

/// Asks for the jobs as `helm test` does, by the Service that clients have.
#[track_caller]
fn client_service_leads_there(release: &Release<'_>) {
    let hooks = done(release.cluster.helm().args(["get", "hooks", release.name, "--namespace", NAMESPACE]));
    let (name, address) = ("name: full-test", "--jobmanager=full.apps:8081");
    assert!(hooks.contains(name) && hooks.contains(address), "{hooks}");
    let pod = hooks.replace(name, "name: full-client").replace(address, "--jobmanager=full-rest.apps:8081");
    let mut kubectl = release.cluster.kubectl();
    kubectl.args(["--namespace", NAMESPACE, "create", "--filename", "-"]).stdin(Stdio::piped());
    run_with(kubectl, &pod);
    let end = eventually("the client to end", PATIENCE, || {
        let phase = release.kubectl(&["get", "pod", "full-client", "--output=jsonpath={.status.phase}"]);
        if ["Succeeded", "Failed"].contains(&&*phase) { Ok(phase) } else { Err(release.seen()) }
    });
    assert_eq!(end, "Succeeded", "{}", release.kubectl(&["logs", "full-client"]));
    release.kubectl(&["delete", "pod", "full-client"]);
}

#[track_caller]
fn run_with(mut command: Command, input: &str) {
    use std::io::Write;
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_release_with_everything_is_scaled_guarded_and_reached_and_leaves_nothing() {
    let test = "a_release_with_everything_is_scaled_guarded_and_reached_and_leaves_nothing";
    let Some(cluster) = own(test, Options::nodes(2)) else { return };
    let sandbox = Sandbox::new();
    let release = Release { cluster: &cluster, name: "full" };
    let names = ["full.apps", "full-rest.apps", "127.0.0.1"];
    let certificates = Certificates::new(sandbox.at("certificates"), &names);
    let files = ["tls.crt", "tls.key", "ca.crt"];
    let files = files.map(|name| format!("--from-file={name}={}", certificates.path(name).display()));
    release.kubectl(&[&["create", "secret", "generic", "own-tls"], &files.each_ref().map(|file| &**file)[..]].concat());
    release.kubectl(&["create", "secret", "generic", "own-token", &format!("--from-literal=flott={TOKEN}")]);
    let release = Release::install(&cluster, "full", SETTINGS);
    release.helm("test", &[]);
    client_service_leads_there(&release);

    // A Service of the name and the port that the Ingress leads to is there.
    let ingress = release.get(&["ingress", "full"]);
    let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    let service = release.get(&["service", backend["name"].as_str().unwrap()]);
    assert_eq!(service["spec"]["ports"][0]["name"], backend["port"]["name"]);
    // None but those of others.
    let own = release.get(&["secrets", "--selector", "app.kubernetes.io/instance=full"]);
    assert_eq!(own["items"], json!([]));

    // What scales the Deployment is there alone to say how many there are.
    let able = eventually("the autoscaler to find what it scales", PATIENCE, || condition(&release, "AbleToScale"));
    assert_eq!((&able["status"], &able["reason"]), (&json!("True"), &json!("SucceededGetScale")), "{able}");
    release.kubectl(&["scale", "deployment/full-taskmanager", "--replicas=3"]);
    until_workers(&release, 3);
    release.upgrade(&[SETTINGS, &["config.heartbeat\\.timeout=9 s"]].concat());
    assert_eq!(release.get(&["deployment", "full-taskmanager"])["spec"]["replicas"], 3);
    let before = until_workers(&release, 3);

    // The JobManager is moved by people alone; TaskManagers go one at a time.
    is_guarded(evict(&release, &sandbox, &release.pod_uids("jobmanager")[0].0));
    let nodes = |verb: &str| drop(output(cluster.kubectl().args([verb, "node-0", "node-1"])).unwrap());
    nodes("cordon");
    evict(&release, &sandbox, &before[0].0).unwrap();
    is_guarded(evict(&release, &sandbox, &before[1].0));
    nodes("uncordon");
    let after = until_workers(&release, 3);
    assert!(!after.contains(&before[0]) && after.contains(&before[1]), "{before:?}, then {after:?}");
    evict(&release, &sandbox, &before[1].0).unwrap();
    until_workers(&release, 3);

    // And it works, for who has that token and trusts that authority.
    let pod = &release.pod_uids("jobmanager")[0].0;
    let client = release.client_of(pod, 8081, TOKEN);
    let (url, token) = (format!("https://{}", client.address), format!("security.token={TOKEN}"));
    let ca = format!("security.ssl.rest.ca={}", certificates.path("ca.crt").display());
    let known = ["-m", &url, "-D", &token, "-D", &ca, "-D", "security.ssl.rest.server-name=full.apps"];
    let output_at = format!("output={SHARED}/out");
    let program = test_program();
    sandbox.flott([&["run", "-p", "2"], &known[..], &[&*program, "a", &output_at]].concat()).success();
    let shared = release.directory("full-checkpoints");
    check_output(shared.join("out").to_str().unwrap(), 1000, 10);
    drop(client);
    release.uninstall(&[]);
    release.kubectl(&["get", "secrets", "own-token", "own-tls"]);
}
