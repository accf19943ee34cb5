//! Jobs that keep their state on disk, on real clusters.

use std::{fs, path::Path};

use flott_snapshot::manifest::document::VERSION;
use flott_tests::{
    book::{check_running, lines_in},
    chaos::{self, Plan},
    fixture::{Fading, Fixture, Undisturbed},
    program::{check_output, counts, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

const RECORDS: u64 = 60_000;
const SPLITS: u64 = 300;

/// More than there is memory for.
const KEYS: u64 = 20_000;

const ON_DISK: &str = "execution.checkpointing.interval: 100 ms\nstate.backend.type: disk\n\
     state.backend.disk.memory.fixed-per-slot: 1 mb";

fn arguments(sandbox: &Sandbox) -> Vec<String> {
    let numbers = [("records", RECORDS), ("splits", SPLITS), ("keys", KEYS)];
    let mut arguments = vec!["held".to_owned(), "by-function=true".to_owned()];
    arguments.extend(numbers.map(|(name, number)| format!("{name}={number}")));
    arguments.extend([format!("hold={}", sandbox.at("hold")), format!("output={}", sandbox.at("out"))]);
    arguments
}

#[track_caller]
fn start(sandbox: &Sandbox, session: &Session<'_>) -> String {
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments(sandbox)).success().job();
    session.until_all_run(&job);
    job
}

/// Directories of state below `directory`.
fn directories_of_state(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .map(|entry| {
            let is_one = entry.file_name().to_string_lossy().starts_with("flott-state-");
            if is_one { 1 } else { directories_of_state(&entry.path()) }
        })
        .sum()
}

#[test]
fn a_job_with_state_on_disk_goes_on_when_its_process_dies_and_leaves_nothing() {
    let sandbox = Sandbox::with(ON_DISK);
    let session = sandbox.session(&[]);
    let job = start(&sandbox, &session);
    session.until_checkpoint(&job);
    let backend = session.get(&format!("/v1/jobs/{job}/checkpoints/config"))["state_backend"].clone();
    assert_eq!(backend, "EmbeddedRocksDBStateBackend");
    assert_eq!(directories_of_state(sandbox.path()), sandbox.running(Role::JobProcess).len());
    Process::kill_all(&sandbox.running(Role::JobProcess));
    session.until_all_run(&job);
    session.until_checkpoint(&job);
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    session.stop();
    assert_eq!(directories_of_state(sandbox.path()), 0);
}

#[test]
fn a_savepoint_of_state_on_disk_is_one_for_state_in_memory_and_back() {
    let sandbox = Sandbox::with(ON_DISK);
    let session = sandbox.session(&[]);
    let mut job = start(&sandbox, &session);
    let mut outputs = vec![sandbox.at("out")];
    for (number, (backend, parallelism)) in [("hashmap", "3"), ("disk", "1")].into_iter().enumerate() {
        session.until_checkpoint(&job);
        let directory = sandbox.at("savepoints");
        let stopped = sandbox.flott(["stop", "-m", session.address(), &job, "-p", &directory]).success();
        let named = |line: &str| Some(line[line.find(&directory)?..].trim().to_owned());
        let savepoint = stopped.out.lines().find_map(named).unwrap();
        outputs.push(sandbox.at(&format!("out-{number}")));
        let output = format!("output={}", outputs[outputs.len() - 1]);
        let setting = format!("state.backend.type={backend}");
        let options = ["-d", "-p", parallelism, "-s", &savepoint, "-D", &setting];
        let given = arguments(&sandbox).into_iter().chain([output]);
        job = session.run(&options, &test_program(), given).success().job();
        session.until_all_run(&job);
    }
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    let lines: Vec<_> = outputs.iter().flat_map(|output| lines_in(output)).collect();
    check_running(&lines, &counts(RECORDS, KEYS));
    session.stop();
}

/// It was written by a job that had it in memory.
#[test]
fn every_kind_of_state_of_a_savepoint_that_is_kept_is_gone_on_from_on_disk() {
    let sandbox = Sandbox::with(ON_DISK);
    let undisturbed = Undisturbed::run(&sandbox);
    let session = sandbox.session(&[]);
    Fixture::of(VERSION).check(&sandbox, &session, &undisturbed, "2", Fading::Gone);
    session.stop();
}

#[test]
fn joins_are_whole_though_processes_with_state_on_disk_are_killed() {
    println!("{}", chaos::run(&Plan::all(5)));
}
