//! A JobManager in this process, and a client of it.

use std::{path::Path, sync::Arc, time::Duration};

use flott_core::{config::Configuration, id::JobId};
use flott_dispatcher::{JobManager, JobManagerHandle, Options, StartError};
use flott_resource_manager::backend::standalone::Standalone;
use reqwest::{Method, StatusCode, multipart};
use serde_json::Value;

use crate::{
    graph,
    worker::{Tasks, Worker},
};

pub struct Cluster {
    pub manager: JobManagerHandle,
    pub client: reqwest::Client,
    pub state: Arc<tempfile::TempDir>,
    pub token: Option<String>,
}

pub fn options(state: &Path, settings: &[(&str, &str)]) -> Options {
    let settings = [("rest.port", "0")].iter().chain(settings);
    let entries = settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let configuration = Configuration::try_from(entries.collect::<std::collections::BTreeMap<_, _>>()).unwrap();
    let mut options = Options::new(configuration, state, Box::new(|_| Ok(Arc::new(Standalone::default()))));
    options.log_directory = Some(state.join("logs"));
    options.drain = Duration::from_secs(20);
    options
}

/// Without kept connections, so that one which a test has spoiled is not used by the next request.
fn client() -> reqwest::Client {
    flott_rpc::tls::provide();
    reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), settings).await.unwrap()
    }

    /// Starts on a state directory that may have a history.
    pub async fn on(state: Arc<tempfile::TempDir>, settings: &[(&str, &str)]) -> Result<Self, StartError> {
        std::fs::create_dir_all(state.path().join("logs")).unwrap();
        std::fs::write(state.path().join("logs/jobmanager.log"), "first line\nsecond line\n").unwrap();
        let manager = JobManager::start(options(state.path(), settings)).await?;
        let token = settings.iter().find(|(key, _)| *key == "security.token").map(|(_, token)| (*token).to_owned());
        Ok(Self { manager, client: client(), state, token })
    }

    pub async fn worker(&self, name: &str, tasks: Tasks) -> Worker {
        Worker::start(&self.manager.address().to_string(), name, 2, tasks, self.token.as_deref()).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.manager.address())
    }

    pub async fn send(&self, method: Method, path: &str) -> (StatusCode, Value) {
        // As Flink's own client sends it: a JSON body on every request.
        let request = self.client.request(method, self.url(path)).header("connection", "close").body("{}");
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.bytes().await.unwrap();
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        (status, value)
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.send(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    #[track_caller]
    pub fn refused(&self, method: Method, path: &str) -> impl Future<Output = (u16, String)> {
        let sent = self.send(method, path);
        async move {
            let (status, value) = sent.await;
            (status.as_u16(), value["errors"][0].as_str().unwrap_or_default().to_owned())
        }
    }

    pub async fn post(&self, path: &str, form: multipart::Form) -> (StatusCode, Value) {
        let response = self.client.post(self.url(path)).multipart(form).send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap())
    }

    /// Submits the small job the way Flink's client does.
    pub async fn submit(&self, job: JobId) -> (StatusCode, Value) {
        self.post("/v1/jobs", submission(graph::document(job), graph::program())).await
    }

    pub async fn run(&self, job: JobId) {
        let (status, answer) = self.submit(job).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }

    /// Waits until the job has a state that `wanted` accepts; polls as a client does.
    pub async fn wait(&self, job: JobId, wanted: &str) -> Value {
        let path = format!("/jobs/{job}");
        let waiting = async {
            loop {
                let details = self.get(&path).await;
                let tasks_run = wanted != "RUNNING" || details["status-counts"]["RUNNING"] == 2;
                if details["state"] == wanted && tasks_run {
                    return details;
                }
                assert!(details["end-time"] == -1, "the job is {} and not {wanted}", details["state"]);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the state is reached")
    }
}

pub fn submission(document: Vec<u8>, program: Vec<u8>) -> multipart::Form {
    let request = r#"{"jobGraphFileName":"job.graph","jobJarFileNames":["numbers"],"jobArtifactFileNames":[]}"#;
    multipart::Form::new()
        .text("request", request)
        .part("file_0", multipart::Part::bytes(document).file_name("job.graph"))
        .part("file_1", multipart::Part::bytes(program).file_name("numbers"))
}

pub fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}
