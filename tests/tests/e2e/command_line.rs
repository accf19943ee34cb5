//! Verbs, options, texts and exit codes. Scripts depend on them.

use std::{fs, net::TcpListener, os::unix::process::ExitStatusExt, process::Stdio};

use flott_tests::{
    binaries::binary,
    command::Outcome,
    program::{check_output, test_program},
    rest::Rest,
    sandbox::{Sandbox, processes::Role},
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A port that was free a moment ago: nothing answers there.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const UNKNOWN: &str = "00000000000000000000000000000abc";

#[test]
fn wrong_usage_is_one_line_and_code_1() {
    let sandbox = Sandbox::new();
    sandbox.flott(["frobnicate"]).expect(1).says(&["frobnicate"]);
    for verb in ["run", "info", "plan"] {
        sandbox.flott([verb, "--no-such-option", "x"]).refused(1, &["unknown option --no-such-option"]);
        sandbox.flott([verb, "-yfoo", "x"]).refused(1, &["unknown option -yfoo"]);
        let meant = ["unknown option --paralelism", "did you mean --parallelism?"];
        sandbox.flott([verb, "--paralelism", "2", "x"]).refused(1, &meant);
    }
    sandbox.flott(["run"]).refused(1, &["program"]);
    sandbox.flott(["run", "-p", "0", "x"]).refused(1, &["--parallelism", "0 is not in 1"]);
    sandbox.flott(["cancel", "not-a-job"]).refused(1, &["not-a-job"]);
    sandbox.flott(["run", "-m", "nowhere", &test_program(), "a"]).refused(1, &["nowhere", "HOST:PORT"]);
    sandbox.flott(["run", "-m", "local", "-d", &test_program(), "a"]).refused(1, &["detached"]);
    sandbox.flott(["jobs", "wait", "--timeout", "soon", UNKNOWN]).refused(1, &["soon"]);
}

#[test]
fn a_reader_that_has_had_enough_ends_a_client_and_a_broken_connection_does_not() {
    let sandbox = Sandbox::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let printing = sandbox.flott_command(["docs", "openapi"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(printing.status.signal(), Some(Signal::SIGPIPE as i32), "{printing:?}");
    assert!(printing.stderr.is_empty(), "{printing:?}");

    let session = sandbox.session(&[]);
    let hold = sandbox.at("hold");
    let mut attached =
        sandbox.start_flott(["run", "-m", session.address(), &test_program(), "b", &format!("hold={hold}")]);
    attached.until_printed("JobID");
    attached.signal(Signal::SIGPIPE);
    fs::write(&hold, "").unwrap();
    attached.end().success();
    session.stop();
}

#[test]
fn help_and_version_are_wanted_output() {
    let sandbox = Sandbox::new();
    sandbox.flott(["--help"]).success().prints(&["run", "session", "list", "cancel", "logs"]);
    sandbox.flott(["run", "--help"]).success().prints(&["--parallelism", "--detached", "--job-graph"]);
    sandbox.flott(["--version"]).success().prints(&["flott "]);
}

#[test]
fn no_cluster_is_code_3() {
    let sandbox = Sandbox::new();
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.flott(["list", "-m", &address]).refused(3, &[&address]);
    sandbox.flott(["cancel", "-m", &address, UNKNOWN]).refused(3, &[&address]);
    sandbox.flott(["run", "-m", &address, "-d", &test_program(), "a"]).refused(3, &[&address]);
    sandbox.flott(["session", "stop"]).refused(3, &["no session"]);
    sandbox.flott(["session", "status"]).refused(3, &["no session"]);
    sandbox.flott(["jobs", "wait", UNKNOWN]).refused(3, &[UNKNOWN]);
    // Without a cluster there are no jobs to list, which is no error.
    sandbox.flott(["list", "-a"]).success().prints(&["No running jobs.", "No terminated jobs."]);
}

#[test]
fn a_job_that_fails_is_code_2_and_one_that_is_cancelled_4() {
    let sandbox = Sandbox::with("restart-strategy.type: none");
    let session = sandbox.session(&[]);
    let program = test_program();
    let failed =
        session.run(&[], &program, ["a", "trouble=panic"]).expect(2).says(&["failed", "this record is too much"]);
    sandbox.flott(["jobs", "wait", &failed.job()]).expect(2).says(&["this record is too much"]);

    let hold = sandbox.at("hold");
    let address = session.address().to_owned();
    let mut attached = sandbox.start_flott(["run", "-m", &address, &program, "b", &format!("hold={hold}")]);
    attached.until_printed("JobID");
    let job = flott_tests::command::submitted(&attached.out()).expect("the id was printed");
    session.until_all_run(&job);
    let cancelled = sandbox.flott(["cancel", &job]).success();
    cancelled.prints(&[&format!("Cancelling job {job}."), &format!("Cancelled job {job}.")]);
    attached.end().expect(4).says(&["cancelled"]);
    sandbox.flott(["jobs", "wait", &job]).expect(4);
    session.stop();
}

#[test]
fn a_wait_that_runs_out_is_code_5() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = sandbox.at("hold");
    let job = session.submit(&test_program(), ["a", &format!("hold={hold}")]);
    sandbox.flott(["jobs", "wait", "--timeout", "50 ms", &job]).refused(5, &[&job]);
    fs::write(&hold, "").unwrap();
    sandbox.flott(["jobs", "wait", "--timeout", "1 min", &job]).success().prints(&[&job, "Job Runtime: "]);
    session.stop();
}

#[test]
fn list_shows_jobs_by_what_they_do() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = sandbox.at("hold");
    let done = session.submit(&test_program(), ["is-done"]);
    session.finished(&done);
    let held = session.submit(&test_program(), ["is-held", &format!("hold={hold}")]);
    session.until_all_run(&held);

    let running = sandbox.flott(["list"]).success();
    assert!(!running.out.contains(&done), "{}", running.out);
    running.prints(&["Running/Restarting Jobs", &format!("{held} : is-held (RUNNING)"), "No scheduled jobs."]);
    let all = sandbox.flott(["list", "-a"]).success();
    all.prints(&["Terminated Jobs", &format!("{done} : is-done (FINISHED)"), &held]);
    sandbox.flott(["list", "-s"]).success().prints(&["No scheduled jobs."]);
    let named = sandbox.flott(["list", "-r", "-m", session.address()]).success();
    named.prints(&[&held]);

    session.cancel(&held);
    session.stop();
    // Nothing runs any more, and what was is still known.
    sandbox.flott(["list", "-a"]).success().prints(&[&done, &format!("{held} : is-held (CANCELED)")]);
    sandbox.flott(["jobs", "wait", &done]).success();
    sandbox.flott(["jobs", "wait", &held]).expect(4);
}

#[test]
fn data_comes_as_json_when_it_is_asked_for() {
    #[track_caller]
    fn check(outcome: &Outcome, key: &str) -> Value {
        let value = outcome.json();
        assert!(!value[key].is_null(), "{key} is missing in {value}");
        value[key].clone()
    }

    let sandbox = Sandbox::new();
    let address = check(&sandbox.flott(["session", "start", "--json"]).success(), "address");
    let rest = Rest::new(address.as_str().unwrap());
    let status = sandbox.flott(["session", "status", "--json"]).success();
    assert_eq!(check(&status, "running"), true);
    assert_eq!(check(&status, "address"), address);

    let hold = sandbox.at("hold");
    let job = sandbox.flott(["run", "-d", &test_program(), "a", &format!("hold={hold}")]).success().job();
    rest.until_all_run(&job);
    let jobs = check(&sandbox.flott(["list", "--json"]).success(), "jobs");
    assert_eq!((&jobs[0]["jid"], &jobs[0]["state"]), (&Value::from(job.clone()), &Value::from("RUNNING")));
    let logs = check(&sandbox.flott(["logs", "--json", &job]).success(), "logs");
    assert!(logs.is_array());
    assert_eq!(check(&sandbox.flott(["cancel", "--json", &job]).success(), "cancelled"), true);
    let waited = sandbox.flott(["jobs", "wait", "--json", &job]).expect(4);
    assert_eq!(check(&waited, "status"), "CANCELED");

    let program = test_program();
    let submitted = check(&sandbox.flott(["run", "-d", "--json", &program, "b"]).success(), "jobid");
    rest.finished(submitted.as_str().unwrap());
    let ran = sandbox.flott(["run", "--json", &program, "b"]).success();
    assert_eq!((check(&ran, "status"), ran.err.as_str()), ("SUCCEEDED".into(), ""));
    let graph = sandbox.at("job.graph");
    let planned = sandbox.flott(["plan", "--json", "-o", &graph, &program, "b"]).success();
    assert_eq!((check(&planned, "name"), check(&planned, "file")), ("b".into(), graph.into()));
    check(&planned, "jobid");
    check(&sandbox.flott(["info", "--json", &program, "b"]).success(), "nodes");
    let own = sandbox.flott(["run", "-m", "cluster", "-d", "--json", &program, "b"]).success();
    let own = check(&own, "jobid");
    sandbox.flott(["jobs", "wait", own.as_str().unwrap()]).success();

    assert_eq!(check(&sandbox.flott(["session", "stop", "--json"]).success(), "running"), false);
    assert_eq!(check(&sandbox.flott(["session", "status", "--json"]).expect(3), "running"), false);
    let jobs = check(&sandbox.flott(["list", "-a", "--json"]).success(), "jobs");
    assert!(jobs.as_array().unwrap().iter().any(|known| known["jid"] == job), "{jobs}");
    sandbox.until_empty();
}

#[test]
fn logs_are_read_followed_and_kept() {
    let sandbox = Sandbox::with("restart-strategy.type: none");
    let session = sandbox.session(&[]);
    let hold = sandbox.at("hold");
    let arguments = ["talks".to_owned(), format!("hold={hold}"), "trouble=panic".to_owned(), "at=999".to_owned()];
    let job = session.submit(&test_program(), arguments);
    session.until_all_run(&job);
    sandbox.flott(["logs", &job]).success();
    let follower = sandbox.start_flott(["logs", "-f", &job]);
    fs::write(&hold, "").unwrap();
    session.until(&job, "FAILED");
    follower.end().success().prints(&["this record is too much"]);
    sandbox.flott(["logs", &job]).success().prints(&["this record is too much"]);
    sandbox.flott(["logs", "--stdout", &job]).success();
    session.stop();
    sandbox.flott(["logs", &job]).success().prints(&["this record is too much"]);
    sandbox.flott(["logs", UNKNOWN]).refused(3, &[UNKNOWN]);
}

#[test]
fn unknown_jobs_are_named() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    sandbox.flott(["cancel", UNKNOWN]).refused(1, &[UNKNOWN]);
    sandbox.flott(["jobs", "wait", UNKNOWN]).refused(1, &[UNKNOWN]);
    sandbox.flott(["logs", UNKNOWN]).refused(1, &[UNKNOWN]);
    session.stop();
}

