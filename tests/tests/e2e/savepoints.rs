//! Savepoints and checkpoints that are asked for, on the command line and over REST.

use std::{collections::BTreeSet, fs, path::Path};

use flott_tests::{
    eventually::{PATIENCE, eventually},
    plain::{PlainJob, RECORDS, records_read},
    program::test_program,
    rest::{Answer, Rest},
    sandbox::Sandbox,
};
use reqwest::Method;
use serde_json::{Value, json};

const ON_REQUEST: &str = "execution.checkpointing.interval: 0 ms";
const NONE: &str = "00000000000000000000000000000000";

fn post(rest: &Rest, path: &str, body: &Value) -> Answer {
    rest.request(Method::POST, path, |request| request.json(body))
}

#[track_caller]
fn outcome(rest: &Rest, path: &str) -> Value {
    eventually(&format!("the end of {path}"), PATIENCE, || {
        let answer = rest.get(path);
        if answer["status"]["id"] == "COMPLETED" { Ok(answer["operation"].clone()) } else { Err(answer) }
    })
}

fn directories(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_same_trigger_id_is_the_same_savepoint() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let (rest, dir, id) = (&*job.session, sandbox.at("savepoints"), "ab".repeat(16));
    let path = format!("/v1/jobs/{}/savepoints", job.job);
    let body = json!({ "target-directory": dir, "cancel-job": false, "formatType": "CANONICAL", "triggerId": id });
    assert_eq!(post(rest, &path, &body).expect(202), json!({ "request-id": id }));
    assert_eq!(post(rest, &path, &body).expect(202), json!({ "request-id": id }));
    let first = outcome(rest, &format!("{path}/{id}"));
    assert_eq!(post(rest, &path, &body).expect(202), json!({ "request-id": id }));
    assert_eq!(outcome(rest, &format!("{path}/{id}")), first);
    assert_eq!(directories(&dir), [first["location"].as_str().unwrap()]);
    let counts = job.checkpoints()["counts"].clone();
    assert_eq!((&counts["total"], &counts["completed"]), (&1.into(), &1.into()), "{counts}");

    rest.try_get(&format!("{path}/{NONE}"))
        .refused(404, &[&format!("There is no savepoint operation with triggerId={NONE} for job {}.", job.job)]);
    rest.try_get(&format!("/v1/jobs/{}/checkpoints/{id}", job.job)).refused(404, &["no checkpoint operation"]);
    rest.try_get(&format!("/v1/savepoint-disposal/{id}")).refused(404, &["no disposal"]);
    post(rest, &path, &json!({ "triggerId": "short" })).refused(400, &["a trigger id must be 32 hex digits"]);
    job.session.cancel(&job.job);
    // It is answered with what was, though the job has ended.
    assert_eq!(post(rest, &path, &body).expect(202), json!({ "request-id": id }));
    post(rest, &path, &json!({ "target-directory": dir })).refused(409, &["has ended already, as CANCELED"]);
    job.session.stop();
}

#[test]
fn a_checkpoint_is_shown_with_its_vertices_and_subtasks() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let (rest, path) = (&*job.session, format!("/v1/jobs/{}/checkpoints", job.job));
    let id = post(rest, &path, &json!({ "checkpointType": "FULL" })).expect(202)["request-id"].clone();
    let done = outcome(rest, &format!("{path}/{}", id.as_str().unwrap()));
    let number = done["checkpointId"].as_u64().unwrap();
    let details = rest.get(&format!("{path}/details/{number}"));
    assert_eq!((&details["num_subtasks"], &details["num_acknowledged_subtasks"]), (&2.into(), &2.into()), "{details}");
    let location = details["external_path"].as_str().unwrap();
    assert!(Path::new(location).join("_metadata").is_file(), "{location}");
    let vertex = details["tasks"].as_object().unwrap().keys().next().unwrap().clone();
    let subtasks = rest.get(&format!("{path}/details/{number}/subtasks/{vertex}"));
    let reported: Vec<_> = subtasks["subtasks"].as_array().unwrap().iter().map(|of| &of["status"]).collect();
    assert_eq!(reported, ["completed", "completed"]);
    rest.try_get(&format!("{path}/details/99"))
        .refused(404, &["Could not find checkpointing statistics for checkpoint 99."]);
    rest.try_get(&format!("{path}/details/{number}/subtasks/{NONE}"))
        .refused(404, &["no checkpoint statistics for task"]);
    assert_eq!(rest.get(&format!("{path}/config"))["interval"], i64::MAX);
    job.session.cancel(&job.job);
    job.session.stop();
}

