//! Control connections that tear while jobs run: nothing is lost, and nothing starts over.

use std::time::{Duration, Instant};

use flott_tests::{
    eventually::PATIENCE,
    program::{check_output, test_program},
    proxy::Proxy,
    sandbox::{
        Sandbox,
        processes::{Process, Role},
    },
};
use nix::sys::signal::Signal;

const RECORDS: u64 = 60_000;
const SPLITS: u64 = 6000;
const KEYS: u64 = 20;
/// Between two tears: enough for some splits to be handed out.
const PAUSE: Duration = Duration::from_millis(40);

#[test]
fn a_connection_that_tears_again_and_again_costs_no_split_and_no_restart() {
    // A busy machine must not look like a worker that stays away.
    let sandbox = Sandbox::with("cluster.connection-grace: 30 s");
    let session = sandbox.session(&["cluster.backend=standalone"]);
    let proxy = Proxy::before(session.address());
    let directory = sandbox.at("worker");
    let slots = ["-D", "taskmanager.numberOfTaskSlots=2"];
    let line = ["taskmanager", "--jobmanager", proxy.address(), "--work-dir", &directory];
    let worker = sandbox.start_flott(line.iter().chain(&slots));
    let out = sandbox.at("out");
    let arguments = [
        "torn".to_owned(),
        format!("records={RECORDS}"),
        format!("splits={SPLITS}"),
        format!("keys={KEYS}"),
        format!("output={out}"),
    ];
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
    let process = sandbox.until_running(Role::JobProcess, 1).remove(0);
    let deadline = Instant::now() + PATIENCE;
    session.until_one_of(&job, &["RUNNING", "FINISHED"]);
    let mut torn = 0;
    while session.state(&job) == "RUNNING" {
        std::thread::sleep(PAUSE);
        let processes: Vec<Process> = sandbox.running(Role::JobProcess);
        torn += proxy.tear();
        assert!(Instant::now() < deadline, "after {torn} tears it still runs on {processes:?}");
        assert!(processes.iter().all(|running| *running == process), "{process} is not what runs: {processes:?}");
    }
    session.finished(&job);
    println!("torn {torn} times");
    assert!(torn >= 10, "torn {torn} times");
    assert!(session.exceptions(&job).is_empty());
    check_output(&out, RECORDS, KEYS);
    assert!(!sandbox.logs().contains("begins a new life"), "{}", sandbox.logs());
    worker.signal(Signal::SIGTERM);
    worker.end().success();
    session.stop();
}
