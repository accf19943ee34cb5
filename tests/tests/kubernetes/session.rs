use std::fs;

use flott_tests::{
    binaries::binary,
    book::{book, check_running, lines_in, words_of},
    eventually::{PATIENCE, eventually},
    program::{check_output, slim},
};

use crate::world::World;

const HERE: [&str; 2] = ["-t", "kubernetes-session"];

#[test]
fn a_session_runs_jobs_of_clients_that_know_its_name_and_is_gone_when_it_is_stopped() {
    let test = "a_session_runs_jobs_of_clients_that_know_its_name_and_is_gone_when_it_is_stopped";
    let Some(world) = World::new(test, "session", "") else { return };
    let flott = |line: &[&str]| world.sandbox.flott(line.iter().copied());
    let in_session = |line: &[&str]| world.sandbox.flott(line.iter().chain(&HERE).copied());
    in_session(&["list"]).refused(3, &["there is no cluster demo in namespace \"session\""]);
    flott(&["session", "stop", "--backend", "kubernetes"]).refused(3, &["there is no cluster demo"]);

    let started = flott(&["session", "start", "--backend", "kubernetes"]).success();
    started.prints(&["Session cluster is running at http://demo.session:8081"]);
    flott(&["session", "status", "--backend", "kubernetes"]).success().prints(&["0 TaskManagers"]);
    let file = world.kubectl(&["get", "configmap", "demo-config", "-o", "jsonpath={.data.config\\.yaml}"]);
    assert!(file.contains("demo.session") && !file.contains("kubeconfig") && !file.contains("token"), "{file}");

    let (text, out) = (world.shared("book.txt"), world.output("out"));
    fs::copy(book(), &text).unwrap();
    let program = slim(&binary("wordcount"), world.sandbox.path());
    let run = ["run", "-t", "kubernetes-session", "-p", "2", &program, "--input", &text, "--output", &out];
    flott(&run).success().prints(&["Program execution finished"]);
    check_running(&lines_in(&out), &words_of(&fs::read_to_string(book()).unwrap()));

    // What a program prints is where it runs, and is found by the name of the cluster.
    let text = world.sandbox.write("shared/verse.txt", "rainbow colours rainbow");
    let prints = flott(&["run", "-t", "kubernetes-session", &program, "--input", &text]).success().job();
    in_session(&["logs", &prints, "--stdout"]).success().prints(&["rainbow 2\n", "colours 1\n"]);

    let (out, hold) = (world.output("held"), format!("hold={}", world.shared("hold")));
    let output = format!("output={out}");
    let line = ["run", "-t", "kubernetes-session", "-d", &world.program, "held", &output, &hold];
    let held = flott(&line).success().job();
    eventually("the job to run", PATIENCE, || {
        let listed = in_session(&["list"]).success().out;
        if listed.contains(&format!("{held} : held (RUNNING)")) { Ok(()) } else { Err(listed) }
    });
    // What is configured need not be said.
    let configured = ["list", "-D", "cluster.backend=kubernetes"];
    flott(&configured).success().prints(&[&held]);
    in_session(&["logs", &held, "--json"]).success().prints(&[&held, ".log"]);
    let workers = world.pods("taskmanager").len();
    assert!(workers > 0, "it runs in one");
    let status = flott(&["session", "status", "--backend", "kubernetes"]).success();
    status.prints(&[&format!("\n{workers} TaskManagers, "), "jobs: 1 running, "]);
    fs::write(world.shared("hold"), "").unwrap();
    in_session(&["jobs", "wait", &held]).success();
    check_output(&out, 1000, 10);

    let hold = format!("hold={}", world.shared("never"));
    let cancelled = flott(&["run", "-t", "kubernetes-session", "-d", &world.program, "held", &hold]).success().job();
    in_session(&["cancel", &cancelled]).success();
    in_session(&["jobs", "wait", &cancelled]).expect(4);

    let running = flott(&["run", "-t", "kubernetes-session", "-d", &world.program, "held", &hold]).success().job();
    in_session(&["list"]).success().prints(&[&running]);
    let stopped = flott(&["session", "stop", "--backend", "kubernetes"]).success();
    stopped.prints(&["The session cluster demo in namespace session has been removed."]);
    world.nothing_is_left();
    flott(&["session", "status", "--backend", "kubernetes"]).refused(3, &["there is no cluster demo"]);
}
