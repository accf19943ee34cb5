//! Clusters for one job.

use std::fs;

use flott_tests::{
    binaries::binary,
    book::{book, check_final, check_running, lines_in, words_of},
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    rest::Rest,
    sandbox::{Sandbox, processes::Role},
};
use nix::sys::signal::Signal;

#[test]
fn detached_the_cluster_ends_with_its_job_and_the_result_stays() {
    let sandbox = Sandbox::new();
    let (out, program) = (sandbox.at("out"), binary("wordcount"));
    let line = ["run", "-m", "cluster", "-d", "-p", "2", &program, "--input", &book(), "--output", &out];
    let submitted = sandbox.flott(line).success();
    let (job, _) = (submitted.job(), submitted.address());
    sandbox.flott(["jobs", "wait", &job]).success();
    sandbox.until_empty();
    check_running(&lines_in(&out), &words_of(&fs::read_to_string(book()).unwrap()));

    sandbox.flott(["list", "-a"]).success().prints(&[&format!("{job} : "), "(FINISHED)"]);
    sandbox.flott(["jobs", "wait", &job]).success().prints(&[&job]);
    sandbox.flott(["logs", &job]).success();

    let cluster = format!("state/clusters/job-{job}");
    assert_eq!(names_in(&sandbox.at(&cluster)), ["checkpoints", "logs", "workers"]);
    // No checkpoint and no file of one, but what keeps a JobManager out that was thought dead.
    let checkpoints = sandbox.at(&format!("{cluster}/checkpoints/{job}"));
    let claims = names_in(&checkpoints);
    assert!(matches!(&claims[..], [claim, shared] if claim.starts_with("chk-") && shared == "shared"), "{claims:?}");
    assert_eq!(names_in(&format!("{checkpoints}/shared")), [""; 0]);
}

#[track_caller]
fn names_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn detached_it_returns_while_the_job_runs() {
    returns_while_the_job_runs(&["-d"]);
}

#[test]
fn what_the_configuration_says_is_detached_is_too() {
    returns_while_the_job_runs(&["-D", "execution.attached=false"]);
}

/// A job on a cluster of its own, which runs on until there is a file `hold`.
struct Held {
    out: String,
    hold: String,
    job: String,
}

#[track_caller]
fn held(sandbox: &Sandbox, detached: &[&str]) -> Held {
    let (out, hold) = (sandbox.at("out"), sandbox.at("hold"));
    let (program, settings) = (test_program(), [format!("output={out}"), format!("hold={hold}")]);
    let line = [&["run", "-m", "cluster"], detached, &[&program, "held", &settings[0], &settings[1]]].concat();
    let submitted = sandbox.flott(line).success();
    let job = submitted.job();
    Rest::new(&submitted.address()).until_all_run(&job);
    Held { out, hold, job }
}

#[track_caller]
fn returns_while_the_job_runs(detached: &[&str]) {
    let sandbox = Sandbox::new();
    let Held { out, hold, job } = held(&sandbox, detached);
    for (role, count) in [(Role::JobManager, 1), (Role::TaskManager, 1), (Role::JobProcess, 1), (Role::Client, 0)] {
        sandbox.until_running(role, count);
    }
    sandbox.flott(["list"]).success().prints(&[&format!("{job} : held (RUNNING)")]);
    assert!(lines_in(&out).is_empty(), "nothing is visible before the end");
    fs::write(&hold, "").unwrap();
    sandbox.flott(["jobs", "wait", &job]).success();
    sandbox.until_empty();
    check_output(&out, 1000, 10);
}

#[test]
fn detached_failures_and_cancellations_end_the_cluster_too() {
    let sandbox = Sandbox::with("restart-strategy.type: none");
    let hold = format!("hold={}", sandbox.at("hold"));
    let failing = ["run", "-m", "cluster", "-d", &test_program(), "fails", "trouble=exit"];
    let failed = sandbox.flott(failing).success().job();
    let held = sandbox.flott(["run", "-m", "cluster", "-d", &test_program(), "held", &hold]).success().job();
    sandbox.flott(["jobs", "wait", &failed]).expect(2).says(&["7"]);
    sandbox.flott(["cancel", &held]).success();
    sandbox.flott(["jobs", "wait", &held]).expect(4);
    sandbox.until_empty();
    let all = sandbox.flott(["list", "-a"]).success();
    all.prints(&[&format!("{failed} : fails (FAILED)"), &format!("{held} : held (CANCELED)")]);
}

