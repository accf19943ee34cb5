//! Jobs and checkpoints that are remembered in an S3-compatible store, moto's server, while pods come and go that share nothing else.

use std::fs;

use flott_kubernetes_lab::Options;
use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::check_output_in_any_order,
};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

#[path = "../../../snapshot/tests/common/moto.rs"]
mod moto;

use moto::Moto;

use crate::{
    job::name,
    leaders::processes,
    replicas::TO_LEAD,
    world::{RIGHTS, World, own},
};

const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;

#[test]
fn the_next_jobmanager_goes_on_with_what_is_remembered_in_a_bucket() {
    let test = "the_next_jobmanager_goes_on_with_what_is_remembered_in_a_bucket";
    let moto = Moto::start();
    moto.bucket("flott");
    let mut options = Options::nodes(1);
    let (_, port) = moto.address().rsplit_once(':').unwrap();
    options.reach.push(port.parse().unwrap());
    let Some(cluster) = own(test, options) else { return };
    let settings = format!(
        "kubernetes.jobmanager.service-account: candidate\nhigh-availability.type: kubernetes\n\
         high-availability.storageDir: s3://flott/clusters\nexecution.checkpointing.interval: 200 ms\n\
         s3.endpoint: {}\ns3.region: us-east-1\ns3.access-key: key\ns3.secret-key: hush-hush",
        moto.url()
    );
    let world = World::of(cluster, "bucket", &settings);
    world.account("candidate", &[RIGHTS[0], RIGHTS[1], TO_LEAD]);
    world.sandbox.flott(["session", "start", "--backend", "kubernetes"]).success();
    let config = world.kubectl(&["get", "configmap", "demo-config", "-o", "yaml"]);
    assert!(config.contains("s3.endpoint") && !config.contains("hush-hush"), "{config}");

    let (out, hold) = (world.output("out"), world.shared("hold"));
    let numbers = [format!("records={RECORDS}"), format!("keys={KEYS}"), "splits=8".to_owned(), "pace=1".to_owned()];
    let paths = [format!("hold={hold}"), format!("output={out}")];
    let run = ["run", "-d", "-t", "kubernetes-session", "-p", "2", &world.program, "held"];
    let line = run.into_iter().chain(numbers.iter().chain(&paths).map(String::as_str));
    let job = world.sandbox.flott(line).success().job();
    let rest = world.rest();
    rest.until_all_run(&job);
    rest.until_checkpoint(&job);
    let before = processes(&world);

    // In the same pod, and in another one, whose directories are empty.
    let first = name(&world.pods("jobmanager")[0]);
    kill(world.process("jobmanager", &first), Signal::SIGKILL).unwrap();
    world.until_restarted(&first);
    runs_on(&world, &job, &before);
    world.kubectl(&["delete", "pod", &first, "--grace-period=0", "--force"]);
    eventually("another pod", PATIENCE, || {
        let now: Vec<_> = world.pods("jobmanager").iter().map(name).collect();
        if now.len() == 1 && now[0] != first { Ok(()) } else { Err(now.join(", ")) }
    });
    runs_on(&world, &job, &before);

    // What is started anew gets program and state from there.
    let rest = world.rest();
    kill(world.process("taskmanager", &before[0].0), Signal::SIGKILL).unwrap();
    eventually("a restore", PATIENCE, || {
        let restored = rest.get(&format!("/v1/jobs/{job}/checkpoints"))["latest"]["restored"]["external_path"].clone();
        let is_there = restored.as_str().is_some_and(|path| path.starts_with("s3://flott/clusters/demo/"));
        if is_there { Ok(()) } else { Err(restored) }
    });
    rest.until_all_run(&job);
    rest.until_checkpoint(&job);
    fs::write(hold, "").unwrap();
    rest.finished(&job);
    check_output_in_any_order(&out, RECORDS, KEYS);
    drop(rest);
    world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
    world.nothing_is_left();
}

/// Wants the job to run and to take checkpoints, in the processes that it began in.
#[track_caller]
fn runs_on(world: &World, job: &str, before: &[(String, Vec<i32>)]) {
    let rest = world.rest();
    rest.until_all_run(job);
    rest.until_checkpoint(job);
    let failures: Vec<Value> = rest.exceptions(job);
    assert_eq!(processes(world), before, "{failures:?}");
    assert_eq!(rest.attempts(job).iter().max(), Some(&0));
}
