use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use flott_core::{id::JobId, job_graph::plan::rest_plan};
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    parameters::Parameters,
    render,
    shapes::{
        Empty, ExecutionResultInfo, JobAccumulators, JobConfig, JobDetails, JobExceptions, JobIdWithStatus, JobIds,
        JobStatusInfo, JobsOverview, PlanInfo,
    },
    table::{Doc, Table},
};
use crate::{clock::now_ms, error::Error};

/// Failures that are shown where the request does not say how many.
const EXCEPTIONS: usize = 20;

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/jobs", Doc::answers::<JobIds>("All jobs by id"), ids)
        .get("/jobs/overview", Doc::answers::<JobsOverview>("All jobs in short"), overview)
        .get("/jobs/{jobid}", Doc::answers::<JobDetails>("A job with its vertices"), details)
        .get("/jobs/{jobid}/plan", Doc::answers::<PlanInfo>("The plan of a job"), plan)
        .get("/jobs/{jobid}/status", Doc::answers::<JobStatusInfo>("The state of a job"), status)
        .get("/jobs/{jobid}/config", Doc::answers::<JobConfig>("The settings of a job"), config)
        .get(
            "/jobs/{jobid}/exceptions",
            Doc::answers::<JobExceptions>("The failures of a job").query("maxExceptions", "Most failures to show"),
            exceptions,
        )
        .get(
            "/jobs/{jobid}/execution-result",
            Doc::answers::<ExecutionResultInfo>("How a job ended, once it has"),
            execution_result,
        )
        .get(
            "/jobs/{jobid}/accumulators",
            Doc::answers::<JobAccumulators>("The accumulators of a job")
                .query("includeSerializedValue", "Whether to give the values as JSON too"),
            accumulators,
        )
        .route(
            HttpMethod::Patch,
            "/jobs/{jobid}",
            Doc::answers_with::<Empty>("202", "Cancels a job").query("mode", "cancel, which is also the default"),
            terminate,
        )
        .get("/jobs/{jobid}/yarn-cancel", Doc::answers_with::<Empty>("202", "Cancels a job"), cancel)
}

async fn ids(State(context): Rest) -> Result<Json<JobIds>, RestError> {
    let jobs = context.dispatcher.statuses().await?;
    let shown = |(id, status): (JobId, _)| JobIdWithStatus { id: id.to_string(), status };
    Ok(Json(JobIds { jobs: jobs.into_iter().map(shown).collect() }))
}

async fn overview(State(context): Rest) -> Result<Json<JobsOverview>, RestError> {
    Ok(Json(JobsOverview { jobs: context.dispatcher.overviews().await? }))
}

async fn details(State(context): Rest, parameters: Parameters) -> Result<Json<JobDetails>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::job_details(&job.view, &job.graph, job.default_parallelism, now_ms())))
}

async fn plan(State(context): Rest, parameters: Parameters) -> Result<Json<PlanInfo>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(PlanInfo { plan: rest_plan(&job.graph, job.default_parallelism) }))
}

async fn status(State(context): Rest, parameters: Parameters) -> Result<Json<JobStatusInfo>, RestError> {
    Ok(Json(JobStatusInfo { status: context.dispatcher.status(parameters.path("jobid")?).await? }))
}

async fn config(State(context): Rest, parameters: Parameters) -> Result<Json<JobConfig>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::job_config(&job.view, &job.graph, job.default_parallelism)))
}

async fn exceptions(State(context): Rest, parameters: Parameters) -> Result<Json<JobExceptions>, RestError> {
    let max = parameters.query("maxExceptions")?.unwrap_or(EXCEPTIONS);
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::exceptions(&job.view, max)))
}

async fn execution_result(
    State(context): Rest,
    parameters: Parameters,
) -> Result<Json<ExecutionResultInfo>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::execution_result(&job.view, now_ms())))
}

async fn accumulators(State(context): Rest, parameters: Parameters) -> Result<Json<JobAccumulators>, RestError> {
    let serialized = parameters.query("includeSerializedValue")?.unwrap_or(false);
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::accumulators(&job.view, serialized)))
}

async fn terminate(context: Rest, parameters: Parameters) -> Result<(StatusCode, Json<Empty>), RestError> {
    match parameters.query::<String>("mode")?.as_deref() {
        None | Some("cancel") => cancel(context, parameters).await,
        Some("stop") => Err(RestError::new(
            StatusCode::PERMANENT_REDIRECT,
            "The termination mode \"stop\" has been removed. For an ungraceful shutdown, please use \"cancel\" instead. \
             For a graceful shutdown, please use \"jobs/:jobId/stop\" instead.",
        )),
        Some(other) => Err(RestError::query_parameter("mode", other)),
    }
}

async fn cancel(State(context): Rest, parameters: Parameters) -> Result<(StatusCode, Json<Empty>), RestError> {
    let job = parameters.path("jobid")?;
    match context.dispatcher.cancel(job).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(Empty {}))),
        Err(Error::UnknownJob(_)) => Err(RestError::not_found("Job could not be found.")),
        Err(error) => Err(error.into()),
    }
}
