//! What a JobManager knows of its jobs, and the next one after it.

use std::{fs, path::Path};

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::test_program,
    rest::{Answer, Rest},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

/// A job that reads slowly, takes checkpoints when it is asked to, keeps three, and fails whenever it is to.
struct Slow<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
}

impl<'a> Slow<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox) -> Self {
        Self::start_with(sandbox, &["records=1000000", "pace=1"])
    }

    #[track_caller]
    fn start_with(sandbox: &'a Sandbox, more: &[&str]) -> Self {
        sandbox.configure(&format!(
            "execution.checkpointing.dir: {}\nexecution.checkpointing.interval: 0 ms\n\
             execution.checkpointing.num-retained: 3\nrestart-strategy.fixed-delay.attempts: 2",
            sandbox.at("checkpoints")
        ));
        let session = sandbox.session(&[]);
        let (when, hold) = (format!("when={}", sandbox.at("when")), format!("hold={}", sandbox.at("hold")));
        let arguments = ["slow", "trouble=panic", &when, &hold];
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments.iter().chain(more)).success().job();
        session.until_all_run(&job);
        Self { sandbox, session, job }
    }

    /// The JobManager is killed, and another one takes its place.
    #[track_caller]
    fn replace_job_manager(self) -> Self {
        self.replace_job_manager_and(|| {})
    }

    /// The same, and this is done while there is none.
    #[track_caller]
    fn replace_job_manager_and(self, act: impl FnOnce()) -> Self {
        let Self { sandbox, session, job } = self;
        Process::kill_all(&sandbox.running(Role::JobManager));
        sandbox.until_running(Role::JobManager, 0);
        drop(session);
        act();
        Self { sandbox, session: sandbox.session(&[]), job }
    }

    /// A task fails; these are all failures then.
    #[track_caller]
    fn fail(&self, failures: usize) -> Vec<Value> {
        fs::write(self.sandbox.at("when"), "").unwrap();
        eventually(&format!("{failures} failures"), PATIENCE, || {
            let told = self.session.exceptions(&self.job);
            if told.len() == failures { Ok(told) } else { Err(Value::from(told)) }
        })
    }

    #[track_caller]
    fn checkpoint(&self) -> u64 {
        let taken = self.sandbox.flott(["checkpoint", &self.job, "--json"]).success().json();
        taken["checkpoint"].as_u64().expect("a number")
    }

    /// Numbers of the checkpoints that REST lists as complete and there, newest first.
    fn listed(&self) -> Vec<u64> {
        let all = self.session.get(&format!("/v1/jobs/{}/checkpoints", self.job))["history"].clone();
        let is_there = |entry: &&Value| entry["status"] == "COMPLETED" && entry["discarded"] == false;
        all.as_array().unwrap().iter().filter(is_there).filter_map(|entry| entry["id"].as_u64()).collect()
    }

    /// Waits until there are these and no others, newest first.
    #[track_caller]
    fn until_kept(&self, wanted: &[u64]) {
        eventually(&format!("checkpoints {wanted:?}"), PATIENCE, || {
            let mut there = flott_tests::checkpoints::checkpoints(Path::new(&self.sandbox.at("checkpoints")));
            there.sort_unstable_by(|one, other| other.cmp(one));
            if there == wanted { Ok(()) } else { Err(format!("{there:?}")) }
        });
        assert_eq!(self.listed(), wanted);
    }
}

fn post(rest: &Rest, path: &str, body: &Value) -> Answer {
    rest.request(Method::POST, path, |request| request.json(body))
}

#[track_caller]
fn outcome(rest: &Rest, path: &str) -> Value {
    eventually(&format!("the end of {path}"), PATIENCE, || {
        let answer = rest.get(path);
        if answer["status"]["id"] == "COMPLETED" { Ok(answer["operation"].clone()) } else { Err(answer) }
    })
}

#[test]
fn failures_and_restarts_are_counted_on() {
    let sandbox = Sandbox::new();
    let job = Slow::start(&sandbox);
    let before = job.fail(1);
    let (task, at) = (before[0]["taskName"].as_str().unwrap(), before[0]["timestamp"].as_u64());
    assert!(task.contains("/2)") && at > Some(0), "{before:?}");
    job.session.until_all_run(&job.job);
    let job = job.replace_job_manager();
    job.session.until_all_run(&job.job);
    assert_eq!(job.session.exceptions(&job.job), before);
    let two = job.fail(2);
    assert_eq!(two[1], before[0]);
    job.session.until_all_run(&job.job);
    let job = job.replace_job_manager();
    job.session.until_all_run(&job.job);
    assert_eq!(job.session.exceptions(&job.job), two);
    job.fail(3);
    job.session.until(&job.job, "FAILED");
    let told = Value::from(job.session.exceptions(&job.job)).to_string();
    assert!(told.contains("all 2 restarts were used"), "{told}");
    job.session.stop();
}