/// The state files that a checkpoint names, and the bytes that they have together.
fn state_files(checkpoint: &Value) -> (BTreeSet<String>, u64) {
    let location = Path::new(checkpoint["location"].as_str().expect("it says where it is"));
    let document: Value = serde_json::from_slice(&fs::read(location.join("_metadata")).unwrap()).unwrap();
    let vertices = document["manifest"]["vertices"].as_array().unwrap();
    let subtasks = vertices.iter().flat_map(|vertex| vertex["subtasks"].as_array().unwrap());
    let mut bytes = 0;
    let files = subtasks.flat_map(|subtask| subtask["files"].as_array().unwrap()).map(|file| {
        let path = location.join("..").join(file["path"].as_str().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), file["bytes"].as_u64().unwrap(), "{file}");
        bytes += file["bytes"].as_u64().unwrap();
        file["path"].as_str().unwrap().to_owned()
    });
    (files.collect(), bytes)
}

#[test]
fn a_full_checkpoint_has_all_state_in_files_of_its_own() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    let hold = format!("hold={}", sandbox.at("hold"));
    let arguments = ["held", &format!("records={RECORDS}"), &hold];
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
    eventually("half of the records to be read", PATIENCE, || {
        let read = records_read(&session, &job);
        if read == RECORDS / 2 { Ok(()) } else { Err(read) }
    });
    let take = |options: &[&str]| {
        let command = [&["checkpoint", &job, "--json"], options].concat();
        state_files(&sandbox.flott(command).success().json())
    };
    let (first, whole) = take(&[]);
    assert!(!first.is_empty());
    // Nothing has changed: it builds on the first.
    let (second, _) = take(&[]);
    assert!(second.is_superset(&first), "{first:?} and {second:?}");
    let (full, bytes) = take(&["--full"]);
    assert!(full.is_disjoint(&second), "{second:?} and {full:?}");
    assert_eq!((full.len(), bytes), (first.len(), whole));
    let (next, _) = take(&[]);
    assert!(next.is_superset(&full), "{full:?} and {next:?}");
    session.cancel(&job);
    session.stop();
}

#[test]
fn directories_that_cannot_be_used_are_told() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let (id, file) = (job.job.as_str(), sandbox.write("file", "not a directory"));
    let both = ["execution.checkpointing.savepoint-dir", "target-directory"];
    sandbox.flott(["savepoint", id]).refused(1, &both);
    sandbox.flott(["stop", id]).refused(1, &both);
    sandbox.flott(["cancel", "-s", id]).refused(1, &both);
    sandbox.flott(["savepoint", id, &file]).refused(1, &[&file]);
    sandbox.flott(["savepoint", id, "hdfs://name/a"]).refused(1, &["hdfs://name/a: expected a path"]);
    let path = format!("/v1/jobs/{id}/savepoints");
    post(&job.session, &path, &json!({ "target-directory": "savepoints" }))
        .refused(400, &["expected an absolute path"]);
    sandbox.flott(["savepoint", "-d", &file]).refused(1, &[&file]);
    let empty = sandbox.at("printed");
    sandbox.flott(["savepoint", "-d", &empty]).refused(1, &[&empty, "no checkpoint or savepoint there"]);
    job.session.run(&["-d", "-s", &empty], &test_program(), ["held"]).refused(1, &[&empty, "_metadata"]);
    assert_eq!(job.session.state(id), "RUNNING");
    job.session.cancel(id);
    job.session.stop();
}

#[test]
fn a_savepoint_goes_where_the_configuration_says_and_is_removed_when_it_is_told() {
    let sandbox = Sandbox::new();
    let dir = sandbox.at("savepoints");
    sandbox.configure(&format!("{ON_REQUEST}\nexecution.checkpointing.savepoint-dir: {dir}"));
    let job = PlainJob::start(&sandbox);
    sandbox.flott(["savepoint", &job.job]).success().prints(&["Savepoint completed. Path: ", &dir]);
    let found = directories(&dir);
    assert_eq!(found.len(), 1);
    let checkpoint = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
    let checkpoint = checkpoint["location"].as_str().unwrap();
    sandbox.flott(["savepoint", "-d", checkpoint]).refused(1, &["is a checkpoint"]);
    sandbox.flott(["savepoint", "-d", &found[0]]).success().prints(&["disposed."]);
    assert_eq!(directories(&dir), [""; 0]);
    sandbox.flott(["cancel", "-s", &job.job]).success().prints(&["Savepoint stored in ", &dir]);
    job.session.until(&job.job, "CANCELED");
    assert_eq!(directories(&dir).len(), 1);
    job.session.stop();
}

#[test]
fn a_job_in_batch_mode_takes_none() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = format!("hold={}", sandbox.at("hold"));
    let job = session.submit(&test_program(), ["held", "batch=true", &hold]);
    session.until_all_run(&job);
    let dir = sandbox.at("savepoints");
    for line in [["savepoint", &job, &dir].as_slice(), &["checkpoint", &job], &["stop", "-p", &dir, &job]] {
        sandbox.flott(line).refused(1, &["batch mode", "no checkpoints and no savepoints"]);
    }
    let path = format!("/v1/jobs/{job}/checkpoints");
    session.try_get(&path).refused(404, &["Checkpointing has not been enabled."]);
    session.try_get(&format!("{path}/config")).refused(404, &["Checkpointing is not enabled for this job"]);
    session.cancel(&job);
    session.stop();
}
