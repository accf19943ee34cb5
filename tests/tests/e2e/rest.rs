//! The REST endpoint of real clusters. The exact shapes are compared with Flink's elsewhere; here it matters that what
//! is said is true of the job that ran.

use std::fs;

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::{check_output, sealed, test_program},
    rest::{Answer, Rest},
    sandbox::{Sandbox, Session},
};
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "00000000000000000000000000000abc";

fn delete(rest: &Rest, path: &str) -> Answer {
    rest.request(Method::DELETE, path, |request| request)
}

fn patch(rest: &Rest, path: &str) -> Answer {
    rest.request(Method::PATCH, path, |request| request)
}

/// The first vertex of a job.
fn vertex_of(session: &Session<'_>, job: &str) -> String {
    session.get(&format!("/jobs/{job}"))["vertices"][0]["id"].as_str().expect("a vertex has an id").to_owned()
}

#[test]
fn a_cluster_tells_about_itself() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let job = session.submit(&test_program(), ["a"]);
    session.finished(&job);
    for prefix in ["", "/v1"] {
        let get = |path: &str| session.get(&format!("{prefix}{path}"));
        assert!(get("/config")["refresh-interval"].is_number());
        let overview = get("/overview");
        assert_eq!((&overview["jobs-finished"], &overview["taskmanagers"]), (&json!(1), &json!(1)), "{overview}");
        assert!(get("/jobmanager/config").as_array().is_some_and(|entries| !entries.is_empty()));
        assert!(get("/jobmanager/environment").is_object());
        let logs = get("/jobmanager/logs");
        let log = logs["logs"][0]["name"].as_str().expect("the JobManager writes a log").to_owned();
        assert!(get(&format!("/jobmanager/logs/{log}")).is_string());
        let workers = get("/taskmanagers");
        let worker = workers["taskmanagers"][0]["id"].as_str().expect("there is a TaskManager").to_owned();
        assert_eq!(get(&format!("/taskmanagers/{worker}"))["id"], worker);
        assert!(get(&format!("/taskmanagers/{worker}/logs"))["logs"].is_array());
    }
    session.stop();
}

#[test]
fn a_finished_job_tells_what_it_did() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=2"]);
    let job = session.run(&["-d", "-p", "2"], &test_program(), ["a", "records=5000"]).success().job();
    session.finished(&job);
    let get = |path: &str| session.get(&format!("/v1/jobs/{job}{path}"));

    assert_eq!(session.get("/jobs")["jobs"], json!([{ "id": job, "status": "FINISHED" }]));
    let overview = session.get("/jobs/overview");
    assert_eq!((&overview["jobs"][0]["jid"], &overview["jobs"][0]["state"]), (&json!(job), &json!("FINISHED")));
    let details = get("");
    assert_eq!((&details["state"], &details["name"]), (&json!("FINISHED"), &json!("a")));
    let vertices = details["vertices"].as_array().unwrap();
    assert_eq!(vertices.len(), 2, "{details}");
    let records = |vertex: &Value, which: &str| vertex["metrics"][which].as_u64().unwrap_or(0);
    assert_eq!(records(&vertices[0], "write-records"), 5000, "{details}");
    assert_eq!(records(&vertices[1], "read-records"), 5000, "{details}");
    assert_eq!(get("/plan")["plan"]["nodes"].as_array().map(Vec::len), Some(2));
    assert_eq!(get("/status")["status"], "FINISHED");
    assert_eq!(get("/config")["jid"], job);
    assert_eq!(get("/exceptions")["exceptionHistory"]["entries"], json!([]));
    let result = get("/execution-result");
    assert_eq!(result["status"]["id"], "COMPLETED");
    assert_eq!(result["job-execution-result"]["application-status"], "SUCCEEDED");
    assert!(get("/accumulators")["user-task-accumulators"].is_array());
    for vertex in vertices {
        let id = vertex["id"].as_str().unwrap();
        let of = |path: &str| get(&format!("/vertices/{id}{path}"));
        assert_eq!(of("")["subtasks"].as_array().map(Vec::len), Some(2));
        assert_eq!(of("/subtasktimes")["subtasks"].as_array().map(Vec::len), Some(2));
        assert_eq!(of("/watermarks"), json!([]), "only subtasks that run have one");
        assert!(of("/taskmanagers")["taskmanagers"].as_array().is_some_and(|workers| !workers.is_empty()));
        assert_eq!((&of("/subtasks/1")["subtask"], &of("/subtasks/1")["status"]), (&json!(1), &json!("FINISHED")));
    }
    session.stop();
}

