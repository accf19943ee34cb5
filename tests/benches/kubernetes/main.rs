//! A session in pods, against a real API server and nodes that run containers as processes: `cargo bench -p flott-tests --bench
//! kubernetes [-- PODS CHANGES TROUBLES]`, after `cargo build --release -p flott-cli -p flott-tests`; with `--profile dev`, of debug builds.
//! A JSON line of milliseconds each, and none of what shall be measured 0 times:
//!
//! - from the start of a TaskManager pod's process to its slots' offer, of pods that come one after the other. The process of
//!   the container says when it starts and becomes `flott`; the JobManager's log says when it has the slots.
//! - from the end of a leader to when another one leads, by the log of that one, with the lease as it is by default. The
//!   leader is killed, its pod deleted, its node crashed.
//! - from the API server's word of a pod's trouble, as another watch hears it, to the reason in an answer of REST, and to the end of a
//!   `flott list` that begins then. The pod has no node, no image, ends with an exit code, is evicted, preempted, or out of
//!   memory. Of a pod that is refused, for a quota or by pod security, nobody else hears: that is from the start of its job.
//!
//! The clock is one: all are processes of this machine.

#[path = "../../tests/kubernetes/job.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod job;
#[path = "../../tests/kubernetes/told.rs"]
mod told;
#[path = "../../tests/kubernetes/world.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod world;

