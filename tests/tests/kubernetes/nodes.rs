//! Nodes that are lost, and an API server that is away or does not answer.

use flott_kubernetes_lab::Options;
use flott_tests::{
    eventually::{PATIENCE, eventually},
    proxy::Proxy,
    rest::Rest,
};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::{
    job::{Job, name},
    world::{Client, World, own, run},
};

/// The JobManager stays on its node; TaskManagers are on the others.
const PLACES: &str = "kubernetes.jobmanager.node-selector: kubernetes.io/hostname:node-0\n\
                      kubernetes.taskmanager.node-selector: pool:workers\n\
                      taskmanager.numberOfTaskSlots: 2";

#[test]
fn a_job_goes_on_when_nodes_are_lost_and_while_the_api_server_is_away() {
    let test = "a_job_goes_on_when_nodes_are_lost_and_while_the_api_server_is_away";
    let Some(cluster) = own(test, Options::nodes(3)) else { return };
    run(cluster.kubectl().args(["label", "node", "node-1", "node-2", "pool=workers"]));
    let world = World::of(cluster, "nodes", PLACES);
    let job = Job::start(&world, "2", &[]);

    let rest = world.rest();
    crash(&world, &job, &rest);
    cut_off(&world, &job, &rest);
    drop(rest);
    away(&world, &job);
    job.end();
}

/// The JobManager is outside of the cluster, behind a network of its own.
#[test]
fn a_job_that_waits_tells_that_the_api_server_does_not_answer_until_it_does() {
    let test = "a_job_that_waits_tells_that_the_api_server_does_not_answer_until_it_does";
    let Some(world) = World::new(test, "swallowed", "") else { return };
    let network = Proxy::before(world.cluster.server().trim_start_matches("https://"));
    let token = world.kubectl(&["create", "token", "flott"]);
    let server = format!("https://{}", network.address());
    let file = format!("kubernetes.config.file={}", world.kubeconfig("network", &token, Some(&server)));
    let settings = [&*file, "cluster.backend=kubernetes", "kubernetes.request.timeout=2 s"];
    let settings = settings.into_iter().flat_map(|setting| ["-D", setting]);
    let mut jobmanager = world.sandbox.start_flott(["jobmanager"].into_iter().chain(settings));
    jobmanager.until_printed("TaskManager pods");
    jobmanager.until_printed("the JobManager listens on http://");
    let said = jobmanager.out() + &jobmanager.err();
    let rest = Rest::new(said.split("listens on http://").nth(1).unwrap().split_whitespace().next().unwrap());

    network.swallow();
    let job = world.sandbox.flott(["run", "-d", "-m", rest.address(), &world.program, "waits"]).success().job();
    let reasons = || rest.get(&format!("/flott/v1/jobs/{job}/pending"))["reasons"].to_string();
    eventually("the reason", PATIENCE, || {
        let told = reasons();
        let is_it = told.contains("unreachable: ") && told.contains("no answer within 2 s; it is tried again");
        if is_it { Ok(()) } else { Err(told) }
    });
    let listed = world.sandbox.flott(["list", "-m", rest.address()]).success();
    listed.prints(&["unreachable: ", "the API server is not reached"]);
    assert!(world.pods("taskmanager").is_empty());

    network.flow();
    eventually("its pod", PATIENCE, || {
        let pods: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
        let told = reasons();
        if pods.len() == 1 && !told.contains("unreachable: ") { Ok(()) } else { Err(format!("{pods:?}: {told}")) }
    });
    jobmanager.signal(Signal::SIGTERM);
    jobmanager.end();
}

/// The only TaskManager, and its node.
fn victim(world: &World) -> (String, String) {
    let pods = world.pods("taskmanager");
    assert_eq!(pods.len(), 1, "{pods:?}");
    (name(&pods[0]), pods[0]["spec"]["nodeName"].as_str().unwrap().to_owned())
}

fn crash(world: &World, job: &Job<'_>, rest: &Client) {
    let (pod, node) = victim(world);
    world.cluster.crash_node(&node).unwrap();
    // Nobody knows yet that it is not only this connection.
    job.until_told(rest, &pod, "its connection was lost");
    job.goes_on(rest);
    assert_ne!(victim(world).1, node);
    job.until_told(rest, &pod, &format!("lost with its node: node {node}"));
    world.cluster.add_node(&node, world.cluster.node_options()).unwrap();
}

/// Its processes run on, and write, until the node is back.
fn cut_off(world: &World, job: &Job<'_>, rest: &Client) {
    let (pod, node) = victim(world);
    let process = world.process("taskmanager", &pod);
    world.cluster.cut_off_node(&node).unwrap();
    let reason = format!("lost with its node: node {node}");
    job.until_told(rest, &pod, &reason);
    let listed = world.sandbox.flott(["list", "-t", "kubernetes-session"]).success();
    listed.prints(&["latest failure: ", &pod, &reason]);
    job.goes_on(rest);
    assert_ne!(victim(world).1, node);
    kill(process, None).expect("nobody has ended what is cut off");
    world.cluster.reconnect_node(&node).unwrap();
    eventually("the pod that was cut off to be gone", PATIENCE, || match kill(process, None) {
        Ok(()) => Err("its process lives".to_owned()),
        Err(_) => world.try_kubectl(&["get", "pod", &pod]).map_or(Ok(()), |_| Err("it is there".to_owned())),
    });
    job.goes_on(rest);
}

/// A TaskManager that is lost meanwhile is replaced when it is back, and so is the watch, whose version has expired.
fn away(world: &World, job: &Job<'_>) {
    let (pod, _) = victim(world);
    let process = world.process("taskmanager", &pod);
    let jobmanager = name(&world.pods("jobmanager")[0]);
    let watches = world.process("jobmanager", &jobmanager);
    // What is written after the last event of a pod makes the watch's version one of the past; else it would not expire.
    world.kubectl(&["create", "configmap", "later"]);
    world.cluster.stop_api_server().unwrap();
    job.takes_checkpoints();
    kill(process, Signal::SIGKILL).unwrap();
    // An API server that is not ready yet may take up a watch of any version.
    kill(watches, Signal::SIGSTOP).unwrap();
    world.cluster.start_api_server().unwrap();
    kill(watches, Signal::SIGCONT).unwrap();
    let rest = world.rest();
    // By its connection or by its pod: nobody knows which is heard of first.
    job.until_told(&rest, &pod, "");
    job.goes_on(&rest);
    let log = world.kubectl(&["logs", &jobmanager]);
    assert!(log.contains("the watch for pods has expired"), "{log}");
    // What is asked for now comes, too.
    let rescaled = world.sandbox.flott(["rescale", "-t", "kubernetes-session", &job.id, "-p", "3"]).success();
    rescaled.prints(&["rescaled from checkpoint"]);
    job.goes_on(&rest);
    let pods: Vec<Value> = world.pods("taskmanager");
    assert_eq!(pods.len(), 2, "{pods:?}");
}
