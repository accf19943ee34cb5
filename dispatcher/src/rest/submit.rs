use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::Deserialize;
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    multipart::{self, Form, UploadedFile},
    shapes::JobSubmitted,
    table::{Doc, Table},
};

/// What the part `request` of a submission says: which of the file parts is what. File names are those of the parts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SubmitRequest {
    /// The `job.graph` document.
    #[serde(alias = "executionPlanFileName", alias = "streamGraphFileName")]
    job_graph_file_name: Option<String>,
    /// The program: one file, or none if it is stored here already.
    job_jar_file_names: Option<Vec<String>>,
    /// Not supported unless empty.
    job_artifact_file_names: Option<Vec<serde::de::IgnoredAny>>,
}

pub fn routes() -> Table<Arc<Context>> {
    Table::new().route(
        HttpMethod::Post,
        "/jobs",
        Doc::answers_with::<JobSubmitted>("202", "Submits a job graph with its program")
            .takes_content("multipart/form-data"),
        submit,
    )
}

async fn submit(State(context): Rest, request: Request) -> Result<(StatusCode, Json<JobSubmitted>), RestError> {
    let form = read(&context, request).await?;
    let asked: SubmitRequest = match &form.request {
        Some(json) => serde_json::from_slice(json)
            .map_err(|error| RestError::bad_request(format_args!("Request did not match expected format: {error}")))?,
        None => return Err(RestError::bad_request("the part \"request\" is missing from the multipart body")),
    };
    let Some(graph_name) = asked.job_graph_file_name else {
        return Err(RestError::bad_request("The jobGraphFileName field must not be omitted or be null."));
    };
    if asked.job_artifact_file_names.is_some_and(|artifacts| !artifacts.is_empty()) {
        let error =
            "jobArtifactFileNames must be empty: files for a program are not distributed; put them where it runs";
        return Err(RestError::bad_request(error));
    }
    let mut files = form.files;
    let graph = take(&mut files, "JobGraph", &graph_name)?;
    let program = match asked.job_jar_file_names.unwrap_or_default().as_slice() {
        [] => None,
        [program] => Some(take(&mut files, "Jar", program)?),
        several => {
            let error = format_args!("jobJarFileNames names {} files; a Flott job has one program", several.len());
            return Err(RestError::bad_request(error));
        }
    };
    let document = tokio::task::spawn_blocking(move || std::fs::read(graph.blob.path())).await;
    let document = document.map_err(RestError::internal)?.map_err(RestError::internal)?;
    let job = context.dispatcher.submit(document.into(), program.map(|program| program.blob)).await?;
    Ok((StatusCode::ACCEPTED, Json(JobSubmitted { job_url: format!("/jobs/{job}") })))
}

/// A client that sends plain JSON has sent no files: it is told what is missing, as Flink does.
async fn read(context: &Arc<Context>, request: Request) -> Result<Form, RestError> {
    let kind = request.headers().get(axum::http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("multipart/")) {
        return multipart::read(context, request).await;
    }
    let body = axum::body::to_bytes(request.into_body(), super::JSON_MAX)
        .await
        .map_err(|_| RestError::json_too_large(super::JSON_MAX as u64))?;
    let request = if body.is_empty() { b"{}".to_vec() } else { body.to_vec() };
    Ok(Form { request: Some(request), files: Vec::new() })
}

fn take(files: &mut Vec<UploadedFile>, kind: &str, name: &str) -> Result<UploadedFile, RestError> {
    let place = files.iter().position(|file| file.name == name || file.field == name);
    let place = place.ok_or_else(|| {
        let name: String = name.chars().take(200).collect();
        RestError::bad_request(format_args!("{kind} file {name} could not be found on the server."))
    })?;
    Ok(files.swap_remove(place))
}
