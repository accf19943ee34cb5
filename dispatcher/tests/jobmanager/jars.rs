//! Uploaded programs.

use reqwest::{Method, StatusCode, multipart};

use crate::{
    cluster::{Cluster, job},
    graph,
    shape::{differences, golden},
};

/// A script of the shell cannot be a program, so the shell itself is uploaded: told to by its arguments, it writes a
/// plan like a program does.
async fn shell(cluster: &Cluster) -> String {
    let program = std::fs::read("/bin/sh").unwrap();
    let form = multipart::Form::new().part("jarfile", multipart::Part::bytes(program).file_name("shell"));
    let (status, answer) = cluster.post("/jars/upload", form).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(differences(&golden("jar-upload"), &answer, &[]), [""; 0]);
    assert_eq!(answer["status"], "success");
    answer["filename"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

async fn post(cluster: &Cluster, path: &str, body: serde_json::Value) -> (StatusCode, serde_json::Value) {
    let response = cluster.client.post(cluster.url(path)).json(&body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn plan_of_shell(cluster: &Cluster) -> serde_json::Value {
    let program = std::fs::read("/bin/sh").unwrap();
    let mut graph = graph::graph(job(3));
    (graph.program.digest, graph.program.size) = (flott_core::id::Digest::of(&program), program.len() as u64);
    let plan = cluster.state.path().join("plan");
    std::fs::write(&plan, flott_core::job_graph::document::write(&graph)).unwrap();
    serde_json::json!({"programArgsList": ["-c", format!("cat {} > $FLOTT_PLAN_OUTPUT", plan.display())]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_uploaded_listed_planned_run_and_deleted() {
    let cluster = Cluster::start().await;
    let id = shell(&cluster).await;
    let list = cluster.get("/jars").await;
    assert_eq!(list["files"][0]["id"], id);
    assert_eq!(list["files"][0]["name"], "shell");
    let request = plan_of_shell(&cluster);
    let (status, answer) = post(&cluster, &format!("/jars/{id}/plan"), request.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(differences(&golden("job-plan"), &answer, &[]), [""; 0]);
    let (status, answer) = post(&cluster, &format!("/v1/jars/{id}/run"), request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(differences(&golden("jar-run"), &answer, &[]), [""; 0]);
    assert_eq!(answer["jobid"], job(3).to_string());
    cluster.get(&format!("/jobs/{}", job(3))).await;
    let (status, answer) = cluster.send(Method::DELETE, &format!("/jars/{id}")).await;
    assert_eq!((status, answer), (StatusCode::OK, serde_json::json!({})));
    assert_eq!(cluster.get("/jars").await["files"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_plan_is_an_error_with_its_output() {
    let cluster = Cluster::start().await;
    let id = shell(&cluster).await;
    let request = serde_json::json!({"programArgs": "-c 'echo no such input >&2; exit 7'"});
    let (status, answer) = post(&cluster, &format!("/jars/{id}/run"), request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let cause = answer["errors"][0].as_str().unwrap();
    assert!(cause.contains("exit code 7") && cause.contains("no such input"), "{cause}");
    let (status, _) = post(&cluster, &format!("/jars/{id}/plan"), serde_json::json!({"parallelism": -1})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for path in [format!("/jars/{id}/run"), format!("/jars/{id}/run?parallelism=0")] {
        let body = if path.contains('?') { serde_json::json!({}) } else { serde_json::json!({"parallelism": 0}) };
        let (status, answer) = post(&cluster, &path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["errors"][0], "parallelism is 0; it must be 1 or more");
    }
    let (status, _) = post(&cluster, "/jars/nosuch_x/plan", serde_json::json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
