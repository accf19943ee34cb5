//! What a Prometheus would collect that goes by the PodMonitors: ports, paths and tokens are those that they name.

use flott_tests::{
    eventually::{PATIENCE, eventually},
    metrics::Collected,
    program::test_program,
    rest::Rest,
    sandbox::Sandbox,
};
use serde_json::Value;

use crate::release::{Client, Release, cluster, with_pod_monitors};

const SETTINGS: &[&str] = &["podMonitor.enabled=true", "config.taskmanager\\.metrics\\.port=9249"];
const NATIVE: &[&str] = &["workers=native", "jobmanager.persistence.enabled=false"];

/// Every target of a monitor, as its operator finds them: pods by their labels, with a port of that name.
#[track_caller]
fn targets(release: &Release<'_>, monitor: &str) -> Vec<Client> {
    let spec = release.get(&["podmonitor", monitor])["spec"].clone();
    let endpoint = &spec["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["path"], &endpoint["authorization"]["type"]), (&"/metrics".into(), &"Bearer".into()));
    let credentials = &endpoint["authorization"]["credentials"];
    let token = release.secret(credentials["name"].as_str().unwrap(), credentials["key"].as_str().unwrap());
    let labels = spec["selector"]["matchLabels"].as_object().expect("it chooses by labels");
    let selector: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    let pods = release.get(&["pods", "--selector", &selector.join(",")]);
    let target = |pod: &Value| {
        let ports = pod["spec"]["containers"][0]["ports"].as_array().cloned().unwrap_or_default();
        let port = ports.iter().find(|port| port["name"] == endpoint["port"]).expect("the pod has the port");
        let port = u16::try_from(port["containerPort"].as_u64().unwrap()).unwrap();
        release.client_of(pod["metadata"]["name"].as_str().unwrap(), port, &token)
    };
    pods["items"].as_array().unwrap().iter().map(target).collect()
}

#[track_caller]
fn check(name: &'static str, settings: &[&str], test: &str) {
    let Some(cluster) = cluster(test) else { return };
    with_pod_monitors(&cluster);
    let sandbox = Sandbox::new();
    let release = Release::install(&cluster, name, settings);
    let client = release.client();
    let token = format!("security.token={}", release.token());
    let run = ["run", "-m", &client.address, "-D", &token, "-d", "-p", "2", &*test_program(), "a", "hold=/tmp/never"];
    let job = sandbox.flott(run).success().job();
    client.rest.until_all_run(&job);

    let leaders = targets(&release, &format!("{name}-jobmanager"));
    assert_eq!(leaders.len(), 1);
    eventually("all subtasks to be told of", PATIENCE, || {
        let collected = Collected::of(&leaders[0].rest);
        let workers = collected.value("jobmanager_numRegisteredTaskManagers", &[]);
        let tasks = collected.series("taskmanager_job_task_numRecordsIn", &[("job_id", &job)]).count();
        if (workers, tasks) == (Some(2.0), 4) { Ok(()) } else { Err(format!("{workers:?} {tasks}")) }
    });
    leaders[0].rest.try_get("/overview").refused(401, &["token"]);
    let workers = targets(&release, &format!("{name}-taskmanager"));
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        let collected = Collected::of(&worker.rest);
        assert_eq!(collected.value("taskmanager_registered", &[]), Some(1.0));
        assert_eq!(collected.series("taskmanager_job_Process_Memory_Resident", &[("job_id", &job)]).count(), 1);
        assert_eq!(Rest::new(&worker.address).try_get("/metrics").status, 401);
    }
    client.rest.cancel(&job);
    drop((client, leaders, workers));
    release.uninstall(&[]);
    assert_eq!(
        release.kubectl(&[
            "get",
            "podmonitors",
            "--selector",
            &format!("app.kubernetes.io/instance={name}"),
            "--output=name"
        ]),
        ""
    );
}

#[test]
fn a_collector_that_goes_by_the_monitors_finds_everybody() {
    let persistence = ["jobmanager.persistence.enabled=false"];
    let settings = [SETTINGS, &persistence].concat();
    check("measured", &settings, "a_collector_that_goes_by_the_monitors_finds_everybody");
}

#[test]
fn a_collector_that_goes_by_the_monitors_finds_native_workers() {
    let settings = [SETTINGS, NATIVE].concat();
    check("measured-native", &settings, "a_collector_that_goes_by_the_monitors_finds_native_workers");
}
