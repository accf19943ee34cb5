//! What every backend must do, run against each. Workers named `broken…` end with code 7, workers named `missing…`
//! cannot be started, others run until they are stopped.

use std::{path::Path, sync::Arc};

use flott_core::id::WorkerId;
use tokio::sync::mpsc;

use super::{
    Backend, BackendEvent, LossReason, Rejection, WorkerSpec,
    fake::{Fake, World},
    process::{ProcessBackend, ProcessOptions, WorkerCommand},
    standalone::Standalone,
};
use crate::options::WorkerShape;

/// A backend with its events; `open` makes another one that sees the same machines.
struct Bench {
    open: Box<dyn Fn() -> Arc<dyn Backend>>,
    backend: Arc<dyn Backend>,
    events: mpsc::Receiver<BackendEvent>,
    _dir: Option<tempfile::TempDir>,
}

impl Bench {
    fn new(open: impl Fn() -> Arc<dyn Backend> + 'static, dir: Option<tempfile::TempDir>) -> Self {
        let backend = open();
        let events = backend.events().expect("events are taken for the first time");
        assert!(backend.events().is_none(), "events can be taken once");
        Self { open: Box::new(open), backend, events, _dir: dir }
    }

    fn fake() -> Self {
        let world = World::default();
        Self::new(move || Arc::new(Fake::new(world.clone())), None)
    }

    fn process() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().to_owned();
        Self::new(move || Arc::new(processes(&state)), Some(dir))
    }

    /// The JobManager dies and another one begins.
    fn restart(&mut self) {
        self.backend = (self.open)();
        self.events = self.backend.events().unwrap();
    }

    fn start(&self, worker: &str) {
        self.backend.start_worker(WorkerSpec::new(WorkerId(worker.into()), WorkerShape::default()));
    }

    fn stop(&self, worker: &str) {
        self.backend.stop_worker(&WorkerId(worker.into()));
    }

    async fn next(&mut self) -> BackendEvent {
        self.events.recv().await.expect("the backend goes on")
    }

    async fn listed(&self) -> Vec<String> {
        self.backend.list().await.unwrap().into_iter().map(|worker| worker.spec.worker.0).collect()
    }

    async fn expect_started(&mut self, worker: &str) {
        assert_eq!(self.next().await, BackendEvent::Started(WorkerId(worker.into())));
    }

    async fn expect_lost(&mut self, worker: &str, reason: LossReason) {
        assert_eq!(self.next().await, BackendEvent::Lost { worker: WorkerId(worker.into()), reason });
    }
}

fn processes(state: &Path) -> ProcessBackend {
    let command = |spec: &WorkerSpec| {
        let name = &spec.worker.0;
        let script = match name {
            name if name.starts_with("broken") => "exit 7",
            // Ends neither by the signal nor at its end: only by being killed.
            name if name.starts_with("stubborn") => "trap '' TERM; echo ready; while :; do sleep 100; done",
            _ => "echo ready; exec sleep 100",
        };
        let program = if name.starts_with("missing") { "/nonexistent/flott" } else { "/bin/sh" };
        let arguments = vec!["-c".into(), script.into()];
        WorkerCommand { program: program.into(), arguments, environment: vec![("WHO".into(), name.into())] }
    };
    let mut options = ProcessOptions::new(state, command);
    options.workers_max = 4;
    options.stop_grace = std::time::Duration::from_millis(300);
    ProcessBackend::new(options).unwrap()
}

async fn workers_are_started_listed_and_stopped(mut bench: Bench) {
    bench.start("a");
    bench.start("a");
    bench.expect_started("a").await;
    bench.start("a");
    bench.start("b");
    bench.expect_started("b").await;
    assert_eq!(bench.listed().await, ["a", "b"]);
    bench.stop("a");
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
    assert_eq!(bench.listed().await, ["b"]);
    bench.stop("a");
    bench.stop("never");
    bench.stop("b");
    bench.expect_lost("b", LossReason::Stopped).await;
    assert!(bench.listed().await.is_empty());
}

async fn a_worker_that_ends_is_lost_with_its_code(mut bench: Bench) {
    bench.start("broken-1");
    bench.expect_started("broken-1").await;
    bench.expect_lost("broken-1", LossReason::Exited { code: 7 }).await;
    assert!(bench.listed().await.is_empty());
}

async fn what_cannot_be_started_is_rejected(mut bench: Bench) {
    bench.start("missing-1");
    match bench.next().await {
        BackendEvent::Rejected { worker, rejection: Rejection::Image, .. } => assert_eq!(worker.0, "missing-1"),
        other => panic!("expected a rejection, got {other:?}"),
    }
    assert!(bench.listed().await.is_empty());
    bench.start("fine");
    bench.expect_started("fine").await;
    bench.stop("fine");
    bench.expect_lost("fine", LossReason::Stopped).await;
}

