//! Applications whose JobManager is lost, with its node or without it, where the next one finds the job in a shared directory.

use std::{fs, path::Path};

use flott_kubernetes_lab::Options;
use flott_tests::{
    checkpoints::until_checkpoint,
    eventually::{PATIENCE, eventually},
    pod,
    program::check_output_in_any_order,
    sandbox::Sandbox,
};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::{
    application::files,
    release::{NAMESPACE, Release, done, own},
};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const RECORDS: u64 = 10_000;
const KEYS: u64 = 20;

/// TaskManagers have a node of their own, which stays.
const SETTINGS: &[&str] = &[
    "mode=application",
    "highAvailability.enabled=true",
    "checkpoints.persistence.enabled=true",
    "checkpoints.persistence.keep=false",
    "config.execution\\.checkpointing\\.interval=200 ms",
    "config.taskmanager\\.memory\\.process\\.size=512 mb",
    "jobmanager.resources.requests.cpu=250m",
    "jobmanager.nodeSelector.pool=control",
    "jobmanager.nodeLossSeconds=1",
    "taskmanager.nodeSelector.pool=workers",
    "taskmanager.replicas=1",
];

/// The pod of the JobManager that is ready.
#[track_caller]
fn jobmanager(release: &Release<'_>) -> Value {
    eventually("a JobManager that is ready", PATIENCE, || {
        let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        release.pods("jobmanager").into_iter().find(is_ready).ok_or_else(|| release.seen())
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Waits until all tasks run under that JobManager, and until a checkpoint is complete that has begun since.
#[track_caller]
fn goes_on(release: &Release<'_>, pod: &Value, job: &str, checkpoints: &Path) {
    let client = release.client_of(text(pod, "/metadata/name"), 8081, &release.token());
    client.rest.until_all_run(job);
    until_checkpoint(checkpoints);
}

#[test]
fn an_application_goes_on_when_its_jobmanager_is_killed_and_when_its_node_is_lost() {
    let test = "an_application_goes_on_when_its_jobmanager_is_killed_and_when_its_node_is_lost";
    let Some(cluster) = own(test, Options::nodes(3)) else { return };
    for (node, pool) in [("node-0", "control"), ("node-1", "control"), ("node-2", "workers")] {
        done(cluster.kubectl().args(["label", "node", node, &format!("pool={pool}")]));
    }
    for (name, own) in [("lost", &[][..]), ("lost-native", &["workers=native", "config.taskmanager\\.cpu\\.cores=0.5"])]
    {
        let sandbox = Sandbox::new();
        let release = Release { cluster: &cluster, name };
        let (hold, out) = (format!("hold={SHARED}/hold"), format!("output={SHARED}/out"));
        let (records, keys) = (format!("records={RECORDS}"), format!("keys={KEYS}"));
        files(&release, &sandbox, &["held", &records, &keys, "splits=8", "pace=1", &hold, &out]);
        let volume = format!("application.volume.persistentVolumeClaim.claimName={name}-files");
        let release = Release::install(&cluster, name, &[SETTINGS, own, &[&volume]].concat());
        let first = jobmanager(&release);
        let client = release.client_of(text(&first, "/metadata/name"), 8081, &release.token());
        let job = eventually("the job", PATIENCE, || {
            let jobs = client.rest.get("/jobs");
            jobs["jobs"][0]["id"].as_str().map(str::to_owned).ok_or(jobs)
        });
        client.rest.until_all_run(&job);
        drop(client);
        let shared = release.directory(&format!("{name}-checkpoints"));
        let checkpoints = shared.join("checkpoints");

        let pod = text(&first, "/metadata/name");
        kill(pod::process(NAMESPACE, "jobmanager", pod), Signal::SIGKILL).unwrap();
        eventually("its container to be started again", PATIENCE, || {
            let found = release.get(&["pod", pod]);
            let restarts = &found["status"]["containerStatuses"][0]["restartCount"];
            if *restarts == 1 { Ok(()) } else { Err(restarts.to_string()) }
        });
        let second = jobmanager(&release);
        assert_eq!(text(&second, "/metadata/name"), pod, "its pod is the same");
        goes_on(&release, &second, &job, &checkpoints);

        let node = text(&first, "/spec/nodeName");
        cluster.crash_node(node).unwrap();
        let third = eventually("a JobManager on another node", PATIENCE, || {
            let found = jobmanager(&release);
            if text(&found, "/spec/nodeName") == node { Err(release.seen()) } else { Ok(found) }
        });
        let of_old = release.get(&["pod", pod]);
        assert!(of_old["metadata"]["deletionTimestamp"].is_string(), "the last one still counts as ending");
        goes_on(&release, &third, &job, &checkpoints);

        fs::write(shared.join("hold"), "").unwrap();
        let last_words = eventually("the end of the JobManager", PATIENCE, || {
            let found = release.get(&["pod", text(&third, "/metadata/name")]);
            let ended = &found["status"]["containerStatuses"][0]["state"]["terminated"];
            if ended["exitCode"] == 0 { Ok(text(ended, "/message").to_owned()) } else { Err(release.seen()) }
        });
        let ended: Value = serde_json::from_str(&last_words).unwrap();
        assert_eq!((text(&ended, "/job"), text(&ended, "/status")), (&*job, "FINISHED"));
        check_output_in_any_order(shared.join("out").to_str().unwrap(), RECORDS, KEYS);
        cluster.add_node(node, cluster.node_options()).unwrap();
        release.until_job("Complete");
        release.uninstall(&[]);
    }
}
