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
    release::{NAMESPACE, Release, cluster, done, own},
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

/// The only job of an application, once all its tasks run.
fn running_job(release: &Release<'_>, pod: &Value) -> String {
    let client = release.client_of(text(pod, "/metadata/name"), 8081, &release.token());
    let job = eventually("the job", PATIENCE, || {
        let jobs = client.rest.get("/jobs");
        jobs["jobs"][0]["id"].as_str().map(str::to_owned).ok_or(jobs)
    });
    client.rest.until_all_run(&job);
    job
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
        let job = running_job(&release, &first);
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

/// The condition of a Job, if it has it.
fn condition<'a>(job: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut conditions = job["status"]["conditions"].as_array()?.iter();
    conditions.find(|one| one["type"] == kind && one["status"] == "True")
}

/// Names of the pods that were made for a Job.
fn made_for(release: &Release<'_>, job: &str) -> Vec<String> {
    let selector = format!("reason=SuccessfulCreate,involvedObject.kind=Job,involvedObject.name={job}");
    let events = release.get(&["events", "--field-selector", &selector]);
    events["items"].as_array().unwrap().iter().map(|event| text(event, "/message").to_owned()).collect()
}

#[test]
fn a_job_that_fails_after_a_pod_of_its_jobmanager_was_lost_fails_the_application_without_another_try() {
    let test = "a_job_that_fails_after_a_pod_of_its_jobmanager_was_lost_fails_the_application_without_another_try";
    let Some(cluster) = cluster(test) else { return };
    let own = ["mode=application", "config.restart-strategy\\.type=none", "config.taskmanager\\.cpu\\.cores=0.5"];
    let settings = [&SETTINGS[1..7], &own].concat();
    for (name, workers) in [("failed", "workers=standalone"), ("failed-native", "workers=native")] {
        let sandbox = Sandbox::new();
        let release = Release { cluster: &cluster, name };
        let (hold, when) = (format!("hold={SHARED}/hold"), format!("when={SHARED}/now"));
        files(&release, &sandbox, &["fails", &hold, "trouble=exit", &when]);
        let volume = format!("application.volume.persistentVolumeClaim.claimName={name}-files");
        let release = Release::install(&cluster, name, &[&settings[..], &[workers, &*volume]].concat());
        let first = jobmanager(&release);
        let job = running_job(&release, &first);
        // A pod that was lost is no failure, though Kubernetes counts it as one.
        release.replace_jobmanager(&["--wait=false"]);
        let shared = release.directory(&format!("{name}-checkpoints"));
        goes_on(&release, &jobmanager(&release), &job, &shared.join("checkpoints"));
        let of_kubernetes = text(&release.jobs()[0], "/metadata/name").to_owned();
        assert_eq!(made_for(&release, &of_kubernetes).len(), 2);

        fs::write(shared.join("now"), "").unwrap();
        fs::write(shared.join("hold"), "").unwrap();
        let wait = ["wait", "--for=condition=failed", "--timeout=60s"];
        release.kubectl(&[&wait[..], &[&format!("job/{of_kubernetes}")]].concat());
        let ended = &release.jobs()[0];
        let failed = condition(ended, "Failed").expect("kubectl has waited for it");
        assert_eq!(failed["reason"], "FlottJobFailed");
        let message = text(failed, "/message");
        assert!(message.starts_with(&format!("job {job} is FAILED: ")), "{message}");
        assert!(message.contains("ended with exit code 7"), "{message}");
        assert!(condition(ended, "Complete").is_none(), "{ended}");
        assert_eq!(made_for(&release, &of_kubernetes).len(), 2, "{}", release.seen());
        // The controller deletes a pod that it still sees running; of one that has ended before the last words stay.
        for pod in release.pods("jobmanager") {
            let said = text(&pod, "/status/containerStatuses/0/state/terminated/message").to_owned();
            let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {pod}"));
            assert_eq!((text(&said, "/job"), text(&said, "/status")), (&*job, "FAILED"));
        }
        // TaskManagers that the JobManager has asked for end with it; the others are the Deployment's.
        if workers == "workers=native" {
            eventually("no TaskManager to be left", PATIENCE, || {
                let left = release.pods("taskmanager");
                if left.is_empty() { Ok(()) } else { Err(release.seen()) }
            });
            let lease = release.get(&["lease", &format!("{name}-leader")]);
            assert_eq!(text(&lease, "/spec/holderIdentity"), "", "nobody leads any more");
        }
        release.uninstall(&[]);
        let leases = release.kubectl(&["get", "leases", "--output=name"]);
        assert!(!leases.contains(name), "{leases}");
    }
}
