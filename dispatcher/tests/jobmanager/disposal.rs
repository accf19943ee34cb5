//! With whose S3 settings savepoints are removed.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::http::{StatusCode, Uri};
use flott_core::job_graph::document;
use reqwest::Method;
use serde_json::json;

use crate::{
    checkpoints::done,
    cluster::{Cluster, job, submission},
    graph, undertaken,
};

/// What an S3 store is asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// A store that has nothing but what is told, by its path, and shows nothing `/bucket/locked`; what it is asked to remove it says is gone.
async fn store(has: &[(&str, Vec<u8>)]) -> (String, Asked) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (noted, has) = (asked.clone(), has.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())));
    let has: BTreeMap<String, Vec<u8>> = has.collect();
    let answer = move |method: Method, uri: Uri, body: String| {
        let is_read = method == Method::GET;
        noted.lock().unwrap().push(if is_read { uri.path().to_owned() } else { format!("{method} {body}") });
        let (status, bytes) = match has.get(uri.path()) {
            Some(bytes) if is_read => (200, bytes.clone()),
            None if is_read => (if uri.path().starts_with("/bucket/locked/") { 403 } else { 404 }, Vec::new()),
            Some(_) | None => (200, b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>".to_vec()),
        };
        let headers = [("etag", "\"1\""), ("last-modified", "Fri, 27 Nov 2026 12:00:00 GMT")];
        std::future::ready((StatusCode::from_u16(status).unwrap(), headers, bytes))
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (endpoint, asked)
}

/// What names the files of a savepoint.
fn savepoint() -> Vec<u8> {
    std::fs::read(Path::new(&undertaken::complete()).join("_metadata")).unwrap()
}

/// Of the savepoint at a path of a bucket: why it is not removed, if it is not.
async fn dispose(cluster: &Cluster, path: &str) -> Option<String> {
    let asked = json!({ "savepoint-path": format!("s3://bucket/{path}") });
    let ended = done(cluster, "/savepoint-disposal", asked).await;
    Some(ended.get("failure-cause").filter(|cause| !cause.is_null())?["stack-trace"].as_str().unwrap().to_owned())
}

fn paths(asked: &Asked) -> Vec<String> {
    std::mem::take(&mut *asked.lock().unwrap())
}

/// A cluster with a store, and one with a store of its own for a job that runs.
async fn two_stores(cluster_store: &str, job_store: &str) -> Cluster {
    let keys = [("s3.endpoint", cluster_store), ("s3.access-key", "a"), ("s3.secret-key", "b")];
    let cluster = Cluster::start_with(&keys).await;
    let mut graph = graph::graph(job(1));
    graph.configuration.insert("s3.endpoint".to_owned(), job_store.to_owned());
    let (status, answer) = cluster.post("/v1/jobs", submission(document::write(&graph), graph::program())).await;
    assert_eq!(status, 202, "{answer}");
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_savepoint_is_removed_with_the_settings_of_the_job_that_has_taken_it() {
    let ours = "/bucket/savepoint-010101-0a0b0c/_metadata";
    let ((own, of_job), (common, of_cluster)) = (store(&[(ours, savepoint())]).await, store(&[]).await);
    let cluster = two_stores(&common, &own).await;
    assert_eq!(dispose(&cluster, "savepoint-010101-0a0b0c").await, None);
    let asked = paths(&of_job);
    assert!(
        asked[0] == ours && asked.last().unwrap().contains("<Key>savepoint-010101-0a0b0c/_metadata</Key>"),
        "{asked:?}"
    );
    assert_eq!(paths(&of_cluster), [""; 0]);
    let told = dispose(&cluster, "savepoint-020202-0a0b0c").await.unwrap();
    assert!(told.contains("with the S3 settings of the cluster") && !told.contains("of job"), "{told}");
    assert_eq!(
        (paths(&of_job).len(), paths(&of_cluster)),
        (0, vec!["/bucket/savepoint-020202-0a0b0c/_metadata".to_owned()])
    );
    // It has ended.
    assert_eq!(cluster.send(Method::PATCH, &format!("/jobs/{}?mode=cancel", job(1))).await.0, 202);
    cluster.wait(job(1), "CANCELED").await;
    let told = dispose(&cluster, "a/savepoint-010101-0d0e0f/_metadata").await.unwrap();
    for whose in [&format!("job {}", job(1)), "the cluster"] {
        assert!(told.contains(&format!("with the S3 settings of {whose}: ")), "{told}");
    }
    assert!(told.contains("no checkpoint or savepoint there"), "{told}");
    for asked in [of_job, of_cluster] {
        assert_eq!(paths(&asked), ["/bucket/a/savepoint-010101-0d0e0f/_metadata"]);
    }
}

/// Where the job's store has it not, and where that does not say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_savepoint_that_was_copied_to_the_store_of_the_cluster_is_removed_there() {
    let copies = ["savepoint-010101-0a0b0c", "locked/savepoint-010101-0a0b0c"];
    let [first, second] = copies.map(|name| format!("/bucket/{name}/_metadata"));
    let damaged = "/bucket/savepoint-010101-0d0e0f/_metadata";
    let no_manifest = || (damaged, b"{}".to_vec());
    let (common, of_cluster) = store(&[(&first, savepoint()), (&second, savepoint()), no_manifest()]).await;
    let (own, of_job) = store(&[no_manifest()]).await;
    let cluster = two_stores(&common, &own).await;
    for (name, path) in copies.iter().zip([first, second]) {
        assert_eq!(dispose(&cluster, name).await, None);
        assert_eq!(paths(&of_job), [path.as_str()]);
        let asked = paths(&of_cluster);
        assert_eq!(asked[0], path);
        assert!(asked.last().unwrap().contains(&format!("<Key>{name}/_metadata</Key>")), "{asked:?}");
    }
    // What is there is what was meant, whatever the other store has.
    let told = dispose(&cluster, "savepoint-010101-0d0e0f").await.unwrap();
    assert!(told.contains("with the S3 settings of job") && !told.contains("of the cluster"), "{told}");
    assert_eq!(paths(&of_cluster), [""; 0]);
    // What nobody has was not to be seen where it may be.
    let told = dispose(&cluster, "locked/savepoint-010101-0d0e0f").await.unwrap();
    assert!(told.contains("403") && told.contains("of job") && told.contains("of the cluster"), "{told}");
}
