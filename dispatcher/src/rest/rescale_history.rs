//! The changes of a job's parallelism, under Flink's paths.

use std::sync::Arc;

use axum::{Json, extract::State};
use flott_core::job_graph::ExecutionMode;

use super::{
    Context, Rest, RestError,
    parameters::Parameters,
    render,
    shapes::{RescaleConfig, RescaleOverview, RescaleRecord, RescaleSummary},
    table::{Doc, Table},
};
use crate::{
    dispatcher::{JobSnapshot, adaptive_of, slot_wait},
    submission,
};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get(
            "/jobs/{jobid}/rescales/config",
            Doc::answers::<RescaleConfig>("The settings after which a job's parallelism is changed"),
            config,
        )
        .get(
            "/jobs/{jobid}/rescales/history",
            Doc::answers_list::<RescaleRecord>("The changes of a job's parallelism, newest first"),
            history,
        )
        .get(
            "/jobs/{jobid}/rescales/overview",
            Doc::answers::<RescaleOverview>("How often a job's parallelism was changed, and the latest of each kind"),
            overview,
        )
        .get(
            "/jobs/{jobid}/rescales/summary",
            Doc::answers::<RescaleSummary>("How long the changes of a job's parallelism took"),
            summary,
        )
        .get(
            "/jobs/{jobid}/rescales/details/{rescaleuuid}",
            Doc::answers::<RescaleRecord>("A change of a job's parallelism"),
            details,
        )
}

/// Jobs in batch mode are not rescaled.
async fn job(context: &Context, parameters: &Parameters) -> Result<JobSnapshot, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    if job.graph.mode == ExecutionMode::Batch {
        let id = job.view.job;
        return Err(RestError::not_found(format_args!("AdaptiveScheduler is not enabled for this job ({id}).")));
    }
    Ok(job)
}

async fn config(State(context): Rest, parameters: Parameters) -> Result<Json<RescaleConfig>, RestError> {
    let job = job(&context, &parameters).await?;
    let cluster = &context.configuration;
    let (configuration, _) = submission::effective(&job.graph, cluster).map_err(RestError::internal)?;
    let adaptive = adaptive_of(&job.graph, &configuration, context.dispatcher.is_session());
    let wait = slot_wait(&configuration, cluster, adaptive.reactive);
    Ok(Json(render::rescale_config(adaptive, wait)))
}

async fn history(State(context): Rest, parameters: Parameters) -> Result<Json<Vec<RescaleRecord>>, RestError> {
    Ok(Json(render::rescale_history(&job(&context, &parameters).await?.view)))
}

async fn overview(State(context): Rest, parameters: Parameters) -> Result<Json<RescaleOverview>, RestError> {
    Ok(Json(render::rescale_overview(&job(&context, &parameters).await?.view)))
}

async fn summary(State(context): Rest, parameters: Parameters) -> Result<Json<RescaleSummary>, RestError> {
    Ok(Json(render::rescale_summary(&job(&context, &parameters).await?.view)))
}

async fn details(State(context): Rest, parameters: Parameters) -> Result<Json<RescaleRecord>, RestError> {
    let job = job(&context, &parameters).await?;
    let id: String = parameters.path("rescaleuuid")?;
    let found = render::rescale_details(&job.view, &job.graph, &id);
    let unknown =
        || RestError::not_found(format_args!("Could not find rescale details of specified rescaleUuid {id}."));
    found.map(Json).ok_or_else(unknown)
}