#[test]
fn a_running_job_tells_how_far_time_has_come() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = format!("hold={}", sandbox.at("never"));
    let job = session.submit(&test_program(), ["a", "records=1000", "timed=true", &hold]);
    session.until_all_run(&job);
    let details = session.get(&format!("/jobs/{job}"));
    for (at, name) in ["0.currentOutputWatermark", "0.currentInputWatermark"].into_iter().enumerate() {
        let path = format!("/jobs/{job}/vertices/{}/watermarks", details["vertices"][at]["id"].as_str().unwrap());
        // Right behind the last record before the source waits.
        let expected = json!([{ "id": name, "value": "498" }]);
        eventually("the watermark", PATIENCE, || {
            let found = session.get(&path);
            if found == expected { Ok(()) } else { Err(found) }
        });
    }
    session.cancel(&job);
    session.stop();
}

#[test]
fn what_is_not_there_is_said_in_an_errors_array() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let job = session.submit(&test_program(), ["a"]);
    session.finished(&job);
    session.try_get(&format!("/jobs/{UNKNOWN}")).refused(404, &[UNKNOWN]);
    session.try_get(&format!("/jobs/{UNKNOWN}/plan")).refused(404, &[UNKNOWN]);
    session.try_get("/jobs/xyz").refused(400, &["xyz"]);
    session.try_get(&format!("/jobs/{job}/vertices/{UNKNOWN}")).refused(404, &[UNKNOWN]);
    let vertex = vertex_of(&session, &job);
    session.try_get(&format!("/jobs/{job}/vertices/{vertex}/subtasks/9")).refused(404, &["9"]);
    session.try_get("/taskmanagers/nobody").refused(500, &["nobody"]);
    session.try_get("/no/such/path").refused(404, &[]);
    session.try_get("/jobmanager/logs/..%2f..%2fconfig.yaml").refused(404, &[]);
    patch(&session, &format!("/jobs/{UNKNOWN}?mode=cancel")).refused(404, &["Job could not be found."]);
    patch(&session, &format!("/jobs/{job}?mode=explode")).refused(400, &["explode"]);
    session.stop();
}

#[test]
fn jobs_are_cancelled_by_patch_and_by_the_yarn_alias() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = format!("hold={}", sandbox.at("hold"));
    let job = session.submit(&test_program(), ["a", &hold]);
    session.until_all_run(&job);
    patch(&session, &format!("/jobs/{job}?mode=cancel")).expect(202);
    session.until(&job, "CANCELED");

    let job = session.submit(&test_program(), ["b", &hold]);
    session.until_all_run(&job);
    session.try_get(&format!("/jobs/{job}/yarn-cancel")).expect(202);
    session.until(&job, "CANCELED");
    session.stop();
}

/// The bytes that a client submits: a job graph, its program, and where the job writes to.
fn planned(sandbox: &Sandbox, name: &str) -> (Vec<u8>, Vec<u8>, String) {
    let (graph, out) = (sandbox.at("job.graph"), sandbox.at(&format!("out-{name}")));
    sandbox.flott(["plan", "-o", &graph, &test_program(), name, &format!("output={out}")]).success();
    (fs::read(graph).unwrap(), fs::read(test_program()).unwrap(), out)
}

fn id_of(graph: &[u8]) -> String {
    let document: Value = serde_json::from_slice(graph).unwrap();
    document["graph"]["job_id"].as_str().expect("a graph has an id").to_owned()
}

#[test]
fn jobs_are_posted_with_the_field_names_of_all_flinks() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    for field in ["jobGraphFileName", "executionPlanFileName"] {
        let (graph, program, out) = planned(&sandbox, field);
        let id = id_of(&graph);
        let request = json!({ field: "job.graph", "jobJarFileNames": ["program"], "jobArtifactFileNames": [] });
        let parts = vec![
            ("request", None, request.to_string().into_bytes()),
            ("file_0", Some("job.graph"), graph.clone()),
            ("file_1", Some("program"), program.clone()),
        ];
        let answer = session.post_parts("/jobs", parts.clone()).expect(202);
        assert_eq!(answer["jobUrl"], format!("/jobs/{id}"));
        session.finished(&id);
        check_output(&out, 1000, 10);
        // It does not run a second time, and whoever wants that is told.
        session.post_parts("/v1/jobs", parts).refused(409, &["already been submitted", &id]);
        check_output(&out, 1000, 10);
        let same_id = String::from_utf8(other(&sandbox, &id)).unwrap();
        let request = json!({ field: "job.graph", "jobJarFileNames": ["program"] });
        let parts = vec![
            ("request", None, request.to_string().into_bytes()),
            ("file_0", Some("job.graph"), same_id.into_bytes()),
            ("file_1", Some("program"), program.clone()),
        ];
        session.post_parts("/jobs", parts).refused(409, &[&id]);
    }
    session.stop();
}

