//! Sends a job graph and its program to a JobManager.

use std::path::Path;

use anyhow::Context;
use flott_core::{id::JobId, job_graph::JobGraph, message::BLOB_PATH};
use reqwest::{Method, multipart};
use serde::Deserialize;

use crate::{
    exit::CommandResult,
    rest::{Client, RestError},
};

/// A job to submit.
pub struct Submission<'a> {
    /// The graph.
    pub graph: &'a JobGraph,
    /// Its document.
    pub document: &'a [u8],
    /// The executable; without it, the JobManager must have it already.
    pub program: Option<&'a Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submitted {
    #[serde(rename = "jobUrl")]
    _job_url: String,
}

/// Submits, and gives the id. The program is sent only when the JobManager does not have it from an earlier job.
pub async fn submit(client: &Client, job: &Submission<'_>) -> CommandResult<JobId> {
    let mut form = multipart::Form::new().part(
        "jobGraph",
        multipart::Part::bytes(job.document.to_vec()).file_name("job.graph").mime_str("application/octet-stream")?,
    );
    let mut request = serde_json::json!({ "jobGraphFileName": "job.graph", "jobJarFileNames": [], "jobArtifactFileNames": [] });
    if let Some(program) = job.program
        && !has_program(client, job.graph).await?
    {
        let name = &job.graph.program.file_name;
        let content = tokio::fs::read(program).await.with_context(|| format!("cannot read {}", program.display()))?;
        request["jobJarFileNames"] = serde_json::json!([name]);
        let part = multipart::Part::bytes(content).file_name(name.clone()).mime_str("application/octet-stream")?;
        form = form.part("jar", part);
    }
    let request = multipart::Part::text(request.to_string()).mime_str("application/json")?;
    let form = form.part("request", request);
    let _: Submitted = client.json(client.request(Method::POST, "/v1/jobs").multipart(form)).await?;
    Ok(job.graph.job_id)
}

async fn has_program(client: &Client, graph: &JobGraph) -> Result<bool, RestError> {
    let path = format!("{BLOB_PATH}/{}", graph.program.digest);
    match client.send(client.request(Method::HEAD, &path)).await {
        Ok(_) => Ok(true),
        Err(RestError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
