//! A JobManager that is killed while jobs run: the next one takes the tasks over as they are.

use std::{fs, time::Duration};

use flott_tests::{
    program::{check_output, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

const RECORDS: u64 = 40_000;
const SPLITS: u64 = 4000;
const KEYS: u64 = 20;

/// Kills the JobManager, lets the tasks be alone for a while, and starts another one.
#[track_caller]
fn replace<'a>(sandbox: &'a Sandbox, session: Session<'a>, alone: Duration) -> Session<'a> {
    sandbox.running(Role::JobManager).iter().for_each(Process::kill);
    sandbox.until_running(Role::JobManager, 0);
    drop(session);
    std::thread::sleep(alone);
    sandbox.session(&[])
}

/// The numbers of all current attempts.
fn attempts(session: &Session<'_>, job: &str) -> Vec<u64> {
    let vertices = session.get(&format!("/jobs/{job}"))["vertices"].as_array().cloned().unwrap_or_default();
    let of_vertex = |vertex: &serde_json::Value| {
        let id = vertex["id"].as_str().unwrap_or_default().to_owned();
        session.get(&format!("/jobs/{job}/vertices/{id}"))["subtasks"].as_array().cloned().unwrap_or_default()
    };
    vertices.iter().flat_map(of_vertex).filter_map(|subtask| subtask["attempt"].as_u64()).collect()
}

#[test]
fn tasks_outlive_their_job_manager_and_no_split_is_lost() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let arguments = [
        "held".to_owned(),
        format!("records={RECORDS}"),
        format!("splits={SPLITS}"),
        format!("keys={KEYS}"),
        format!("hold={hold}"),
        format!("output={out}"),
    ];
    let job = session
        .run(&["-d", "-p", "2", "-D", "execution.checkpointing.interval=0"], &test_program(), arguments)
        .success()
        .job();
    session.until_all_run(&job);
    let processes = sandbox.until_running(Role::JobProcess, 2);

    // Every reader holds a split, and nothing is on its way.
    let session = replace(&sandbox, session, Duration::ZERO);
    session.until_all_run(&job);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    assert_eq!(attempts(&session, &job), [0; 4]);

    // Splits are handed out as fast as can be, and some are on their way.
    fs::write(&hold, "").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let session = replace(&sandbox, session, Duration::from_millis(300));
    session.until_one_of(&job, &["RUNNING", "FINISHED"]);
    let running = sandbox.running(Role::JobProcess);
    assert!(running.iter().all(|process| processes.contains(process)), "{running:?} in place of {processes:?}");
    session.finished(&job);
    assert!(session.exceptions(&job).is_empty());
    check_output(&out, RECORDS, KEYS);
    session.stop();
}