#[test]
fn without_m_the_session_of_this_user_is_taken_then_local() {
    let sandbox = Sandbox::new();
    let (local, in_session) = (sandbox.at("local"), sandbox.at("session"));
    let output = |path: &str| format!("output={path}");
    let alone = sandbox.flott(["run", &test_program(), "a", &output(&local)]).success();
    assert!(!alone.out.contains("JobID"), "{}", alone.out);
    check_output(&local, 1000, 10);

    let session = sandbox.session(&[]);
    let attached = sandbox.flott(["run", &test_program(), "a", &output(&in_session)]).success();
    session.finished(&attached.job());
    check_output(&in_session, 1000, 10);

    // Another state directory is another user's.
    let other = Sandbox::new();
    other.flott(["list", "-a"]).success().prints(&["No terminated jobs."]);
    // A configured address goes before the session.
    let (host, port) = session.address().split_once(':').unwrap();
    let address = [format!("rest.address={host}"), format!("rest.port={port}")];
    let elsewhere = other.flott(["list", "-a", "-D", &address[0], "-D", &address[1]]).success();
    elsewhere.prints(&[&attached.job()]);
    let elsewhere = other.flott(["run", "-d", "-D", &address[0], "-D", &address[1], &test_program(), "b"]).success();
    session.finished(&elsewhere.job());
    session.stop();
}

