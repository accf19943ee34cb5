//! Running jobs get another parallelism, and each result is there once.

use std::{collections::BTreeMap, fs};

use flott_tests::{
    book::{lines_in, nothing_hidden_in},
    eventually::{PATIENCE, eventually},
    program::{check_output_in_any_order, test_program},
    rest::{Answer, Rest},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

const ON_REQUEST: &str = "execution.checkpointing.interval: 0 ms";
const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;
const WINDOW: u64 = 1_000;

/// A job over numbers whose splits stop half-way, and again half-way of what is left, until they are let go on.
struct Job<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
}

impl<'a> Job<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox, more: &[&str]) -> Self {
        let session = sandbox.session(&[]);
        let mut arguments = vec![
            "held".to_owned(),
            format!("records={RECORDS}"),
            "splits=8".to_owned(),
            format!("keys={KEYS}"),
            format!("hold={}", sandbox.at("hold")),
            format!("output={}", sandbox.at("out")),
        ];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
        session.until_all_run(&job);
        Self { sandbox, session, job }
    }

    fn details(&self) -> Value {
        self.session.get(&format!("/v1/jobs/{}", self.job))
    }

    /// Subtasks of each vertex.
    fn parallelism(&self) -> Vec<u64> {
        let details = self.details();
        details["vertices"].as_array().unwrap().iter().map(|vertex| vertex["parallelism"].as_u64().unwrap()).collect()
    }

    #[track_caller]
    fn rescale(&self, parallelism: &str) -> Value {
        let done = self.sandbox.flott(["rescale", &self.job, "-p", parallelism, "--json"]).success().json();
        let number: u64 = parallelism.parse().unwrap();
        assert!(self.parallelism().iter().all(|found| *found == number), "{:?}", self.parallelism());
        self.session.until_all_run(&self.job);
        done
    }

    fn go_on(&self) {
        fs::write(self.sandbox.at("hold"), "").unwrap();
        self.session.finished(&self.job);
    }

    fn stop(self) {
        nothing_hidden_in(&self.sandbox.at("out"));
        self.session.stop();
    }
}

#[track_caller]
fn check_counts(directory: &str) {
    check_output_in_any_order(directory, RECORDS, KEYS);
}

#[test]
fn counts_are_right_however_often_a_job_is_rescaled() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = Job::start(&sandbox, &[]);
    let done = job.rescale("4");
    let first = done["checkpoint"].as_u64().unwrap();
    assert!(done["pause-ms"].is_u64(), "{done}");
    assert!(
        done["vertices"]
            .as_array()
            .unwrap()
            .iter()
            .all(|vertex| (&vertex["before"], &vertex["after"]) == (&2.into(), &4.into()))
    );
    let more = ["1", "3"].map(|parallelism| job.rescale(parallelism)["checkpoint"].as_u64().unwrap());
    assert_eq!(more, [first + 1, first + 2]);
    let details = job.details();
    assert!(details["plan"]["nodes"].as_array().unwrap().iter().all(|node| node["parallelism"] == 3), "{details}");
    assert_eq!(job.session.exceptions(&job.job).len(), 0);
    let rescales = job.session.get(&format!("/flott/v1/jobs/{}/rescales", job.job))["rescales"].clone();
    let shown: Vec<_> =
        rescales.as_array().unwrap().iter().map(|entry| (&entry["status"], &entry["checkpoint-id"])).collect();
    let completed = Value::from("COMPLETED");
    let expected = [first + 2, first + 1, first].map(Value::from);
    assert_eq!(shown, expected.iter().map(|checkpoint| (&completed, checkpoint)).collect::<Vec<_>>());
    job.go_on();
    check_counts(&sandbox.at("out"));
    job.stop();
}

#[test]
fn windows_that_are_open_while_a_job_is_rescaled_hold_what_they_held() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = Job::start(&sandbox, &[&format!("windows={WINDOW}")]);
    job.rescale("4");
    job.rescale("1");
    job.go_on();
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines_in(&sandbox.at("out")) {
        *found.entry(line).or_default() += 1;
    }
    let windows = RECORDS / WINDOW;
    let expected: BTreeMap<_, _> = (0..KEYS).map(|key| (format!("{key} {}", WINDOW / KEYS), windows)).collect();
    assert_eq!(found, expected);
    job.stop();
}

#[test]
fn the_next_jobmanager_goes_on_with_the_new_parallelism() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = Job::start(&sandbox, &[]);
    job.rescale("3");
    Process::kill_all(&sandbox.running(Role::JobManager));
    sandbox.until_running(Role::JobManager, 0);
    let session = sandbox.session(&[]);
    session.until_all_run(&job.job);
    let job = Job { session, ..job };
    assert!(job.parallelism().iter().all(|found| *found == 3), "{:?}", job.parallelism());
    job.rescale("2");
    job.go_on();
    check_counts(&sandbox.at("out"));
    job.stop();
}

