//! The JobManager's REST endpoint, seen from a client.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use flott_core::config::{Configuration, keys::security};
use flott_kubernetes::cluster::forward::Forward;
use flott_rpc::tls::{self, Connector};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::exit::CommandResult;

/// A client of one JobManager.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// What it is called.
    address: String,
    /// What is dialled.
    dialled: String,
    token: Option<String>,
    /// `http` or `https`.
    scheme: &'static str,
    /// The way there, for as long as it is used.
    way: Option<Arc<Forward>>,
}

/// An answer that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(.errors))]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// What it says.
    pub errors: Vec<String>,
}

/// The gist of each error. Of an exception, which Flink's shape puts between two lines of its own, that is its message.
fn one_line(errors: &[String]) -> String {
    let mut text = String::new();
    for error in errors {
        let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
        let Some(first) = lines.next() else { continue };
        let (gist, is_cause) = match first.strip_prefix("<Exception on server side:") {
            Some("") => (lines.next().unwrap_or(first), true),
            Some(rest) => (rest.trim(), true),
            None => (first, false),
        };
        if !text.is_empty() {
            text.truncate(text.trim_end_matches('.').len());
            text.push_str(if is_cause { ": " } else { "; " });
        }
        text.push_str(gist);
    }
    if text.is_empty() { "the JobManager refused without a reason".into() } else { text }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nothing answers.
    #[error("no JobManager answers at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why, innermost.
        reason: String,
    },
    /// An error answer.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The answer is not what it should be.
    #[error("{address} gave an answer that is not a JobManager's: {reason}")]
    Strange {
        /// Where.
        address: String,
        /// What was wrong.
        reason: String,
    },
}

impl Client {
    /// A client for the JobManager at HOST:PORT, which speaks TLS if `config` or an `https://` before it says so.
    pub fn new(address: &str, token: Option<String>, config: &Configuration) -> anyhow::Result<Self> {
        let (address, is_https) = match address.split_once("://") {
            Some(("https", address)) => (address, true),
            Some(("http", address)) => (address, false),
            Some((other, _)) => bail!("{other}:// is no way to a JobManager: write HOST:PORT, or https:// before it"),
            None => (address, config.get(&security::SSL_REST_ENABLED)),
        };
        Self::make(address.trim_end_matches('/'), token, is_https.then(|| Connector::new(config, None)).transpose()?)
    }

    /// A client for the JobManager at HOST:PORT, which only a way through the API server leads to.
    pub fn through(way: Forward, address: &str, token: Option<String>, config: &Configuration) -> anyhow::Result<Self> {
        let is_https = config.get(&security::SSL_REST_ENABLED);
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let tls = is_https.then(|| Connector::new(config, Some(host))).transpose()?;
        let dialled = way.address().to_string();
        Ok(Self { dialled, way: Some(Arc::new(way)), ..Self::make(address, token, tls)? })
    }

    fn make(address: &str, token: Option<String>, tls: Option<Connector>) -> anyhow::Result<Self> {
        tls::provide();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // A JobManager is reached directly: a proxy for the outside world must not get its token.
            .no_proxy();
        let scheme = if tls.is_some() { "https" } else { "http" };
        builder = match tls {
            Some(tls) => builder.tls_backend_preconfigured(tls.config()),
            // An image with nothing but this program has no certificates of authorities, and without TLS they are not needed.
            None => builder.tls_certs_only([]),
        };
        let http = builder.build().context("the HTTP client cannot be set up")?;
        let address = address.to_owned();
        Ok(Self { http, dialled: address.clone(), address, token, scheme, way: None })
    }

    /// HOST:PORT.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is on this machine, for all that its address says.
    pub fn is_on_this_host(&self) -> bool {
        if self.way.is_some() {
            return false;
        }
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// The web address.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A request with the token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}://{}{path}", self.scheme, self.dialled));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; an answer that is no success is an error.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, RestError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(|error| self.unreachable(&error))?;
        let errors = serde_json::from_str::<Errors>(&text).map(|errors| errors.errors);
        Err(Refused { status: status.as_u16(), errors: errors.unwrap_or_else(|_| vec![text]) }.into())
    }

    /// Sends a request and reads a JSON answer.
    pub async fn json<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, RestError> {
        let answer = self.send(request).await?;
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RestError::Strange { address: self.address.clone(), reason: error.to_string() })
    }

    /// GETs a JSON answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RestError> {
        self.json(self.request(reqwest::Method::GET, path)).await
    }

    /// GETs JSON as it is; nothing when there is no such thing.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, RestError> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(RestError::Refused(refused)) if refused.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> RestError {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = cause.to_string();
            source = cause.source();
        }
        reason = tls::explain(error).unwrap_or(reason);
        // What happened at the other end of the way says more than that nothing came out of this one.
        reason = self.way.as_ref().and_then(|way| way.trouble()).unwrap_or(reason);
        RestError::Unreachable { address: self.address.clone(), reason }
    }
}

/// A job id as the user wrote it.
pub fn job_id(text: &str) -> CommandResult<flott_core::id::JobId> {
    Ok(text.parse::<flott_core::id::JobId>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(errors: &[&str], expected: &str) {
        let errors = errors.iter().map(|error| (*error).to_owned()).collect();
        assert_eq!(Refused { status: 500, errors }.to_string(), expected);
    }

    #[test]
    fn a_refusal_is_told_in_one_line_with_its_cause() {
        check(&[], "the JobManager refused without a reason");
        check(&["Job 1 not found"], "Job 1 not found");
        check(&["one\nand more", "two."], "one; two.");
        let cause = "<Exception on server side:\ncannot write to blob storage at /b: No space left on device\nEnd of exception on server side>";
        check(
            &["Internal server error.", cause],
            "Internal server error: cannot write to blob storage at /b: No space left on device",
        );
        check(
            &["Internal server error.", "<Exception on server side:\njava.lang.Error: no\n\tat a.b(C.java:1)\nEnd>"],
            "Internal server error: java.lang.Error: no",
        );
    }
}
