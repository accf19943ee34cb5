//! What this test binary plays when it is run as another process: `exec <binary> --exact roles::play` with a role.

use std::{collections::BTreeMap, io::Read, path::PathBuf, time::Duration};

use flott_core::{
    failure::Failure,
    message::{HostSetup, HostToJob, HostToWorker, JobToHost, WorkerToHost, environment},
};
use flott_rpc::{Connection, Event, Options as RpcOptions, carrier::unix};
use flott_worker::{JobManagerAddress, Options, TaskManager};

/// Set for processes that are to play something.
pub const ROLE: &str = "TEST_ROLE";

/// A program that plays `role` as a job process.
pub fn program(role: &str) -> Vec<u8> {
    let binary = std::env::current_exe().unwrap();
    let script =
        format!("#!/bin/sh\n{ROLE}={role} exec {} --exact roles::play --nocapture --quiet\n", binary.display());
    script.into_bytes()
}

/// Does nothing when it is run as a test, where no role is given.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    match role.as_str() {
        "taskmanager" => runtime.block_on(task_manager()),
        "glutton" => {
            let memory = vec![1u8; 300 << 20];
            std::thread::sleep(Duration::from_secs(3600));
            drop(memory);
        }
        _ => runtime.block_on(host(&role)),
    }
    std::process::exit(0);
}

/// A TaskManager for the JobManager at `TEST_ADDRESS`, in `TEST_WORK` of `TEST_DIR`, as long as standard input is open.
async fn task_manager() {
    let dir = PathBuf::from(std::env::var("TEST_DIR").unwrap());
    let address = JobManagerAddress::Fixed(std::env::var("TEST_ADDRESS").unwrap());
    let work_dir = dir.join(std::env::var("TEST_WORK").unwrap());
    let options = Options::new(flott_core::id::WorkerId("child".into()), address, work_dir, dir.join("log"));
    let _handle = TaskManager::start(options).unwrap();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

/// Speaks the protocol of a job process: answers `Abort` with what it knows of itself.
async fn host(role: &str) {
    let setup = std::fs::read(std::env::var(environment::HOST_SETUP).unwrap()).unwrap();
    let setup: HostSetup = serde_json::from_slice(&setup).unwrap();
    let socket = PathBuf::from(std::env::var(environment::HOST_SOCKET).unwrap());
    if role == "wanderer" {
        std::env::set_current_dir("/").unwrap();
    }
    let stream = unix::connect(&socket).await.unwrap();
    let (sender, mut incoming) = Connection::<HostToWorker, WorkerToHost>::start(stream, RpcOptions::default());
    if role == "unfit" {
        sender.send(HostToWorker::Unfit(Failure::user("planned something else"))).unwrap();
        sender.close("");
        sender.closed().await;
        // The connection brings its last frames out before its tasks end.
        while incoming.next().await.is_some() {}
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let ready = HostToWorker::Ready { process: setup.process, data_address: ([127, 0, 0, 1], 4242).into() };
    sender.send(ready).unwrap();
    while let Some(event) = incoming.next().await {
        match event {
            Event::Message(WorkerToHost::Job(JobToHost::Abort { .. })) => {
                let failure = Failure::user(format!("{:?}", account(&setup)));
                sender.send(HostToWorker::Job(HostToJob::Aborted { result: Err(failure) })).unwrap();
            }
            // Deaf to everything else, as a spinning task makes a process.
            Event::Message(WorkerToHost::Job(_)) => {}
            Event::Message(WorkerToHost::Shutdown) if role == "stubborn" => {}
            Event::Message(WorkerToHost::Shutdown) | Event::Closed(_) | Event::Request(..) => return,
        }
    }
}

/// What a job process finds about itself.
fn account(setup: &HostSetup) -> BTreeMap<&'static str, String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core")).unwrap();
    let status = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = status.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let own = std::process::id().to_string();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(std::env::var(environment::HOST_SETUP).unwrap()).unwrap().permissions(),
    );
    BTreeMap::from([
        ("core", core.split_ascii_whitespace().nth(4).unwrap().to_owned()),
        ("leads its group", (fields[2] == own).to_string()),
        ("leads its session", (fields[3] == own).to_string()),
        ("mode", std::env::var(environment::MODE).unwrap()),
        ("secrets of the TaskManager", std::env::var("CARGO_PKG_NAME").is_ok().to_string()),
        ("setup file", format!("{:o}", mode & 0o777)),
        ("arguments", setup.setup.arguments.join("|")),
        ("graph", std::fs::read_to_string(&setup.graph_file).unwrap()),
        ("worker", setup.worker.to_string()),
    ])
}
