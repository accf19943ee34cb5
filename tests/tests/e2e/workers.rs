//! TaskManagers that come by themselves, and jobs that wait for slots.

use std::{fs, net::TcpListener};

use flott_tests::{
    command::Running,
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    sandbox::{Sandbox, Session, processes::Role},
};
use nix::sys::signal::Signal;
use serde_json::Value;

const STANDALONE: &str = "cluster.backend=standalone";

/// `flott taskmanager` in the foreground.
fn task_manager(sandbox: &Sandbox, address: &str, name: &str, more: &[&str]) -> Running {
    let directory = sandbox.at(name);
    let line = ["taskmanager", "--jobmanager", address, "--work-dir", &directory];
    sandbox.start_flott(line.iter().chain(more))
}

/// Ends a TaskManager as whoever has started it does.
#[track_caller]
fn end(worker: Running) {
    worker.signal(Signal::SIGTERM);
    worker.end().success();
}

/// Waits until the endpoint says why `job` waits, and gives the first reason.
#[track_caller]
fn reason(session: &Session<'_>, job: &str) -> Value {
    eventually("a reason why the job waits", PATIENCE, || {
        let pending = session.get(&format!("/flott/v1/jobs/{job}/pending"));
        match &pending["reasons"][0] {
            Value::Null => Err(pending),
            reason => Ok(reason.clone()),
        }
    })
}

#[test]
fn a_task_manager_that_comes_by_itself_is_what_a_waiting_job_waits_for() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[STANDALONE]);
    let out = sandbox.at("out");
    let job = session.run(&["-d", "-p", "2"], &test_program(), ["a", &format!("output={out}")]).success().job();
    let why = reason(&session, &job);
    assert_eq!(why["slots-missing"], 2, "{why}");
    let text = why["reason"].as_str().unwrap();
    assert!(text.contains("no TaskManager is registered") && text.contains("flott taskmanager"), "{text}");
    sandbox.flott(["list"]).success().prints(&["waiting for 2 slots", "no TaskManager is registered"]);
    let listed = sandbox.flott(["list", "--json"]).success().json();
    assert_eq!(listed["jobs"][0]["pending"][0]["slots-missing"], 2, "{listed}");

    // Whoever is attached is told too.
    let mut attached = sandbox.start_flott(["run", "-m", session.address(), &test_program(), "b"]);
    attached.until_printed("waiting for 1 slots");
    attached.until_printed("no TaskManager is registered");

    let slots = ["-D", "taskmanager.numberOfTaskSlots=2", "-D", "taskmanager.resource-id=by-hand"];
    let worker = task_manager(&sandbox, session.address(), "worker", &slots);
    session.finished(&job);
    attached.end().success();
    check_output(&out, 1000, 10);
    assert_eq!(session.get("/taskmanagers")["taskmanagers"][0]["id"], "by-hand");
    end(worker);
    session.stop();
}

#[test]
fn a_pool_loses_a_worker_and_another_takes_its_place() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[STANDALONE]);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let first = task_manager(&sandbox, session.address(), "first", &[]);
    let job = session.submit(&test_program(), ["a", &format!("hold={hold}"), &format!("output={out}")]);
    session.until_all_run(&job);
    first.signal(Signal::SIGKILL);
    reason(&session, &job);
    let second = task_manager(&sandbox, session.address(), "second", &[]);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    check_output(&out, 1000, 10);
    end(second);
    first.kill();
    session.stop();
}

#[test]
fn no_slots_before_the_timeout_name_what_was_asked_for_and_what_there_was() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[STANDALONE, "slot.request.timeout=1 s"]);
    let failed = session.run(&["-p", "3"], &test_program(), ["a"]).expect(2);
    failed.says(&["slot.request.timeout", "3", "no TaskManager is registered"]);
    sandbox.flott(["list"]).success().prints(&["No running jobs."]);

    let worker = task_manager(&sandbox, session.address(), "worker", &[]);
    eventually("the worker to register", PATIENCE, || {
        let overview = session.get("/overview");
        if overview["slots-total"] == 1 { Ok(()) } else { Err(overview) }
    });
    let failed = session.run(&["-p", "3"], &test_program(), ["a"]).expect(2);
    failed.says(&["slot.request.timeout", "3", "1 slot"]);
    // The slot that there is was not lost over it.
    session.run(&["-p", "1"], &test_program(), ["a"]).success();
    end(worker);
    session.stop();
}

#[test]
fn a_cluster_that_may_not_grow_says_so() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["slotmanager.number-of-slots.max=1", "slot.request.timeout=2 s"]);
    let job = session.run(&["-d", "-p", "2"], &test_program(), ["a"]).success().job();
    let why = reason(&session, &job);
    assert!(why["reason"].as_str().unwrap().contains("slotmanager.number-of-slots.max"), "{why}");
    session.until(&job, "FAILED");
    let exceptions = session.exceptions(&job);
    assert!(exceptions[0].to_string().contains("slot.request.timeout"), "{exceptions:?}");
    session.stop();
}

#[test]
fn a_second_job_waits_for_the_slots_of_the_first() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["slotmanager.number-of-slots.max=1"]);
    let hold = sandbox.at("hold");
    let first = session.submit(&test_program(), ["first", &format!("hold={hold}")]);
    session.until_all_run(&first);
    let second = session.submit(&test_program(), ["second"]);
    let why = reason(&session, &second);
    assert_eq!(why["slots-missing"], 1, "{why}");
    sandbox.flott(["list"]).success().prints(&[&format!("{second} : second"), "waiting for 1 slot"]);
    fs::write(&hold, "").unwrap();
    session.finished(&first);
    session.finished(&second);
    session.stop();
}

#[test]
fn a_worker_with_the_wrong_token_is_refused() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[STANDALONE, "security.token=0123456789abcdef-right"]);
    let wrong = ["-D", "security.token=0123456789abcdef-wrong", "-D", "taskmanager.registration.timeout=1 s"];
    let worker = task_manager(&sandbox, session.address(), "wrong", &wrong).end();
    assert!(!worker.status.success() && worker.err.contains("token"), "{}", worker.err);
    let right = ["-D", "security.token=0123456789abcdef-right"];
    let worker = task_manager(&sandbox, session.address(), "right", &right);
    sandbox.flott(["run", &test_program(), "a"]).success();
    end(worker);
    session.stop();
}

#[test]
fn a_worker_without_a_job_manager_gives_up() {
    let sandbox = Sandbox::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let timeout = ["-D", "taskmanager.registration.timeout=1 s"];
    let worker = task_manager(&sandbox, &nobody, "alone", &timeout).end();
    assert!(!worker.status.success() && worker.err.contains(&nobody), "{}", worker.err);
    sandbox.flott(["taskmanager"]).expect(1).says(&["--jobmanager"]);
}

#[test]
fn idle_workers_go_and_come_back_when_they_are_needed() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["resourcemanager.taskmanager-timeout=100 ms", "slot.idle.timeout=0 ms"]);
    session.run(&[], &test_program(), ["a"]).success();
    sandbox.until_running(Role::TaskManager, 0);
    session.run(&[], &test_program(), ["b"]).success();
    session.stop();
}
