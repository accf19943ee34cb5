use std::sync::Arc;

use axum::{Json, extract::State};
use flott_core::{
    id::VertexId,
    view::{AttemptView, SubtaskView, VertexView},
};

use super::{
    Context, Rest, RestError,
    parameters::Parameters,
    render,
    shapes::{
        AttemptAccumulators, SubtaskDetails, SubtaskMetric, SubtaskTimes, SubtasksAccumulators, VertexAccumulators,
        VertexDetails, VertexTaskManagers,
    },
    table::{Doc, Table},
};
use crate::{clock::now_ms, dispatcher::JobSnapshot};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/jobs/{jobid}/vertices/{vertexid}", Doc::answers::<VertexDetails>("A vertex with its subtasks"), details)
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasktimes",
            Doc::answers::<SubtaskTimes>("When the subtasks of a vertex entered their states"),
            times,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/taskmanagers",
            Doc::answers::<VertexTaskManagers>("A vertex by TaskManager"),
            task_managers,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/watermarks",
            Doc::answers_list::<SubtaskMetric>("The watermarks of a vertex's subtasks that run"),
            watermarks,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/accumulators",
            Doc::answers::<VertexAccumulators>("What the subtasks of a vertex count, added up"),
            accumulators,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators",
            Doc::answers::<SubtasksAccumulators>("What the subtasks of a vertex count"),
            subtasks_accumulators,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}",
            Doc::answers::<SubtaskDetails>("The current attempt of a subtask"),
            subtask,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}",
            Doc::answers::<SubtaskDetails>("An attempt of a subtask"),
            attempt,
        )
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}/accumulators",
            Doc::answers::<AttemptAccumulators>("What an attempt of a subtask counts, or has counted"),
            attempt_accumulators,
        )
}

async fn snapshot(context: &Context, parameters: &Parameters) -> Result<(JobSnapshot, VertexId), RestError> {
    let job = parameters.path("jobid")?;
    let vertex = parameters.path("vertexid")?;
    Ok((context.dispatcher.job(job).await?, vertex))
}

fn vertex_of(job: &JobSnapshot, id: VertexId) -> Result<&VertexView, RestError> {
    let found = job.view.vertices.iter().find(|vertex| vertex.id == id);
    found.ok_or_else(|| RestError::not_found(format_args!("JobVertex {id} not found")))
}

fn subtask_of(vertex: &VertexView, index: u32) -> Result<&SubtaskView, RestError> {
    let found = usize::try_from(index).ok().and_then(|index| vertex.subtasks.get(index));
    found.ok_or_else(|| RestError::not_found(format_args!("Invalid subtask index for vertex {}", vertex.id)))
}

fn attempt_of(subtask: &SubtaskView, number: u32) -> Result<&AttemptView, RestError> {
    let mut attempts = subtask.previous.iter().chain([&subtask.current]);
    let found = attempts.find(|attempt| attempt.attempt == number);
    found.ok_or_else(|| RestError::not_found(format_args!("Invalid attempt num {number}")))
}

async fn details(State(context): Rest, parameters: Parameters) -> Result<Json<VertexDetails>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    Ok(Json(render::vertex(vertex_of(&job, vertex)?, now_ms())))
}

async fn times(State(context): Rest, parameters: Parameters) -> Result<Json<SubtaskTimes>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    Ok(Json(render::subtask_times(vertex_of(&job, vertex)?, now_ms())))
}

async fn task_managers(State(context): Rest, parameters: Parameters) -> Result<Json<VertexTaskManagers>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    Ok(Json(render::vertex_task_managers(vertex_of(&job, vertex)?, now_ms())))
}

async fn watermarks(State(context): Rest, parameters: Parameters) -> Result<Json<Vec<SubtaskMetric>>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    let is_source = job.graph.inputs_of(vertex).next().is_none();
    Ok(Json(render::watermarks(vertex_of(&job, vertex)?, is_source)))
}

async fn subtask(State(context): Rest, parameters: Parameters) -> Result<Json<SubtaskDetails>, RestError> {
    let index = parameters.path("subtaskindex")?;
    let (job, vertex) = snapshot(&context, &parameters).await?;
    let subtask = subtask_of(vertex_of(&job, vertex)?, index)?;
    Ok(Json(render::subtask(index, &subtask.current, now_ms())))
}

async fn attempt(State(context): Rest, parameters: Parameters) -> Result<Json<SubtaskDetails>, RestError> {
    let index = parameters.path("subtaskindex")?;
    let number = parameters.path("attempt")?;
    let (job, vertex) = snapshot(&context, &parameters).await?;
    let attempt = attempt_of(subtask_of(vertex_of(&job, vertex)?, index)?, number)?;
    Ok(Json(render::subtask(index, attempt, now_ms())))
}

async fn accumulators(State(context): Rest, parameters: Parameters) -> Result<Json<VertexAccumulators>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    Ok(Json(render::vertex_accumulators(vertex_of(&job, vertex)?)))
}

async fn subtasks_accumulators(
    State(context): Rest,
    parameters: Parameters,
) -> Result<Json<SubtasksAccumulators>, RestError> {
    let (job, vertex) = snapshot(&context, &parameters).await?;
    Ok(Json(render::subtasks_accumulators(vertex_of(&job, vertex)?)))
}

async fn attempt_accumulators(
    State(context): Rest,
    parameters: Parameters,
) -> Result<Json<AttemptAccumulators>, RestError> {
    let index = parameters.path("subtaskindex")?;
    let number = parameters.path("attempt")?;
    let (job, vertex) = snapshot(&context, &parameters).await?;
    let attempt = attempt_of(subtask_of(vertex_of(&job, vertex)?, index)?, number)?;
    Ok(Json(render::attempt_accumulators(vertex, index, attempt)))
}
