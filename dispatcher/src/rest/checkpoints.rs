use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use flott_core::{
    id::{CheckpointId, JobId, TriggerId, VertexId},
    job_graph::ExecutionMode,
    view::CheckpointView,
};
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    parameters::{Parameters, json_body, trigger_id},
    render,
    shapes::{
        CheckpointConfig, CheckpointOperation, CheckpointRequest, CheckpointStatistics, CheckpointType,
        CheckpointingStatistics, TaskCheckpointDetails, Triggered,
    },
    table::{Doc, Table},
};
use crate::{clock::now_ms, dispatcher::JobSnapshot, operations::Subject, submission};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/jobs/{jobid}/checkpoints", Doc::answers::<CheckpointingStatistics>("The checkpoints of a job"), all)
        .route(
            HttpMethod::Post,
            "/jobs/{jobid}/checkpoints",
            Doc::answers_with::<Triggered>("202", "Takes a checkpoint").takes::<CheckpointRequest>(),
            trigger,
        )
        .get(
            "/jobs/{jobid}/checkpoints/config",
            Doc::answers::<CheckpointConfig>("The settings of a job's checkpoints"),
            config,
        )
        .get(
            "/jobs/{jobid}/checkpoints/details/{checkpointid}",
            Doc::answers::<CheckpointStatistics>("A checkpoint with its vertices"),
            details,
        )
        .get(
            "/jobs/{jobid}/checkpoints/details/{checkpointid}/subtasks/{vertexid}",
            Doc::answers::<TaskCheckpointDetails>("A vertex in a checkpoint with its subtasks"),
            subtasks,
        )
        .get(
            "/jobs/{jobid}/checkpoints/{triggerid}",
            Doc::answers::<CheckpointOperation>("How a checkpoint has ended that was asked for"),
            outcome,
        )
}

async fn all(State(context): Rest, parameters: Parameters) -> Result<Json<CheckpointingStatistics>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    if job.graph.mode == ExecutionMode::Batch {
        return Err(RestError::not_found("Checkpointing has not been enabled."));
    }
    Ok(Json(render::checkpointing(&job.view.checkpoints, now_ms())))
}

async fn config(State(context): Rest, parameters: Parameters) -> Result<Json<CheckpointConfig>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    if job.graph.mode == ExecutionMode::Batch {
        let id = job.view.job;
        return Err(RestError::not_found(format_args!("Checkpointing is not enabled for this job ({id}).")));
    }
    let (configuration, _) = submission::effective(&job.graph, &context.configuration).map_err(RestError::internal)?;
    Ok(Json(render::checkpoint_config(&configuration)))
}

fn checkpoint_of<'a>(job: &'a JobSnapshot, parameters: &Parameters) -> Result<&'a CheckpointView, RestError> {
    let id: u64 = parameters.path("checkpointid")?;
    job.view.checkpoints.find(CheckpointId(id)).ok_or_else(|| {
        RestError::not_found(format_args!("Could not find checkpointing statistics for checkpoint {id}."))
    })
}

async fn details(State(context): Rest, parameters: Parameters) -> Result<Json<CheckpointStatistics>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    Ok(Json(render::checkpoint_details(checkpoint_of(&job, &parameters)?, now_ms())))
}

async fn subtasks(State(context): Rest, parameters: Parameters) -> Result<Json<TaskCheckpointDetails>, RestError> {
    let job = context.dispatcher.job(parameters.path("jobid")?).await?;
    let checkpoint = checkpoint_of(&job, &parameters)?;
    let id: VertexId = parameters.path("vertexid")?;
    let vertex = checkpoint.vertices.iter().find(|vertex| vertex.id == id);
    let vertex =
        vertex.ok_or_else(|| RestError::not_found(format_args!("There is no checkpoint statistics for task {id}.")))?;
    Ok(Json(render::checkpoint_task(checkpoint, vertex)))
}

async fn trigger(
    State(context): Rest,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<Triggered>), RestError> {
    let job = parameters.path("jobid")?;
    let asked: CheckpointRequest = json_body(&body)?;
    let full = asked.checkpoint_type == Some(CheckpointType::Full);
    let id = context.dispatcher.trigger_checkpoint(job, trigger_id(asked.trigger_id)?, full).await?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { request_id: id.to_string() })))
}

async fn outcome(State(context): Rest, parameters: Parameters) -> Result<Json<CheckpointOperation>, RestError> {
    let (job, id): (JobId, TriggerId) = (parameters.path("jobid")?, parameters.path("triggerid")?);
    let outcome = context.dispatcher.outcome(Subject::Checkpoint(job), id).await.ok_or_else(|| {
        RestError::not_found(format_args!("There is no checkpoint operation with triggerId={id} for job {job}."))
    })?;
    Ok(Json(render::checkpoint_operation(outcome.as_ref())))
}