#[test]
fn attached_the_exit_code_says_how_it_ended_and_the_cluster_is_gone() {
    let sandbox = Sandbox::new();
    let (out, program) = (sandbox.at("out"), binary("wordcount"));
    let line = ["run", "-m", "cluster", "-p", "2", &program, "--mode", "batch", "--input", &book(), "--output", &out];
    let ended = sandbox.flott(line).success().says(&["WordCount: ", "FINISHED after "]);
    ended.prints(&["Job has been submitted with JobID ", "Program execution finished", "Job Runtime: "]);
    let left = sandbox.processes();
    assert!(left.is_empty(), "an attached run leaves nothing behind: {left:?}");
    check_final(&lines_in(&out), &words_of(&fs::read_to_string(book()).unwrap()));

    let line = ["run", "-m", "cluster", "-D", "restart-strategy.type=none", &test_program(), "a", "trouble=panic"];
    sandbox.flott(line).expect(2).says(&["this record is too much"]);
    assert!(sandbox.processes().is_empty());
    sandbox.flott(["list", "-a"]).success().prints(&["(FINISHED)", "(FAILED)"]);
}

#[test]
fn a_job_whose_job_manager_is_killed_is_listed_with_what_starts_it_again() {
    let sandbox = Sandbox::new();
    let Held { out, hold, job } = held(&sandbox, &["-d"]);
    let lost = || sandbox.flott(["list", "-a", "--json"]).success().json()["lost"].clone();
    assert_eq!(lost(), serde_json::json!([]));
    sandbox.until_running(Role::JobManager, 1)[0].kill();
    sandbox.until_running(Role::JobManager, 0);

    sandbox
        .flott(["list", "-a"])
        .success()
        .prints(&[&format!("{job} : held (LOST)"), "flott jobmanager --cluster-dir "]);
    let command = lost()[0]["command"].clone();
    let arguments = command.as_array().unwrap()[1..].iter().map(|word| word.as_str().unwrap().to_owned());
    let again = sandbox.start_flott(arguments);
    fs::write(&hold, "").unwrap();
    again.end().success();
    sandbox.until_empty();
    check_output(&out, 1000, 10);
    assert_eq!(lost(), serde_json::json!([]));
    sandbox.flott(["list", "-a"]).success().prints(&[&format!("{job} : held (FINISHED)")]);
}

/// What a supervisor does, or a person: the same command again, on the same directory.
#[test]
fn a_job_manager_of_one_job_that_is_killed_can_be_started_again() {
    let sandbox = Sandbox::new();
    let Held { out, hold, job } = held(&sandbox, &["-d"]);
    let manager = sandbox.until_running(Role::JobManager, 1).remove(0);
    let line = std::fs::read(format!("/proc/{}/cmdline", manager.pid)).unwrap();
    let line = String::from_utf8(line).unwrap();
    let arguments: Vec<_> = line.split_terminator('\0').skip(1).collect();
    manager.kill();
    sandbox.until_running(Role::JobManager, 0);

    let again = sandbox.start_flott(arguments);
    fs::write(&hold, "").unwrap();
    again.end().success();
    sandbox.until_empty();
    check_output(&out, 1000, 10);
    sandbox.flott(["jobs", "wait", &job]).success();
}

#[test]
fn an_attached_run_that_is_interrupted_takes_its_cluster_along() {
    let sandbox = Sandbox::new();
    let (hold, out) = (format!("hold={}", sandbox.at("hold")), sandbox.at("out"));
    let line = ["run", "-m", "cluster", &test_program(), "held", &hold, &format!("output={out}")];
    let attached = sandbox.start_flott(line);
    sandbox.until_running(Role::JobProcess, 1);
    attached.signal(Signal::SIGINT);
    attached.end().expect(4);
    sandbox.until_empty();
    flott_tests::book::nothing_in(&out);
}

