//! Jobs of which a part is lost: the rest goes on, and each record counts once.

use std::{fs, path::Path};

use flott_tests::{
    book::lines_in,
    checkpoints::until_checkpoint,
    command::Running,
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    proxy::Proxy,
    sandbox::{Sandbox, Session, processes::Role},
};
use nix::sys::signal::Signal;

const RECORDS: u64 = 20_000;
const SPLITS: u64 = 200;
const KEYS: u64 = 50;

/// A job of two subtasks that stops half-way until it is [released](release), with a checkpoint each tenth of a second.
#[track_caller]
fn submit(sandbox: &Sandbox, session: &Session<'_>, more: &[&str]) -> String {
    let arguments = [
        "held".to_owned(),
        format!("records={RECORDS}"),
        format!("splits={SPLITS}"),
        format!("keys={KEYS}"),
        format!("hold={}", sandbox.at("hold")),
        format!("output={}", sandbox.at("out")),
    ];
    let options = ["-d", "-p", "2", "-D", "execution.checkpointing.interval=100 ms"];
    let arguments = arguments.into_iter().chain(more.iter().map(|&argument| argument.to_owned()));
    let job = session.run(&options, &test_program(), arguments).success().job();
    session.until_all_run(&job);
    until_checkpoint(Path::new(&sandbox.at("checkpoints")));
    job
}

fn release(sandbox: &Sandbox) {
    fs::write(sandbox.at("hold"), "").unwrap();
}

fn checkpoints_in(sandbox: &Sandbox) -> String {
    format!("execution.checkpointing.dir: {}", sandbox.at("checkpoints"))
}

/// The two subtasks have nothing to do with each other, but that they take splits of one source.
#[test]
fn a_region_that_is_lost_goes_back_to_its_checkpoint_and_the_other_runs_on() {
    let sandbox = Sandbox::new();
    sandbox.configure(&checkpoints_in(&sandbox));
    let session = sandbox.session(&[]);
    let job = submit(&sandbox, &session, &["plain=true"]);
    assert_eq!(session.attempts(&job), [0; 2], "a subtask is a chain of source and sink");
    let mut processes = sandbox.until_running(Role::JobProcess, 2);
    processes.remove(0).kill();
    eventually("one subtask to be started again", PATIENCE, || {
        let mut attempts = session.attempts(&job);
        attempts.sort_unstable();
        if attempts == [0, 1] { Ok(()) } else { Err(format!("{attempts:?}")) }
    });
    session.until_all_run(&job);
    until_checkpoint(Path::new(&sandbox.at("checkpoints")));
    assert!(processes.iter().all(|process| !process.is_gone()), "{processes:?}");
    release(&sandbox);
    session.finished(&job);
    let mut lines: Vec<u64> = lines_in(&sandbox.at("out")).iter().map(|line| line.parse().unwrap()).collect();
    lines.sort_unstable();
    assert!(lines.into_iter().eq(0..RECORDS), "each number is there once");
    session.stop();
}

/// A TaskManager that comes by itself, with one slot.
fn task_manager(sandbox: &Sandbox, address: &str, name: &str) -> Running {
    sandbox.start_flott(["taskmanager", "--jobmanager", address, "--work-dir", &sandbox.at(name)])
}

/// Nobody hears it any more, and it hears nobody; but it lives, and so do its tasks.
#[test]
fn tasks_of_a_task_manager_that_is_cut_off_commit_nothing_and_end_when_it_is_back() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "heartbeat.timeout: 2 s\nheartbeat.interval: 100 ms\ntaskmanager.registration.timeout: 60 s\n{}",
        checkpoints_in(&sandbox)
    ));
    let session = sandbox.session(&["cluster.backend=standalone"]);
    let network = Proxy::before(session.address());
    let near = task_manager(&sandbox, session.address(), "near");
    let far = task_manager(&sandbox, network.address(), "far");
    let job = submit(&sandbox, &session, &[]);
    let before = sandbox.until_running(Role::JobProcess, 2);
    network.swallow();
    let spare = task_manager(&sandbox, session.address(), "spare");
    eventually("the loss to be noticed", PATIENCE, || {
        let failures = session.exceptions(&job);
        if failures.is_empty() { Err("no failure yet") } else { Ok(()) }
    });
    session.until_all_run(&job);
    // What is cut off waits for its JobManager.
    assert_eq!(sandbox.running(Role::TaskManager).len(), 3);
    let running = sandbox.until_running(Role::JobProcess, 3);
    assert!(running.iter().any(|process| before.contains(process)), "{running:?}");
    release(&sandbox);
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    network.flow();
    eventually("it to be back", PATIENCE, || {
        let overview = session.get("/overview");
        if overview["taskmanagers"] == 3 { Ok(()) } else { Err(overview) }
    });
    sandbox.until_running(Role::JobProcess, 0);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    for worker in [near, far, spare] {
        worker.signal(Signal::SIGTERM);
        worker.end().success();
    }
    session.stop();
}
