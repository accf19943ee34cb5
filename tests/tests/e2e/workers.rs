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
    attached.until_printed("waiting for 1 slot ");
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
    failed.says(&["asked for 3 of any size; given none;", "1 TaskManager with 1 slot is registered, 1 free"]);
    // The slot that there is was not lost over it.
    session.run(&["-p", "1"], &test_program(), ["a"]).success();
    end(worker);
    session.stop();
}

#[test]
fn a_cluster_that_may_not_grow_says_so() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["slotmanager.number-of-slots.max=1"]);
    let job = session.run(&["-d", "-p", "2"], &test_program(), ["a"]).success().job();
    let why = reason(&session, &job);
    assert!(why["reason"].as_str().unwrap().contains("slotmanager.number-of-slots.max"), "{why}");
    // Long before `slot.request.timeout`.
    session.until(&job, "FAILED");
    let exceptions = session.exceptions(&job);
    let told = exceptions[0].to_string();
    assert!(told.contains("the cluster may not have enough slots: asked for 2 of any size; given none;"), "{told}");
    assert!(told.contains("slotmanager.number-of-slots.max allows 1 slot"), "{told}");
    session.run(&[], &test_program(), ["b"]).success();
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
    let session = sandbox.session(&["resourcemanager.taskmanager-timeout=100 ms"]);
    session.run(&[], &test_program(), ["a"]).success();
    sandbox.until_running(Role::TaskManager, 0);
    session.run(&[], &test_program(), ["b"]).success();
    session.stop();
}

/// What the directories of the session's workers hold, `logs` apart.
fn leftovers(sandbox: &Sandbox) -> Vec<String> {
    let workers = fs::read_dir(sandbox.at("state/session/workers")).unwrap();
    let entries = workers.flat_map(|worker| fs::read_dir(worker.unwrap().path()).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("logs"));
    paths.map(|path| path.display().to_string()).collect()
}

#[test]
fn workers_that_are_gone_leave_their_logs_only() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let job = session.submit(&test_program(), ["a"]);
    session.finished(&job);
    assert!(!leftovers(&sandbox).is_empty(), "a worker that runs keeps the program for the next job");
    session.stop();
    assert_eq!(leftovers(&sandbox), [] as [&str; 0]);

    // The JobManager first, so that nobody is there to see to it.
    let session = sandbox.session(&[]);
    let job = session.submit(&test_program(), ["b"]);
    session.finished(&job);
    drop(session);
    for role in [Role::JobManager, Role::TaskManager, Role::JobProcess] {
        sandbox.running(role).iter().for_each(|process| process.kill());
    }
    sandbox.until_empty();
    assert!(!leftovers(&sandbox).is_empty());
    let session = sandbox.session(&[]);
    eventually("what the dead have left to be gone", PATIENCE, || {
        let left = leftovers(&sandbox);
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    session.stop();
}
