//! Late records that are dropped are seen while a job runs, and after it has ended.

use flott_tests::{
    eventually::{PATIENCE, eventually},
    metrics::Collected,
    program::test_program,
    sandbox::{Sandbox, Session},
};
use serde_json::Value;

const NAME: &str = "numLateRecordsDropped";

/// A counter of those that an answer lists.
fn of(listed: &Value) -> Option<u64> {
    let entry = listed.as_array()?.iter().find(|entry| entry["name"] == NAME)?;
    assert_eq!(entry["type"], "LongCounter");
    entry["value"].as_str()?.parse().ok()
}

fn of_job(session: &Session<'_>, job: &str) -> Option<u64> {
    of(&session.get(&format!("/jobs/{job}/accumulators"))["user-task-accumulators"])
}

/// Of five hundred records that are read before the source waits, every tenth is of the first window; that is over when the second
/// hundred has come, and the source gives its watermark before it pauses.
const LATE: u64 = 30;

/// A job that has read half of its records and waits; all that are late by then are counted.
fn waiting(session: &Session<'_>, sandbox: &Sandbox) -> String {
    let hold = format!("hold={}", sandbox.at("never"));
    let job = session.submit(&test_program(), ["late", "records=1000", "windows=100", "late=true", "pace=100", &hold]);
    session.until_all_run(&job);
    eventually("all late records to be counted", PATIENCE, || match of_job(session, &job) {
        Some(LATE) => Ok(()),
        counted => Err(format!("{counted:?} are")),
    });
    job
}

#[test]
fn late_records_are_counted_while_a_job_runs_and_once_it_has_ended() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let job = waiting(&session, &sandbox);
    let window = session.get(&format!("/jobs/{job}"))["vertices"][1]["id"].as_str().unwrap().to_owned();
    let vertex = format!("/jobs/{job}/vertices/{window}");
    assert_eq!(of(&session.get(&format!("{vertex}/accumulators"))["user-accumulators"]), Some(LATE));
    let subtasks = session.get(&format!("{vertex}/subtasks/accumulators"));
    assert_eq!(of(&subtasks["subtasks"][0]["user-accumulators"]), Some(LATE));
    let attempt = session.get(&format!("{vertex}/subtasks/0/attempts/0/accumulators"));
    assert_eq!(of(&attempt["user-accumulators"]), Some(LATE));
    let collected = Collected::of(&session).sum(&format!("taskmanager_job_task_{NAME}"), &[("task_id", &window)]);
    assert_eq!(collected, LATE as f64);

    session.cancel(&job);
    session.until(&job, "CANCELED");
    assert_eq!(of_job(&session, &job), Some(LATE), "of a cancelled job");
    assert_eq!(of(&session.get(&format!("{vertex}/accumulators"))["user-accumulators"]), Some(LATE));

    let job = waiting(&session, &sandbox);
    sandbox.flott(["stop", "-m", session.address(), "-p", &sandbox.at("savepoints"), &job]).success();
    session.until(&job, "FINISHED");
    assert_eq!(of_job(&session, &job), Some(LATE), "of a job that stopped with a savepoint");
    session.stop();
}
