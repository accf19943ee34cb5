//! JobManagers that are lost, with their node or without it, while a job with checkpoints runs that does not care.

use std::{fs, sync::Arc, time::Duration};

use flott_kubernetes_lab::{Cluster, Options};
use flott_tests::eventually::{PATIENCE, eventually};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    job::{Job, name},
    replicas::{TO_LEAD, leader, until_two_are_ready},
    world::{RIGHTS, World, own, run},
};

/// TaskManagers have a node of their own, which stays.
const PLACES: &str = "kubernetes.jobmanager.service-account: candidate\n\
                      kubernetes.jobmanager.cpu.amount: 0.25\n\
                      kubernetes.jobmanager.node-selector: pool:control\n\
                      kubernetes.jobmanager.node-loss-timeout: 1 s\n\
                      kubernetes.taskmanager.node-selector: pool:workers\n\
                      taskmanager.numberOfTaskSlots: 2";

/// A world whose nodes are for JobManagers, but for the last one.
fn world(test: &str, namespace: &'static str, control: u32) -> Option<World> {
    let cluster = own(test, Options::nodes(control + 1))?;
    let nodes: Vec<_> = (0..control).map(|number| format!("node-{number}")).collect();
    for node in &nodes {
        label(&cluster, node, "control");
    }
    label(&cluster, &format!("node-{control}"), "workers");
    Some(elected(World::of(cluster, namespace, PLACES)))
}

fn label(cluster: &Cluster, node: &str, pool: &str) {
    run(cluster.kubectl().args(["label", "node", node, &format!("pool={pool}")]));
}

/// With a service account of those who stand for election.
fn elected(world: World) -> World {
    world.account("candidate", &[RIGHTS[0], RIGHTS[1], TO_LEAD]);
    world
}

fn node_of(pod: &Value) -> String {
    pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()
}

/// The pod of the JobManager that leads.
fn leading(world: &World) -> Value {
    eventually("a leader that has a pod", PATIENCE, || {
        let address = leader(world)?;
        let is_it =
            |pod: &Value| pod["status"]["podIP"].as_str().is_some_and(|ip| address.starts_with(&format!("{ip}:")));
        world.pods("jobmanager").into_iter().find(is_it).ok_or_else(|| format!("{address} is of no pod"))
    })
}

/// Which life of a JobManager leads: one that was started again in its pod has another name.
fn holder(world: &World) -> Result<String, String> {
    let holder = world.try_kubectl(&["get", "lease", "demo-leader", "-o", "jsonpath={.spec.holderIdentity}"])?;
    if holder.is_empty() { Err("the Lease names nobody".to_owned()) } else { Ok(holder) }
}

/// How long a leader that was lost may have none after it: its lease, and what a loaded machine takes besides.
const TO_LEAD_MAX: Duration = Duration::from_secs(5 + 15);

#[track_caller]
fn until_another_leads(world: &World, than: &str) {
    eventually("another leader", TO_LEAD_MAX, || match holder(world)? {
        same if same == than => Err(format!("{same} leads")),
        _ => Ok(()),
    });
}

#[track_caller]
fn until_ended(process: Pid) {
    eventually(&format!("process {process} to end"), PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // A node that is stopped does not ask how it ended.
        let state = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        if state.is_empty() || state.starts_with('Z') { Ok(()) } else { Err(stat) }
    });
}

/// The pods whose JobManagers have said last that they lead.
fn leading_by_their_logs(world: &World) -> Vec<String> {
    let leads = |pod: &String| {
        let log = world.kubectl(&["logs", pod]);
        let last = log.lines().rfind(|line| line.contains(": leading ") || line.contains(": standing by "));
        last.is_some_and(|line| line.contains(": leading "))
    };
    world.pods("jobmanager").iter().map(name).filter(leads).collect()
}

/// Waits until the only JobManager is on another node than that one.
fn until_it_is_elsewhere(world: &World, than: &str) {
    eventually("a JobManager on another node", PATIENCE, || {
        // One that its node has evicted is still listed.
        let mut pods = world.pods("jobmanager");
        pods.retain(|pod| pod["status"]["phase"] == "Running");
        let nodes: Vec<_> = pods.iter().map(node_of).collect();
        if nodes.iter().any(|node| !node.is_empty() && node != than) { Ok(()) } else { Err(nodes.join(", ")) }
    });
}

fn taskmanagers(world: &World) -> Vec<String> {
    world.pods("taskmanager").iter().map(name).collect()
}

/// The TaskManagers with their job processes, which are others when a task is started again.
pub fn processes(world: &World) -> Vec<(String, Vec<i32>)> {
    let of = |pod: String| {
        let children = children(world.process("taskmanager", &pod));
        assert!(!children.is_empty(), "{pod} has no job process");
        (pod, children)
    };
    taskmanagers(world).into_iter().map(of).collect()
}

pub fn children(process: Pid) -> Vec<i32> {
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state and the parent, after the name in parentheses.
        let parent = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1)?.parse().ok());
        parent == Some(process.as_raw())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children: Vec<i32> = pids.filter(is_child).collect();
    children.sort_unstable();
    children
}

