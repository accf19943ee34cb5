use std::fs;

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
};

use crate::world::{RIGHTS, World};

/// What a JobManager needs besides that stands for election.
pub const TO_LEAD: (&str, &str) = ("get,create,update", "leases.coordination.k8s.io");

/// `HOST:PORT` of the JobManager that leads, by the Lease.
pub fn leader(world: &World) -> Result<String, String> {
    let path = "jsonpath={.metadata.annotations.flott\\.dev/leader}";
    let leader = world.try_kubectl(&["get", "lease", "demo-leader", "-o", path])?;
    if leader.is_empty() { Err("the Lease names nobody".to_owned()) } else { Ok(leader) }
}

/// Names and addresses of the pods of a component.
fn pods(world: &World, component: &str) -> Vec<(String, String)> {
    let selector = format!("app.kubernetes.io/component={component}");
    let path = "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}";
    let listed = world.kubectl(&["get", "pods", "-l", &selector, "-o", path]);
    listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, ip)| (name.to_owned(), ip.to_owned())).collect()
}

pub fn until_two_are_ready(world: &World) {
    eventually("two JobManagers that are ready", PATIENCE, || {
        let ready = world.kubectl(&["get", "deployment", "demo", "-o", "jsonpath={.status.readyReplicas}"]);
        if ready == "2" { Ok(()) } else { Err(format!("{ready:?} are")) }
    });
}

#[test]
fn of_two_job_managers_the_other_leads_when_the_first_is_deleted_and_tasks_run_on() {
    let test = "of_two_job_managers_the_other_leads_when_the_first_is_deleted_and_tasks_run_on";
    let lines = "\
kubernetes.jobmanager.service-account: candidate
kubernetes.jobmanager.replicas: 2
kubernetes.jobmanager.cpu.amount: 0.25
high-availability.type: kubernetes
high-availability.leader-election.lease-duration: 2 s
high-availability.leader-election.renew-deadline: 1500 ms
high-availability.leader-election.retry-period: 200 ms
execution.checkpointing.interval: 200 ms";
    let Some(world) = World::new(test, "replicas", lines) else { return };
    let flott = |line: &[&str]| world.sandbox.flott(line.iter().copied());
    let start = ["session", "start", "--backend", "kubernetes"];
    flott(&start)
        .refused(1, &["high-availability.storageDir: high-availability.type is kubernetes, which needs a directory"]);
    let shared = format!("high-availability.storageDir={}", world.output("high-availability"));
    let start = [&start[..], &["-D", &shared]].concat();
    world.account("candidate", &RIGHTS);
    flott(&start).refused(1, &["get, create, update leases"]);
    let (role, account) = ("--role=lead", "--serviceaccount=replicas:candidate");
    world.kubectl(&["create", "role", "lead", &format!("--verb={}", TO_LEAD.0), &format!("--resource={}", TO_LEAD.1)]);
    world.kubectl(&["create", "rolebinding", "lead", role, account]);
    world.until_allowed("candidate", "update", TO_LEAD.1);

    flott(&start).success();
    until_two_are_ready(&world);
    let first = eventually("a leader", PATIENCE, || leader(&world));
    let (out, hold) = (world.output("out"), world.shared("hold"));
    let (output, held) = (format!("output={out}"), format!("hold={hold}"));
    let job = flott(&["run", "-t", "kubernetes-session", "-d", "-p", "2", &test_program(), "held", &output, &held]);
    let job = job.success().job();
    let until_running = || {
        eventually("the job to run", PATIENCE, || {
            let listed = flott(&["list", "-t", "kubernetes-session"]);
            if listed.out.contains(&format!("{job} : held (RUNNING)")) { Ok(()) } else { Err(listed.out + &listed.err) }
        });
    };
    until_running();
    let workers = pods(&world, "taskmanager");
    assert_eq!(workers.len(), 2, "{workers:?}");

    let leading = pods(&world, "jobmanager").into_iter().find(|(_, ip)| first.starts_with(&format!("{ip}:")));
    let (leading, _) = leading.unwrap_or_else(|| panic!("{first} is of no pod"));
    // At once, without a word to it.
    world.kubectl(&["delete", "pod", &leading, "--force", "--grace-period=0", "--wait=false"]);
    let second = eventually("another leader", PATIENCE, || match leader(&world)? {
        same if same == first => Err(format!("{same} leads")),
        other => Ok(other),
    });
    until_running();
    assert_eq!(pods(&world, "taskmanager"), workers);

    // In order: the lease passes on as soon as the pod ends.
    until_two_are_ready(&world);
    let leading = pods(&world, "jobmanager").into_iter().find(|(_, ip)| second.starts_with(&format!("{ip}:")));
    let (leading, _) = leading.unwrap_or_else(|| panic!("{second} is of no pod"));
    world.kubectl(&["delete", "pod", &leading, "--wait=false"]);
    eventually("a third leader", PATIENCE, || match leader(&world)? {
        same if same == second => Err(format!("{same} leads")),
        other => Ok(other),
    });
    until_running();
    assert_eq!(pods(&world, "taskmanager"), workers);

    fs::write(&hold, "").unwrap();
    flott(&["jobs", "wait", &job, "-t", "kubernetes-session"]).success();
    check_output(&out, 1000, 10);
    flott(&["session", "stop", "--backend", "kubernetes"]).success();
    world.nothing_is_left();
}
