use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use flott_core::id::{JobId, TriggerId};
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    parameters::{Parameters, json_body, trigger_id},
    render,
    shapes::{DisposalOperation, DisposalRequest, SavepointOperation, SavepointTriggerRequest, StopRequest, Triggered},
    table::{Doc, Table},
};
use crate::{
    dispatcher::SavepointRequest,
    operations::{AfterSavepoint, Subject},
};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .route(
            HttpMethod::Post,
            "/jobs/{jobid}/savepoints",
            Doc::answers_with::<Triggered>("202", "Takes a savepoint, and cancels the job if asked to")
                .takes::<SavepointTriggerRequest>(),
            trigger,
        )
        .get(
            "/jobs/{jobid}/savepoints/{triggerid}",
            Doc::answers::<SavepointOperation>("How a savepoint has ended that was asked for"),
            outcome,
        )
        .route(
            HttpMethod::Post,
            "/jobs/{jobid}/stop",
            Doc::answers_with::<Triggered>("202", "Stops a job with a savepoint").takes::<StopRequest>(),
            stop,
        )
        .route(
            HttpMethod::Post,
            "/savepoint-disposal",
            Doc::answers::<Triggered>("Removes a savepoint").takes::<DisposalRequest>(),
            dispose,
        )
        .get(
            "/savepoint-disposal/{triggerid}",
            Doc::answers::<DisposalOperation>("How the removal of a savepoint has ended"),
            disposal,
        )
}

async fn trigger(
    State(context): Rest,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<Triggered>), RestError> {
    let job = parameters.path("jobid")?;
    let asked: SavepointTriggerRequest = json_body(&body)?;
    let then = if asked.cancel_job == Some(true) { AfterSavepoint::Cancel } else { AfterSavepoint::GoOn };
    begin(&context, job, asked.trigger_id, asked.target_directory, then).await
}

async fn stop(
    State(context): Rest,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<Triggered>), RestError> {
    let job = parameters.path("jobid")?;
    let asked: StopRequest = json_body(&body)?;
    let then = if asked.drain == Some(true) { AfterSavepoint::Drain } else { AfterSavepoint::Stop };
    begin(&context, job, asked.trigger_id, asked.target_directory, then).await
}

async fn begin(
    context: &Context,
    job: JobId,
    trigger: Option<String>,
    directory: Option<String>,
    then: AfterSavepoint,
) -> Result<(StatusCode, Json<Triggered>), RestError> {
    let directory = directory.filter(|directory| !directory.is_empty());
    let asked = SavepointRequest { directory, then };
    let id = context.dispatcher.trigger_savepoint(job, trigger_id(trigger)?, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { request_id: id.to_string() })))
}

async fn outcome(State(context): Rest, parameters: Parameters) -> Result<Json<SavepointOperation>, RestError> {
    let (job, id): (JobId, TriggerId) = (parameters.path("jobid")?, parameters.path("triggerid")?);
    let outcome = context.dispatcher.outcome(Subject::Savepoint(job), id).await.ok_or_else(|| {
        RestError::not_found(format_args!("There is no savepoint operation with triggerId={id} for job {job}."))
    })?;
    Ok(Json(render::savepoint_operation(outcome.as_ref())))
}

async fn dispose(State(context): Rest, body: Bytes) -> Result<Json<Triggered>, RestError> {
    let asked: DisposalRequest = json_body(&body)?;
    let id = context.dispatcher.trigger_disposal(asked.savepoint_path, trigger_id(asked.trigger_id)?).await?;
    Ok(Json(Triggered { request_id: id.to_string() }))
}

async fn disposal(State(context): Rest, parameters: Parameters) -> Result<Json<DisposalOperation>, RestError> {
    let id: TriggerId = parameters.path("triggerid")?;
    let outcome = context.dispatcher.outcome(Subject::Disposal, id).await.ok_or_else(|| {
        RestError::not_found(format_args!("There is no disposal of a savepoint with triggerId={id}."))
    })?;
    Ok(Json(render::disposal_operation(outcome.as_ref())))
}
