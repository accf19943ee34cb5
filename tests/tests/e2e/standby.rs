//! Several JobManagers of one cluster: one leads, the others stand by.

use std::{fs, process::ExitStatus, time::Duration};

use flott_tests::{
    book::nothing_hidden_in,
    command::Running,
    eventually::{PATIENCE, eventually},
    metrics::Collected,
    program::{check_output, slim, test_program},
    rest::Rest,
    sandbox::{Sandbox, processes::Role},
};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

const RECORDS: u64 = 20_000;
const SPLITS: u64 = 500;
const KEYS: u64 = 20;

/// The exit code of one that does not lead any more.
const DEPOSED: i32 = 75;

/// A JobManager of the cluster.
struct JobManager {
    running: Running,
    rest: Rest,
}

/// A sandbox whose JobManagers agree by a directory in it.
fn sandbox() -> Sandbox {
    with_lease("2 s", "1500 ms")
}

fn with_lease(duration: &str, renewal: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let lines = [
        "high-availability.type: storage".to_owned(),
        format!("high-availability.storageDir: {}", sandbox.at("shared")),
        format!("high-availability.leader-election.lease-duration: {duration}"),
        format!("high-availability.leader-election.renew-deadline: {renewal}"),
        "high-availability.leader-election.retry-period: 100 ms".to_owned(),
        "execution.checkpointing.interval: 100 ms".to_owned(),
        // A leader that sleeps keeps its connections.
        "heartbeat.timeout: 4 s".to_owned(),
    ];
    sandbox.configure(&lines.join("\n"));
    sandbox
}

/// Starts a JobManager with a state directory of its own.
#[track_caller]
fn start(sandbox: &Sandbox, name: &str) -> JobManager {
    let (running, rest) = sandbox.jobmanager(name);
    JobManager { running, rest }
}

impl JobManager {
    #[track_caller]
    fn until_ready(&self, how: &str) {
        eventually(&format!("a JobManager that is {how}"), PATIENCE, || {
            let answer = self.rest.try_get("/flott/v1/health/ready").body;
            if answer["status"] == how { Ok(()) } else { Err(answer) }
        });
    }

    #[track_caller]
    fn submit(&self, sandbox: &Sandbox, hold: &str, out: &str) -> String {
        let (records, splits, keys) =
            (format!("records={RECORDS}"), format!("splits={SPLITS}"), format!("keys={KEYS}"));
        let (hold, out) = (format!("hold={hold}"), format!("output={out}"));
        let arguments = ["held", &records, &splits, &keys, &hold, &out];
        let options = ["-d", "-p", "2"];
        let job = sandbox.run_at(self.rest.address(), &options, &test_program(), arguments).success().job();
        self.rest.until_all_run(&job);
        job
    }

    fn ended(self) -> ExitStatus {
        self.running.end().status
    }
}

#[track_caller]
fn shut_down(jobmanager: &JobManager) {
    jobmanager.rest.request(Method::DELETE, "/cluster", |request| request).expect(200);
}

/// One that leads, and one that stands by.
fn pair(sandbox: &Sandbox) -> (JobManager, JobManager) {
    let leader = start(sandbox, "first");
    leader.until_ready("ready");
    let other = start(sandbox, "second");
    other.until_ready("standing by");
    // It knows the leader, and has seen it.
    other.rest.get("/overview");
    (leader, other)
}

