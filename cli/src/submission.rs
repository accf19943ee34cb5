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
    let Some(program) = job.program else { return Ok(send(client, job, None).await??) };
    if has_program(client, job.graph).await? {
        match send(client, job, None).await? {
            // The earlier job may have ended in between, and its program be gone with it.
            Err(RestError::Refused(refused)) if refused.status == 400 => {}
            outcome => return Ok(outcome?),
        }
    }
    Ok(send(client, job, Some(program)).await??)
}

async fn send(
    client: &Client,
    job: &Submission<'_>,
    program: Option<&Path>,
) -> anyhow::Result<Result<JobId, RestError>> {
    let octets = "application/octet-stream";
    let graph = multipart::Part::bytes(job.document.to_vec()).file_name("job.graph").mime_str(octets)?;
    let mut form = multipart::Form::new().part("jobGraph", graph);
    let mut names = Vec::new();
    if let Some(program) = program {
        let name = &job.graph.program.file_name;
        let content = tokio::fs::read(program).await.with_context(|| format!("cannot read {}", program.display()))?;
        form = form.part("jar", multipart::Part::bytes(content).file_name(name.clone()).mime_str(octets)?);
        names.push(name);
    }
    let request = serde_json::json!({
        "jobGraphFileName": "job.graph",
        "jobJarFileNames": names,
        "jobArtifactFileNames": [],
    });
    let request = multipart::Part::text(request.to_string()).mime_str("application/json")?;
    let request = client.request(Method::POST, "/v1/jobs").multipart(form.part("request", request));
    Ok(client.json::<Submitted>(request).await.map(|_| job.graph.job_id))
}

async fn has_program(client: &Client, graph: &JobGraph) -> Result<bool, RestError> {
    let path = format!("{BLOB_PATH}/{}", graph.program.digest);
    match client.send(client.request(Method::HEAD, &path)).await {
        Ok(_) => Ok(true),
        Err(RestError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
