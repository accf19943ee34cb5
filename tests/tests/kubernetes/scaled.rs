//! Jobs that get more pods, or fewer, or ask for them in vain.

use flott_tests::{
    command::Running,
    eventually::{PATIENCE, eventually},
};

use crate::{
    job::{Job, name},
    world::World,
};

const SOON: &str = "resourcemanager.taskmanager-timeout: 1 s";

#[track_caller]
fn until_pods(world: &World, count: usize) {
    eventually(&format!("{count} TaskManagers"), PATIENCE, || {
        let pods: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
        if pods.len() == count { Ok(()) } else { Err(pods.join(", ")) }
    });
}

/// Asks for more than there can be now. Says what it waits for; meanwhile the job runs on as it was.
#[track_caller]
fn asks_in_vain(world: &World, job: &Job<'_>, reason: &[&str]) -> Running {
    let rescale = ["rescale", "-t", "kubernetes-session", &job.id, "-p", "8"];
    let mut rescale = world.sandbox.start_flott(rescale);
    eventually(&format!("{reason:?} in the list"), PATIENCE, || {
        let ended = rescale.has_ended().is_some();
        let listed = world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().out;
        if reason.iter().all(|part| listed.contains(part)) {
            return Ok(());
        }
        assert!(!ended, "it has ended before a reason was shown: {}\n{listed}", rescale.err());
        Err(listed)
    });
    let rest = world.rest();
    assert_eq!(job.parallelism(&rest), [1, 1]);
    assert!(rest.exceptions(&job.id).is_empty(), "{:?}", rest.exceptions(&job.id));
    job.goes_on(&rest);
    rescale
}

#[test]
fn a_job_grows_to_eight_taskmanagers_when_a_quota_lets_it_and_shrinks_to_one() {
    let test = "a_job_grows_to_eight_taskmanagers_when_a_quota_lets_it_and_shrinks_to_one";
    let Some(world) = World::new(test, "scaled", SOON) else { return };
    let job = Job::start(&world, "1", &[]);
    until_pods(&world, 1);

    world.kubectl(&["create", "quota", "few", "--hard=pods=3"]);
    eventually("the quota to be in force", PATIENCE, || {
        let counted = world.kubectl(&["get", "quota", "few", "-o=jsonpath={.status.used.pods}"]);
        if counted == "2" { Ok(()) } else { Err(counted) }
    });
    let grows = asks_in_vain(&world, &job, &["quota: ", "exceeded quota: few"]);
    world.kubectl(&["delete", "quota", "few"]);
    grows.end_within(PATIENCE * 2).success().prints(&["rescaled from checkpoint"]);
    until_pods(&world, 8);
    job.goes_on(&world.rest());

    let shrinks = ["rescale", "-t", "kubernetes-session", &job.id, "-p", "1"];
    world.sandbox.flott(shrinks).success().prints(&["rescaled from checkpoint"]);
    until_pods(&world, 1);
    job.goes_on(&world.rest());
    job.end();
}

#[test]
fn a_jobmanager_whose_credentials_have_expired_says_so_and_its_job_runs_on() {
    let test = "a_jobmanager_whose_credentials_have_expired_says_so_and_its_job_runs_on";
    let Some(world) = World::new(test, "expired", "slot.request.timeout: 8 s") else { return };
    let job = Job::start(&world, "1", &[]);
    // Tokens are good for as long as their service account. The API server remembers for a while that they were.
    let token = format!("--token={}", world.kubectl(&["create", "token", "flott"]));
    let server = format!("--server={}", world.cluster.server());
    let probe = || world.anonymously(&["get", "pods", &server, &token]);
    probe().unwrap();
    world.kubectl(&["delete", "serviceaccount", "flott"]);
    eventually("the token to be of no use", PATIENCE, || match probe() {
        Ok(_) => Err("it is good"),
        Err(_) => Ok(()),
    });
    let reason = ["access: ", "does not accept the credentials"];
    asks_in_vain(&world, &job, &reason).end().expect(1).says(&reason).says(&["the job was not rescaled"]);

    // Another pod has another token.
    world.kubectl(&["create", "serviceaccount", "flott"]);
    let before = name(&world.pods("jobmanager")[0]);
    world.kubectl(&["delete", "pod", &before, "--wait=false"]);
    eventually("another pod", PATIENCE, || {
        let now: Vec<_> = world.pods("jobmanager").iter().map(name).collect();
        if now.len() == 1 && now[0] != before { Ok(()) } else { Err(now.join(", ")) }
    });
    job.goes_on(&world.rest());
    let rescale = ["rescale", "-t", "kubernetes-session", &job.id, "-p", "2"];
    world.sandbox.flott(rescale).success().prints(&["rescaled from checkpoint"]);
    until_pods(&world, 2);
    job.end();
}
