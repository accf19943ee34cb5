//! JobManagers of one job that somebody starts again until it has ended, as Kubernetes and systemd do.

use std::fs;

use flott_tests::{
    command::Running,
    program::{check_output, test_program},
    rest::Rest,
    sandbox::{Sandbox, processes::Role},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A planned job, and the directory of its cluster.
struct Planned<'a> {
    sandbox: &'a Sandbox,
    graph: String,
    job: String,
}

impl<'a> Planned<'a> {
    #[track_caller]
    fn new(sandbox: &'a Sandbox, program: &[&str]) -> Self {
        let graph = sandbox.at("job.graph");
        sandbox.flott(["plan", "-o", &graph, &test_program()].iter().chain(program)).success();
        let document: Value = serde_json::from_slice(&fs::read(&graph).unwrap()).unwrap();
        let job = document["graph"]["job_id"].as_str().expect("the graph has the id of its job").to_owned();
        Self { sandbox, graph, job }
    }

    /// Starts the next JobManager.
    #[track_caller]
    fn start(&self, more: &[&str]) -> Running {
        let directory = self.sandbox.at("cluster");
        let line = ["jobmanager", "--supervised", "--cluster-dir", &directory, "--job-graph", &self.graph, "--program"];
        self.sandbox.start_flott(line.iter().copied().chain([&*test_program()]).chain(more.iter().copied()))
    }

    /// Waits until all its tasks run under `manager`.
    #[track_caller]
    fn running(&self, manager: &mut Running) -> Rest {
        manager.until_printed("http://");
        let address = manager.err().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let rest = Rest::new(&address);
        rest.until_all_run(&self.job);
        rest
    }
}

#[test]
fn told_to_go_it_leaves_the_job_to_the_next_and_its_tasks_run_on() {
    let sandbox = Sandbox::new();
    let (out, hold) = (sandbox.at("out"), sandbox.at("hold"));
    let job = Planned::new(&sandbox, &["held", &format!("output={out}"), &format!("hold={hold}")]);
    let mut first = job.start(&[]);
    job.running(&mut first);
    let processes = sandbox.until_running(Role::JobProcess, 1);
    first.signal(Signal::SIGTERM);
    first.end().expect(143);

    let mut second = job.start(&[]);
    job.running(&mut second);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    fs::write(&hold, "").unwrap();
    second.end().success();
    sandbox.until_empty();
    check_output(&out, 1000, 10);

    // One more is told that the job is over, and does not run it again.
    fs::remove_dir_all(&out).unwrap();
    job.start(&[]).end().success();
    assert!(!fs::exists(&out).unwrap());
    sandbox.until_empty();
}

#[test]
fn the_exit_code_says_how_the_job_has_ended_however_often_it_is_asked() {
    let sandbox = Sandbox::with("restart-strategy.type: none");
    let failing = Planned::new(&sandbox, &["fails", "trouble=exit"]);
    failing.start(&[]).end().expect(2);
    failing.start(&[]).end().expect(2);
    // Or it is in a file, for somebody who starts another one until one has ended with 0.
    let file = sandbox.at("outcome");
    failing.start(&["--outcome-file", &file]).end().expect(0);
    let outcome: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(outcome, json!({ "job": failing.job, "status": "FAILED" }));
    sandbox.until_empty();
}

#[test]
fn a_cancelled_job_is_told_apart_from_a_failed_one() {
    let sandbox = Sandbox::new();
    let held = Planned::new(&sandbox, &["held", &format!("hold={}", sandbox.at("hold"))]);
    let mut manager = held.start(&[]);
    held.running(&mut manager).cancel(&held.job);
    manager.end().expect(4);
    sandbox.until_empty();
}
