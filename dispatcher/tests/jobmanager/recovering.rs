//! Jobs of an earlier JobManager that cannot be started yet.

use std::{fs, net::TcpListener, os::unix::fs::symlink, path::Path, time::Duration};

use flott_core::{
    id::{JobId, JobMasterEpoch},
    job_graph::document,
};
use flott_dispatcher::stores::JobStore;
use reqwest::{Method, StatusCode};

use crate::{
    cluster::{Cluster, job},
    graph,
    place::{Place, suspend},
    worker::Tasks,
};

/// Where a volume for checkpoints is mounted.
fn place() -> Place {
    let place = Place::new(&[]);
    fs::create_dir(&place.root).unwrap();
    place
}

/// The job is not started, for this reason.
async fn check_waits(cluster: &Cluster, job: JobId, why: &str) {
    assert_eq!(cluster.get(&format!("/jobs/{job}")).await["state"], "INITIALIZING");
    let exceptions = cluster.get(&format!("/jobs/{job}/exceptions")).await;
    let told = exceptions["exceptionHistory"]["entries"][0]["stacktrace"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains(why), "{exceptions}");
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_does_not_begin_anew_where_its_checkpoints_are_gone() {
    let place = place();
    place.begun().await;
    let aside = place.root.with_extension("aside");
    fs::rename(&place.root, &aside).unwrap();
    fs::create_dir(&place.root).unwrap();
    // Nor does the one after that.
    for _ in 0..2 {
        let cluster = place.cluster().await;
        check_waits(&cluster, job(1), "is the volume not mounted").await;
        suspend(cluster).await;
        assert!(is_empty(&place.root), "nothing is written where a volume is to be mounted");
    }
    let cluster = place.cluster().await;
    fs::remove_dir(&place.root).unwrap();
    fs::rename(&aside, &place.root).unwrap();
    cluster.wait(job(1), "CREATED").await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_only_to_commit_needs_no_checkpoints_for_that() {
    let place = place();
    place.begun().await;
    place.store().save_manifest(job(1), JobMasterEpoch(1), &[]).unwrap();
    fs::remove_dir_all(&place.root).unwrap();
    fs::create_dir(&place.root).unwrap();
    let cluster = place.cluster().await;
    cluster.wait(job(1), "FINISHED").await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_never_begun_begins_where_there_are_no_checkpoints() {
    let place = place();
    suspend(place.cluster().await).await;
    fs::write(place.blob(), graph::program()).unwrap();
    place.accepted(job(1), graph::document(job(1)));
    let cluster = place.cluster().await;
    cluster.wait(job(1), "CREATED").await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_program_cannot_be_read_waits_for_it() {
    let place = place();
    place.begun().await;
    let (blob, aside) = (place.blob(), place.state.path().join("aside"));
    fs::rename(&blob, &aside).unwrap();
    symlink(&blob, &blob).unwrap();
    let cluster = place.cluster().await;
    check_waits(&cluster, job(1), "the job's program cannot be had").await;
    fs::rename(&aside, &blob).unwrap();
    cluster.wait(job(1), "CREATED").await;
    suspend(cluster).await;
    // There is no other place where it could be.
    fs::remove_file(&blob).unwrap();
    let cluster = place.cluster().await;
    cluster.manager.dispatcher().ended(job(1)).await.unwrap();
    let exceptions = cluster.get(&format!("/jobs/{}/exceptions", job(1))).await;
    assert!(exceptions.to_string().contains("the job's program is lost"), "{exceptions}");
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_store_is_silent_holds_up_no_other() {
    // Whoever connects is not answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut waiting = graph::graph(job(2));
    waiting.configuration.extend(
        [
            ("execution.checkpointing.dir", "s3://bucket/checkpoints"),
            ("s3.endpoint", endpoint.as_str()),
            ("s3.region", "here"),
            ("s3.access-key", "key"),
            ("s3.secret-key", "secret"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let place = place();
    place.begun().await;
    place.accepted(job(2), document::write(&waiting));
    let cluster = place.cluster().await;
    check_waits(&cluster, job(2), "has not answered yet").await;
    assert_eq!(cluster.get(&format!("/jobs/{}", job(1))).await["state"], "CREATED");
    let _worker = tokio::time::timeout(Duration::from_secs(60), cluster.worker("tm1", Tasks::Run)).await.unwrap();
    suspend(cluster).await;
}

/// The JobManager dies after it has accepted a job, and before it has looked at what that one claims.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_never_begun_claims_no_checkpoint_of_a_job_that_goes_on() {
    let place = place();
    let cluster = place.cluster().await;
    let worker = cluster.worker("tm1", Tasks::Snapshot).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let (status, answer) = cluster.send(Method::POST, &format!("/jobs/{}/checkpoints", job(1))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let complete = async {
        loop {
            let checkpoints = cluster.get(&format!("/jobs/{}/checkpoints", job(1))).await;
            if let Some(path) = checkpoints["latest"]["completed"]["external_path"].as_str() {
                return path.to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    let path = tokio::time::timeout(Duration::from_secs(60), complete).await.expect("it is complete");
    suspend(cluster).await;
    drop(worker);
    let mut claiming = graph::graph(job(2));
    let settings = [("path", path.as_str()), ("claim-mode", "CLAIM")];
    let settings = settings.map(|(key, value)| (format!("execution.state-recovery.{key}"), value.to_owned()));
    claiming.configuration.extend(settings);
    place.accepted(job(2), document::write(&claiming));
    let cluster = place.cluster().await;
    cluster.manager.dispatcher().ended(job(2)).await.unwrap();
    let exceptions = cluster.get(&format!("/jobs/{}/exceptions", job(2))).await;
    assert!(exceptions.to_string().contains("cannot be claimed"), "{exceptions}");
    suspend(cluster).await;
}