#[test]
fn a_session_takes_the_port_it_is_given_and_runs_once() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let session = sandbox.session(&[&format!("rest.port={port}")]);
    assert_eq!(session.address(), format!("127.0.0.1:{port}"));
    sandbox.flott(["session", "start"]).refused(1, &["running already", &port.to_string()]);
    sandbox.flott(["session", "status"]).success().prints(&[&port.to_string(), "0 of 0 slots free"]);
    session.stop();
    sandbox.flott(["session", "status"]).refused(3, &["no session"]);
    // And again, from the same state directory.
    sandbox.session(&[]).stop();
}

#[test]
fn a_session_keeps_the_workers_it_is_started_with() {
    let sandbox = Sandbox::new();
    let started = sandbox.flott(["session", "start", "--workers", "2", "--slots", "3"]).success();
    sandbox.until_running(Role::TaskManager, 2);
    let rest = Rest::new(&started.address());
    flott_tests::eventually::eventually("two workers of three slots", flott_tests::eventually::PATIENCE, || {
        let overview = rest.get("/v1/overview");
        if overview["slots-total"] == 6 && overview["taskmanagers"] == 2 { Ok(()) } else { Err(overview) }
    });
    sandbox.flott(["session", "stop"]).success();
    sandbox.until_empty();
}