async fn stopping_while_starting_leaves_nothing(mut bench: Bench) {
    bench.start("a");
    bench.stop("a");
    while !matches!(bench.next().await, BackendEvent::Lost { .. }) {}
    assert!(bench.listed().await.is_empty());
}

async fn workers_outlive_the_backend_and_are_found_again(mut bench: Bench) {
    bench.start("a");
    bench.start("b");
    bench.next().await;
    bench.next().await;
    bench.restart();
    assert_eq!(bench.listed().await, ["a", "b"]);
    bench.start("a");
    assert_eq!(bench.listed().await, ["a", "b"]);
    for worker in ["a", "b"] {
        bench.stop(worker);
        while !matches!(bench.next().await, BackendEvent::Lost { reason: LossReason::Stopped, .. }) {}
    }
    assert!(bench.listed().await.is_empty());
}

macro_rules! contract {
    ($backend:ident: $($law:ident),* $(,)?) => {
        mod $backend {
            use super::Bench;
            $(#[tokio::test]
            async fn $law() {
                super::$law(Bench::$backend()).await;
            })*
        }
    };
}

contract!(fake:
    workers_are_started_listed_and_stopped,
    a_worker_that_ends_is_lost_with_its_code,
    what_cannot_be_started_is_rejected,
    stopping_while_starting_leaves_nothing,
    workers_outlive_the_backend_and_are_found_again,
);
contract!(process:
    workers_are_started_listed_and_stopped,
    a_worker_that_ends_is_lost_with_its_code,
    what_cannot_be_started_is_rejected,
    stopping_while_starting_leaves_nothing,
    workers_outlive_the_backend_and_are_found_again,
);

#[tokio::test]
async fn standalone_says_that_it_starts_nothing() {
    let mut bench = Bench::new(|| Arc::new(Standalone::default()), None);
    assert!(!bench.backend.abilities().starts);
    bench.start("a");
    match bench.next().await {
        BackendEvent::Rejected { rejection, .. } => assert_eq!(rejection, Rejection::Unsupported),
        other => panic!("expected a rejection, got {other:?}"),
    }
    bench.stop("a");
    assert!(bench.listed().await.is_empty());
}

#[tokio::test]
async fn a_process_that_does_not_end_is_killed() {
    let mut bench = Bench::process();
    bench.start("stubborn");
    bench.expect_started("stubborn").await;
    bench.stop("stubborn");
    bench.expect_lost("stubborn", LossReason::Stopped).await;
}

#[tokio::test]
async fn a_killed_process_is_lost_with_its_signal() {
    let mut bench = Bench::process();
    bench.start("a");
    bench.expect_started("a").await;
    let dir = bench._dir.as_ref().unwrap().path().to_owned();
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("workers/a.json")).unwrap()).unwrap();
    let pid = record["process"]["pid"].as_i64().unwrap() as i32;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    bench.expect_lost("a", LossReason::Killed { signal: 9 }).await;
    assert!(!dir.join("workers/a.json").exists());
}

#[tokio::test]
async fn more_processes_than_allowed_are_rejected() {
    let mut bench = Bench::process();
    let names = ["a", "b", "c", "d"];
    for worker in names {
        bench.start(worker);
        bench.expect_started(worker).await;
    }
    bench.start("e");
    match bench.next().await {
        BackendEvent::Rejected { rejection: Rejection::Quota, .. } => {}
        other => panic!("expected a rejection, got {other:?}"),
    }
    for worker in names {
        bench.stop(worker);
        bench.expect_lost(worker, LossReason::Stopped).await;
    }
}

#[tokio::test]
async fn a_worker_is_found_though_its_process_was_never_written_down() {
    let mut bench = Bench::process();
    bench.start("a");
    bench.expect_started("a").await;
    let record = bench._dir.as_ref().unwrap().path().join("workers/a.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    json["process"] = serde_json::Value::Null;
    std::fs::write(&record, json.to_string()).unwrap();
    bench.restart();
    assert_eq!(bench.listed().await, ["a"]);
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
}

#[tokio::test]
async fn records_of_the_dead_and_of_strangers_are_not_believed() {
    let mut bench = Bench::process();
    bench.start("a");
    bench.expect_started("a").await;
    let dir = bench._dir.as_ref().unwrap().path().join("workers");
    let own = std::fs::read_to_string(dir.join("a.json")).unwrap();
    // This process's id, but not its start.
    let mut json: serde_json::Value = serde_json::from_str(&own).unwrap();
    json["spec"]["worker"] = "stranger".into();
    json["process"]["pid"] = std::process::id().into();
    std::fs::write(dir.join("stranger.json"), json.to_string()).unwrap();
    std::fs::write(dir.join("torn.json"), &own[..own.len() / 2]).unwrap();
    std::fs::write(dir.join("misnamed.json"), &own).unwrap();
    bench.restart();
    assert_eq!(bench.listed().await, ["a"]);
    assert!(!dir.join("stranger.json").exists());
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
}