#[test]
fn a_trigger_id_is_known_by_the_next_job_manager() {
    let sandbox = Sandbox::new();
    let job = Slow::start(&sandbox);
    let (dir, id) = (sandbox.at("savepoints"), "ab".repeat(16));
    let path = format!("/v1/jobs/{}/savepoints", job.job);
    let body = json!({ "target-directory": dir, "triggerId": id });
    post(&job.session, &path, &body).expect(202);
    let first = outcome(&job.session, &format!("{path}/{id}"));
    assert!(first["location"].is_string(), "{first}");
    let job = job.replace_job_manager();
    assert_eq!(outcome(&job.session, &format!("{path}/{id}")), first);
    assert_eq!(post(&job.session, &path, &body).expect(202), json!({ "request-id": id }));
    assert_eq!(outcome(&job.session, &format!("{path}/{id}")), first);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no second one is taken");
    // The job is over, and its requests are known.
    job.session.until_all_run(&job.job);
    let (stop, id) = (format!("/v1/jobs/{}/stop", job.job), "cd".repeat(16));
    let body = json!({ "targetDirectory": dir, "triggerId": id });
    post(&job.session, &stop, &body).expect(202);
    let stopped = outcome(&job.session, &format!("{path}/{id}"));
    let job = job.replace_job_manager();
    assert_eq!(post(&job.session, &stop, &body).expect(202), json!({ "request-id": id }));
    assert_eq!(outcome(&job.session, &format!("{path}/{id}")), stopped);
    assert_eq!(job.session.state(&job.job), "FINISHED");
    job.session.stop();
}

#[test]
fn a_savepoint_that_is_under_way_when_the_job_manager_dies_is_not_taken_again_under_its_id() {
    let sandbox = Sandbox::new();
    let (gate, dir) = (sandbox.at("gate"), sandbox.at("savepoints"));
    let job = Slow::start_with(&sandbox, &[&format!("gate={gate}"), "records=40000"]);
    let path = format!("/v1/jobs/{}/savepoints", job.job);
    let ask = |session: &Rest, id: &str| {
        post(session, &path, &json!({ "target-directory": dir, "triggerId": id })).expect(202);
    };
    let (first, second) = ("ef".repeat(16), "01".repeat(16));
    ask(&job.session, &first);
    eventually("it to be under way", PATIENCE, || {
        let counts = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job))["counts"].clone();
        if counts["in_progress"] == 1 { Ok(()) } else { Err(counts) }
    });
    let job = job.replace_job_manager();
    job.session.until_all_run(&job.job);
    ask(&job.session, &first);
    let ended = outcome(&job.session, &format!("{path}/{first}"));
    let told = ended["failure-cause"]["stack-trace"].to_string();
    assert!(told.contains("the JobManager was ended before the savepoint at"), "{ended}");
    // Another is another.
    fs::write(&gate, "").unwrap();
    ask(&job.session, &second);
    let location = outcome(&job.session, &format!("{path}/{second}"))["location"].clone();
    // What was written for the first is removed.
    let only = [Path::new(location.as_str().unwrap()).to_owned()];
    eventually("the second to be the only one", PATIENCE, || {
        let taken: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        if taken == only { Ok(()) } else { Err(format!("{taken:?}")) }
    });
    job.session.stop();
}

#[test]
fn as_many_checkpoints_are_kept_by_the_next_job_manager_and_listed() {
    let sandbox = Sandbox::new();
    let job = Slow::start(&sandbox);
    let [_, second, third] = [job.checkpoint(), job.checkpoint(), job.checkpoint()];
    let before = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job))["latest"]["completed"].clone();
    let job = job.replace_job_manager();
    job.session.until_all_run(&job.job);
    assert_eq!(job.listed().len(), 3);
    let found = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job))["latest"]["completed"].clone();
    for figure in ["id", "external_path", "state_size", "checkpointed_size", "trigger_timestamp", "num_subtasks"] {
        assert_eq!(found[figure], before[figure], "{figure}");
    }
    let own = job.checkpoint();
    job.until_kept(&[own, third, second]);
    let next = job.checkpoint();
    job.until_kept(&[next, own, third]);
    job.session.stop();
}

#[test]
fn checkpoints_of_an_ended_job_that_could_not_be_removed_are_removed_by_the_next_job_manager() {
    let sandbox = Sandbox::new();
    let job = Slow::start(&sandbox);
    job.checkpoint();
    let (dir, away) = (sandbox.at("checkpoints"), sandbox.at("away"));
    // Nothing can be reached any more.
    fs::rename(&dir, &away).unwrap();
    fs::write(&dir, "").unwrap();
    fs::write(sandbox.at("hold"), "").unwrap();
    job.session.finished(&job.job);
    assert_eq!(flott_tests::checkpoints::checkpoints(Path::new(&away)).len(), 1);
    let job = job.replace_job_manager_and(|| {
        fs::remove_file(&dir).unwrap();
        fs::rename(&away, &dir).unwrap();
    });
    eventually("the checkpoint to be removed", PATIENCE, || {
        let left = flott_tests::checkpoints::checkpoints(Path::new(&dir));
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    job.session.stop();
}
