//! Job graphs that are damaged or hostile, from files and over REST: refused, with the field named where there is one,
//! and whoever read them goes on.

use std::fs;

use flott_core::job_graph::document;
use flott_tests::{
    program::{check_output, sealed, test_program},
    rest::{Answer, Rest},
    sandbox::{Sandbox, Session},
};
use serde_json::{Value, json};

/// A good document.
fn good(sandbox: &Sandbox) -> Vec<u8> {
    let (path, out) = (sandbox.at("good.graph"), sandbox.at("out"));
    sandbox.flott(["plan", "-p", "2", "-o", &path, &test_program(), "a", &format!("output={out}")]).success();
    fs::read(path).unwrap()
}

/// The good graph with a change, and a checksum that fits.
fn changed(good: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let document: Value = serde_json::from_slice(good).unwrap();
    let mut graph = document["graph"].clone();
    change(&mut graph);
    sealed(&graph.to_string())
}

/// Sends a document to a cluster that has the program already.
fn post(rest: &Rest, document: Vec<u8>) -> Answer {
    let request = json!({ "jobGraphFileName": "job.graph", "jobJarFileNames": [] }).to_string();
    rest.post_parts("/jobs", vec![("request", None, request.into_bytes()), ("graph", Some("job.graph"), document)])
}

/// A session that runs a job of the test program, and so has the program: only a document decides about the next job.
#[track_caller]
fn session_with_program<'a>(sandbox: &'a Sandbox) -> (Session<'a>, String) {
    let session = sandbox.session(&[]);
    let job = session.submit(&test_program(), ["before", &format!("hold={}", sandbox.at("never"))]);
    session.until_all_run(&job);
    (session, job)
}

/// Wants a document to be refused for what is in it.
#[track_caller]
fn check_refused(rest: &Rest, document: Vec<u8>, part: &str) {
    let shown: String = String::from_utf8_lossy(&document).chars().take(200).collect();
    let answer = post(rest, document);
    assert_eq!(answer.status, 400, "{} for {shown}", answer.body);
    let text = answer.body.to_string();
    assert!(text.contains(part) && text.len() < 4000, "{part:?} is wanted in {text} for {shown}");
    assert!(!text.contains("not stored here"), "the document itself was not found fault with: {shown}");
}

/// Wants no job to be there but the one that runs.
#[track_caller]
fn only(session: &Session<'_>, job: &str) {
    assert_eq!(session.get("/jobs")["jobs"], json!([{ "id": job, "status": "RUNNING" }]));
}

