//! The backends of this crate under the contract, and what is special about each.

use std::{path::Path, sync::Arc};

use super::{
    BackendEvent, LossReason, Rejection, WorkerSpec,
    contract::{Bench, laws},
    fake::{Fake, World},
    process::{ProcessBackend, ProcessOptions, WorkerCommand},
    standalone::Standalone,
};

fn fake_bench() -> Bench {
    let world = World::default();
    Bench::new(move || Arc::new(Fake::new(world.clone())), ())
}

fn process_bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_owned();
    Bench::new(move || Arc::new(processes(&state)), dir)
}

fn dir_of(bench: &Bench) -> &Path {
    bench.world::<tempfile::TempDir>().unwrap().path()
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

laws!(fake: async || super::fake_bench());
laws!(process: async || super::process_bench());

#[tokio::test]
async fn standalone_says_that_it_starts_nothing() {
    let mut bench = Bench::new(|| Arc::new(Standalone::default()), ());
    assert!(!bench.backend().abilities().starts);
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
    let mut bench = process_bench();
    bench.start("stubborn");
    bench.expect_started("stubborn").await;
    bench.stop("stubborn");
    bench.expect_lost("stubborn", LossReason::Stopped).await;
}

#[tokio::test]
async fn a_killed_process_is_lost_with_its_signal() {
    let mut bench = process_bench();
    bench.start("a");
    bench.expect_started("a").await;
    let dir = dir_of(&bench).to_owned();
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("workers/a.json")).unwrap()).unwrap();
    let pid = record["process"]["pid"].as_i64().unwrap() as i32;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    bench.expect_lost("a", LossReason::Killed { signal: 9 }).await;
    assert!(!dir.join("workers/a.json").exists());
}

#[tokio::test]
async fn more_processes_than_allowed_are_rejected() {
    let mut bench = process_bench();
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
    let mut bench = process_bench();
    bench.start("a");
    bench.expect_started("a").await;
    let record = dir_of(&bench).join("workers/a.json");
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
    let mut bench = process_bench();
    bench.start("a");
    bench.expect_started("a").await;
    let dir = dir_of(&bench).join("workers");
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