#[test]
fn an_attached_run_that_is_killed_takes_its_cluster_along() {
    let sandbox = Sandbox::new();
    let (hold, out) = (format!("hold={}", sandbox.at("hold")), sandbox.at("out"));
    let line = ["run", "-m", "cluster", &test_program(), "held", &hold, &format!("output={out}")];
    let attached = sandbox.start_flott(line);
    sandbox.until_running(Role::JobProcess, 1);
    // Nobody has reaped it yet: that its id is still taken must not keep its cluster alive.
    attached.signal(Signal::SIGKILL);
    sandbox.until_empty();
    flott_tests::book::nothing_in(&out);
}

#[test]
fn an_attached_run_whose_job_manager_is_killed_says_so() {
    let sandbox = Sandbox::with("taskmanager.registration.timeout: 2 s");
    let (hold, out) = (format!("hold={}", sandbox.at("hold")), sandbox.at("out"));
    let line = ["run", "-m", "cluster", &test_program(), "held", &hold, &format!("output={out}")];
    let attached = sandbox.start_flott(line);
    sandbox.until_running(Role::JobProcess, 1);
    sandbox.until_running(Role::JobManager, 1)[0].kill();
    attached.end().refused(3, &["JobManager", "signal: 9"]);
    sandbox.until_empty();
    assert!(!std::path::Path::new(&out).exists() || flott_tests::book::lines_in(&out).is_empty());
}

/// The line of the old cluster, word for word, with a Flott program in the place of the jar.
#[test]
fn the_old_yarn_line_works() {
    let sandbox = Sandbox::new();
    let program = test_program();
    let line = "run -m yarn-cluster -ynm test-flink -c com.weibo.dip.pipeline.PipelineMain -yn 2 -ys 2 -ytm 4096 -yjm 2048 \
                -yst -p 4 -yD env.java.opts.taskmanager=\"-Dmetrics.database=test-flink\" -yarnqueue back1 -yd PROGRAM \
                test-flink";
    // As a shell would take it apart.
    let words = line.split_whitespace().map(|word| word.replace('"', "").replace("PROGRAM", &program));
    let submitted = sandbox.flott(words.collect::<Vec<_>>()).success();
    let (job, rest) = (submitted.job(), Rest::new(&submitted.address()));

    let warnings: Vec<_> = submitted.err.lines().filter(|line| line.contains("warning")).collect();
    for part in ["env.java.opts.taskmanager", "back1", "-yst"] {
        let about = warnings.iter().filter(|line| line.contains(part)).count();
        assert_eq!(about, 1, "one warning line about {part}:\n{}", submitted.err);
    }
    assert_eq!(warnings.len(), 3, "{}", submitted.err);

    rest.until_all_run(&job);
    sandbox.until_running(Role::TaskManager, 2);
    let workers = eventually("two TaskManagers of two slots", PATIENCE, || {
        let found = rest.get("/taskmanagers")["taskmanagers"].as_array().cloned().unwrap_or_default();
        if found.len() == 2 { Ok(found) } else { Err(found.len()) }
    });
    for worker in &workers {
        assert_eq!(worker["slotsNumber"], 2, "{worker}");
        assert_eq!(worker["memoryConfiguration"]["totalProcessMemory"], 4096_u64 << 20, "{worker}");
    }
    let details = rest.get(&format!("/jobs/{job}"));
    assert_eq!(details["name"], "test-flink");
    assert!(details["vertices"].as_array().unwrap().iter().all(|vertex| vertex["parallelism"] == 4), "{details}");
    sandbox.flott(["list"]).success().prints(&[&format!("{job} : test-flink (RUNNING)")]);

    fs::write(sandbox.at("home/hold"), "").unwrap();
    sandbox.flott(["jobs", "wait", &job]).success();
    sandbox.until_empty();
    check_output(&sandbox.at("home/output"), 1000, 10);
}