/// Another graph under the id of one that was submitted.
fn other(sandbox: &Sandbox, id: &str) -> Vec<u8> {
    let (graph, _, _) = planned(sandbox, "other");
    let document: Value = serde_json::from_slice(&graph).unwrap();
    let mut graph = document["graph"].clone();
    graph["job_id"] = json!(id);
    sealed(&graph.to_string())
}

#[test]
fn submissions_that_lack_something_are_refused() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let (graph, program, _) = planned(&sandbox, "a");
    let graph_part = || ("file_0", Some("job.graph"), graph.clone());
    let request = |jars: Value| json!({ "jobGraphFileName": "job.graph", "jobJarFileNames": jars }).to_string();
    let post = |parts| session.post_parts("/jobs", parts);

    post(vec![graph_part()]).refused(400, &["request"]);
    post(vec![("request", None, b"{".to_vec()), graph_part()]).refused(400, &["format"]);
    post(vec![("request", None, b"{}".to_vec()), graph_part()]).refused(400, &["jobGraphFileName"]);
    post(vec![("request", None, request(json!([])).into_bytes())]).refused(400, &["job.graph"]);
    post(vec![("request", None, request(json!([])).into_bytes()), graph_part()]).refused(400, &["program"]);
    let with = |content: &[u8]| {
        let request = request(json!(["program"])).into_bytes();
        vec![("request", None, request), graph_part(), ("file_1", Some("program"), content.to_vec())]
    };
    post(with(b"\x7fELF but another one")).refused(400, &["does not belong"]);
    post(with(&program[..program.len() - 1])).refused(400, &["does not belong"]);
    let json = |request: reqwest::RequestBuilder| request.json(&json!({ "jobGraphFileName": "job.graph" }));
    session.request(Method::POST, "/jobs", json).refused(400, &["job.graph"]);

    // Flink's own clients send a serialised object.
    let java = [&[0xac, 0xed, 0, 5][..], b"sr org.apache.flink.streaming.api.graph.ExecutionPlan"].concat();
    let parts = vec![("request", None, request(json!([])).into_bytes()), ("file_0", Some("job.graph"), java)];
    post(parts).refused(400, &["Java"]);
    assert_eq!(session.get("/jobs")["jobs"], json!([]), "none of these is a job");
    session.stop();
}

