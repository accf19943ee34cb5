//! Queries over two job processes: what they have written is what the model says.

use flott_tests::{
    binaries::binary,
    sandbox::{Sandbox, processes::Role},
};

const EVENTS: &str = "20000";

/// Joins, windows, sessions, tables that change, and what is only passed on.
#[test]
fn answers_that_two_processes_write_are_those_of_the_model() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let nexmark = binary("nexmark");
    for query in ["q1", "q4", "q5", "q6", "q8", "q9", "q11", "q16", "q17", "q18", "q19", "q20"] {
        let out = sandbox.at(query);
        let events = ["--events", EVENTS, "--out-of-order", "1000"];
        let to = ["--query", query, "--sink", "json", "--output", &out];
        let job = session.run(&["-d", "-p", "2"], &nexmark, to.iter().chain(&events)).success().job();
        session.finished(&job);
        assert_eq!(session.get("/taskmanagers")["taskmanagers"].as_array().map(Vec::len), Some(2));
        let check = ["check", "--queries", query, "--answers", &out];
        sandbox.program(&nexmark, check.iter().chain(&events)).success();
    }
    // The log of q10, in directories by day and minute.
    let (out, events) = (sandbox.at("log"), ["--events", EVENTS, "--out-of-order", "1000"]);
    let to = ["--query", "q10", "--sink", "files", "--output", &out];
    let job = session.run(&["-d", "-p", "2"], &nexmark, to.iter().chain(&events)).success().job();
    session.finished(&job);
    let check = ["check", "--queries", "q10", "--sink", "files", "--answers", &out];
    sandbox.program(&nexmark, check.iter().chain(&events)).success();
    sandbox.until_running(Role::JobProcess, 0);
    // A row that is missing is missed.
    let part = sandbox.path().join("q9/part-0");
    let text = std::fs::read_to_string(&part).unwrap();
    let (_, rest) = text.split_once('\n').expect("it has rows");
    std::fs::write(&part, rest).unwrap();
    let check = ["check", "--queries", "q9", "--answers", &sandbox.at("q9"), "--events", EVENTS];
    sandbox.program(&nexmark, check).expect(1).prints(&["q9", "WRONG: 1 rows are missing and 0 unexpected"]);
    session.stop();
}