#[test]
fn a_jobmanager_that_is_killed_within_a_rescale_costs_nothing() {
    let sandbox = Sandbox::with(ON_REQUEST);
    for (moment, parallelism) in [(0, "4"), (60, "1"), (200, "4")] {
        let out = format!("out-{moment}");
        let hold = sandbox.at(&format!("hold-{moment}"));
        let (hold, output) = (format!("hold={hold}"), format!("output={}", sandbox.at(&out)));
        let job = Job::start(&sandbox, &[&hold, &output]);
        sandbox.flott(["checkpoint", &job.job]).success();
        sandbox.flott(["rescale", &job.job, "-p", parallelism, "--detached"]).success();
        std::thread::sleep(std::time::Duration::from_millis(moment));
        Process::kill_all(&sandbox.running(Role::JobManager));
        sandbox.until_running(Role::JobManager, 0);
        let session = sandbox.session(&[]);
        session.until_all_run(&job.job);
        let found: Vec<u64> = Job { session, ..job }.finish_at(&hold[5..], &sandbox.at(&out));
        let new: u64 = parallelism.parse().unwrap();
        assert!([2, new].iter().any(|all| found.iter().all(|found| found == all)), "{found:?}");
    }
}

impl Job<'_> {
    /// Lets it go on to its right end; gives the parallelism that it had.
    fn finish_at(self, hold: &str, out: &str) -> Vec<u64> {
        let parallelism = self.parallelism();
        fs::write(hold, "").unwrap();
        self.session.finished(&self.job);
        check_counts(out);
        self.session.stop();
        parallelism
    }
}

fn put(rest: &Rest, path: &str, body: &Value) -> Answer {
    rest.request(Method::PUT, path, |request| request.json(body))
}

#[test]
fn rest_takes_and_shows_bounds_as_flink_does() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = Job::start(&sandbox, &[]);
    let path = format!("/v1/jobs/{}/resource-requirements", job.job);
    let before = job.session.get(&path);
    let bounds = |lower: u64, upper: u64| json!({ "parallelism": { "lowerBound": lower, "upperBound": upper } });
    assert!(before.as_object().unwrap().values().all(|vertex| *vertex == bounds(2, 2)), "{before}");
    let all = |bounds: &Value| -> Value {
        before
            .as_object()
            .unwrap()
            .keys()
            .map(|id| (id.clone(), bounds.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    assert_eq!(put(&job.session, &path, &all(&bounds(1, 3))).expect(200), json!({}));
    eventually("the job to be rescaled", PATIENCE, || {
        let found = job.parallelism();
        if found.iter().all(|found| *found == 3) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    job.session.until_all_run(&job.job);
    assert_eq!(job.session.get(&path), all(&bounds(1, 3)));

    put(&job.session, &path, &all(&bounds(5, 4))).refused(400, &["lower bound 5", "higher than its upper bound 4"]);
    put(&job.session, &path, &all(&bounds(0, 0))).refused(400, &["between 1 and its maximum parallelism 128, not 0"]);
    put(&job.session, &path, &all(&bounds(1, 129))).refused(400, &["maximum parallelism 128, not 129"]);
    put(&job.session, &path, &json!({ "no": bounds(1, 1) })).refused(400, &["\"no\" is not the id of a vertex"]);
    put(&job.session, &path, &json!({})).refused(400, &["no parallelism was asked for"]);
    let unknown = format!("/v1/jobs/{}/resource-requirements", "0".repeat(32));
    put(&job.session, &unknown, &all(&bounds(1, 1))).refused(404, &["not found"]);
    job.session.try_get(&unknown).refused(404, &["not found"]);
    job.session.cancel(&job.job);
    put(&job.session, &path, &all(&bounds(1, 1))).refused(409, &["has ended already, as CANCELED"]);
    job.session.try_get(&path).refused(409, &["has ended already"]);
    job.session.stop();
}

#[test]
fn what_cannot_be_is_told_on_the_command_line() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = Job::start(&sandbox, &[]);
    let id = job.job.as_str();
    sandbox.flott(["rescale", id, "-p", "0"]).refused(1, &["between 1 and its maximum parallelism 128, not 0"]);
    sandbox.flott(["rescale", id, "-p", "500"]).refused(1, &["maximum parallelism 128, not 500"]);
    sandbox.flott(["rescale", id]).refused(1, &["--parallelism"]);
    sandbox.flott(["rescale", id, "--vertex", "none=2"]).refused(1, &["the job has no vertex \"none\"; it has"]);
    sandbox.flott(["rescale", id, "--vertex", "none"]).refused(1, &["VERTEX=N"]);
    sandbox.flott(["rescale", &"0".repeat(32), "-p", "2"]).refused(1, &["0000"]);
    sandbox.flott(["rescale", id, "-p", "2"]).success().prints(&["has this parallelism already"]);
    let vertex = job.details()["vertices"][1]["id"].as_str().unwrap().to_owned();
    let told = sandbox.flott(["rescale", id, "--vertex", &format!("{vertex}=3")]).success();
    told.prints(&["2 -> 3", "rescaled from checkpoint ", "Pause: "]);
    assert_eq!(job.parallelism()[..2], [2, 3]);
    job.session.cancel(id);
    sandbox.flott(["rescale", id, "-p", "2"]).refused(1, &["has ended already, as CANCELED"]);

    let hold = format!("hold={}", sandbox.at("hold"));
    let batch = job.session.submit(&test_program(), ["held", "batch=true", &hold]);
    job.session.until_all_run(&batch);
    sandbox.flott(["rescale", &batch, "-p", "2"]).refused(1, &["batch mode cannot be rescaled"]);
    job.session.cancel(&batch);
    job.session.stop();
}
