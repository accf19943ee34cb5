//! Pods that end in every way while a job runs.

use std::{
    fs,
    time::{Duration, Instant},
};

use flott_tests::eventually::{PATIENCE, eventually};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    job::{Job, name},
    leaders::children,
    told::{Watch, container},
    world::World,
};

/// What ends a pod of this name, and what is told of it.
type End<'a> = (&'a dyn Fn(&str), &'static str);

#[test]
fn taskmanagers_that_end_in_any_way_are_replaced_and_told_of() {
    let test = "taskmanagers_that_end_in_any_way_are_replaced_and_told_of";
    let Some(world) = World::new(test, "disturbed", "") else { return };
    let food = world.shared("food");
    let job = Job::start(&world, "2", &["trouble=eat", &format!("when={food}")]);
    let rest = world.rest();

    let ends: [End<'_>; 4] = [
        (&|pod| kill(world.process("taskmanager", pod), Signal::SIGKILL).unwrap(), "killed by signal 9"),
        (&|pod| drop(world.kubectl(&["delete", "pod", pod, "--wait=false"])), "deleted by somebody"),
        (&|pod| world.evict(pod), "evicted: Eviction API"),
        (
            &|pod| world.cluster.evict(world.namespace, pod, "memory", Duration::ZERO).unwrap(),
            "evicted: The node was low on resource: memory",
        ),
    ];
    for (end, reason) in ends {
        let victim = name(world.pods("taskmanager").first().expect("TaskManagers run"));
        end(&victim);
        job.until_told(&rest, &victim, reason);
        let listed = world.sandbox.flott(["list", "-t", "kubernetes-session"]).success();
        listed.prints(&["latest failure: ", &victim, reason]);
        job.goes_on(&rest);
    }
    if world.limits_memory(test) {
        fs::write(&food, "").unwrap();
        eventually("a TaskManager to be out of memory", PATIENCE, || {
            let newest = rest.exceptions(&job.id).into_iter().next().unwrap_or_default();
            let told = newest["stacktrace"].as_str().unwrap_or_default();
            if told.contains("TaskManager lost: killed because it was out of memory") { Ok(()) } else { Err(newest) }
        });
        job.goes_on(&rest);
    }
    job.end();
}

/// How long a pod may take to end after it was told to, at which the kubelet kills it.
const GRACE: Duration = Duration::from_secs(30);

#[test]
fn a_taskmanager_whose_program_does_not_end_when_it_is_told_hands_its_slots_on_within_its_grace() {
    let test = "a_taskmanager_whose_program_does_not_end_when_it_is_told_hands_its_slots_on_within_its_grace";
    let Some(world) = World::new(test, "stubborn", "kubernetes.taskmanager.termination-grace: 30 s") else { return };
    let stuck = world.shared("stuck");
    let job = Job::start(&world, "1", &["trouble=defy", &format!("when={stuck}")]);
    let rest = world.rest();
    let ends: [&dyn Fn(&str); 2] =
        [&|pod| world.evict(pod), &|pod| drop(world.kubectl(&["delete", "pod", pod, "--wait=false"]))];
    for end in ends {
        let watch = Watch::start(&world);
        let victim = name(&world.pods("taskmanager")[0]);
        fs::write(&stuck, "").unwrap();
        eventually("the program to be stuck", PATIENCE, || {
            if fs::exists(&stuck).unwrap() { Err("it takes records") } else { Ok(()) }
        });
        let process = world.process("taskmanager", &victim);
        let programs = children(process);
        assert!(!programs.is_empty(), "there is a job process");

        let began = Instant::now();
        end(&victim);
        eventually("the pod to be gone", GRACE, || {
            let left = world.kubectl(&["get", "pod", &victim, "--ignore-not-found", "-o", "name"]);
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
        let gone = began.elapsed();
        job.goes_on(&rest);
        let goes_on = began.elapsed();
        println!("gone after {gone:.1?}, the job goes on after {goes_on:.1?}");
        assert!(goes_on < GRACE, "the job goes on after {goes_on:?}");
        // It has ended by itself, and nobody has killed it.
        let ended = |pod: &Value| name(pod) == victim && container(pod, "containerStatuses")["exitCode"] == 0;
        eventually("the word of its end", PATIENCE, || {
            if watch.first(ended).is_empty() { Err(format!("{:?}", watch.first(|_| true))) } else { Ok(()) }
        });
        for process in programs.into_iter().map(Pid::from_raw).chain([process]) {
            assert!(kill(process, None).is_err(), "process {process} is left");
        }
    }
    job.end();
}

#[test]
fn a_jobmanager_that_is_killed_deleted_or_evicted_goes_on_with_its_job() {
    let test = "a_jobmanager_that_is_killed_deleted_or_evicted_goes_on_with_its_job";
    let Some(world) = World::new(test, "leaderless", "") else { return };
    let job = Job::start(&world, "2", &[]);
    let pods = |component| world.pods(component).iter().map(name).collect::<Vec<_>>();
    let workers = pods("taskmanager");
    let first = pods("jobmanager");
    kill(world.process("jobmanager", &first[0]), Signal::SIGKILL).unwrap();
    world.until_restarted(&first[0]);
    job.goes_on(&world.rest());
    assert_eq!(pods("jobmanager"), first, "its pod is the same");
    let ends: [&dyn Fn(&str); 4] = [
        &|pod| drop(world.kubectl(&["delete", "pod", pod, "--wait=false"])),
        &|pod| drop(world.kubectl(&["delete", "pod", pod, "--grace-period=0", "--force"])),
        &|pod| world.evict(pod),
        // The last one, since it stays as a pod that has failed.
        &|pod| world.cluster.evict(world.namespace, pod, "memory", Duration::ZERO).unwrap(),
    ];
    for end in ends {
        let before = pods("jobmanager");
        assert_eq!(before.len(), 1, "{before:?}");
        end(&before[0]);
        eventually("another pod", PATIENCE, || {
            let now = pods("jobmanager");
            if now.iter().any(|pod| !before.contains(pod)) { Ok(()) } else { Err(now.join(", ")) }
        });
        job.goes_on(&world.rest());
    }
    assert_eq!(pods("taskmanager"), workers, "they are those of before");
    job.end();
}
