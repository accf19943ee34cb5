//! Several JobManagers of a release, of which one leads.

use std::fs;

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::{check_output_in_any_order, slim, test_program},
    sandbox::Sandbox,
};

use crate::release::{Release, cluster};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const RECORDS: u64 = 2000;
const KEYS: u64 = 10;

const SETTINGS: &[&str] = &[
    "workers=native",
    "highAvailability.enabled=true",
    "jobmanager.replicas=2",
    "checkpoints.persistence.enabled=true",
    "config.execution\\.checkpointing\\.interval=500 ms",
    "config.taskmanager\\.memory\\.process\\.size=512 mb",
    "config.taskmanager\\.cpu\\.cores=0.5",
];

/// The pod that leads: what holds the Lease has its name in it.
#[track_caller]
fn leader(release: &Release<'_>) -> Result<(String, String), String> {
    let lease = release.get(&["lease", &format!("{}-leader", release.name)]);
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let mut pods = release.pod_uids("jobmanager").into_iter();
    let found = pods.find(|(pod, _)| holder.contains(pod.as_str()));
    found.map(|(pod, _)| (pod, holder.to_owned())).ok_or_else(|| lease.to_string())
}

#[test]
fn the_role_of_the_chart_is_enough_to_lead_and_to_take_over() {
    let Some(cluster) = cluster("the_role_of_the_chart_is_enough_to_lead_and_to_take_over") else { return };
    let sandbox = Sandbox::new();
    let release = Release::install(&cluster, "several", SETTINGS);
    release.helm("test", &[]);
    let (token, client) = (release.token(), release.client());
    let program = slim(&test_program(), sandbox.path());
    let own = [format!("records={RECORDS}"), format!("keys={KEYS}"), "splits=100".to_owned()];
    let paths = [format!("hold={SHARED}/hold"), format!("output={SHARED}/out")];
    let token = format!("security.token={token}");
    let run = ["run", "-m", &client.address, "-D", &token, "-d", "-p", "2", &program, "held"];
    let job = sandbox.flott(run.into_iter().chain(own.iter().chain(&paths).map(String::as_str))).success().job();
    client.rest.until_all_run(&job);
    drop(client);

    // By force, and in order: then the lease is given back.
    for options in [&["--force", "--grace-period=0"][..], &[]] {
        let (pod, before) = leader(&release).unwrap();
        release.kubectl(&[&["delete", "pod", &pod, "--wait=false"], options].concat());
        eventually("another leader", PATIENCE, || match leader(&release) {
            Ok((_, holder)) if holder != before => Ok(()),
            Ok((_, holder)) => Err(holder),
            Err(lease) => Err(lease),
        });
        release.kubectl(&["rollout", "status", "deployment/several", "--timeout=60s"]);
        let client = release.client();
        client.rest.until_all_run(&job);
        let attempts = client.rest.attempts(&job);
        assert!(!attempts.is_empty() && attempts.iter().all(|attempt| *attempt == 0), "{attempts:?}");
    }

    let shared = release.directory("several-checkpoints");
    fs::write(shared.join("hold"), "").unwrap();
    release.client().rest.finished(&job);
    check_output_in_any_order(shared.join("out").to_str().unwrap(), RECORDS, KEYS);
    release.uninstall(&["persistentvolumeclaim/several-checkpoints"]);
    // It belongs to the Deployment.
    eventually("no lease to be left", PATIENCE, || {
        let left = release.kubectl(&["get", "leases", "--output=name"]);
        if left.contains("several") { Err(left) } else { Ok(()) }
    });
}