#[test]
fn info_prints_the_plan_as_flink_does() {
    let sandbox = Sandbox::new();
    let plan = sandbox.flott(["info", "-p", "3", &test_program(), "a"]).success().json();
    let nodes = plan["nodes"].as_array().expect("a plan has nodes");
    assert!(nodes.len() >= 3, "{plan}");
    for node in nodes {
        assert!(node["id"].is_number() && node["parallelism"].is_number() && node["pact"].is_string(), "{node}");
    }
    let ships = nodes.iter().flat_map(|node| node["predecessors"].as_array().cloned().unwrap_or_default());
    assert!(ships.into_iter().any(|input| input["ship_strategy"] == "HASH"), "{plan}");
}

#[test]
fn a_graph_is_planned_now_and_run_later() {
    let sandbox = Sandbox::new();
    let (graph, out, program) = (sandbox.at("job.graph"), sandbox.at("out"), test_program());
    sandbox.flott(["plan", "-o", &graph, &program, "later", &format!("output={out}")]).success();
    let document: Value = serde_json::from_slice(&fs::read(&graph).unwrap()).unwrap();
    assert_eq!((&document["format"], &document["graph"]["name"]), (&"flott.job-graph".into(), &"later".into()));
    let id = document["graph"]["job_id"].as_str().unwrap();

    let ran = sandbox.flott(["run", "-m", "cluster", "--job-graph", &graph, "--program", &program]).success();
    assert_eq!(ran.job(), id);
    check_output(&out, 1000, 10);

    let session = sandbox.session(&[]);
    let other = binary("wordcount");
    let line = ["run", "-m", session.address(), "--job-graph", &graph, "--program", &other];
    sandbox.flott(line).refused(1, &["wordcount", "is not the program of"]);
    // The session has never seen the program, and it is not sent.
    let line = ["run", "-m", session.address(), "--job-graph", &graph];
    sandbox.flott(line).refused(1, &["not sent", "not stored"]);
    session.stop();
    sandbox.flott(["run", "-m", "local", "--job-graph", &graph]).refused(1, &["needs a cluster"]);
}

#[test]
fn a_prepared_graph_runs_once_on_a_cluster() {
    let sandbox = Sandbox::new();
    let (graph, hold, program) = (sandbox.at("job.graph"), sandbox.at("hold"), test_program());
    sandbox.flott(["plan", "-o", &graph, &program, "once", &format!("hold={hold}")]).success();
    let session = sandbox.session(&[]);
    let run = ["run", "--job-graph", &graph, "--program", &program];
    let job = sandbox.flott(run.into_iter().chain(["-d"])).success().job();
    // As long as it runs it is the same job: whoever lost the answer may ask again.
    assert_eq!(sandbox.flott(run.into_iter().chain(["-d"])).success().job(), job);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    for options in [vec![], vec!["-d"]] {
        let again = sandbox.flott(run.into_iter().chain(options)).refused(1, &[&job, "already been submitted"]);
        assert_eq!(again.out, "");
    }
    session.stop();
    for _ in 0..2 {
        let elsewhere = sandbox.flott(run.into_iter().chain(["-m", "cluster"])).success();
        assert_eq!(elsewhere.job(), job);
    }
}

#[test]
fn the_file_of_a_graph_may_be_named_behind_the_program() {
    let sandbox = Sandbox::new();
    let program = test_program();
    let arguments = |path: &str| -> Value {
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        document["graph"]["program"]["arguments"].clone()
    };
    let (first, last) = (sandbox.at("first.graph"), sandbox.at("last.graph"));
    sandbox.flott(["plan", &program, "-o", &first, "a", "keys=3"]).success().says(&["wrote", &first]);
    assert_eq!(arguments(&first), serde_json::json!(["a", "keys=3"]));
    sandbox.flott(["plan", &program, "a", "keys=3", "-o", &last]).success().says(&["wrote", &last]);
    assert_eq!(arguments(&last), serde_json::json!(["a", "keys=3"]));
    // The program's own, which does not know it.
    sandbox.flott(["plan", "-o", &first, &program, "a", "-o", "x"]).refused(1, &["exited with code 64"]);
    sandbox.flott(["plan", "--", &program, "a", "-o", "x"]).refused(1, &["exited with code 64"]);
}

