//! Clusters of one job: a Job of Kubernetes that ends as Flott's does.

use std::{fs, path::Path};

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    sandbox::Sandbox,
};
use serde_json::json;

use crate::release::{Release, cluster};

const SHARED: &str = "/var/lib/flott-checkpoints";

/// With the claim that holds the job.
const HELD: &str = "application.volume.persistentVolumeClaim.claimName=held-files";
const FAILS: &str = "application.volume.persistentVolumeClaim.claimName=fails-files";

const SETTINGS: &[&str] =
    &["mode=application", "checkpoints.persistence.enabled=true", "checkpoints.persistence.keep=false"];

/// A claim with the graph and the program of a job.
#[track_caller]
pub fn files(release: &Release<'_>, sandbox: &Sandbox, program: &[&str]) {
    let name = format!("{}-files", release.name);
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteMany"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let manifest = sandbox.write("claim.json", claim.to_string());
    release.kubectl(&["apply", "--filename", &manifest]);
    let directory = release.directory(&name);
    fs::create_dir_all(&directory).unwrap();
    let graph = directory.join("job.graph");
    sandbox.flott(["plan", "-o", graph.to_str().unwrap(), &test_program()].iter().chain(program)).success();
    fs::copy(test_program(), directory.join("program")).unwrap();
    readable(&directory);
    readable(&graph);
}

/// By everybody, as the files of an image are.
pub fn readable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_application_goes_on_in_other_pods_and_completes_with_its_job() {
    let test = "an_application_goes_on_in_other_pods_and_completes_with_its_job";
    let Some(cluster) = cluster(test) else { return };
    let sandbox = Sandbox::new();
    let release = Release { cluster: &cluster, name: "held" };
    let (hold, out) = (format!("hold={SHARED}/hold"), format!("output={SHARED}/out"));
    files(&release, &sandbox, &["held", &hold, &out]);
    let release = Release::install(&cluster, "held", &[SETTINGS, &[HELD]].concat());
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

    // Told to go, it leaves the job to the next pod, which is no failure of the Job.
    release.replace_jobmanager(&["--wait=false"]);
    release.client().rest.until_all_run(&job);
    assert!(release.jobs()[0]["status"]["failed"].is_null());
    // Another pod is another Job.
    let before = release.jobs()[0]["metadata"]["name"].clone();
    release.upgrade(&[SETTINGS, &[HELD, "log=debug"]].concat());
    eventually("the old Job to be gone, and the next to lead", PATIENCE * 2, || {
        let items = release.jobs();
        let new = items.len() == 1 && items[0]["metadata"]["name"] != before && items[0]["status"]["ready"] == 1;
        if new { Ok(()) } else { Err(release.seen()) }
    });
    release.client().rest.until_all_run(&job);

    let shared = release.directory("held-checkpoints");
    fs::write(shared.join("hold"), "").unwrap();
    release.until_job("Complete");
    check_output(shared.join("out").to_str().unwrap(), 1000, 10);
    release.uninstall(&[]);
}

#[test]
fn a_job_that_fails_fails_the_application_without_another_try() {
    let test = "a_job_that_fails_fails_the_application_without_another_try";
    let Some(cluster) = cluster(test) else { return };
    let sandbox = Sandbox::new();
    let release = Release { cluster: &cluster, name: "fails" };
    files(&release, &sandbox, &["fails", "trouble=exit"]);
    // It may end before all TaskManagers are there, so that nothing is waited for.
    let chart = flott_tests::binaries::shipped("helm/flott");
    let settings = [SETTINGS, &[FAILS, "config.restart-strategy\\.type=none"]].concat();
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    release.helm("install", &[&*chart].into_iter().chain(settings).collect::<Vec<_>>());
    release.until_job("Failed");
    assert_eq!(release.jobs()[0]["status"]["failed"], 1);
    release.uninstall(&[]);
}