/// Graphs that are well formed and make no sense, with what must be in the refusal.
fn hostile(good: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let deep = |open: &str| open.repeat(200_000);
    vec![
        (changed(good, |graph| graph["vertices"][0]["parallelism"] = json!({ "fixed": 0 })), "parallelism"),
        (changed(good, |graph| graph["vertices"][0]["parallelism"] = json!({ "fixed": 40_000 })), "parallelism"),
        (changed(good, |graph| graph["vertices"][0]["parallelism"] = json!({ "fixed": u64::MAX })), "parallelism"),
        (changed(good, |graph| graph["vertices"][0]["max_parallelism"] = json!(0)), "max_parallelism"),
        (changed(good, |graph| graph["vertices"] = json!([])), "vertices"),
        (changed(good, |graph| graph["edges"][0]["target"] = json!("f".repeat(32))), "edges[0]"),
        (
            changed(good, |graph| {
                let source = graph["edges"][0]["source"].clone();
                graph["edges"][0]["target"] = source;
            }),
            "edges[0]",
        ),
        (
            changed(good, |graph| {
                let vertex = graph["vertices"][0].clone();
                graph["vertices"].as_array_mut().unwrap().push(vertex);
            }),
            "vertices[2]",
        ),
        (changed(good, |graph| graph["edges"][0]["target_input"] = json!(4_000_000_000_u32)), "edges[0]"),
        (changed(good, |graph| graph["surprise"] = json!(1)), "surprise"),
        (
            changed(good, |graph| graph["program"]["file_name"] = json!("../../../../tmp/flott-test-escape")),
            "file_name",
        ),
        (changed(good, |graph| graph["program"]["target"] = json!("pdp11-unix")), "pdp11-unix"),
        (changed(good, |graph| graph["configuration"]["taskmanger.host"] = json!("x")), "taskmanger.host"),
        (changed(good, |graph| graph["job_id"] = json!("../../etc/passwd")), "job_id"),
        (changed(good, |graph| graph["name"] = json!("x".repeat(10 << 20))), "name"),
        (changed(good, |graph| graph["fingerprint"] = json!("")), "fingerprint"),
        (sealed("null"), "graph"),
        (sealed(&deep("[")), ""),
        (sealed(&deep("{\"a\":")), ""),
        (deep("[").into_bytes(), ""),
        (b"{}".to_vec(), "format"),
        (Vec::new(), ""),
        (b"\xff\xfe\x00\x00".to_vec(), ""),
        (b"PK\x03\x04 a jar".to_vec(), "jar archive"),
        (b"\xac\xed\x00\x05sr".to_vec(), "Java"),
        (
            String::from_utf8(good.to_vec()).unwrap().replacen(r#""version":1"#, r#""version":2"#, 1).into_bytes(),
            "version",
        ),
    ]
}

#[test]
fn hostile_graphs_are_refused_by_the_endpoint() {
    let sandbox = Sandbox::new();
    let (session, before) = session_with_program(&sandbox);
    let good = good(&sandbox);
    for (document, part) in hostile(&good) {
        check_refused(&session, document, part);
    }
    only(&session, &before);
    assert!(!fs::exists("/tmp/flott-test-escape").unwrap());
    // And what is right still runs.
    let id: Value = serde_json::from_slice(&good).unwrap();
    post(&session, good).expect(202);
    session.finished(id["graph"]["job_id"].as_str().unwrap());
    check_output(&sandbox.at("out"), 1000, 10);
    session.stop();
}

#[test]
fn hostile_graphs_are_refused_by_the_command_line() {
    let sandbox = Sandbox::new();
    let good = good(&sandbox);
    for (document, part) in hostile(&good) {
        // The platform and keys are for the cluster to judge, and it does.
        if ["pdp11-unix", "taskmanger.host"].contains(&part) {
            continue;
        }
        let path = sandbox.write("hostile.graph", document);
        let line = ["run", "-m", "cluster", "-d", "--job-graph", &path, "--program", &test_program()];
        sandbox.flott(line).refused(1, &["hostile.graph", part]);
        assert!(sandbox.processes().is_empty());
    }
    let line = ["run", "-m", "cluster", "--job-graph", &sandbox.at("missing.graph"), "--program", &test_program()];
    sandbox.flott(line).refused(1, &["missing.graph"]);
}

#[test]
fn damaged_graphs_are_refused_by_the_endpoint() {
    let sandbox = Sandbox::new();
    let (session, before) = session_with_program(&sandbox);
    let good = good(&sandbox);
    for length in (0..good.len()).step_by(good.len() / 40) {
        check_refused(&session, good[..length].to_vec(), "");
    }
    // `engine` only says who wrote the document; everything else is checked. (Bit 5 would make a capital of a digit of
    // the checksum, which is the same number.)
    let text = String::from_utf8(good.clone()).unwrap();
    let engine = text.find("\"engine\":\"").unwrap() + "\"engine\":\"".len();
    let engine = engine..engine + text[engine..].find('"').unwrap();
    for position in (0..good.len()).step_by(good.len() / 60).filter(|position| !engine.contains(position)) {
        for bit in [0, 3] {
            let mut flipped = good.clone();
            flipped[position] ^= 1 << bit;
            check_refused(&session, flipped, "");
        }
    }
    only(&session, &before);
    session.stop();
}

#[test]
fn damaged_graphs_are_refused_by_the_command_line() {
    let sandbox = Sandbox::new();
    let good = good(&sandbox);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (name, document) in [("truncated.graph", &good[..good.len() / 2]), ("flipped.graph", &flipped)] {
        let path = sandbox.write(name, document);
        for options in [&["run", "-m", "cluster"][..], &["run", "-m", "cluster", "-d"]] {
            let program = test_program();
            let line = options.iter().copied().chain(["--job-graph", &path, "--program", &program]);
            sandbox.flott(line).refused(1, &[name]);
        }
        // A JobManager that is given the file itself refuses it too, and ends.
        let directory = sandbox.at("by-hand");
        let line = ["jobmanager", "--cluster-dir", &directory, "--job-graph", &path, "--program", &test_program()];
        sandbox.flott(line).expect(1).says(&["job graph"]);
    }
    sandbox.until_empty();
}

#[test]
fn oversized_bodies_are_refused() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["rest.server.max-content-length=1 mb"]);
    let answer = post(&session, vec![b' '; 2 << 20]);
    // Whoever is still sending may find the connection closed.
    assert!([0, 413].contains(&answer.status), "{} {}", answer.status, answer.body);
    let huge = vec![b'a'; 64 << 20];
    let answer = session.request(reqwest::Method::POST, "/jobs", |request| request.body(huge));
    assert!([0, 413].contains(&answer.status), "{} {}", answer.status, answer.body);
    session.get("/overview");
    session.stop();

    let path = sandbox.write("huge.graph", vec![b' '; document::SIZE_MAX + 1]);
    let line = ["run", "-m", "cluster", "--job-graph", &path, "--program", &test_program()];
    sandbox.flott(line).refused(1, &["huge.graph", &document::SIZE_MAX.to_string()]);
}
