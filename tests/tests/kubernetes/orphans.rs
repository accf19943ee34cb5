//! Pods of TaskManagers that a JobManager finds when it starts, and that are of no use.

use std::time::{Duration, Instant};

use flott_tests::eventually::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::{
    job::{Job, name},
    world::World,
};

/// How long what it finds may take to register.
const REGISTRATION: Duration = Duration::from_secs(20);

/// Makes a pod that looks like one of the JobManager's own, and runs `flott` with these arguments.
#[track_caller]
fn twin(world: &World, of: &Value, worker: &str, arguments: &[&str]) -> String {
    let pod = format!("demo-{worker}");
    let mut spec: Value =
        serde_json::from_str(of["metadata"]["annotations"]["flott.dev/worker-spec"].as_str().unwrap()).unwrap();
    spec["worker"] = worker.into();
    let mut twin = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod,
            "labels": of["metadata"]["labels"],
            "annotations": { "flott.dev/worker-spec": spec.to_string() },
            "ownerReferences": of["metadata"]["ownerReferences"],
        },
        "spec": of["spec"],
    });
    twin["metadata"]["labels"]["flott.dev/worker"] = worker.into();
    twin["spec"].as_object_mut().unwrap().remove("nodeName");
    twin["spec"]["containers"][0]["args"] = json!(arguments);
    world.create(&twin.to_string());
    pod
}

#[track_caller]
fn until_phase(world: &World, pod: &str, phase: &str) {
    eventually(&format!("{pod} to be {phase}"), PATIENCE, || {
        let found = world.try_kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"])?;
        if found == phase { Ok(()) } else { Err(found) }
    });
}

/// Waits until a pod is gone or about to go; how long that was after `since`.
#[track_caller]
fn gone(world: &World, pod: &str, since: Instant) -> Duration {
    eventually(&format!("{pod} to go"), PATIENCE, || {
        let left: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
        if left.iter().any(|one| one == pod) { Err(left.join(", ")) } else { Ok(()) }
    });
    since.elapsed()
}

#[test]
fn the_next_jobmanager_ends_pods_that_are_of_no_use_and_keeps_those_that_are() {
    let test = "the_next_jobmanager_ends_pods_that_are_of_no_use_and_keeps_those_that_are";
    let lines = format!("resourcemanager.taskmanager-registration.timeout: {} s", REGISTRATION.as_secs());
    let Some(world) = World::new(test, "orphans", &lines) else { return };
    let job = Job::start(&world, "2", &[]);
    let used: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
    assert_eq!(used.len(), 2, "{used:?}");

    world.kubectl(&["scale", "deployment/demo", "--replicas=0"]);
    eventually("no JobManager", PATIENCE, || {
        let left = world.kubectl(&["get", "pods", "-l", "app.kubernetes.io/component=jobmanager", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let of = world.pods("taskmanager").remove(0);
    let ended = twin(&world, &of, "taskmanager-ended-1", &["--version"]);
    // It runs, and says nothing to anybody.
    let mute = twin(&world, &of, "taskmanager-mute-1", &["jobmanager", "--state-dir=/var/lib/flott"]);
    until_phase(&world, &ended, "Succeeded");
    until_phase(&world, &mute, "Running");

    world.kubectl(&["scale", "deployment/demo", "--replicas=1"]);
    let rest = world.rest();
    let leads = Instant::now();
    let at_once = gone(&world, &ended, leads);
    assert!(at_once < REGISTRATION / 2, "the one that has ended goes at once, not after {at_once:?}");
    assert!(world.pods("taskmanager").iter().any(|pod| name(pod) == mute), "the other one may still register");
    let patient = gone(&world, &mute, leads);
    // It has led a moment before it was seen to.
    let wanted = REGISTRATION - Duration::from_secs(5)..REGISTRATION * 2;
    assert!(wanted.contains(&patient), "the one that says nothing goes in time, not after {patient:?}");

    job.goes_on(&rest);
    assert_eq!(rest.attempts(&job.id).iter().max(), Some(&0));
    assert_eq!(world.pods("taskmanager").iter().map(name).collect::<Vec<_>>(), used, "those in use are kept");
    job.end();
}