/// Wants the job to run and to take checkpoints, in the processes that it began in.
#[track_caller]
fn runs_on(world: &World, job: &Job<'_>, before: &[(String, Vec<i32>)]) {
    let rest = world.rest();
    job.goes_on(&rest);
    assert_eq!(processes(world), before, "{:?}", rest.exceptions(&job.id));
    assert_eq!(rest.attempts(&job.id).iter().max(), Some(&0));
}

#[test]
fn tasks_run_on_while_the_only_jobmanager_moves_from_a_node_that_is_lost() {
    let test = "tasks_run_on_while_the_only_jobmanager_moves_from_a_node_that_is_lost";
    let Some(world) = world(test, "moved", 2) else { return };
    let job = Job::start_elected(&world, Some("1"));
    let before = processes(&world);

    let node = node_of(&leading(&world));
    world.cluster.crash_node(&node).unwrap();
    until_it_is_elsewhere(&world, &node);
    runs_on(&world, &job, &before);
    world.cluster.add_node(&node, world.cluster.node_options()).unwrap();

    // One that lives on there, and would lead.
    let pod = leading(&world);
    let (pod, node) = (name(&pod), node_of(&pod));
    let process = world.process("jobmanager", &pod);
    world.cluster.cut_off_node(&node).unwrap();
    until_it_is_elsewhere(&world, &node);
    runs_on(&world, &job, &before);
    world.cluster.reconnect_node(&node).unwrap();
    eventually("the pod that was cut off to be gone", PATIENCE, || match kill(process, None) {
        Ok(()) => Err("its process lives".to_owned()),
        Err(_) => world.try_kubectl(&["get", "pod", &pod]).map_or(Ok(()), |_| Err("it is there".to_owned())),
    });
    runs_on(&world, &job, &before);
    job.end();
}

/// A JobManager with something beside it in its container that takes all memory when a file is there.
const EATS: &str = "\
(while [ ! -e FOOD ]; do sleep 0.05; done; rm FOOD; exec tail --lines=1 /dev/zero > /dev/null) & exec flott \"$@\"";

#[test]
fn tasks_run_on_while_the_only_jobmanager_is_out_of_memory_and_the_api_server_says_so() {
    let test = "tasks_run_on_while_the_only_jobmanager_is_out_of_memory_and_the_api_server_says_so";
    let settings = "kubernetes.jobmanager.service-account: candidate\njobmanager.memory.process.size: 256 mb";
    let Some(world) = World::new(test, "hungry", settings) else { return };
    if !world.limits_memory(test) {
        return;
    }
    let world = elected(world);
    let food = world.shared("food");
    let shared = world.sandbox.at("shared");
    let template = json!({ "spec": {
        "volumes": [{ "name": "shared", "hostPath": { "path": shared } }],
        "containers": [{
            "name": "flott",
            "command": ["/bin/sh", "-c", EATS.replace("FOOD", &food), "flott"],
            "volumeMounts": [{ "name": "shared", "mountPath": shared }],
        }],
    } });
    let template = world.sandbox.write("eats.yaml", template.to_string());
    let template = format!("kubernetes.pod-template-file.jobmanager={template}");
    let job = Job::start_elected_with(&world, Some("1"), &[&template]);
    let before = processes(&world);
    let pod = name(&leading(&world));
    let first = holder(&world).unwrap();

    fs::write(&food, "").unwrap();
    world.until_restarted(&pod);
    let ended = world.kubectl(&["get", "pod", &pod, "-o=jsonpath={.status.containerStatuses[0].lastState.terminated}"]);
    let ended: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("OOMKilled"), &json!(137)));
    until_another_leads(&world, &first);
    assert_eq!(name(&leading(&world)), pod, "its pod is the same");
    runs_on(&world, &job, &before);
    job.end();
}

#[test]
fn a_cluster_of_one_job_that_loses_the_node_of_all_its_pods_goes_on_on_another() {
    let test = "a_cluster_of_one_job_that_loses_the_node_of_all_its_pods_goes_on_on_another";
    let Some(cluster) = own(test, Options::nodes(2)) else { return };
    let settings = "kubernetes.jobmanager.service-account: candidate\n\
                    kubernetes.jobmanager.cpu.amount: 0.25\n\
                    kubernetes.jobmanager.node-loss-timeout: 1 s\n\
                    kubernetes.finished-ttl: 20 s\n\
                    taskmanager.numberOfTaskSlots: 2";
    let world = elected(World::of(Arc::clone(&cluster), "alone", settings));
    run(cluster.kubectl().args(["cordon", "node-1"]));
    let job = Job::start_elected(&world, None);
    run(cluster.kubectl().args(["uncordon", "node-1"]));

    let before = taskmanagers(&world);
    cluster.crash_node("node-0").unwrap();
    until_it_is_elsewhere(&world, "node-0");
    job.goes_on(&world.rest());
    assert!(taskmanagers(&world).iter().all(|pod| !before.contains(pod)), "they are others");
    // The end is heard of while the first pod still counts as ending; it is gone when its node is there again.
    job.end_with_its_cluster_after(|| cluster.add_node("node-0", cluster.node_options()).unwrap());
}

