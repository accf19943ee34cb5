//! Clusters whose REST port speaks TLS.

use std::{fs, time::Duration};

use flott_tests::{
    binaries::binary,
    certificates::Certificates,
    command::Running,
    eventually::{PATIENCE, eventually},
    metrics::Collected,
    program::{check_output, test_program},
    rest::Rest,
    sandbox::{Sandbox, processes::Role},
};
use nix::sys::signal::Signal;
use reqwest::Method;

/// A sandbox whose clusters speak TLS, and their certificates.
fn sandbox(more: &str) -> (Sandbox, Certificates) {
    let sandbox = Sandbox::new();
    let certificates = Certificates::new(sandbox.at("certificates"), &["127.0.0.1"]);
    sandbox.configure(&format!("{}{more}", certificates.settings()));
    (sandbox, certificates)
}

#[test]
fn a_session_and_all_that_talk_to_it_speak_tls() {
    let (sandbox, certificates) = sandbox("");
    let started = sandbox.flott(["session", "start"]).success().prints(&["https://127.0.0.1:"]);
    let address = started.address();
    let rest = Rest::new(&address).trusting(&certificates.authority());
    let out = sandbox.at("out");
    sandbox.flott(["run", "-p", "2", &test_program(), "a", &format!("output={out}")]).success();
    check_output(&out, 1000, 10);
    assert_eq!(rest.get("/overview")["jobs-finished"], 1);
    assert_eq!(Collected::of(&rest).value("jobmanager_numJobs", &[("status", "FINISHED")]), Some(1.0));
    sandbox.flott(["list", "-a"]).success().prints(&["FINISHED"]);
    // By name, and as a URL.
    sandbox.flott(["list", "-a", "-m", &address]).success().prints(&["FINISHED"]);
    let (url, off) = (format!("https://{address}"), ["-D", "security.ssl.rest.enabled=false"]);
    sandbox.flott(["list", "-a", "-m", &url].iter().chain(&off)).success().prints(&["FINISHED"]);

    // Who speaks another language, or trusts somebody else, is told so.
    Rest::new(&address).try_get("/overview").refused(400, &["speaks TLS", "security.ssl.rest.enabled"]);
    let plain = sandbox.flott(["list", "-m", &address].iter().chain(&off));
    assert_ne!(plain.status.code(), Some(0));
    plain.says(&["speaks TLS", "security.ssl.rest.enabled"]);
    let stranger = Certificates::new(sandbox.at("others"), &["127.0.0.1"]);
    let ca = format!("security.ssl.rest.ca={}", stranger.path("ca.crt").display());
    sandbox.flott(["list", "-m", &address, "-D", &ca]).refused(3, &["not trusted", "security.ssl.rest.ca"]);
    let other = Rest::new(&address).trusting(&stranger.authority()).try_get("/overview");
    assert_eq!(other.status, 0, "{}", other.body);

    sandbox.flott(["session", "stop"]).success();
    sandbox.until_empty();
}

#[test]
fn a_task_manager_of_another_language_is_told_why_it_is_not_taken() {
    let (sandbox, certificates) = sandbox("cluster.backend: standalone\n");
    let address = sandbox.flott(["session", "start"]).success().address();
    let rest = Rest::new(&address).trusting(&certificates.authority());
    let directory = sandbox.at("worker");
    let line = ["taskmanager", "--jobmanager", &address, "--work-dir", &directory];
    let mut plain = sandbox.start_flott(line.iter().chain(&["-D", "security.ssl.rest.enabled=false"]));
    plain.until_printed("this port speaks TLS");
    plain.kill();
    let worker = sandbox.start_flott(line);
    eventually("the TaskManager to register", PATIENCE, || {
        let overview = rest.get("/overview");
        if overview["taskmanagers"] == 1 { Ok(()) } else { Err(overview) }
    });
    worker.signal(Signal::SIGTERM);
    worker.end().success();
    sandbox.flott(["session", "stop"]).success();
    sandbox.until_empty();
}

#[test]
fn a_port_that_speaks_no_tls_is_told_from_one_that_does() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let on = ["-D", "security.ssl.rest.enabled=true"];
    sandbox.flott(["list", "-m", session.address()].iter().chain(&on)).refused(3, &["speaks no TLS"]);
    session.stop();
}

