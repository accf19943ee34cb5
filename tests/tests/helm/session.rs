//! A session with standalone workers.

use std::fs;

use flott_tests::{
    program::{check_output, test_program},
    sandbox::Sandbox,
};

use crate::release::{Release, cluster};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const RECORDS: u64 = 4000;
const KEYS: u64 = 20;

const SETTINGS: &[&str] =
    &["checkpoints.persistence.enabled=true", "config.execution\\.checkpointing\\.interval=500 ms"];

#[test]
fn a_session_goes_on_through_lost_pods_upgrade_and_rollback_and_leaves_nothing() {
    let test = "a_session_goes_on_through_lost_pods_upgrade_and_rollback_and_leaves_nothing";
    let Some(cluster) = cluster(test) else { return };
    let sandbox = Sandbox::new();
    let release = Release::install(&cluster, "demo", SETTINGS);
    release.notes_can_be_followed();
    release.helm("test", &[]);
    assert!(release.pods("test").is_empty(), "a test that has passed leaves no pod");
    let token = release.token();

    let client = release.client();
    let (hold, out) = (format!("hold={SHARED}/hold"), format!("output={SHARED}/out"));
    let (records, keys) = (format!("records={RECORDS}"), format!("keys={KEYS}"));
    let settings = format!("security.token={token}");
    let run = ["run", "-m", &client.address, "-D", &settings, "-d", "-p", "2"];
    let program = [&*test_program(), "held", &records, "splits=400", &keys, &hold, &out];
    let job = sandbox.flott(run.iter().chain(&program)).success().job();
    client.rest.until_all_run(&job);
    let workers = release.pod_uids("taskmanager");
    assert_eq!(workers.len(), 2);

    // Another pod with another address: the tasks run on.
    for how in [&["--wait=false"][..], &["--grace-period=0", "--force"][..]] {
        release.replace_jobmanager(how);
        let client = release.client();
        client.rest.until_all_run(&job);
        assert_eq!(client.rest.attempts(&job), [0; 4], "{how:?}");
        assert_eq!(release.pod_uids("taskmanager"), workers);
    }

    release.upgrade(&[SETTINGS, &["taskmanager.replicas=3", "config.heartbeat\\.timeout=9 s"]].concat());
    assert_eq!(release.token(), token, "an upgrade keeps the token");
    assert_eq!(release.pod_uids("taskmanager").len(), 3);
    release.client().rest.until_all_run(&job);

    release.helm("rollback", &["1", "--wait", "--timeout=2m"]);
    assert_eq!(release.token(), token);
    let client = release.client();
    client.rest.until_all_run(&job);
    let shared = release.directory("demo-checkpoints");
    fs::write(shared.join("hold"), "").unwrap();
    client.rest.finished(&job);
    check_output(shared.join("out").to_str().unwrap(), RECORDS, KEYS);
    drop(client);

    release.uninstall(&["persistentvolumeclaim/demo-checkpoints"]);
}
