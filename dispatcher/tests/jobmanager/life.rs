//! Jobs and JobManagers from their start to their end.

use std::{sync::Arc, time::Duration};

use flott_core::{
    job_graph::{RestartPolicy, RestartStrategy},
    status::JobStatus,
};
use flott_dispatcher::{
    HighAvailability, JobManager, JobSource, Options, Outcome, SingleJob, StartError,
    stores::{Ask, JobStore, SharedLog, SledStore},
};
use flott_snapshot::{Directory, S3Options};
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, job, options},
    graph,
    worker::{Tasks, Worker},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_one_job_leaves_the_other() {
    let cluster = Cluster::start().await;
    let _workers = [cluster.worker("tm1", Tasks::Run).await, cluster.worker("tm2", Tasks::Run).await];
    cluster.run(job(1)).await;
    cluster.run(job(2)).await;
    cluster.wait(job(1), "RUNNING").await;
    cluster.wait(job(2), "RUNNING").await;
    let (status, answer) = cluster.send(Method::PATCH, &format!("/v1/jobs/{}?mode=cancel", job(1))).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, serde_json::json!({})));
    cluster.wait(job(1), "CANCELED").await;
    cluster.wait(job(2), "RUNNING").await;
    // Once more does no harm; a job that ended otherwise cannot be cancelled.
    let (status, _) = cluster.send(Method::GET, &format!("/jobs/{}/yarn-cancel", job(1))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_job_cannot_be_cancelled_and_frees_its_blobs() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Finish).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "FINISHED").await;
    let (status, _) = cluster.send(Method::PATCH, &format!("/jobs/{}", job(1))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // Submitted again, it does not run again.
    let (status, answer) = cluster.submit(job(1)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert!(answer["errors"][0].as_str().unwrap().contains(&job(1).to_string()), "{answer}");
    assert_eq!(cluster.get(&format!("/jobs/{}/status", job(1))).await["status"], "FINISHED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_job_manager_takes_up_what_the_old_one_left() {
    let cluster = Cluster::start().await;
    let state = cluster.state.clone();
    {
        let _worker = cluster.worker("tm1", Tasks::Finish).await;
        cluster.run(job(1)).await;
        cluster.wait(job(1), "FINISHED").await;
    }
    cluster.run(job(2)).await;
    cluster.manager.suspend();
    assert_eq!(cluster.manager.wait().await.unwrap(), Outcome::Suspended);

    let cluster = Cluster::on(state, &[]).await.unwrap();
    assert_eq!(cluster.get(&format!("/jobs/{}/status", job(1))).await["status"], "FINISHED");
    let result = cluster.get(&format!("/jobs/{}/execution-result", job(1))).await;
    assert_eq!(result["job-execution-result"]["application-status"], "SUCCEEDED");
    let _worker = cluster.worker("tm1", Tasks::Finish).await;
    cluster.wait(job(2), "FINISHED").await;
    assert_eq!(cluster.get("/jobs").await["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_when_it_leads_and_no_more_once_it_is_told_to_end() {
    let cluster = Cluster::start().await;
    cluster.manager.dispatcher().ready().await.unwrap();
    assert_eq!(cluster.get("/flott/v1/health/ready").await, serde_json::json!({ "status": "ready" }));
    // A commit is not cancelled, so the end waits for this job.
    let _worker = cluster.worker("tm1", Tasks::FinishUncommitted).await;
    cluster.run(job(1)).await;
    all_finish(&cluster, job(1)).await;
    cluster.manager.shutdown();
    let refused = async {
        loop {
            let (status, error) = cluster.refused(Method::GET, "/flott/v1/health/ready").await;
            if status == 503 {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    let error =
        tokio::time::timeout(Duration::from_secs(60), refused).await.expect("it is told that the end has begun");
    assert_eq!(error, "the JobManager is ending");
    assert_eq!(cluster.get("/flott/v1/health/live").await, serde_json::json!({ "status": "live" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_behind_which_another_has_begun_learns_it_though_it_writes_nothing() {
    let (state, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = [
        ("high-availability.type", "storage"),
        ("high-availability.storageDir", shared.path().to_str().unwrap()),
        ("high-availability.leader-election.lease-duration", "3 s"),
        ("high-availability.leader-election.renew-deadline", "2 s"),
        ("high-availability.leader-election.retry-period", "100 ms"),
    ];
    let mut options = options(state.path(), &settings);
    options.high_availability = Some(HighAvailability::of(&options.configuration, "127.0.0.1", None, None).unwrap());
    let manager = JobManager::start(options).await.unwrap();
    manager.dispatcher().ready().await.unwrap();
    // It had the lease before, and was stopped for a while; then it found the lease lost and ended. The lease is the other's all along.
    let location = shared.path().join("default/jobs");
    let jobs = Directory::open(location.to_str().unwrap(), &S3Options::default()).unwrap();
    let mut late = SharedLog::open(jobs, CancellationToken::new()).await.unwrap();
    late.ask(Ask::begin_leadership()).await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(60), manager.wait()).await.expect("it learns it");
    assert_eq!(outcome.unwrap(), Outcome::Deposed);
    // Its jobs run on, so who looks for them here is not to think that there are none.
    assert!(Options::address_file(state.path()).exists());
}

/// Waits until all tasks of a job have finished, its commit apart.
async fn all_finish(cluster: &Cluster, job: flott_core::id::JobId) {
    let finished = async {
        let path = format!("/jobs/{job}");
        while cluster.get(&path).await["status-counts"]["FINISHED"] != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), finished).await.expect("all tasks finish");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_begun_is_finished_by_the_next_job_manager() {
    let cluster = Cluster::start().await;
    let state = cluster.state.clone();
    let _old = cluster.worker("tm1", Tasks::FinishUncommitted).await;
    cluster.run(job(1)).await;
    all_finish(&cluster, job(1)).await;
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();

    let cluster = Cluster::on(state, &[]).await.unwrap();
    assert_ne!(cluster.get(&format!("/jobs/{}/status", job(1))).await["status"], "FINISHED");
    let _new = cluster.worker("tm2", Tasks::OnlyCommit).await;
    cluster.wait(job(1), "FINISHED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_its_worker() {
    let cluster = Cluster::start().await;
    let mut graph = graph::graph(job(1));
    graph.restart = RestartPolicy::Own(RestartStrategy::FixedDelay { attempts: 1, delay_ms: 0 });
    let form = crate::cluster::submission(flott_core::job_graph::document::write(&graph), graph::program());
    let (status, answer) = cluster.post("/jobs", form).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let lost = cluster.worker("tm1", Tasks::Run).await;
    cluster.wait(job(1), "RUNNING").await;
    drop(lost);
    let _other = cluster.worker("tm2", Tasks::Finish).await;
    cluster.manager.dispatcher().ended(job(1)).await.unwrap();
    let details = cluster.get(&format!("/jobs/{}", job(1))).await;
    assert_eq!(details["state"], "FINISHED");
    let exceptions = cluster.get(&format!("/jobs/{}/exceptions", job(1))).await;
    let entry = &exceptions["exceptionHistory"]["entries"][0];
    assert!(entry["stacktrace"].as_str().unwrap().contains("tm1"), "{exceptions}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_outlives_the_job_manager() {
    let cluster = Cluster::start().await;
    let state = cluster.state.clone();
    cluster.run(job(1)).await;
    // Cancelled by a JobManager that dies before the job has ended.
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
    let store = SledStore::open(&state.path().join("jobs")).unwrap();
    store.mark_cancelled(job(1)).unwrap();
    drop(store);

    let cluster = Cluster::on(state, &[]).await.unwrap();
    cluster.get("/overview").await;
    assert_eq!(cluster.manager.dispatcher().ended(job(1)).await.unwrap(), JobStatus::Canceled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_job_says_why() {
    let cluster = Cluster::start().await;
    cluster.run(job(1)).await;
    let path = format!("/flott/v1/jobs/{}/pending", job(1));
    let told = async {
        loop {
            let pending = cluster.get(&path).await;
            if let Some(reason) = pending["reasons"].as_array().unwrap().first() {
                return reason.clone();
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(60), told).await.expect("a reason is told");
    assert_eq!(reason["slots-missing"], 2);
    assert!(!reason["reason"].as_str().unwrap().is_empty(), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_cluster_ends_everything() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let address = Options::address_file(cluster.state.path());
    let told = std::fs::read_to_string(&address).unwrap();
    assert_eq!(told.trim(), cluster.manager.address().to_string());
    let (status, answer) = cluster.send(Method::DELETE, "/cluster").await;
    assert_eq!((status, answer), (StatusCode::OK, serde_json::json!({})));
    let state = cluster.state.clone();
    assert_eq!(cluster.manager.wait().await.unwrap(), Outcome::ShutDown);
    assert!(!address.exists());

    let cluster = Cluster::on(state, &[]).await.unwrap();
    assert_eq!(cluster.get(&format!("/jobs/{}/status", job(1))).await["status"], "CANCELED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_job_managers_do_not_share_a_state_directory() {
    let cluster = Cluster::start().await;
    cluster.get("/overview").await;
    let second = Cluster::on(cluster.state.clone(), &[]).await.unwrap();
    let error = second.manager.wait().await.unwrap_err();
    assert!(matches!(error, StartError::Store(_)), "{error}");
    assert!(error.to_string().contains("in use by another JobManager"), "{error}");
    // The first one is not disturbed, and its address still stands.
    cluster.get("/overview").await;
    let told = std::fs::read_to_string(Options::address_file(cluster.state.path())).unwrap();
    assert_eq!(told.trim(), cluster.manager.address().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let cluster = Cluster::start().await;
    let port = cluster.manager.address().port().to_string();
    let state = Arc::new(tempfile::tempdir().unwrap());
    let Err(error) = Cluster::on(state, &[("rest.port", &port)]).await else { panic!("the port is taken") };
    let error = error.to_string();
    assert!(error.contains(&port) && error.contains("rest.port"), "{error}");
}

fn single(state: &std::path::Path, document: Vec<u8>) -> Options {
    let (graph, program) = (state.join("job.graph"), state.join("numbers"));
    std::fs::write(&graph, document).unwrap();
    std::fs::write(&program, graph::program()).unwrap();
    let mut options = options(state, &[]);
    options.job = Some(SingleJob { source: JobSource::Files { graph, program }, linger: Duration::ZERO });
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_manager_of_one_job_ends_with_it() {
    let state = Arc::new(tempfile::tempdir().unwrap());
    let manager = JobManager::start(single(state.path(), graph::document(job(1)))).await.unwrap();
    let _worker = Worker::start(&manager.address().to_string(), "tm", 2, Tasks::Finish, None).await;
    let outcome = manager.wait().await.unwrap();
    assert_eq!(outcome, Outcome::Job { job: job(1), status: JobStatus::Finished, cause: None });

    // Its result stays, and it is not run again.
    let archive = SledStore::read_archive(state.path()).unwrap();
    assert_eq!((archive.len(), archive[0].view.status), (1, JobStatus::Finished));
    assert!(SledStore::read_archive(&state.path().join("nowhere")).unwrap().is_empty());
    let again = JobManager::start(single(state.path(), graph::document(job(1)))).await.unwrap();
    assert_eq!(again.wait().await.unwrap(), Outcome::Job { job: job(1), status: JobStatus::Finished, cause: None });
    let cluster = Cluster::on(state, &[]).await.unwrap();
    assert_eq!(cluster.get(&format!("/jobs/{}/status", job(1))).await["status"], "FINISHED");
}

fn awaiting(state: &std::path::Path, patience: Duration) -> Options {
    let mut options = options(state, &[]);
    let source = JobSource::Awaited { job: job(1), patience };
    options.job = Some(SingleJob { source, linger: Duration::ZERO });
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_manager_that_waits_for_its_job_ends_with_it_and_no_other() {
    let state = Arc::new(tempfile::tempdir().unwrap());
    let manager = JobManager::start(awaiting(state.path(), Duration::from_secs(3600))).await.unwrap();
    let _worker = Worker::start(&manager.address().to_string(), "tm", 2, Tasks::Finish, None).await;
    let dispatcher = manager.dispatcher().clone();
    for number in [2, 1] {
        let program = dispatcher.blobs().put(&graph::program()).unwrap();
        dispatcher.submit(graph::document(job(number)).into(), Some(program)).await.unwrap();
        dispatcher.ended(job(number)).await.unwrap();
    }
    let outcome = manager.wait().await.unwrap();
    assert_eq!(outcome, Outcome::Job { job: job(1), status: JobStatus::Finished, cause: None });
    // Started again, it does not wait for what is over.
    let again = JobManager::start(awaiting(state.path(), Duration::from_secs(3600))).await.unwrap();
    assert_eq!(again.wait().await.unwrap(), Outcome::Job { job: job(1), status: JobStatus::Finished, cause: None });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_manager_whose_job_does_not_come_ends_without_it() {
    let state = Arc::new(tempfile::tempdir().unwrap());
    let patience = Duration::from_millis(10);
    let manager = JobManager::start(awaiting(state.path(), patience)).await.unwrap();
    assert_eq!(manager.wait().await.unwrap(), Outcome::NoJob { job: job(1), waited: patience });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_manager_whose_program_cannot_be_planned_says_why() {
    let state = tempfile::tempdir().unwrap();
    let program = state.path().join("missing");
    let mut options = options(state.path(), &[]);
    let source = JobSource::Program { job: job(1), program, arguments: Vec::new(), entry: None };
    options.job = Some(SingleJob { source, linger: Duration::ZERO });
    let manager = JobManager::start(options).await.unwrap();
    let error = manager.wait().await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_manager_of_a_refused_job_says_why() {
    let state = tempfile::tempdir().unwrap();
    let manager = JobManager::start(single(state.path(), b"{}".to_vec())).await.unwrap();
    let error = manager.wait().await.unwrap_err().to_string();
    assert!(error.contains("the job graph is refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_jobs_leave_the_archive() {
    let cluster = Cluster::start_with(&[("jobstore.max-capacity", "1")]).await;
    let _worker = cluster.worker("tm1", Tasks::Finish).await;
    for n in 1..=3 {
        cluster.run(job(n)).await;
        cluster.manager.dispatcher().ended(job(n)).await.unwrap();
    }
    let gone = cluster.refused(Method::GET, "/jobs/01010101010101010101010101010101").await;
    assert_eq!(gone.0, 404);
    // Its id stays taken all the same.
    assert_eq!(cluster.submit(job(1)).await.0, StatusCode::CONFLICT);
    assert_eq!(cluster.refused(Method::GET, "/jobs/01010101010101010101010101010101").await.0, 404);
}