use std::{
    fmt::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use chrono::DateTime;
use flott_kubernetes_lab::{Cluster, Image, Options, Toolchain};
use flott_tests::{
    binaries::binary,
    eventually::{PATIENCE, eventually},
};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use told::{Told, Victim};
use world::{RIGHTS, World};

/// What stands in front of `flott` in the image: its first line of output is the time.
const ENTRY: [&str; 4] = ["/usr/bin/sh", "-c", "/usr/bin/date -u +%Y-%m-%dT%H:%M:%S.%NZ; exec flott \"$@\"", "flott"];
const CANDIDATE: (&str, &str) = ("get,create,update", "leases.coordination.k8s.io");
const SETTINGS: &str = "\
kubernetes.jobmanager.service-account: candidate
kubernetes.jobmanager.replicas: 2
kubernetes.jobmanager.cpu.amount: 0.25
kubernetes.jobmanager.node-loss-timeout: 1 s
kubernetes.jobmanager.node-selector: pool:control
kubernetes.taskmanager.node-selector: pool:workers
high-availability.type: kubernetes
taskmanager.memory.process.size: 256 mb";

fn main() -> anyhow::Result<()> {
    let numbers = std::env::args().skip(1).filter(|argument| argument != "--bench").map(|text| text.parse());
    let numbers: Vec<u32> =
        numbers.collect::<Result<_, _>>().context("usage: kubernetes [PODS [CHANGES [TROUBLES]]]")?;
    let number = |place: usize, otherwise| numbers.get(place).copied().unwrap_or(otherwise);
    let (pods, changes, troubles) = (number(0, 10), number(1, 5), number(2, 5));
    let files = [("/usr/local/bin/flott".to_owned(), PathBuf::from(binary("flott")))].into();
    let env = [("FLOTT_LOG".to_owned(), "info,flott_jobmaster=debug".to_owned())].into();
    let entrypoint = ENTRY.map(str::to_owned).to_vec();
    let image = Image { entrypoint, files, env, user: Some(65532), ..Image::default() };
    let cluster = Arc::new(Cluster::start(&Toolchain::find()?, Options::nodes(4).image("flott:dev", image))?);
    for (node, pool) in [("node-0", "control"), ("node-1", "control"), ("node-2", "control"), ("node-3", "workers")] {
        world::run(cluster.kubectl().args(["label", "node", node, &format!("pool={pool}")]));
    }
    if pods > 0 || changes > 0 {
        leaders(Arc::clone(&cluster), pods, changes);
    }
    if troubles > 0 {
        reasons(cluster, troubles);
    }
    Ok(())
}

/// A session of two JobManagers.
fn leaders(cluster: Arc<Cluster>, pods: u32, changes: u32) {
    let world = World::of(cluster, "bench", SETTINGS);
    world.account("candidate", &[RIGHTS[0], RIGHTS[1], CANDIDATE]);
    let shared = format!("high-availability.storageDir={}", world.output("high-availability"));
    world.sandbox.flott(["session", "start", "--backend", "kubernetes", "-D", &shared]).success();

    show("pod_process_to_slots_offered_ms", &mut slots(&world, pods));
    type End<'a> = (&'static str, &'a dyn Fn(&World, &str, &str));
    let ends: [End<'_>; 3] = [
        ("leader_killed_to_next_ms", &|world, pod, _| kill(world.process("jobmanager", pod), Signal::SIGKILL).unwrap()),
        ("leader_deleted_to_next_ms", &|world, pod, _| drop(world.kubectl(&["delete", "pod", pod, "--wait=false"]))),
        ("node_of_leader_crashed_to_next_ms", &|world, _, node| world.cluster.crash_node(node).unwrap()),
    ];
    for (what, end) in ends {
        show(what, &mut (0..changes).map(|_| change(&world, end)).collect::<Vec<_>>());
    }
    all_nodes_run(&world);
    world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
}

/// Sessions of one JobManager, whose TaskManagers are in trouble.
fn reasons(cluster: Arc<Cluster>, times: u32) {
    let world = World::of(cluster, "reasons", "");
    type Measure = (&'static str, fn(&World, u32) -> Vec<Told>);
    let troubles: [Measure; 5] = [
        ("unschedulable", told::unschedulable),
        ("image", told::image_missing),
        ("exit_code", told::exit_code),
        ("quota", told::quota),
        ("admission", told::admission),
    ];
    for (what, measure) in troubles {
        show_told(what, &measure(&world, times));
    }
    let victim = Victim::start(&world);
    show_told("evicted", &victim.evicted(times));
    show_told("preempted", &victim.preempted(times));
    if world.limits_memory("kubernetes") {
        show_told("out_of_memory", &victim.out_of_memory(times));
    }
    victim.end();
}

fn show_told(what: &str, told: &[Told]) {
    let figures = |to: &str, of: fn(&Told) -> Duration| {
        show(&format!("event_to_{to}_{what}_ms"), &mut told.iter().map(of).map(millis).collect::<Vec<_>>());
    };
    figures("rest", |told| told.rest);
    figures("list", |told| told.list);
}

fn show(what: &str, figures: &mut [f64]) {
    if figures.is_empty() {
        return;
    }
    figures.sort_by(f64::total_cmp);
    let mut all = String::new();
    for figure in &*figures {
        let _ = write!(all, "{}{figure:.1}", if all.is_empty() { "" } else { ", " }); // a String takes everything
    }
    println!("{{\"{what}\": {{\"median\": {:.1}, \"all\": [{all}]}}}}", figures[figures.len() / 2]);
}

/// A job for each pod.
fn slots(world: &World, pods: u32) -> Vec<f64> {
    let hold = format!("hold={}", world.shared("never"));
    for _ in 0..pods {
        let run = ["run", "-t", "kubernetes-session", "-d", "-p", "1", &world.program, "held", &hold];
        let job = world.sandbox.flott(run).success().job();
        world.rest().until_all_run(&job);
    }
    let log = log_of(world, name(&leader(world).1));
    let of_pod = |pod: &Value| {
        let pod = name(pod);
        let began = log_of(world, pod).lines().find_map(time).expect("the first line is the time");
        let offered = log.lines().find(|line| line.contains("slots are offered") && line.contains(pod)).and_then(time);
        millis(offered.expect("it has offered slots").duration_since(began).expect("there is one clock"))
    };
    world.pods("taskmanager").iter().map(of_pod).collect()
}

fn all_nodes_run(world: &World) {
    for node in ["node-0", "node-1", "node-2"] {
        let _ = world.cluster.add_node(node, world.cluster.node_options()); // most of them run
    }
}

/// Ends the leader, and says how long nobody led.
fn change(world: &World, end: &dyn Fn(&World, &str, &str)) -> f64 {
    all_nodes_run(world);
    eventually("two JobManagers that are ready", PATIENCE, || {
        let ready = world.kubectl(&["get", "deployment", "demo", "-o", "jsonpath={.status.readyReplicas}"]);
        if ready == "2" { Ok(()) } else { Err(ready) }
    });
    eventually("an answer of the leader", PATIENCE, || {
        let answer = world.rest().try_get("/overview");
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    });
    // Those that stand by have seen it.
    std::thread::sleep(Duration::from_secs(3));
    let (holder, pod) = leader(world);
    let began = SystemTime::now();
    end(world, name(&pod), pod["spec"]["nodeName"].as_str().unwrap_or_default());
    let leads = eventually("another leader", PATIENCE, || {
        let (now, pod) = leader(world);
        let log = log_of(world, name(&pod));
        let leads = log.lines().rev().find(|line| line.contains(" leading ")).and_then(time);
        if now == holder { Err("the same leads".to_owned()) } else { leads.ok_or(log) }
    });
    millis(leads.duration_since(began).expect("it did not lead before"))
}

/// Which life of a JobManager leads, and its pod.
fn leader(world: &World) -> (String, Value) {
    eventually("a leader that has a pod", PATIENCE, || {
        let lease: Value = serde_json::from_str(&world.try_kubectl(&["get", "lease", "demo-leader", "-o", "json"])?)
            .map_err(|error| error.to_string())?;
        let holder = lease["spec"]["holderIdentity"].as_str().ok_or("nobody leads")?.to_owned();
        let address = lease["metadata"]["annotations"]["flott.dev/leader"].as_str().unwrap_or_default();
        let is_it = |pod: &Value| pod["status"]["podIP"].as_str().is_some_and(|ip| address == format!("{ip}:8081"));
        let pod = world.pods("jobmanager").into_iter().find(is_it).ok_or_else(|| format!("{address} is of no pod"))?;
        Ok::<_, String>((holder, pod))
    })
}

fn log_of(world: &World, pod: &str) -> String {
    world.try_kubectl(&["logs", pod]).unwrap_or_default()
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// The time that a line begins with.
fn time(line: &str) -> Option<SystemTime> {
    let text = line.split_whitespace().next()?;
    DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
