//! Checkpoints of jobs that are stuck: an operator takes nothing, and all that is before it waits.

use std::{fs, time::Duration};

use flott_tests::{
    book::{check_running, lines_in},
    eventually::{PATIENCE, eventually},
    program::{counts, test_program},
    sandbox::{Sandbox, Session, processes::Role},
};
use serde_json::Value;

const RECORDS: u64 = 300_000;
const KEYS: u64 = 50;

/// Results that the operator that is stuck holds at most: in calls under way, and of one batch for each subtask.
const TAKEN_MAX: u64 = 2 * (100 + 1024);

/// A job whose operators all wait for one that waits for a file.
struct Stuck<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
}

impl<'a> Stuck<'a> {
    fn start(sandbox: &'a Sandbox, settings: &[&str]) -> Self {
        sandbox.configure(&format!("execution.checkpointing.dir: {}", sandbox.at("checkpoints")));
        let session = sandbox.session(&[]);
        let arguments = [
            "held".to_owned(),
            format!("records={RECORDS}"),
            format!("keys={KEYS}"),
            format!("gate={}", sandbox.at("gate")),
            format!("output={}", sandbox.at("out")),
        ];
        let mut options = vec!["-d", "-p", "2"];
        settings.iter().for_each(|setting| options.extend(["-D", setting]));
        let job = session.run(&options, &test_program(), arguments).success().job();
        let stuck = Self { sandbox, session, job };
        eventually("records to wait", PATIENCE, || {
            let written = stuck.records("write-records", 0);
            if written > 2 * TAKEN_MAX { Ok(()) } else { Err(format!("{written} were read")) }
        });
        stuck
    }

    /// A figure of a vertex.
    fn records(&self, figure: &str, vertex: usize) -> u64 {
        let job = self.session.get(&format!("/v1/jobs/{}", self.job));
        job["vertices"][vertex]["metrics"][figure].as_u64().unwrap_or_default()
    }

    fn checkpoints(&self) -> Value {
        self.session.get(&format!("/v1/jobs/{}/checkpoints", self.job))
    }

    /// Lets the job go on to its end: each result is there once.
    #[track_caller]
    fn check(self) {
        fs::write(self.sandbox.at("gate"), "").unwrap();
        self.session.finished(&self.job);
        check_lines(&self.sandbox.at("out"), RECORDS, KEYS);
        self.session.stop();
        self.sandbox.until_empty();
    }
}

/// Each result is there once, in whatever order.
#[track_caller]
fn check_lines(directory: &str, records: u64, keys: u64) {
    let mut lines = lines_in(directory);
    lines.sort_by_cached_key(|line| line.split_once(' ').and_then(|(_, count)| count.parse::<u64>().ok()));
    check_running(&lines, &counts(records, keys));
}

const UNALIGNED: &str = "execution.checkpointing.unaligned.enabled=true";

#[track_caller]
fn check(settings: &[&str], kill: Role) {
    let sandbox = Sandbox::new();
    let stuck = Stuck::start(&sandbox, &[&[UNALIGNED, "execution.checkpointing.interval=0"], settings].concat());
    let taken = sandbox.flott(["checkpoint", &stuck.job, "--json"]).success().json();
    let completed = &stuck.checkpoints()["latest"]["completed"];
    assert_eq!(completed["external_path"], taken["location"]);
    assert_eq!(completed["checkpoint_type"], "UNALIGNED_CHECKPOINT", "{completed}");
    assert_ne!(completed["persisted_data"], 0, "{completed}");
    sandbox.running(kill).iter().for_each(|process| process.kill());
    let restored = eventually("the job to go back", PATIENCE, || match &stuck.checkpoints()["latest"]["restored"] {
        Value::Null => Err("it has not"),
        restored => Ok(restored.clone()),
    });
    assert_eq!(restored["external_path"], taken["location"]);
    stuck.session.until_all_run(&stuck.job);
    stuck.check();
}

#[test]
fn a_checkpoint_of_a_stuck_job_completes_and_a_killed_task_manager_goes_back_to_it() {
    check(&[], Role::TaskManager);
}

#[test]
fn an_aligned_checkpoint_becomes_unaligned_when_it_has_waited_for_long_enough() {
    check(&["execution.checkpointing.aligned-checkpoint-timeout=100 ms"], Role::JobProcess);
}

#[test]
fn an_aligned_checkpoint_of_a_stuck_job_is_given_up() {
    let sandbox = Sandbox::new();
    let settings = ["execution.checkpointing.interval=100 ms", "execution.checkpointing.timeout=1 s"];
    let stuck = Stuck::start(&sandbox, &settings);
    let before = stuck.checkpoints()["counts"]["completed"].clone();
    eventually("a checkpoint to be given up", Duration::from_secs(120), || {
        let counts = &stuck.checkpoints()["counts"];
        if counts["failed"].as_u64() >= Some(2) { Ok(()) } else { Err(counts.to_string()) }
    });
    assert_eq!(stuck.checkpoints()["counts"]["completed"], before, "while nothing moves");
    stuck.check();
}

#[test]
fn a_stuck_job_gets_another_parallelism() {
    let sandbox = Sandbox::new();
    let stuck = Stuck::start(&sandbox, &[UNALIGNED, "execution.checkpointing.interval=0"]);
    sandbox.flott(["rescale", &stuck.job, "-p", "3"]).success();
    let restored = &stuck.checkpoints()["latest"]["restored"];
    assert!(restored["external_path"].is_string(), "{restored}");
    stuck.check();
}

#[test]
fn an_unaligned_checkpoint_of_an_earlier_build_is_gone_on_from_at_any_parallelism() {
    let sandbox = Sandbox::with("execution.checkpointing.interval: 0");
    let session = sandbox.session(&[]);
    fs::write(sandbox.at("hold"), "").unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/unaligned-version-3/chk-2");
    for parallelism in ["1", "2", "3"] {
        let out = sandbox.at(&format!("out-{parallelism}"));
        let arguments = ["held", "records=10000", "keys=20"].map(str::to_owned);
        let places = ["hold", "gate"].map(|file| format!("{file}={}", sandbox.at("hold")));
        let places = places.into_iter().chain([format!("output={out}")]);
        let options = ["-p", parallelism, "-s", from];
        session.run(&options, &test_program(), arguments.into_iter().chain(places)).success();
        check_lines(&out, 10_000, 20);
    }
    session.stop();
}
