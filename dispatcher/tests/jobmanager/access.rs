//! Who may talk to the endpoint.

use flott_dispatcher::{JobManager, StartError};
use reqwest::{Method, StatusCode};

use crate::{
    cluster::{Cluster, options},
    worker::{Tasks, Worker},
};

const TOKEN: &str = "correct-horse-battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_every_route_wants_it() {
    let cluster = Cluster::start_with(&[("security.token", TOKEN)]).await;
    let digest = flott_core::id::Digest::of(b"");
    let blob = format!("/flott/v1/blobs/{digest}");
    for path in ["/overview", "/v1/jobs", "/nosuch", "/flott/v1/openapi.json", "/flott/v1/control", &blob] {
        let (status, answer) = cluster.send(Method::GET, path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {answer}");
    }
    let shown = cluster.client.get(cluster.url("/overview")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK);
    let config = cluster.client.get(cluster.url("/jobmanager/config")).bearer_auth(TOKEN).send().await.unwrap();
    let config = config.text().await.unwrap();
    assert!(config.contains("security.token") && !config.contains(TOKEN), "{config}");
    let _worker = Worker::start(&cluster.manager.address().to_string(), "tm", 1, Tasks::Run, Some(TOKEN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_without_a_token_and_nothing_else_there() {
    let cluster = Cluster::start_with(&[("security.token", TOKEN)]).await;
    assert_eq!(cluster.get("/flott/v1/health/live").await, serde_json::json!({ "status": "live" }));
    let (status, _) = cluster.send(Method::POST, "/flott/v1/health/live").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    for path in ["/flott/v1/health", "/flott/v1/health/", "/flott/v1/health/live/", "/v1/flott/v1/health/live"] {
        let (status, answer) = cluster.send(Method::GET, path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_there_must_be_a_token() {
    let state = tempfile::tempdir().unwrap();
    let error = JobManager::start(options(state.path(), &[("rest.bind-address", "0.0.0.0")])).await.unwrap_err();
    assert!(matches!(error, StartError::Open(_)), "{error}");
    assert!(error.to_string().contains("security.token"), "{error}");
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_cannot_submit() {
    let cluster = Cluster::start().await;
    let request = cluster.client.post(cluster.url("/jars/upload")).header("origin", "http://evil.example");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let request = cluster.client.get(cluster.url("/overview")).header("host", "evil.example");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}
