//! Windows of a job that is stopped: they are shown when time is drained, and are part of the savepoint when not.

use flott_tests::{
    book::lines_in,
    eventually::{PATIENCE, eventually},
    program::test_program,
    sandbox::Sandbox,
};

const RECORDS: u64 = 20_000;

fn arguments(sandbox: &Sandbox, out: &str) -> Vec<String> {
    let settings = [("records", RECORDS.to_string()), ("keys", "5".to_owned()), ("windows", "1000".to_owned())];
    let paths = [("hold", sandbox.at("hold")), ("output", sandbox.at(out))];
    let pairs = settings.into_iter().chain(paths).map(|(key, value)| format!("{key}={value}"));
    std::iter::once("held".to_owned()).chain(pairs).collect()
}

/// How many records the windows have counted that are shown.
fn counted(sandbox: &Sandbox, out: &str) -> u64 {
    // Where nothing is written there is no directory.
    if !std::path::Path::new(&sandbox.at(out)).exists() {
        return 0;
    }
    let count = |line: &String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    lines_in(&sandbox.at(out)).iter().map(count).sum()
}

/// Stops a job of windows in the middle of its input, which is before the end of all of them. Gives how many records were counted
/// then, and by a job that starts from the savepoint and reads the rest.
#[track_caller]
fn stopped(options: &[&str]) -> (u64, u64) {
    let sandbox = Sandbox::with("execution.checkpointing.interval: 0 ms");
    let session = sandbox.session(&[]);
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments(&sandbox, "out")).success().job();
    session.until_all_run(&job);
    eventually("half of the records to be read", PATIENCE, || {
        let details = session.try_get(&format!("/v1/jobs/{job}")).body;
        let read = details["vertices"][0]["metrics"]["read-records"].as_u64().unwrap_or(0);
        if read == RECORDS / 2 { Ok(()) } else { Err(read) }
    });
    let dir = sandbox.at("savepoints");
    let line = ["stop", "-p", &dir, &job, "--json"];
    let taken = sandbox.flott(line.into_iter().chain(options.iter().copied())).success().json();
    session.finished(&job);
    let at_once = counted(&sandbox, "out");
    std::fs::write(sandbox.at("hold"), "").unwrap();
    let from = ["-p", "2", "-s", taken["location"].as_str().unwrap()];
    session.run(&from, &test_program(), arguments(&sandbox, "rest")).success();
    session.stop();
    (at_once, counted(&sandbox, "rest"))
}

#[test]
fn windows_of_a_stopped_job_wait_in_its_savepoint() {
    assert_eq!(stopped(&[]), (0, RECORDS));
}

#[test]
fn windows_of_a_drained_job_fire_and_its_savepoint_holds_them_no_more() {
    let (at_once, later) = stopped(&["--drain"]);
    assert_eq!(at_once, RECORDS / 2);
    // Time has ended in the savepoint: whatever comes behind is late.
    assert!(later <= RECORDS / 2, "{later} are counted again");
}
