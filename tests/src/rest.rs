//! The REST endpoint of a cluster under test.

use std::time::Duration;

use reqwest::{Method, multipart};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::eventually::{PATIENCE, eventually};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer: status and body, which is JSON or a text.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status; 0 when nothing answered.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// Wants this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "answer: {}", self.body);
        self.body
    }

    /// Wants this status and an `errors` array that has all `parts` in its lines.
    #[track_caller]
    pub fn refused(self, status: u16, parts: &[&str]) {
        let body = self.expect(status);
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("errors are missing in {body}"));
        let text = errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
        for part in parts {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
    }
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT)
}

/// A client of one JobManager.
pub struct Rest {
    address: String,
    token: Option<String>,
    scheme: &'static str,
    client: reqwest::Client,
    runtime: Runtime,
}

impl Rest {
    /// A client for HOST:PORT.
    pub fn new(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        flott_rpc::tls::provide();
        Self {
            address: address.to_owned(),
            token: None,
            scheme: "http",
            client: client().build().expect("an HTTP client can be made"),
            runtime: runtime.expect("a runtime can be made"),
        }
    }

    /// The same, showing `token`.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same over TLS, trusting who shows a certificate of this authority and nobody else.
    #[must_use]
    pub fn trusting(mut self, authority: &[u8]) -> Self {
        let authority = reqwest::Certificate::from_pem(authority).expect("it is a certificate in PEM");
        self.client = client().tls_certs_only([authority]).build().expect("an HTTP client can be made");
        self.scheme = "https";
        self
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Any request; `fill` adds to it.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer {
        // The timer of the request wants the runtime around it.
        self.runtime.block_on(async {
            let request = self.client.request(method, format!("{}://{}{path}", self.scheme, self.address));
            let request = match &self.token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let unanswered = |error: reqwest::Error| Answer { status: 0, body: Value::String(format!("{error:?}")) };
            let answer = match fill(request).send().await {
                Ok(answer) => answer,
                Err(error) => return unanswered(error),
            };
            let status = answer.status().as_u16();
            match answer.text().await {
                Ok(text) => Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) },
                Err(error) => unanswered(error),
            }
        })
    }

    /// GET, whatever the answer.
    pub fn try_get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, |request| request)
    }

    /// GET of something that is there.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.try_get(path).expect(200)
    }

    /// POST of parts: name, file name (none for a plain field), content.
    pub fn post_parts(&self, path: &str, parts: Vec<(&'static str, Option<&'static str>, Vec<u8>)>) -> Answer {
        let form = parts.into_iter().fold(multipart::Form::new(), |form, (name, file, content)| {
            let part = multipart::Part::bytes(content);
            form.part(
                name,
                match file {
                    Some(file) => part.file_name(file),
                    None => part,
                },
            )
        });
        self.request(Method::POST, path, |request| request.multipart(form))
    }

    /// Waits for a checkpoint of a job that has begun after this was called.
    #[track_caller]
    pub fn until_checkpoint(&self, job: &str) {
        let completed = || {
            let counts = self.try_get(&format!("/v1/jobs/{job}/checkpoints")).body["counts"].clone();
            counts["completed"].as_u64().unwrap_or_default()
        };
        let before = completed();
        eventually("two more checkpoints", PATIENCE, || {
            let now = completed();
            // The next one may have begun before; a JobManager that was started again counts anew.
            if now >= before + 2 || (now < before && now >= 2) { Ok(()) } else { Err(now) }
        });
    }

    /// The state of a job, or what was answered instead.
    pub fn state(&self, job: &str) -> String {
        let answer = self.try_get(&format!("/v1/jobs/{job}/status"));
        answer.body["status"].as_str().map_or_else(|| format!("{} {}", answer.status, answer.body), str::to_owned)
    }

    /// Waits until a job is in one of `states`.
    #[track_caller]
    pub fn until_one_of(&self, job: &str, states: &[&str]) -> String {
        eventually(&format!("job {job} to be {}", states.join(" or ")), PATIENCE, || {
            let state = self.state(job);
            if states.contains(&state.as_str()) { Ok(state) } else { Err(self.why(job, &state)) }
        })
    }

    /// Waits until a job is in `state`.
    #[track_caller]
    pub fn until(&self, job: &str, state: &str) {
        self.until_one_of(job, &[state]);
    }

    /// Waits until all subtasks of a job run.
    #[track_caller]
    pub fn until_all_run(&self, job: &str) {
        eventually(&format!("all subtasks of job {job} to run"), PATIENCE, || {
            let details = self.try_get(&format!("/v1/jobs/{job}")).body;
            let vertices = details["vertices"].as_array().cloned().unwrap_or_default();
            let runs = |vertex: &Value| vertex["tasks"]["RUNNING"] == vertex["parallelism"];
            if details["state"] == "RUNNING" && !vertices.is_empty() && vertices.iter().all(runs) {
                Ok(())
            } else {
                Err(self.why(job, &details["state"].to_string()))
            }
        });
    }

    /// Waits until a job has ended, and says how.
    #[track_caller]
    pub fn end_of(&self, job: &str) -> String {
        self.until_one_of(job, &["FINISHED", "FAILED", "CANCELED"])
    }

    /// Wants a job to end as FINISHED.
    #[track_caller]
    pub fn finished(&self, job: &str) {
        let state = self.end_of(job);
        assert_eq!(state, "FINISHED", "{}", self.why(job, &state));
    }

    /// The numbers of the attempts of all subtasks of a job: none is above 0 while no task was started again.
    pub fn attempts(&self, job: &str) -> Vec<u64> {
        let vertices = self.get(&format!("/v1/jobs/{job}"))["vertices"].as_array().cloned().unwrap_or_default();
        let of_vertex = |vertex: &Value| {
            let id = vertex["id"].as_str().unwrap_or_default().to_owned();
            self.get(&format!("/v1/jobs/{job}/vertices/{id}"))["subtasks"].as_array().cloned().unwrap_or_default()
        };
        vertices.iter().flat_map(of_vertex).filter_map(|subtask| subtask["attempt"].as_u64()).collect()
    }

    /// The failures of a job, newest first.
    pub fn exceptions(&self, job: &str) -> Vec<Value> {
        let found = self.get(&format!("/v1/jobs/{job}/exceptions"));
        found["exceptionHistory"]["entries"].as_array().cloned().unwrap_or_default()
    }

    /// A state with what else is known, for messages.
    fn why(&self, job: &str, state: &str) -> String {
        let of = |path: String| self.try_get(&path).body;
        let pending = of(format!("/flott/v1/jobs/{job}/pending"));
        let exceptions = of(format!("/v1/jobs/{job}/exceptions"));
        format!("{state}; pending: {}; exceptions: {}", pending["reasons"], exceptions["exceptionHistory"]["entries"])
    }

    /// Cancels a job and waits until it is cancelled.
    #[track_caller]
    pub fn cancel(&self, job: &str) {
        self.request(Method::PATCH, &format!("/v1/jobs/{job}?mode=cancel"), |request| request).expect(202);
        self.until(job, "CANCELED");
    }
}