#[test]
fn of_two_jobmanagers_the_other_takes_the_tasks_over_however_the_leader_ends() {
    let test = "of_two_jobmanagers_the_other_takes_the_tasks_over_however_the_leader_ends";
    let Some(world) = world(test, "two", 3) else { return };
    let job = Job::start_elected(&world, Some("2"));
    let before = processes(&world);

    type End<'a> = &'a dyn Fn(&str, &str);
    let ends: [End<'_>; 6] = [
        &|pod, _| kill(world.process("jobmanager", pod), Signal::SIGKILL).unwrap(),
        &|pod, _| drop(world.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0", "--wait=false"])),
        &|pod, _| drop(world.kubectl(&["delete", "pod", pod, "--wait=false"])),
        &|pod, _| world.evict(pod),
        &|pod, _| world.cluster.evict(world.namespace, pod, "memory", Duration::ZERO).unwrap(),
        &|_, node| world.cluster.crash_node(node).unwrap(),
    ];
    for end in ends {
        until_two_are_ready(&world);
        // What its node has evicted stays as a pod that has failed.
        let pods = world.pods("jobmanager").into_iter().filter(|pod| pod["status"]["phase"] == "Running");
        let nodes: Vec<_> = pods.map(|pod| node_of(&pod)).collect();
        assert_ne!(nodes[0], nodes[1], "they are on two nodes");
        let (first, pod) = (holder(&world).unwrap(), leading(&world));
        end(&name(&pod), &node_of(&pod));
        until_another_leads(&world, &first);
        runs_on(&world, &job, &before);
    }
    for node in ["node-0", "node-1", "node-2"] {
        // All but one run.
        let _ = world.cluster.add_node(node, world.cluster.node_options());
    }
    job.end();
}

/// Two live JobManagers at once, of which one has led, and does not hear that it does no more.
#[test]
fn a_leader_that_is_cut_off_ends_while_the_other_takes_the_tasks_over() {
    let test = "a_leader_that_is_cut_off_ends_while_the_other_takes_the_tasks_over";
    let Some(world) = world(test, "divided", 3) else { return };
    let job = Job::start_elected(&world, Some("2"));
    let before = processes(&world);
    until_two_are_ready(&world);
    let (first, pod) = (holder(&world).unwrap(), leading(&world));
    let (pod, node) = (name(&pod), node_of(&pod));
    let process = world.process("jobmanager", &pod);

    world.cluster.cut_off_node(&node).unwrap();
    kill(process, None).expect("nobody has ended what is cut off");
    until_another_leads(&world, &first);
    until_ended(process);
    // Also for clients that take the pod that is cut off for one that is ready, as the API server does.
    world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().prints(&[&job.id]);
    runs_on(&world, &job, &before);
    assert_ne!(name(&leading(&world)), pod);

    // It comes back when others have taken its place.
    let second = holder(&world).unwrap();
    eventually("the pod that is cut off to be given up", PATIENCE, || {
        let pods: Vec<_> = world.pods("jobmanager").iter().map(name).collect();
        if pods.contains(&pod) { Err(pods.join(", ")) } else { Ok(()) }
    });
    world.cluster.reconnect_node(&node).unwrap();
    eventually("the pod that was cut off to be gone", PATIENCE, || {
        world.try_kubectl(&["get", "pod", &pod]).map_or(Ok(()), |_| Err("it is there"))
    });
    until_two_are_ready(&world);
    runs_on(&world, &job, &before);
    assert_eq!(holder(&world).unwrap(), second, "the leader is the same");
    job.end();
}

/// Nobody can lead then, and the one that has led ends.
#[test]
fn tasks_run_on_while_the_api_server_is_away_for_longer_than_a_leader_tries_to_renew() {
    let test = "tasks_run_on_while_the_api_server_is_away_for_longer_than_a_leader_tries_to_renew";
    let Some(world) = world(test, "outage", 2) else { return };
    let job = Job::start_elected(&world, Some("2"));
    let before = processes(&world);
    until_two_are_ready(&world);
    let (first, pod) = (holder(&world).unwrap(), name(&leading(&world)));
    let process = world.process("jobmanager", &pod);

    world.cluster.stop_api_server().unwrap();
    until_ended(process);
    world.cluster.start_api_server().unwrap();
    until_another_leads(&world, &first);
    runs_on(&world, &job, &before);
    assert_eq!(leading_by_their_logs(&world), [name(&leading(&world))], "one leads");
    let ended = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}";
    // The node tells what it could not tell meanwhile.
    eventually("how the first leader has ended", PATIENCE, || {
        match world.try_kubectl(&["get", "pod", &pod, "-o", ended])? {
            deposed if deposed == "75" => Ok(()),
            other => Err(other),
        }
    });
    job.end();
}
