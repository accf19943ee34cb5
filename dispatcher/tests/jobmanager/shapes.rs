//! Every answer has the shape of the recorded one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, job},
    graph,
    shape::{differences, golden},
    worker::Tasks,
};

/// Flink's batch scheduler shows a graph of its own; Flott has none.
const ABSENT: [&str; 1] = ["stream-graph"];

impl Cluster {
    async fn check(&self, path: String, recorded: &'static str) {
        let answer = self.get(&path).await;
        let differences = differences(&golden(recorded), &answer, &ABSENT);
        assert!(differences.is_empty(), "{path}: {differences:#?}\n{answer:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_looks_as_in_flink() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("127.0.0.1:tm1", Tasks::Run).await;
    cluster.run(job(1)).await;
    let details = cluster.wait(job(1), "RUNNING").await;
    let [vertex, sink] = [0, 1].map(|at| details["vertices"][at]["id"].as_str().unwrap().to_owned());
    let id = job(1);
    for prefix in ["", "/v1"] {
        for (path, recorded) in [
            ("/config".to_owned(), "config"),
            ("/overview".to_owned(), "overview"),
            ("/jobs".to_owned(), "jobs"),
            ("/jobs/overview".to_owned(), "jobs-overview"),
            (format!("/jobs/{id}"), "job-running"),
            (format!("/jobs/{id}/plan"), "job-plan"),
            (format!("/jobs/{id}/status"), "job-status"),
            (format!("/jobs/{id}/config"), "job-config"),
            (format!("/jobs/{id}/exceptions"), "job-exceptions-none"),
            (format!("/jobs/{id}/exceptions?maxExceptions=1"), "job-exceptions-none"),
            (format!("/jobs/{id}/execution-result"), "execution-result-running"),
            (format!("/jobs/{id}/accumulators"), "accumulators"),
            (format!("/jobs/{id}/vertices/{vertex}"), "vertex"),
            (format!("/jobs/{id}/vertices/{vertex}/subtasktimes"), "subtasktimes"),
            (format!("/jobs/{id}/vertices/{vertex}/taskmanagers"), "vertex-taskmanagers"),
            (format!("/jobs/{id}/vertices/{sink}/watermarks"), "watermarks"),
            (format!("/jobs/{id}/vertices/{vertex}/subtasks/1"), "subtask"),
            (format!("/jobs/{id}/vertices/{vertex}/subtasks/1/attempts/0"), "subtask"),
            (format!("/jobs/{id}/vertices/{vertex}/accumulators"), "vertex-accumulators"),
            (format!("/jobs/{id}/vertices/{vertex}/subtasks/accumulators"), "subtasks-accumulators"),
            (format!("/jobs/{id}/vertices/{vertex}/subtasks/1/attempts/0/accumulators"), "attempt-accumulators"),
            ("/taskmanagers".to_owned(), "taskmanagers"),
            (format!("/taskmanagers/{}", worker.name), "taskmanager"),
            (format!("/taskmanagers/{}/logs", worker.name), "logs"),
            ("/jobmanager/config".to_owned(), "jobmanager-config"),
            ("/jobmanager/environment".to_owned(), "jobmanager-environment"),
            ("/jobmanager/logs".to_owned(), "logs"),
        ] {
            cluster.check(format!("{prefix}{path}"), recorded).await;
        }
    }
    let watermarks = cluster.get(&format!("/jobs/{id}/vertices/{sink}/watermarks")).await;
    let none_yet = |id| json!({"id": id, "value": "-9223372036854775808"});
    assert_eq!(watermarks, json!([none_yet("0.currentInputWatermark"), none_yet("1.currentInputWatermark")]));
    let overview = cluster.get("/overview").await;
    assert_eq!((&overview["slots-total"], &overview["slots-available"]), (&2.into(), &0.into()));
    let details = cluster.get(&format!("/taskmanagers/{}", worker.name)).await;
    assert_eq!(details["assignedTasks"], 4);
    assert_eq!(details["allocatedSlots"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tasks_count_is_shown_while_they_run_and_however_they_end() {
    let mapped = |sum: u32| json!([{"name": "mapped", "type": "LongCounter", "value": sum.to_string()}]);
    let of_job = |answer: Value| answer["user-task-accumulators"].clone();
    for (tasks, state) in [(Tasks::Run, "RUNNING"), (Tasks::Finish, "FINISHED"), (Tasks::Fail, "FAILED")] {
        let cluster = Cluster::start().await;
        let _worker = cluster.worker("tm1", tasks).await;
        cluster.run(job(1)).await;
        let details = cluster.wait(job(1), state).await;
        let path = format!("/jobs/{}", job(1));
        assert_eq!(of_job(cluster.get(&format!("{path}/accumulators")).await), mapped(84), "{state}");
        let vertex = format!("{path}/vertices/{}", details["vertices"][0]["id"].as_str().unwrap());
        let of_vertex = cluster.get(&format!("{vertex}/accumulators")).await;
        assert_eq!(of_vertex["user-accumulators"], mapped(42), "{state}");
        let of_subtasks = cluster.get(&format!("{vertex}/subtasks/accumulators")).await;
        assert_eq!(of_subtasks["subtasks"][1]["user-accumulators"], mapped(21), "{state}");
        let of_attempt = cluster.get(&format!("{vertex}/subtasks/1/attempts/0/accumulators")).await;
        assert_eq!(of_attempt["user-accumulators"], mapped(21), "{state}");
        if state == "RUNNING" {
            cluster.send(Method::PATCH, &path).await;
            cluster.wait(job(1), "CANCELED").await;
            assert_eq!(of_job(cluster.get(&format!("{path}/accumulators")).await), mapped(84), "cancelled");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_job_looks_as_in_flink() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Finish).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "FINISHED").await;
    cluster.check(format!("/jobs/{}", job(1)), "job-running").await;
    cluster.check(format!("/jobs/{}/execution-result", job(1)), "execution-result-finished").await;
    cluster.check(format!("/jobs/{}/accumulators", job(1)), "accumulators").await;
    let result = cluster.get(&format!("/jobs/{}/execution-result", job(1))).await;
    assert_eq!(result["job-execution-result"]["application-status"], "SUCCEEDED");
    assert_eq!(result["job-execution-result"]["accumulator-results"]["mapped"], "84");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_job_looks_as_in_flink() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Fail).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "FAILED").await;
    cluster.check(format!("/jobs/{}", job(1)), "job-failed").await;
    cluster.check(format!("/jobs/{}/exceptions", job(1)), "job-exceptions").await;
    cluster.check(format!("/jobs/{}/execution-result", job(1)), "execution-result-failed").await;
    let result = cluster.get(&format!("/jobs/{}/execution-result", job(1))).await;
    let cause = result["job-execution-result"]["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("injected failure") && cause.contains("Caused by: because of the test"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_those_of_flink() {
    let cluster = Cluster::start().await;
    cluster.run(job(1)).await;
    let (id, none) = (job(1), "00000000000000000000000000000000");
    let vertex = graph::graph(id).vertices[0].id;
    let get = |path: String| cluster.refused(Method::GET, Box::leak(path.into_boxed_str()));
    let unparsed = "Bad request, could not parse parameters: Cannot resolve";
    for (path, status, error) in [
        (format!("/jobs/{none}"), 404, format!("Job {none} not found")),
        ("/jobs/nothex".to_owned(), 400, format!("{unparsed} path parameter (jobid) from value \"nothex\".")),
        (format!("/jobs/{id}/vertices/{none}"), 404, format!("JobVertex {none} not found")),
        (
            format!("/jobs/{id}/vertices/{vertex}/subtasks/99"),
            404,
            format!("Invalid subtask index for vertex {vertex}"),
        ),
        (
            format!("/jobs/{id}/exceptions?maxExceptions=many"),
            400,
            format!("{unparsed} query parameter (maxExceptions) from value \"many\"."),
        ),
        ("/nosuch".to_owned(), 404, "Unable to load requested file /nosuch.".to_owned()),
        ("/v2/overview".to_owned(), 404, "Unable to load requested file /v2/overview.".to_owned()),
        ("/v1/nosuch".to_owned(), 404, "Unable to load requested file /v1/nosuch.".to_owned()),
        ("/taskmanagers/nosuch".to_owned(), 500, "Internal server error.".to_owned()),
        ("/jobmanager/logs/nosuch.log".to_owned(), 404, "This file does not exist in JobManager log dir.".to_owned()),
        (
            "/jobmanager/logs/..%2Fjobmanager.address".to_owned(),
            404,
            "This file does not exist in JobManager log dir.".to_owned(),
        ),
        ("/flott/v1/blobs/00".to_owned(), 400, format!("{unparsed} path parameter (digest) from value \"00\".")),
    ] {
        assert_eq!(get(path.clone()).await, (status, error), "{path}");
    }
    let unknown = cluster.refused(Method::PATCH, "/jobs/00000000000000000000000000000000?mode=cancel").await;
    assert_eq!(unknown, (404, "Job could not be found.".to_owned()));
    let stopped = cluster.refused(Method::PATCH, Box::leak(format!("/jobs/{id}?mode=stop").into_boxed_str())).await;
    assert_eq!(stopped.0, 308);
    assert!(stopped.1.starts_with("The termination mode \"stop\" has been removed."), "{}", stopped.1);
    let wrong = cluster.refused(Method::POST, "/jobs/overview").await;
    assert_eq!(wrong, (404, "Not found: /jobs/overview".to_owned()));
    let jar = cluster.refused(Method::DELETE, "/jars/nosuch.jar").await;
    assert_eq!(jar.0, 400);
    assert!(jar.1.starts_with("File nosuch.jar does not exist in "), "{}", jar.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_api_document_lists_what_is_served() {
    let cluster = Cluster::start().await;
    // Some routes say so when it is not.
    cluster.manager.dispatcher().ready().await.unwrap();
    let document = cluster.get("/flott/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    for (path, method) in [("/jobs/{jobid}", "patch"), ("/jobs", "post"), ("/flott/v1/blobs/{digest}", "put")] {
        assert!(paths[path][method].is_object(), "{method} {path}");
    }
    // Every schema that is referred to is there.
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    for (path, item) in
        [("/jobmanager/config", "ConfigEntry"), ("/jobs/{jobid}/vertices/{vertexid}/watermarks", "SubtaskMetric")]
    {
        let answer = &paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let items = format!("#/components/schemas/{item}");
        assert_eq!(*answer, json!({"type": "array", "items": {"$ref": items}}), "{path}");
    }
    let arrays: Vec<_> = schemas.iter().filter(|(_, schema)| schema["type"] == "array").map(|(name, _)| name).collect();
    assert!(arrays.is_empty(), "arrays have no names of their own: {arrays:?}");
    // Every GET route that needs no parameter answers.
    for (path, item) in paths {
        if item["get"].is_object() && !path.contains('{') && !path.ends_with("/stdout") {
            cluster.get(path).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_read_in_whole_and_in_part() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    let text = |path: &'static str| async move { path };
    for (path, expected) in [
        ("/jobmanager/log", "first line\nsecond line\n"),
        ("/jobmanager/logs/jobmanager.log?offset=6&length=4", "line"),
        ("/jobmanager/logs/jobmanager.log?offset=-5", "line\n"),
        ("/taskmanagers/tm1/log", "0123456789"),
        ("/taskmanagers/tm1/logs/taskmanager.log?offset=4", "456789"),
        ("/taskmanagers/tm1/logs/taskmanager.log?offset=-3&length=2", "78"),
    ] {
        let response = cluster.client.get(cluster.url(text(path).await)).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; charset=UTF-8");
        assert!(response.headers().contains_key("x-flott-offset"));
        assert_eq!(response.text().await.unwrap(), expected, "{path}");
    }
    let missing = cluster.refused(Method::GET, "/taskmanagers/tm1/logs/nosuch").await;
    assert_eq!(missing.0, 404);
}
