use flott_tests::eventually::{PATIENCE, eventually};
use nix::sys::signal::Signal;

use crate::world::World;

const START: [&str; 4] = ["session", "start", "--backend", "kubernetes"];
const STOP: [&str; 4] = ["session", "stop", "--backend", "kubernetes"];

#[test]
fn of_two_clients_that_make_the_same_cluster_one_wins_and_the_other_says_so() {
    let test = "of_two_clients_that_make_the_same_cluster_one_wins_and_the_other_says_so";
    let Some(world) = World::new(test, "contended", "") else { return };
    let clients = [world.sandbox.start_flott(START), world.sandbox.start_flott(START)];
    let mut ends = clients.map(|client| client.end());
    ends.sort_by_key(|end| end.status.code());
    let [winner, loser] = ends;
    winner.success();
    loser
        .expect(1)
        .says(&["the cluster id demo is taken in namespace \"contended\": a session cluster of that name runs"]);
    world.sandbox.flott(STOP).success();
    world.nothing_is_left();
}

#[test]
fn of_two_clients_that_start_a_job_in_the_same_cluster_one_runs_it() {
    let test = "of_two_clients_that_start_a_job_in_the_same_cluster_one_runs_it";
    let Some(world) = World::new(test, "raced", "kubernetes.finished-ttl: 5 s") else { return };
    let hold = format!("hold={}", world.shared("never"));
    let run = ["run", "-t", "kubernetes-application", "-d", &world.program, "held", &hold];
    let clients = [world.sandbox.start_flott(run), world.sandbox.start_flott(run)];
    let mut ends = clients.map(|client| client.end());
    ends.sort_by_key(|end| end.status.code());
    let [winner, loser] = ends;
    let job = winner.success().job();
    loser
        .expect(1)
        .says(&["the cluster id demo is taken in namespace \"raced\": a cluster of one job of that name runs"]);
    world.sandbox.flott(["cancel", &job, "-t", "kubernetes-application"]).success();
    world.kubectl(&["wait", "job/demo", "--for=condition=Complete", "--timeout=60s"]);
    world.sandbox.flott(["jobs", "wait", &job, "-t", "kubernetes-application"]).expect(4);
    world.nothing_is_left();
}

#[test]
fn what_a_client_has_left_half_made_is_cleaned_up_by_the_next() {
    let test = "what_a_client_has_left_half_made_is_cleaned_up_by_the_next";
    let Some(world) = World::new(test, "half", "") else { return };
    // Killed at whatever point; what matters is that the head is there.
    for _ in 0..2 {
        let client = world.sandbox.start_flott(START);
        eventually("the head of the cluster", PATIENCE, || world.try_kubectl(&["get", "deployment", "demo"]));
        client.kill();
        world.sandbox.flott(STOP).success();
        world.nothing_is_left();
    }
    // As it is before the head is woken.
    world.create(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: demo, labels: {app.kubernetes.io/name: flott, \
         app.kubernetes.io/instance: demo, app.kubernetes.io/managed-by: flott}, annotations: {flott.dev/creating: 'true', \
         flott.dev/maker: other}}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: \
         {a: b}}, spec: {containers: [{name: flott, image: busybox}]}}}}",
    );
    let list = ["list", "-t", "kubernetes-session"];
    world.sandbox.flott(list).refused(3, &["cluster demo is being made by another client"]);
    let started = world.sandbox.flott(START).success();
    started.says(&["another client is making cluster demo", "removing what a client has left of cluster demo"]);
    world.sandbox.flott(STOP).success();
    world.nothing_is_left();
}

#[test]
fn an_interrupted_start_leaves_nothing() {
    let lines = "kubernetes.jobmanager.node-selector: no:such";
    let Some(world) = World::new("an_interrupted_start_leaves_nothing", "interrupted", lines) else { return };
    let mut client = world.sandbox.start_flott(START);
    client.until_printed("is pending because of unschedulable");
    client.signal(Signal::SIGINT);
    client.end().expect(4).says(&["interrupted before cluster demo was there"]);
    world.nothing_is_left();
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let Some(world) = World::new("what_belongs_to_others_is_left_alone", "others", "") else { return };
    world.kubectl(&["create", "service", "clusterip", "demo", "--tcp=80"]);
    world.sandbox.flott(START).refused(1, &["Service \"demo\" that belongs to no Flott cluster"]);
    world.nothing_is_left();
    world.kubectl(&["get", "service", "demo"]);
    world.kubectl(&["create", "deployment", "demo", "--image=busybox", "--replicas=0"]);
    world.sandbox.flott(START).refused(1, &["there is a Deployment of that name which is no Flott cluster"]);
    world.sandbox.flott(STOP).refused(1, &["there is a Deployment of that name which is no Flott cluster"]);
    world.kubectl(&["get", "deployment", "demo"]);
}
