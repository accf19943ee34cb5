//! Jobs that go after the slots there are.

use std::fs;

use flott_tests::{
    command::Running,
    eventually::{PATIENCE, eventually},
    program::{check_output_in_any_order, test_program},
    rest::Rest,
    sandbox::Sandbox,
};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;

/// `flott taskmanager` in the foreground.
fn task_manager(sandbox: &Sandbox, address: &str, name: &str, slots: u32) -> Running {
    let (directory, slots) = (sandbox.at(name), format!("taskmanager.numberOfTaskSlots={slots}"));
    sandbox.start_flott(["taskmanager", "--jobmanager", address, "--work-dir", &directory, "-D", &slots])
}

/// Arguments of a job whose splits stop half-way until they are let go on.
fn held(sandbox: &Sandbox) -> Vec<String> {
    let settings =
        [("records", RECORDS.to_string()), ("splits", "8".to_owned()), ("keys", KEYS.to_string())].into_iter();
    let files = [("hold", sandbox.at("hold")), ("output", sandbox.at("out"))];
    let settings = settings.chain(files).map(|(name, value)| format!("{name}={value}"));
    std::iter::once("held".to_owned()).chain(settings).collect()
}

/// Waits until every vertex has so many subtasks, and all of them run.
#[track_caller]
fn until_parallel(rest: &Rest, job: &str, parallelism: u64) {
    eventually(&format!("{parallelism} subtasks of each vertex"), PATIENCE, || {
        let details = rest.get(&format!("/v1/jobs/{job}"));
        let all = |vertex: &Value| {
            vertex["parallelism"] == parallelism && vertex["tasks"]["RUNNING"].as_u64() == Some(parallelism)
        };
        match details["vertices"].as_array() {
            Some(vertices) if !vertices.is_empty() && vertices.iter().all(all) => Ok(()),
            _ => Err(details),
        }
    });
}

#[test]
fn a_reactive_job_grows_and_shrinks_with_its_task_managers_and_counts_each_once() {
    let sandbox = Sandbox::with(
        "cluster.backend: standalone\nscheduler-mode: REACTIVE\nexecution.checkpointing.interval: 200 ms\n\
         jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling: 100 ms\nheartbeat.timeout: 5 s",
    );
    let program = test_program();
    let line: Vec<String> = ["run", "-m", "cluster", "-d", "-p", "2", &program].map(str::to_owned).to_vec();
    let submitted = sandbox.flott(line.into_iter().chain(held(&sandbox))).success();
    let (job, address) = (submitted.job(), submitted.address());
    let rest = Rest::new(&address);
    // It was to have two subtasks, and one slot is better than none.
    let first = task_manager(&sandbox, &address, "first", 1);
    until_parallel(&rest, &job, 1);
    let second = task_manager(&sandbox, &address, "second", 3);
    until_parallel(&rest, &job, 4);
    sandbox.flott(["rescale", "-m", &address, &job, "-p", "2"]).refused(1, &["reactive mode"]);
    second.signal(Signal::SIGKILL);
    until_parallel(&rest, &job, 1);
    let third = task_manager(&sandbox, &address, "third", 1);
    until_parallel(&rest, &job, 2);
    let rescales = rest.get(&format!("/flott/v1/jobs/{job}/rescales"));
    let told =
        |entry: &Value| (entry["status"].as_str().unwrap().to_owned(), entry["cause"].as_str().unwrap().to_owned());
    let told: Vec<_> = rescales["rescales"].as_array().unwrap().iter().rev().map(told).collect();
    let done = |cause: &str| ("COMPLETED".to_owned(), cause.to_owned());
    let (more, fewer) = (done("NEW_RESOURCE_AVAILABLE"), done("RECOVERABLE_FAILOVER"));
    assert_eq!(told, [fewer.clone(), more.clone(), fewer, more], "{rescales}");
    fs::write(sandbox.at("hold"), "").unwrap();
    sandbox.flott(["jobs", "wait", &job]).success();
    check_output_in_any_order(&sandbox.at("out"), RECORDS, KEYS);
    second.kill();
    for worker in [first, third] {
        worker.signal(Signal::SIGTERM);
        worker.end().success();
    }
    sandbox.until_empty();
}

#[test]
fn in_a_session_a_job_is_given_bounds_and_goes_after_the_slots_between_them() {
    let sandbox = Sandbox::with(
        "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling: 100 ms\n\
         jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout: 300 ms\n\
         execution.checkpointing.interval: 200 ms\nheartbeat.timeout: 5 s",
    );
    let session = sandbox.session(&["cluster.backend=standalone"]);
    let refused = session.run(&["-d", "-D", "scheduler-mode=REACTIVE"], &test_program(), ["a"]);
    refused.refused(1, &["reactive mode", "needs a cluster of its own", "resource-requirements"]);

    let address = session.address().to_owned();
    let (first, second) = (task_manager(&sandbox, &address, "first", 1), task_manager(&sandbox, &address, "second", 1));
    let job = session.run(&["-d", "-p", "2"], &test_program(), held(&sandbox)).success().job();
    let rest = Rest::new(&address);
    until_parallel(&rest, &job, 2);
    let requirements = rest.get(&format!("/v1/jobs/{job}/resource-requirements"));
    let bounds = |_: &Value| json!({"parallelism": {"lowerBound": 1, "upperBound": 3}});
    let asked: serde_json::Map<_, _> =
        requirements.as_object().unwrap().iter().map(|(id, now)| (id.clone(), bounds(now))).collect();
    let path = format!("/v1/jobs/{job}/resource-requirements");
    rest.request(Method::PUT, &path, |request| request.json(&Value::Object(asked))).expect(200);
    // The third slot comes, and goes again with another.
    let third = task_manager(&sandbox, &address, "third", 1);
    until_parallel(&rest, &job, 3);
    third.signal(Signal::SIGKILL);
    second.signal(Signal::SIGKILL);
    until_parallel(&rest, &job, 1);
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output_in_any_order(&sandbox.at("out"), RECORDS, KEYS);
    for worker in [second, third] {
        worker.kill();
    }
    first.signal(Signal::SIGTERM);
    first.end().success();
    session.stop();
}
