//! How jobs get in.

use reqwest::{Method, StatusCode, multipart};

use crate::{
    cluster::{Cluster, job, submission},
    graph,
};

fn part(bytes: Vec<u8>, name: &'static str) -> multipart::Part {
    multipart::Part::bytes(bytes).file_name(name)
}

async fn check_refused(cluster: &Cluster, form: multipart::Form, status: StatusCode, expected: &str) {
    let (given, answer) = cluster.post("/jobs", form).await;
    let error = answer["errors"][0].as_str().unwrap_or_default();
    assert!(given == status && error.contains(expected), "{given}: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_accepted_under_its_id() {
    let cluster = Cluster::start().await;
    let (status, answer) = cluster.submit(job(1)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(answer["jobUrl"], format!("/jobs/{}", job(1)));
    let pending = cluster.get(&format!("/flott/v1/jobs/{}/pending", job(1))).await;
    assert_eq!(pending["id"], job(1).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_job_twice_is_one_job() {
    let cluster = Cluster::start().await;
    cluster.run(job(1)).await;
    cluster.run(job(1)).await;
    assert_eq!(cluster.get("/jobs").await["jobs"].as_array().unwrap().len(), 1);
    let mut other = graph::graph(job(1));
    other.name = "another".to_owned();
    let form = submission(flott_core::job_graph::document::write(&other), graph::program());
    check_refused(&cluster, form, StatusCode::CONFLICT, "Job has already been submitted.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_field_names_and_a_stored_program_do() {
    let cluster = Cluster::start().await;
    let program = graph::program();
    let digest = flott_core::id::Digest::of(&program);
    let url = cluster.url(&format!("/flott/v1/blobs/{digest}"));
    let missing = cluster.client.head(&url).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let stored = cluster.client.put(&url).body(program.clone()).send().await.unwrap();
    assert_eq!(stored.status(), StatusCode::CREATED);
    let wrong = cluster.client.put(&url).body("else").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let form = multipart::Form::new()
        .text("request", r#"{"executionPlanFileName":"graph"}"#)
        .part("file_0", part(graph::document(job(1)), "/some/path/graph"));
    let (status, answer) = cluster.post("/jobs", form).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let fetched = cluster.client.get(&url).send().await.unwrap();
    assert_eq!(fetched.content_length(), Some(program.len() as u64));
    assert_eq!(fetched.bytes().await.unwrap(), program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_run_is_refused_with_its_reason() {
    let cluster = Cluster::start().await;
    let refused = |document: Vec<u8>, program: Vec<u8>, expected: &'static str| {
        let cluster = &cluster;
        async move { check_refused(cluster, submission(document, program), StatusCode::BAD_REQUEST, expected).await }
    };
    let document = || graph::document(job(1));
    let java = b"\xac\xed\x00\x05sr\x00\x2aorg.apache.flink.runtime.jobgraph.JobGraph".to_vec();
    refused(java, graph::program(), "not a job graph but").await;
    refused(document()[..200].to_vec(), graph::program(), "the job graph is refused").await;
    let mut flipped = document();
    let place = flipped.windows(7).position(|window| window == b"numbers").unwrap();
    flipped[place] = b'N';
    refused(flipped, graph::program(), "the document is damaged").await;
    refused(document(), b"another program".to_vec(), "the program does not belong to the job graph").await;
    let changed = |change: fn(&mut flott_core::job_graph::JobGraph)| {
        let mut graph = graph::graph(job(1));
        change(&mut graph);
        flott_core::job_graph::document::write(&graph)
    };
    let foreign = changed(|graph| graph.program.target = "pdp11-unix".to_owned());
    refused(foreign, graph::program(), "built for pdp11-unix").await;
    let key = changed(|graph| {
        graph.configuration.insert("paralelism.default".to_owned(), "2".to_owned());
    });
    refused(key, graph::program(), "did you mean \"parallelism.default\"").await;
    let zip = b"PK\x03\x04 a jar".to_vec();
    let mut jar = graph::graph(job(1));
    (jar.program.digest, jar.program.size) = (flott_core::id::Digest::of(&zip), zip.len() as u64);
    refused(flott_core::job_graph::document::write(&jar), zip, "a Java archive").await;
    assert_eq!(cluster.get("/jobs").await["jobs"].as_array().unwrap().len(), 0);
    // Nothing of them is left on the disk.
    assert_eq!(std::fs::read_dir(cluster.state.path().join("blobs")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_requests_are_told_what_is_missing() {
    let cluster = Cluster::start().await;
    let plain = cluster.refused(Method::POST, "/jobs").await;
    assert_eq!(plain, (400, "The jobGraphFileName field must not be omitted or be null.".to_owned()));
    let bad = StatusCode::BAD_REQUEST;
    let form = multipart::Form::new().part("file_0", part(graph::document(job(1)), "job.graph"));
    check_refused(&cluster, form, bad, "the part \"request\" is missing").await;
    let form = multipart::Form::new().text("request", r#"{"jobGraphFileName":"job.graph"}"#);
    check_refused(&cluster, form, bad, "JobGraph file job.graph could not be found on the server.").await;
    let form = multipart::Form::new().text("request", "{not json");
    check_refused(&cluster, form, bad, "Request did not match expected format").await;
    let form = multipart::Form::new()
        .text("request", r#"{"jobGraphFileName":"job.graph"}"#)
        .part("file_0", part(graph::document(job(1)), "job.graph"));
    check_refused(&cluster, form, bad, "which was not sent with it").await;
}
