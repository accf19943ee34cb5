//! A plan, carried out.
//!
//! # Layout
//! - `jobs`: the jobs, and when they are over
//! - `disturbing`: what is done to the cluster
//! - `jobmanagers`: one, or several of which one leads

mod disturbing;
mod jobmanagers;
mod jobs;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use self::jobmanagers::JobManagers;
use super::{
    oracle::{Output, check_names},
    plan::{HEARTBEAT_TIMEOUT_MS, Plan, State, Workers},
    replay,
    report::Report,
    store::Store,
};
use crate::{
    binaries::{binary, text},
    command::Running,
    disk::SmallDisk,
    eventually::{PATIENCE, eventually},
    proxy::Proxy,
    rest::Rest,
    sandbox::{
        Sandbox,
        processes::{Process, Role},
    },
};

/// Events of each source.
const RECORDS: u64 = 14_000;
/// A job that has not ended after so long has found a fault.
const LIMIT: Duration = Duration::from_secs(150);
/// Set to end the scenario at hand as one that has failed.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The jobs' output directories are in here.
const OUTPUTS: &str = "outputs";
/// Room for all results many times over.
const OUTPUTS_SIZE: &str = "64m";

/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);

/// Carries out a plan.
///
/// # Panics
/// When something is not as it must be; says how to replay it, and keeps the directory.
pub fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let sandbox = Sandbox::new().kept_if_it_fails();
    let expected = undisturbed(&sandbox, plan);
    let store = Store::new(sandbox.path(), plan);
    sandbox.configure(&configuration(&sandbox, plan, &store));
    let what_for = "steps of a plan in which there is no room for results";
    let outputs = SmallDisk::mount(sandbox.at(OUTPUTS), OUTPUTS_SIZE, what_for).map(SmallDisk::kept_if_it_fails);
    let mut scenario = Scenario::start(&sandbox, &store, outputs.as_ref(), plan);
    scenario.until_over(&expected);
    let (skipped, jobs) = (scenario.skipped(), scenario.runs.len());
    let (checkpoints, failures) = scenario.counted();
    scenario.end();
    check_logs(&sandbox);
    Report {
        seed: plan.seed,
        program: plan.program.name(),
        steps: plan.steps.len(),
        skipped,
        jobs,
        checkpoints,
        failures,
        lines: expected.lines(),
        took: began.elapsed(),
    }
}

/// What the program gives if it is run by itself, in batch mode.
#[track_caller]
fn undisturbed(sandbox: &Sandbox, plan: &Plan) -> Output {
    let output = sandbox.path().join("undisturbed");
    let arguments = arguments(plan, &output).into_iter().chain(["batch=true".to_owned()]);
    sandbox.program(&binary("chaos-program"), arguments).success();
    let expected = Output::read(&[output]);
    assert!(expected.lines() > 0, "the program wrote nothing, which anything is equal to");
    expected
}

fn arguments(plan: &Plan, output: &Path) -> Vec<String> {
    let output = text(output);
    vec![
        plan.program.name().to_owned(),
        format!("records={RECORDS}"),
        format!("seed={}", plan.seed),
        format!("output={output}"),
    ]
}

fn configuration(sandbox: &Sandbox, plan: &Plan, store: &Store) -> String {
    let backend = match plan.workers {
        Workers::Backend => "process",
        Workers::Standalone => "standalone",
    };
    let state = match plan.state {
        State::Memory => "state.backend.type: hashmap",
        State::Disk => "state.backend.type: disk\nstate.backend.disk.memory.fixed-per-slot: 1 mb",
    };
    format!(
        "{}{}{state}\n\
         cluster.backend: {backend}\n\
         taskmanager.numberOfTaskSlots: {}\n\
         heartbeat.interval: 300 ms\n\
         heartbeat.timeout: {HEARTBEAT_TIMEOUT_MS} ms\n\
         client.timeout: 20 s\n\
         restart-strategy.type: fixed-delay\n\
         restart-strategy.fixed-delay.attempts: 1000000\n\
         restart-strategy.fixed-delay.delay: 50 ms\n\
         execution.checkpointing.dir: {}\n\
         execution.checkpointing.timeout: 8 s\n\
         execution.checkpointing.interval: {} ms\n\
         execution.checkpointing.unaligned.enabled: {}\n\
         execution.checkpointing.aligned-checkpoint-timeout: {} ms\n\
         jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling: 500 ms\n\
         jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout: 300 ms\n\
         jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout: 300 ms",
        store.configuration(),
        jobmanagers::configuration(sandbox, plan),
        plan.slots,
        store.checkpoints(),
        plan.interval_ms,
        plan.unaligned.is_some(),
        plan.unaligned.unwrap_or_default(),
    )
}