#[test]
fn a_leader_whose_process_is_gone_is_not_waited_for() {
    // Longer than this test waits for anything.
    let sandbox = with_lease("10 min", "9 min");
    let (first, second) = pair(&sandbox);
    first.running.kill();
    second.until_ready("ready");
    shut_down(&second);
    assert_eq!(second.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn each_tells_metrics_of_itself() {
    let sandbox = sandbox();
    let (leader, other) = pair(&sandbox);
    let [of_leader, of_other] = [&leader, &other].map(|jobmanager| Collected::of(&jobmanager.rest));
    let stage = |collected: &Collected, stage| collected.value("jobmanager_stage", &[("stage", stage)]);
    assert_eq!((stage(&of_leader, "LEADING"), stage(&of_leader, "STANDING_BY")), (Some(1.0), Some(0.0)));
    assert_eq!((stage(&of_other, "LEADING"), stage(&of_other, "STANDING_BY")), (Some(0.0), Some(1.0)));
    assert_eq!(of_leader.value("jobmanager_numRegisteredTaskManagers", &[]), Some(0.0));
    assert_eq!(of_other.value("jobmanager_numRegisteredTaskManagers", &[]), None, "it knows nothing of the cluster");
    assert!(of_other.value("jobmanager_Status_Process_Memory_Resident", &[]).is_some());
    leader.running.kill();
    other.until_ready("ready");
    let of_other = Collected::of(&other.rest);
    assert_eq!((stage(&of_other, "LEADING"), stage(&of_other, "STANDING_BY")), (Some(1.0), Some(0.0)));
    assert_eq!(of_other.value("jobmanager_numRegisteredTaskManagers", &[]), Some(0.0));
    shut_down(&other);
    assert_eq!(other.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn a_request_is_passed_on_a_few_times_and_not_in_circles() {
    let sandbox = sandbox();
    let (first, second) = pair(&sandbox);
    let passed = |times: u16| {
        second.rest.request(Method::GET, "/overview", |request| request.header("flott-passed-on", times.to_string()))
    };
    passed(2).expect(200);
    passed(3).refused(503, &["stands by", first.rest.address(), "leads"]);
    // The one that leads answers whatever way it has come.
    let led = first.rest.request(Method::GET, "/overview", |request| request.header("flott-passed-on", "9"));
    led.expect(200);
    shut_down(&first);
    for jobmanager in [first, second] {
        assert_eq!(jobmanager.ended().code(), Some(0));
    }
    sandbox.until_empty();
}

#[test]
fn tasks_run_on_while_the_leadership_passes_from_one_to_another_and_back() {
    let sandbox = sandbox();
    let (first, second) = pair(&sandbox);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    // Through the one that stands by: program and graph, and every question.
    let job = second.submit(&sandbox, &hold, &out);
    let processes = sandbox.until_running(Role::JobProcess, 2);

    first.running.kill();
    second.until_ready("ready");
    second.rest.until_all_run(&job);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    assert_eq!(second.rest.attempts(&job), [0; 4]);

    let first = start(&sandbox, "first");
    first.until_ready("standing by");
    // Splits are handed out as fast as can be, and some are on their way.
    fs::write(&hold, "").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    second.running.signal(Signal::SIGTERM);
    assert_eq!(second.ended().code(), Some(0));
    first.until_ready("ready");
    first.rest.finished(&job);
    assert_eq!(first.rest.exceptions(&job), [] as [serde_json::Value; 0]);
    check_output(&out, RECORDS, KEYS);
    nothing_hidden_in(&out);

    shut_down(&first);
    assert_eq!(first.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn uploaded_programs_are_there_when_another_leads() {
    let sandbox = sandbox();
    let (first, second) = pair(&sandbox);
    let program = fs::read(slim(&test_program(), sandbox.path())).unwrap();
    let upload = |at: &JobManager, name: &'static str| {
        let answer = at.rest.post_parts("/jars/upload", vec![("jarfile", Some(name), program.clone())]).expect(200);
        answer["filename"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    let names = |at: &JobManager| {
        let files = at.rest.get("/jars")["files"].as_array().cloned().unwrap_or_default();
        files.iter().map(|file| file["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    // By way of the one that stands by.
    let (kept, deleted) = (upload(&second, "kept"), upload(&first, "deleted"));
    first.running.kill();
    second.until_ready("ready");
    assert_eq!(names(&second), ["deleted", "kept"]);

    let out = sandbox.at("out");
    let arguments = json!({ "programArgsList": ["counts", format!("output={out}")] });
    let ran = second.rest.request(Method::POST, &format!("/jars/{kept}/run"), |request| request.json(&arguments));
    let job = ran.expect(200)["jobid"].as_str().unwrap().to_owned();
    second.rest.finished(&job);
    check_output(&out, 1000, 10);

    second.rest.request(Method::DELETE, &format!("/jars/{deleted}"), |request| request).expect(200);
    let first = start(&sandbox, "first");
    first.until_ready("standing by");
    second.running.kill();
    first.until_ready("ready");
    assert_eq!(names(&first), ["kept"]);
    let run = format!("/jars/{deleted}/run");
    first.rest.request(Method::POST, &run, |request| request).refused(400, &["does not exist"]);
    shut_down(&first);
    assert_eq!(first.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn a_leader_that_slept_for_too_long_ends_when_it_wakes_and_harms_nothing() {
    let sandbox = sandbox();
    let (first, second) = pair(&sandbox);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let job = first.submit(&sandbox, &hold, &out);
    let processes = sandbox.until_running(Role::JobProcess, 2);

    first.running.signal(Signal::SIGSTOP);
    second.until_ready("ready");
    second.rest.until_all_run(&job);
    first.running.signal(Signal::SIGCONT);
    assert_eq!(first.ended().code(), Some(DEPOSED));
    assert_eq!(sandbox.running(Role::JobProcess), processes);

    fs::write(&hold, "").unwrap();
    second.rest.finished(&job);
    assert_eq!(second.rest.attempts(&job), [0; 4]);
    check_output(&out, RECORDS, KEYS);
    nothing_hidden_in(&out);
    shut_down(&second);
    assert_eq!(second.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn a_cluster_that_is_shut_down_takes_with_it_those_that_stand_by_and_can_be_started_again() {
    let sandbox = sandbox();
    let (first, second) = pair(&sandbox);
    let third = start(&sandbox, "third");
    third.until_ready("standing by");
    let job = third.submit(&sandbox, &sandbox.at("hold"), &sandbox.at("out"));
    shut_down(&third);
    for jobmanager in [first, second, third] {
        assert_eq!(jobmanager.ended().code(), Some(0));
    }
    sandbox.until_empty();

    let again = start(&sandbox, "fourth");
    again.until_ready("ready");
    assert_eq!(again.rest.get(&format!("/jobs/{job}"))["state"], "CANCELED");
    again.running.signal(Signal::SIGINT);
    assert_eq!(again.ended().code(), Some(0));
    sandbox.until_empty();
}

#[test]
fn settings_that_do_not_go_together_are_told() {
    let sandbox = Sandbox::new();
    let check = |settings: &[&str], parts: &[&str]| {
        let defines = settings.iter().flat_map(|setting| ["-D", setting]);
        let outcome = sandbox.flott(["jobmanager"].into_iter().chain(defines));
        outcome.refused(1, parts);
    };
    check(&["high-availability.type=storage"], &["high-availability.storageDir", "all JobManagers share"]);
    let shared = format!("high-availability.storageDir={}", sandbox.at("shared"));
    check(
        &["high-availability.type=storage", &shared, "high-availability.leader-election.renew-deadline=9 s"],
        &["renew-deadline (9s) must be shorter than", "lease-duration (5s)"],
    );
    check(
        &["high-availability.type=storage", &shared, "high-availability.cluster-id=../x"],
        &["high-availability.cluster-id", "no name of a directory"],
    );
    check(&["high-availability.type=zookeeper"], &["high-availability.type", "not one of none, storage, kubernetes"]);
}
