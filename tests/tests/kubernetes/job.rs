//! A job with state that runs until it is let go on, in a cluster whose JobManagers may lose their pods.

use std::{fs, path::Path};

use flott_tests::{
    book::nothing_hidden_in,
    checkpoints::until_checkpoint,
    eventually::{PATIENCE, eventually},
    program::check_output_in_any_order,
};
use serde_json::Value;

use crate::world::{Client, World};

const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;
const INTERVAL: &str = "execution.checkpointing.interval=200 ms";
const SESSION: &str = "kubernetes-session";

pub struct Job<'a> {
    world: &'a World,
    pub id: String,
    out: String,
    checkpoints: String,
}

impl<'a> Job<'a> {
    /// Starts it, with more settings of the program, and waits until it runs and takes checkpoints.
    #[track_caller]
    pub fn start(world: &'a World, parallelism: &str, more: &[&str]) -> Self {
        Self::start_with(world, parallelism, &[], more)
    }

    /// The same with more settings of the cluster.
    #[track_caller]
    pub fn start_with(world: &'a World, parallelism: &str, settings: &[&str], more: &[&str]) -> Self {
        let checkpoints = world.output("checkpoints");
        let directory = format!("execution.checkpointing.dir={checkpoints}");
        start_session(world, &[&[&*world.lasting(), INTERVAL, &directory], settings].concat());
        Self::run(world, &[&["-t", SESSION, "-p", parallelism]], more, checkpoints)
    }

    /// The same where jobs and checkpoints are remembered in a directory that all JobManagers share, in a session of so many or,
    /// for none, in a cluster of its own.
    #[track_caller]
    pub fn start_elected(world: &'a World, replicas: Option<&str>) -> Self {
        Self::start_elected_with(world, replicas, &[])
    }

    /// The same with more settings of the cluster.
    #[track_caller]
    pub fn start_elected_with(world: &'a World, replicas: Option<&str>, more: &[&str]) -> Self {
        let shared = world.output("high-availability");
        let checkpoints = format!("{shared}/demo/checkpoints");
        let directory = format!("high-availability.storageDir={shared}");
        let settings = [&[INTERVAL, &*directory, "high-availability.type=kubernetes"], more].concat();
        let Some(replicas) = replicas else {
            let settings: Vec<_> = settings.into_iter().flat_map(|setting| ["-D", setting]).collect();
            return Self::run(world, &[&["-t", "kubernetes-application", "-p", "2"], &settings], &[], checkpoints);
        };
        let replicas = format!("kubernetes.jobmanager.replicas={replicas}");
        start_session(world, &[&settings[..], &[&*replicas]].concat());
        Self::run(world, &[&["-t", SESSION, "-p", "2"]], &[], checkpoints)
    }

    #[track_caller]
    fn run(world: &'a World, options: &[&[&str]], more: &[&str], checkpoints: String) -> Self {
        let out = world.output("out");
        let line = [&["run", "-d"][..], &options.concat(), &[&world.program, "held"]].concat();
        // A few hundred records a second.
        let own = [format!("records={RECORDS}"), format!("keys={KEYS}"), "splits=8".to_owned(), "pace=1".to_owned()];
        let paths = [format!("hold={}", world.shared("hold")), format!("output={out}")];
        let own = own.iter().chain(&paths).map(String::as_str);
        let id = world.sandbox.flott(line.into_iter().chain(own).chain(more.iter().copied())).success().job();
        let job = Self { world, id, out, checkpoints };
        job.goes_on(&world.rest());
        job
    }

    /// Waits until all tasks run, and until a checkpoint is complete that has begun since.
    #[track_caller]
    pub fn goes_on(&self, rest: &Client) {
        rest.until_all_run(&self.id);
        self.takes_checkpoints();
    }

    /// Waits for a checkpoint that has begun since this was called.
    #[track_caller]
    pub fn takes_checkpoints(&self) {
        until_checkpoint(Path::new(&self.checkpoints));
    }

    /// Waits until a failure of the job tells `reason` of TaskManager `pod`.
    #[track_caller]
    pub fn until_told(&self, rest: &Client, pod: &str, reason: &str) {
        eventually(&format!("{reason:?} of {pod}"), PATIENCE, || {
            let told = rest.exceptions(&self.id);
            let is_it = |failure: &Value| {
                let report = failure["stacktrace"].as_str().unwrap_or_default();
                failure["taskManagerId"] == *pod && report.contains("TaskManager lost: ") && report.contains(reason)
            };
            let concurrent = |entry: &Value| entry["concurrentExceptions"].as_array().into_iter().flatten().any(is_it);
            if told.iter().any(|entry| is_it(entry) || concurrent(entry)) { Ok(()) } else { Err(Value::from(told)) }
        });
    }

    /// Subtasks of each vertex.
    pub fn parallelism(&self, rest: &Client) -> Vec<u64> {
        let details = rest.get(&format!("/v1/jobs/{}", self.id));
        details["vertices"].as_array().unwrap().iter().map(|vertex| vertex["parallelism"].as_u64().unwrap()).collect()
    }

    /// Lets it come to its end, and wants each result to be there once, and nothing to be left when the session is stopped.
    #[track_caller]
    pub fn end(self) {
        fs::write(self.world.shared("hold"), "").unwrap();
        self.world.rest().finished(&self.id);
        self.check_output();
        self.world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
        self.world.nothing_is_left();
    }

    /// The same of a cluster of its own, which ends with it; what is left of that goes after `last`.
    #[track_caller]
    pub fn end_with_its_cluster_after(self, last: impl FnOnce()) {
        let waiting = self.world.sandbox.start_flott(["jobs", "wait", &self.id, "-t", "kubernetes-application"]);
        fs::write(self.world.shared("hold"), "").unwrap();
        waiting.end().success();
        self.check_output();
        last();
        self.world.nothing_is_left();
    }

    #[track_caller]
    fn check_output(&self) {
        check_output_in_any_order(&self.out, RECORDS, KEYS);
        nothing_hidden_in(&self.out);
    }
}

#[track_caller]
fn start_session(world: &World, settings: &[&str]) {
    let settings = settings.iter().flat_map(|setting| ["-D", setting]);
    world.sandbox.flott(["session", "start", "--backend", "kubernetes"].into_iter().chain(settings)).success();
}

/// The name of a pod.
pub fn name(pod: &Value) -> String {
    pod["metadata"]["name"].as_str().unwrap().to_owned()
}