/// Nobody panics, however he is treated.
#[track_caller]
fn check_logs(sandbox: &Sandbox) {
    for path in sandbox.log_files() {
        let content = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        let panics: Vec<_> = content.lines().filter(|line| line.contains("panicked at")).collect();
        assert!(panics.is_empty(), "{}: {panics:?}", path.display());
    }
}

/// What is to be done at a time.
#[derive(Debug)]
enum Due {
    Step(usize),
    Thaw(Process),
    /// By its name, if there are several.
    StartJobManager(String),
    /// By its name: another one of the same identity.
    StartWorker(String),
    MendStore,
    EmptyOutputs,
    /// That of a TaskManager, by its name.
    MendNetwork(String),
}

/// A job of the scenario: the first, or one that goes on from the savepoint of another.
struct Run {
    job: String,
    output: PathBuf,
    /// Directories of savepoints that it was to be stopped with, and the parallelism of the next job then.
    stops: Vec<(String, u64)>,
}

struct Worker {
    name: String,
    process: Running,
}

/// A client that has not ended.
struct Asking {
    client: Running,
    what: &'static str,
}

struct Scenario<'a> {
    plan: &'a Plan,
    sandbox: &'a Sandbox,
    store: &'a Store,
    /// The disk that results are written to, where one could be mounted.
    outputs: Option<&'a SmallDisk>,
    /// When the first job was submitted.
    began: Instant,
    jobmanagers: JobManagers<'a>,
    frozen: Vec<Process>,
    workers: Vec<Worker>,
    started_workers: u64,
    /// The network between each of them and the JobManager that leads, by their names.
    networks: BTreeMap<String, Proxy>,
    due: BTreeMap<(u64, u64), Due>,
    numbered: u64,
    runs: Vec<Run>,
    savepoints: u64,
    asking: Vec<Asking>,
    stopping: Option<Running>,
    looked: Instant,
    /// Lives of the JobManager; of several, how often one of them was disturbed.
    lives: u64,
    /// Checkpoints that were completed and failures of jobs, by life and job.
    counts: BTreeMap<(u64, usize), (u64, u64)>,
    /// The life that has last been seen to run the job, and which job that was.
    seen_running: Option<(u64, usize)>,
    /// What was done and what came of it.
    told: Vec<String>,
}

impl<'a> Scenario<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox, store: &'a Store, outputs: Option<&'a SmallDisk>, plan: &'a Plan) -> Self {
        let now = Instant::now();
        let mut scenario = Self {
            plan,
            sandbox,
            store,
            outputs,
            began: now,
            jobmanagers: JobManagers::start(sandbox, plan),
            frozen: Vec::new(),
            workers: Vec::new(),
            started_workers: 0,
            networks: BTreeMap::new(),
            due: BTreeMap::new(),
            numbered: 0,
            runs: Vec::new(),
            savepoints: 0,
            asking: Vec::new(),
            stopping: None,
            looked: now,
            lives: 1,
            counts: BTreeMap::new(),
            seen_running: None,
            told: Vec::new(),
        };
        if plan.workers == Workers::Standalone {
            // Slots enough for the widest job, and a TaskManager to spare.
            for number in 0..4_u64.div_ceil(plan.slots) + 1 {
                scenario.start_worker(format!("worker-{number}"));
            }
        }
        scenario.submit(None, plan.parallelism);
        scenario.began = Instant::now();
        for (place, step) in plan.steps.iter().enumerate() {
            scenario.at(step.at_ms, Due::Step(place));
        }
        scenario
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn at(&mut self, at_ms: u64, due: Due) {
        self.numbered += 1;
        self.due.insert((at_ms, self.numbered), due);
    }

    fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now_ms() + ms, due);
    }

    fn tell(&mut self, what: impl fmt::Display) {
        let line = format!("{:>6} ms  {what}", self.now_ms());
        self.told.push(line);
    }

    fn job(&self) -> &str {
        self.runs.last().map_or("", |run| &run.job)
    }

    /// Steps that were not taken.
    fn skipped(&self) -> usize {
        self.due.values().filter(|due| matches!(due, Due::Step(_))).count()
    }

    /// Checkpoints and failures.
    fn counted(&self) -> (u64, u64) {
        self.counts.values().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    }

    /// Does what is to be done until the job has ended and no other goes on from it.
    #[track_caller]
    fn until_over(&mut self, expected: &Output) {
        loop {
            while let Some(next) = self.due.first_entry()
                && next.key().0 <= self.began.elapsed().as_millis() as u64
            {
                let due = next.remove();
                self.act(due);
            }
            self.hear_clients();
            self.start_deposed();
            if self.has_finished() && self.is_over(expected) {
                return;
            }
            assert!(self.began.elapsed() < LIMIT, "the job has not ended within {LIMIT:?}");
            assert!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
            std::thread::sleep(PAUSE);
        }
    }

    /// Who answers requests. While one of several is frozen it may be the one that leads.
    fn rest(&self) -> Option<&Rest> {
        let is_frozen = self.frozen.iter().any(|process| process.role == Role::JobManager);
        self.jobmanagers.rest().filter(|_| !is_frozen)
    }

    // ------------------------------------------------------------ the end

    /// Wants everything to be as after any other job, and ends the cluster.
    #[track_caller]
    fn end(mut self) {
        let due = std::mem::take(&mut self.due);
        due.into_values().filter(|due| !matches!(due, Due::Step(_))).for_each(|due| self.act(due));
        for asked in std::mem::take(&mut self.asking) {
            asked.client.end();
        }
        for place in 0..self.runs.len() {
            let job = self.runs[place].job.clone();
            // Whoever leads now may be deposed before it has answered.
            eventually(&format!("job {job} to be known as finished"), PATIENCE, || {
                self.start_deposed();
                std::mem::take(&mut self.due).into_values().for_each(|due| self.act(due));
                match self.rest().map(|rest| rest.state(&job)) {
                    Some(state) if state == "FINISHED" => Ok(()),
                    answer => Err(format!("{answer:?}")),
                }
            });
            check_names(&self.runs[place].output, &job);
        }
        // Who is killed between the end of a job and the removal of its checkpoints leaves them.
        if self.seen_running == Some((self.lives, self.runs.len())) && !self.plan.breaks_store() {
            let left = self.store.left_of(self.job());
            assert!(left.len() <= 1, "more is left of the checkpoints of a finished job than a mark: {left:?}");
        }
        for worker in std::mem::take(&mut self.workers) {
            worker.process.signal(Signal::SIGTERM);
            worker.process.end().success();
        }
        let jobmanagers = std::mem::replace(&mut self.jobmanagers, JobManagers::One(None));
        jobmanagers.stop(self.sandbox);
    }

    /// Where the job stands.
    fn describe(&self) -> String {
        let mut text = format!("{}\nWhat was done:\n{}\n", self.plan, self.told.join("\n"));
        let Some(rest) = self.rest() else { return text };
        let job = self.job();
        for path in ["", "/checkpoints", "/exceptions"] {
            let answer = rest.try_get(&format!("/v1/jobs/{job}{path}"));
            text += &format!("GET /v1/jobs/{job}{path}: {} {}\n", answer.status, answer.body);
        }
        let pending = rest.try_get(&format!("/flott/v1/jobs/{job}/pending"));
        text + &format!("pending: {}\n", pending.body)
    }
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\nreplay: {}", self.describe(), replay(self.plan));
        }
    }
}
