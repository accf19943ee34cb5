//! What a JobManager is asked over REST. Flott's and Flink's answer alike.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail, ensure};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use super::interrupt;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const JOB_TIMEOUT: Duration = Duration::from_secs(1800);
/// Between two looks at a job that runs for seconds.
pub const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at what takes milliseconds.
pub const SHORT_PAUSE: Duration = Duration::from_micros(500);

/// A client of one JobManager.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::blocking::Client,
    address: String,
}

/// A program to run: what was uploaded, and how.
#[derive(Debug, Clone)]
pub struct Program {
    /// Id of the upload.
    pub jar: String,
    /// Class to run, where a file has several.
    pub entry: Option<String>,
    pub arguments: Vec<String>,
    pub parallelism: u32,
    /// Savepoint or checkpoint to start from.
    pub from: Option<String>,
}

impl Client {
    /// A client of `HOST:PORT`.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        flott_rpc::tls::provide();
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
        Ok(Self { http, address: address.to_owned() })
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(path, self.http.get(self.url(path)).send())
    }

    /// The answer to a GET, if there is any.
    pub fn try_get(&self, path: &str) -> Option<Value> {
        self.get(path).ok()
    }

    /// Ends the cluster.
    pub fn end_cluster(&self) -> anyhow::Result<()> {
        answer("/cluster", self.http.delete(self.url("/cluster")).send()).map(drop)
    }

    /// Uploads a program, and gives its id.
    pub fn upload(&self, program: &Path) -> anyhow::Result<String> {
        let bytes = std::fs::read(program).with_context(|| format!("{} cannot be read", program.display()))?;
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let part = Part::bytes(bytes).file_name(name).mime_str("application/x-java-archive")?;
        let form = Form::new().part("jarfile", part);
        let uploaded = answer("/jars/upload", self.http.post(self.url("/jars/upload")).multipart(form).send())?;
        let path = uploaded["filename"].as_str().context("the upload has no name")?;
        Ok(path.rsplit('/').next().unwrap_or(path).to_owned())
    }

    /// Runs an uploaded program, and gives the id of its job.
    pub fn run(&self, program: &Program) -> anyhow::Result<String> {
        let path = format!("/jars/{}/run", program.jar);
        let mut request = json!({ "programArgsList": program.arguments, "parallelism": program.parallelism });
        if let Some(entry) = &program.entry {
            request["entryClass"] = json!(entry);
        }
        if let Some(from) = &program.from {
            request["savepointPath"] = json!(from);
        }
        let submitted = answer(&path, self.http.post(self.url(&path)).json(&request).send())?;
        Ok(submitted["jobid"].as_str().context("the job has no id")?.to_owned())
    }

    /// Submits a prepared graph with its program.
    pub fn submit(&self, document: Vec<u8>, program: Vec<u8>) -> anyhow::Result<()> {
        const BYTES: &str = "application/octet-stream";
        let request =
            json!({ "jobGraphFileName": "job.graph", "jobJarFileNames": ["program"], "jobArtifactFileNames": [] });
        let request = Part::text(request.to_string()).mime_str("application/json")?;
        let graph = Part::bytes(document).file_name("job.graph").mime_str(BYTES)?;
        let program = Part::bytes(program).file_name("program").mime_str(BYTES)?;
        let form = Form::new().part("request", request).part("jobGraph", graph).part("jar", program);
        answer("/jobs", self.http.post(self.url("/jobs")).multipart(form).send()).map(drop)
    }

    /// Asks for something that takes a while, and gives its outcome once it is there.
    pub fn operation(&self, path: &str, outcomes: &str, request: &Value) -> anyhow::Result<Value> {
        let asked = answer(path, self.http.post(self.url(path)).json(request).send())?;
        let id = asked["request-id"].as_str().context("the operation has no id")?;
        let path = format!("{outcomes}/{id}");
        let operation = interrupt::wait_for(&path, JOB_TIMEOUT, SHORT_PAUSE, || {
            let answer = self.get(&path)?;
            Ok((answer["status"]["id"] == "COMPLETED").then(|| answer["operation"].clone()))
        })?;
        ensure!(operation["failure-cause"].is_null(), "{path}: {}", operation["failure-cause"]["stack-trace"]);
        Ok(operation)
    }

    /// Cancels a job, and waits until it has ended.
    pub fn cancel(&self, job: &str) -> anyhow::Result<()> {
        let path = format!("/jobs/{job}");
        answer(&path, self.http.patch(self.url(&path)).send())?;
        interrupt::wait_for("the end of a job", JOB_TIMEOUT, SHORT_PAUSE, || {
            Ok((self.get(&format!("{path}/status"))?["status"] == "CANCELED").then_some(()))
        })
    }

    /// Waits until a job has finished, looking at `look` meanwhile, and gives its details.
    pub fn finished(&self, job: &str, pause: Duration, mut look: impl FnMut()) -> anyhow::Result<Value> {
        let path = format!("/jobs/{job}/status");
        let state = interrupt::wait_for(&format!("job {job}"), JOB_TIMEOUT, pause, || {
            look();
            let state = self.get(&path)?["status"].as_str().unwrap_or_default().to_owned();
            Ok(matches!(state.as_str(), "FINISHED" | "FAILED" | "CANCELED" | "SUSPENDED").then_some(state))
        })?;
        if state != "FINISHED" {
            let failure = self.get(&format!("/jobs/{job}/exceptions"))?;
            bail!("job {job} is {state}: {}", failure["root-exception"].as_str().unwrap_or("no reason is given"));
        }
        self.get(&format!("/jobs/{job}"))
    }
}

fn answer(path: &str, sent: reqwest::Result<reqwest::blocking::Response>) -> anyhow::Result<Value> {
    let response = sent.with_context(|| format!("no answer to {path}"))?;
    let status = response.status();
    let text = response.text().with_context(|| format!("no whole answer to {path}"))?;
    ensure!(status.is_success(), "{path} answers {status}: {text}");
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{path} answers no JSON"))
}
