//! Clocks that are set while a job runs: neither the cluster nor the job minds.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use flott_tests::{
    checkpoints::until_checkpoint,
    date::Date,
    program::{check_output, test_program},
    sandbox::Sandbox,
};

const HOUR: i64 = 3600;
const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;

/// Checkpoints have intervals and time-outs, workers heartbeats, processes deadlines: all of time that passes.
#[test]
fn a_clock_that_is_set_ends_nothing_and_holds_nothing_up() {
    let mut sandbox = Sandbox::new();
    let Some(date) = Date::of(&mut sandbox, "clocks that are set") else { return };
    let checkpoints = sandbox.at("checkpoints");
    sandbox.configure(&format!("execution.checkpointing.dir: {checkpoints}"));
    let session = sandbox.session(&[]);
    let arguments = [
        "held".to_owned(),
        format!("records={RECORDS}"),
        format!("keys={KEYS}"),
        format!("hold={}", sandbox.at("hold")),
        format!("output={}", sandbox.at("out")),
    ];
    let options = ["-d", "-p", "2", "-D", "execution.checkpointing.interval=100 ms"];
    let job = session.run(&options, &test_program(), arguments).success().job();
    session.until_all_run(&job);
    let began = session.get(&format!("/v1/jobs/{job}"))["start-time"].as_i64().unwrap();
    for seconds in [HOUR, -HOUR, 24 * HOUR, 0] {
        date.set(seconds);
        let asked = session.run(&["-d"], &test_program(), ["asked"]).success().job();
        session.finished(&asked);
        let told = session.get(&format!("/v1/jobs/{asked}"))["start-time"].as_i64().unwrap();
        let right = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((told - right - 1000 * seconds).abs() < 1000 * HOUR / 2, "{told} at {right} and {seconds} s");
        // The next one is complete, and the one after it.
        until_checkpoint(Path::new(&checkpoints));
        assert_eq!((session.state(&job), session.attempts(&job)), ("RUNNING".to_owned(), vec![0; 4]));
    }
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    assert_eq!(session.get(&format!("/v1/jobs/{job}"))["start-time"].as_i64(), Some(began));
    assert!(session.exceptions(&job).is_empty());
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    session.stop();
}