#[test]
fn settings_that_do_not_serve_keep_a_session_from_starting() {
    let (sandbox, certificates) = sandbox("");
    let start = |setting: &str| sandbox.flott(["session", "start", "-D", setting]);
    start("security.ssl.rest.certificate=/nowhere.crt").refused(1, &["security.ssl.rest.certificate", "/nowhere.crt"]);
    fs::write(certificates.path("tls.key"), "no key").unwrap();
    start("rest.port=0").refused(1, &["security.ssl.rest.key", "tls.key"]);
    start("security.ssl.internal.enabled=true").refused(1, &["security.ssl.internal.enabled", "no TLS"]);
    sandbox.until_empty();
}

#[test]
fn a_job_manager_that_is_alone_need_not_know_whom_to_trust() {
    let (sandbox, certificates) = sandbox("rest.port: 0\n");
    let file = |key: &str, name: &str| format!("security.ssl.rest.{key}: {}\n", certificates.path(name).display());
    let own = [file("certificate", "tls.crt"), file("key", "tls.key")].concat();
    sandbox.configure(&format!("security.ssl.rest.enabled: true\n{own}"));
    let mut command = sandbox.command(&binary("flott"), ["--state-dir", &sandbox.at("state/alone"), "jobmanager"]);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", sandbox.at("nowhere"));
    let mut running = sandbox.start(command);
    running.until_printed("the JobManager listens on https://");
    running.signal(Signal::SIGTERM);
    running.end().success();
    sandbox.until_empty();
}

/// A JobManager with a state directory of its own, and where it listens.
fn job_manager(sandbox: &Sandbox, name: &str) -> (Running, String) {
    let state = sandbox.at(&format!("state/{name}"));
    let mut running = sandbox.start(sandbox.command(&binary("flott"), ["--state-dir", &state, "jobmanager"]));
    let listens = "the JobManager listens on https://";
    running.until_printed(listens);
    let address =
        running.err().split(listens).nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
    (running, address.expect("an address is printed"))
}

fn until_ready(rest: &Rest, how: &str) {
    eventually(&format!("a JobManager that is {how}"), PATIENCE, || {
        let answer = rest.try_get("/flott/v1/health/ready").body;
        if answer["status"] == how { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn a_leader_is_reached_by_way_of_another_and_certificates_are_renewed_while_a_job_runs() {
    let (sandbox, mut certificates) = sandbox("");
    let shared = format!("high-availability.storageDir: {}", sandbox.at("shared"));
    let lines = [
        "high-availability.type: storage",
        &shared,
        "high-availability.leader-election.retry-period: 100 ms",
        "execution.checkpointing.interval: 100 ms",
    ];
    sandbox.configure(&format!("{}{}", certificates.settings(), lines.join("\n")));
    let (first, leads) = job_manager(&sandbox, "first");
    let trusting = |address: &str, certificates: &Certificates| Rest::new(address).trusting(&certificates.authority());
    until_ready(&trusting(&leads, &certificates), "ready");
    let (second, address) = job_manager(&sandbox, "second");
    let rest = trusting(&address, &certificates);
    until_ready(&rest, "standing by");

    // Program and graph pass through the one that stands by.
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let arguments = ["a".to_owned(), format!("hold={hold}"), format!("output={out}")];
    let line = ["run", "-m", &address, "-d", "-p", "2", &test_program()].map(str::to_owned);
    let job = sandbox.flott(line.iter().chain(&arguments)).success().job();
    rest.until_all_run(&job);
    let processes = sandbox.until_running(Role::JobProcess, 2);

    certificates.renew();
    let renewed = trusting(&address, &certificates);
    eventually("the renewed certificate", PATIENCE, || {
        let answer = renewed.try_get("/config");
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    });
    // Nobody has the old certificates any more: TaskManagers and the next leader must have read the new ones.
    first.kill();
    until_ready(&renewed, "ready");
    renewed.until_all_run(&job);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    assert_eq!(renewed.attempts(&job), [0; 4]);
    fs::write(&hold, "").unwrap();
    renewed.finished(&job);
    check_output(&out, 1000, 10);
    renewed.request(Method::DELETE, "/cluster", |request| request).expect(200);
    second.end_within(Duration::from_secs(60)).success();
    sandbox.until_empty();
}