#[test]
fn programs_are_uploaded_planned_run_and_deleted_as_jars() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let out = sandbox.at("out");
    let program = fs::read(test_program()).unwrap();
    let uploaded = session.post_parts("/jars/upload", vec![("jarfile", Some("counts"), program)]).expect(200);
    assert_eq!(uploaded["status"], "success");
    let id = uploaded["filename"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let listed = session.get("/jars");
    assert_eq!((&listed["files"][0]["id"], &listed["files"][0]["name"]), (&json!(id), &json!("counts")));

    let arguments = json!({ "programArgsList": ["from-jar", format!("output={out}")], "parallelism": 2 });
    let post = |path: &str, body: &Value| session.request(Method::POST, path, |request| request.json(body));
    let plan = post(&format!("/jars/{id}/plan"), &arguments).expect(200);
    assert!(plan["plan"]["nodes"].as_array().unwrap().iter().all(|node| node["parallelism"] == 2), "{plan}");
    let ran = post(&format!("/jars/{id}/run"), &arguments).expect(200);
    let job = ran["jobid"].as_str().unwrap();
    session.finished(job);
    check_output(&out, 1000, 10);

    // What the program does wrong is told, and stays in its child.
    let crash = |plan: &str| json!({ "programArgsList": ["a", format!("plan={plan}")] });
    post(&format!("/jars/{id}/plan"), &crash("panic")).refused(400, &["main has had enough"]);
    post(&format!("/jars/{id}/run"), &crash("segfault")).refused(400, &["SIGSEGV"]);
    post(&format!("/jars/{id}/run"), &crash("none")).refused(400, &["execute"]);
    post(&format!("/jars/{id}/run"), &json!({ "programArgsList": ["a", "nosuch=1"] })).refused(400, &["nosuch"]);
    for verb in ["plan", "run"] {
        post(&format!("/jars/{id}/{verb}"), &crash("twice")).refused(400, &["calls execute() twice"]);
    }
    for field in ["claimMode", "restoreMode"] {
        let mode = |mode: &str| {
            let mut body = arguments.clone();
            body[field] = mode.into();
            body
        };
        post(&format!("/jars/{id}/plan"), &mode("NO_CLAIM")).expect(200);
        post(&format!("/jars/{id}/plan"), &mode("CLAIM")).expect(200);
        for verb in ["plan", "run"] {
            post(&format!("/jars/{id}/{verb}"), &mode("LEGACY")).refused(400, &["claim-mode", "NO_CLAIM nor CLAIM"]);
        }
    }
    let script = session.post_parts("/jars/upload", vec![("jarfile", Some("script"), b"#!/bin/sh\n".to_vec())]);
    let script = script.expect(200)["filename"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    post(&format!("/jars/{script}/run"), &json!({})).refused(400, &["a script"]);

    delete(&session, &format!("/jars/{id}")).expect(200);
    delete(&session, &format!("/jars/{script}")).expect(200);
    post(&format!("/jars/{id}/run"), &arguments).refused(400, &["does not exist"]);
    assert_eq!(session.get("/jars")["files"], json!([]));
    session.stop();
}

#[test]
fn every_documented_get_route_is_served() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let document = session.get("/flott/v1/openapi.json");
    assert!(document["openapi"].is_string());
    let paths = document["paths"].as_object().expect("it lists paths");
    for known in ["/jobs", "/jobs/{jobid}", "/jars/upload", "/cluster", "/flott/v1/jobs/{jobid}/pending"] {
        assert!(paths.contains_key(known), "{known} is not documented");
    }
    let plain = paths.iter().filter(|(path, methods)| !path.contains('{') && methods.get("get").is_some());
    for (path, _) in plain {
        assert_eq!(session.try_get(path).status, 200, "{path}");
    }
    session.stop();
}

#[test]
fn delete_cluster_ends_everything() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=2"]);
    let hold = format!("hold={}", sandbox.at("hold"));
    let out = sandbox.at("out");
    let job = session.submit(&test_program(), ["a", &hold, &format!("output={out}")]);
    session.until_all_run(&job);
    delete(&session, "/cluster").expect(200);
    sandbox.until_empty();
    sandbox.flott(["list", "-a"]).success().prints(&[&job]);
    flott_tests::book::nothing_in(&out);
}

#[test]
fn a_token_is_wanted_where_one_is_set() {
    const TOKEN: &str = "0123456789abcdef-of-this-test";
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[&format!("security.token={TOKEN}")]);
    session.try_get("/overview").refused(401, &["token"]);
    session.post_parts("/jobs", vec![("request", None, b"{}".to_vec())]).refused(401, &["token"]);
    session.try_get("/flott/v1/blobs/00").refused(401, &["token"]);
    delete(&session, "/cluster").refused(401, &["token"]);
    let wrong = Rest::new(session.address()).with_token("something-else-entirely");
    wrong.try_get("/overview").refused(401, &["token"]);
    let right = Rest::new(session.address()).with_token(TOKEN);
    right.get("/overview");

    // Its own user's commands know it, and its workers too.
    let job = sandbox.flott(["run", "-d", &test_program(), "a"]).success().job();
    right.finished(&job);
    let shown = format!("{}{}", right.get("/jobmanager/config"), right.get(&format!("/jobs/{job}/config")));
    assert!(!shown.contains(TOKEN), "the token is shown: {shown}");

    // Those of another user do not.
    let other = Sandbox::new();
    other.flott(["list", "-m", session.address()]).refused(1, &["token"]);
    let key = format!("security.token={TOKEN}");
    other.flott(["list", "-a", "-m", session.address(), "-D", &key]).success().prints(&[&job]);
    session.stop();
}

#[test]
fn pages_of_other_origins_are_refused() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let with = |name: &'static str, value: &'static str| {
        session.request(Method::GET, "/overview", |request| request.header(name, value)).status
    };
    assert_eq!(with("Host", "evil.example"), 403);
    assert_eq!(with("Origin", "http://evil.example"), 403);
    assert_eq!(with("Accept", "application/json"), 200);
    session.stop();
}
