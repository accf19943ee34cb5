use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use flott_core::{
    id::{JobId, TriggerId, VertexId},
    job_graph::scale::ParallelismBounds,
};
use flott_jobmaster::RescaleRequest;
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    parameters::{Parameters, json_body, trigger_id},
    render,
    shapes::{
        Empty, RescaleOperation, RescaleTriggerRequest, Rescales, ResourceRequirements, Triggered, VertexRequirements,
    },
    table::{Doc, Table},
};
use crate::{error::Error, operations::Subject};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get(
            "/jobs/{jobid}/resource-requirements",
            Doc::answers::<ResourceRequirements>("Between how many subtasks the vertices of a job are to have"),
            requirements,
        )
        .route(
            HttpMethod::Put,
            "/jobs/{jobid}/resource-requirements",
            Doc::answers::<Empty>("Changes the parallelism of a running job").takes::<ResourceRequirements>(),
            require,
        )
}

/// Routes of Flott alone: with them the outcome can be waited for.
pub fn flott_routes() -> Table<Arc<Context>> {
    Table::new()
        .get(
            "/flott/v1/jobs/{jobid}/rescales",
            Doc::answers::<Rescales>("The changes of a job's parallelism, with their pauses"),
            all,
        )
        .route(
            HttpMethod::Post,
            "/flott/v1/jobs/{jobid}/rescales",
            Doc::answers_with::<Triggered>("202", "Changes the parallelism of a running job")
                .takes::<RescaleTriggerRequest>(),
            trigger,
        )
        .get(
            "/flott/v1/jobs/{jobid}/rescales/{triggerid}",
            Doc::answers::<RescaleOperation>("How a change of parallelism has ended that was asked for"),
            outcome,
        )
}

async fn requirements(State(context): Rest, parameters: Parameters) -> Result<Json<ResourceRequirements>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    let id = job.view.job;
    if job.view.status.is_terminal() {
        return Err(Error::Ended { job: id, status: job.view.status }.into());
    }
    if job.view.vertices.is_empty() {
        return Err(Error::NotBegun(id).into());
    }
    Ok(Json(render::resource_requirements(&job.view)))
}

async fn require(State(context): Rest, parameters: Parameters, body: Bytes) -> Result<Json<Empty>, RestError> {
    let asked: ResourceRequirements = json_body(&body)?;
    let asked = RescaleRequest { parallelism: None, vertices: bounds(&asked.vertices)? };
    context.dispatcher.trigger_rescale(parameters.path("jobid")?, None, asked).await?;
    Ok(Json(Empty {}))
}

fn bounds(asked: &BTreeMap<String, VertexRequirements>) -> Result<BTreeMap<VertexId, ParallelismBounds>, RestError> {
    let bounds = asked.iter().map(|(id, VertexRequirements { parallelism })| {
        let id: VertexId = id
            .parse()
            .map_err(|error| RestError::bad_request(format_args!("{id:?} is not the id of a vertex: {error}")))?;
        Ok((id, ParallelismBounds { lower: parallelism.lower_bound, upper: parallelism.upper_bound }))
    });
    bounds.collect()
}

async fn all(State(context): Rest, parameters: Parameters) -> Result<Json<Rescales>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::rescales(&job.view)))
}

async fn trigger(
    State(context): Rest,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<Triggered>), RestError> {
    let RescaleTriggerRequest { parallelism, vertices, trigger_id: id } = json_body(&body)?;
    let asked = RescaleRequest { parallelism, vertices: bounds(&vertices)? };
    let id = context.dispatcher.trigger_rescale(parameters.path("jobid")?, trigger_id(id)?, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { request_id: id.to_string() })))
}

async fn outcome(State(context): Rest, parameters: Parameters) -> Result<Json<RescaleOperation>, RestError> {
    let (job, id): (JobId, TriggerId) = (parameters.path("jobid")?, parameters.path("triggerid")?);
    let outcome = context.dispatcher.outcome(Subject::Rescale(job), id).await.ok_or_else(|| {
        RestError::not_found(format_args!("There is no change of parallelism with triggerId={id} for job {job}."))
    })?;
    Ok(Json(render::rescale_operation(outcome.as_ref())))
}