#[test]
fn values_may_be_glued_to_their_options_as_in_flink() {
    let sandbox = Sandbox::new();
    let out = sandbox.at("out");
    let line = ["run", "-m", "cluster", "-p2", "-Dpipeline.name=glued", &test_program(), "a", &format!("output={out}")];
    let ran = sandbox.flott(line).success();
    sandbox.flott(["list", "-a"]).success().prints(&[&format!("{} : glued (FINISHED)", ran.job())]);
    check_output(&out, 1000, 10);
}

#[test]
fn a_local_run_takes_all_settings_that_a_cluster_takes() {
    let sandbox = Sandbox::new();
    let free = "pipeline.global-job-parameters.threshold=5";
    let line = ["run", "-m", "local", "-p", "3", "-D", free, "-D", "rest.port=0", &test_program(), "a"];
    sandbox.flott(line).success();
}

#[test]
fn settings_reach_the_job() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let options = ["-d", "-p", "2", "--name", "renamed", "-D", "pipeline.global-job-parameters.threshold=5"];
    let job = session.run(&options, &test_program(), ["a"]).success().job();
    session.finished(&job);
    let details = session.get(&format!("/jobs/{job}"));
    assert_eq!(details["name"], "renamed");
    assert!(details["vertices"].as_array().unwrap().iter().all(|vertex| vertex["parallelism"] == 2), "{details}");
    let config = session.get(&format!("/jobs/{job}/config"));
    assert_eq!(config["execution-config"]["job-parallelism"], 2);
    let user = &config["execution-config"]["user-config"];
    assert_eq!(user["pipeline.global-job-parameters.threshold"], "5", "{config}");
    session.stop();
}

#[test]
fn the_state_directory_is_given_by_option_environment_or_home() {
    let sandbox = Sandbox::new();
    let flott = binary("flott");
    let (by_variable, by_xdg) = (sandbox.at("by-variable"), sandbox.at("by-xdg"));
    let list = |name: &str, value: &str| {
        let mut command = sandbox.command(&flott, ["session", "status"]);
        command.env(name, value);
        sandbox.start(command).end().expect(3)
    };
    list("FLOTT_STATE_DIR", &by_variable).says(&[&by_variable]);
    list("XDG_STATE_HOME", &by_xdg).says(&[&format!("{by_xdg}/flott")]);
    list("LANG", "C").says(&[&sandbox.at("home/.local/state/flott")]);
}

#[test]
fn settings_come_from_file_environment_and_options_each_stronger() {
    let sandbox = Sandbox::with("parallelism.default: 2");
    let parallelism = |variable: Option<&str>, options: &[&str]| {
        let program = test_program();
        let line = ["info"].iter().chain(options).copied().chain([program.as_str(), "a"]);
        let mut command = sandbox.command(&binary("flott"), line);
        command.envs(variable.map(|value| ("FLOTT_PARALLELISM__DEFAULT", value)));
        let plan = sandbox.start(command).end().success().json();
        plan["nodes"][0]["parallelism"].as_u64().unwrap()
    };
    assert_eq!(parallelism(None, &[]), 2);
    assert_eq!(parallelism(Some("3"), &[]), 3);
    assert_eq!(parallelism(Some("3"), &["-D", "parallelism.default=4"]), 4);
    assert_eq!(parallelism(Some("3"), &["-D", "parallelism.default=4", "-p", "5"]), 5);
}

#[test]
fn a_job_manager_in_the_foreground_ends_in_order_when_it_is_told_to() {
    let sandbox = Sandbox::new();
    let directory = sandbox.at("by-hand");
    let mut manager = sandbox.start_flott(["jobmanager", "--cluster-dir", &directory]);
    manager.until_printed("http://");
    let address = manager.err().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let out = sandbox.at("out");
    let line = ["run", "-m", &address, &test_program(), "a", &format!("output={out}")];
    sandbox.flott(line).success();
    check_output(&out, 1000, 10);
    // A second one on the same directory would write over the first one's store.
    sandbox.flott(["jobmanager", "--cluster-dir", &directory]).expect(1).says(&["running already"]);
    manager.signal(Signal::SIGTERM);
    manager.end().success();
    sandbox.until_empty();
}

#[test]
fn clusters_of_two_sandboxes_do_not_meet() {
    let (one, two) = (Sandbox::new(), Sandbox::new());
    let (first, second) = (one.session(&[]), two.session(&[]));
    assert_ne!(first.address(), second.address());
    let job = first.submit(&test_program(), ["a"]);
    first.finished(&job);
    assert_eq!(second.try_get(&format!("/jobs/{job}")).status, 404);
    second.stop();
    first.get("/overview");
    first.stop();
}
