use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use flott_core::{id::JobId, message::LogFile};
use futures::{StreamExt, stream};

use super::{
    Context, Rest, RestError,
    parameters::Parameters,
    render,
    shapes::{Empty, JobLog, JobLogs, Pending},
    table::{Doc, Table},
    workers,
};

/// TaskManagers that are asked for their logs at a time.
const ASKED_AT_ONCE: usize = 32;

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/flott/v1/jobs/{jobid}/pending", Doc::answers::<Pending>("Why a job waits"), pending)
        .get("/flott/v1/jobs/{jobid}/logs", Doc::answers::<JobLogs>("The logs of a job's processes"), job_logs)
        .get("/flott/v1/openapi.json", Doc::answers::<Empty>("This document"), open_api)
}

async fn pending(State(context): Rest, parameters: Parameters) -> Result<Json<Pending>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::pending(&job.view, &job.view.pending)))
}

/// Asks every TaskManager; one that does not answer has no logs to read anyway.
async fn job_logs(State(context): Rest, parameters: Parameters) -> Result<Json<JobLogs>, RestError> {
    let job: JobId = parameters.path("jobid")?;
    context.dispatcher.status(job).await?;
    let id = job.to_string();
    let workers = context.dispatcher.workers().await?;
    let answers = stream::iter(workers).map(|view| {
        let context = context.clone();
        async move {
            let files = workers::files(&context, view.worker.clone()).await;
            files.unwrap_or_default().into_iter().map(move |file| (view.worker.to_string(), file))
        }
    });
    let answers: Vec<_> = answers.buffered(ASKED_AT_ONCE).collect().await;
    let of_job = |(_, file): &(String, LogFile)| file.name.starts_with(&id);
    let log = |(worker, file): (String, LogFile)| JobLog {
        worker,
        name: file.name,
        size: file.size,
        mtime: file.modified_at,
    };
    let logs = answers.into_iter().flatten().filter(of_job).map(log).collect();
    Ok(Json(JobLogs { id, logs }))
}

async fn open_api(State(context): Rest) -> Result<Response, RestError> {
    let document = match context.open_api.get() {
        Some(document) => document.clone(),
        None => {
            let document = super::open_api().to_json().map_err(RestError::internal)?;
            context.open_api.get_or_init(|| document).clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}
