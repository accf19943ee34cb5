use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use flott_core::{
    id::WorkerId,
    message::{LogAnswer, LogFile},
    view::WorkerView,
};
use flott_resource_manager::{Error as ResourceError, handle::LogRead};

use super::{
    Context, Rest, RestError, logs,
    parameters::Parameters,
    render,
    shapes::{LogEntry, LogList, TaskManagerDetails, TaskManagers},
    table::{Doc, Table},
};

const TEXT: &str = "text/plain";

pub fn routes() -> Table<Arc<Context>> {
    let log = |summary| logs::documented(Doc::answers_content(TEXT, summary));
    Table::new()
        .get("/taskmanagers", Doc::answers::<TaskManagers>("Registered TaskManagers"), list)
        .get(
            "/taskmanagers/{taskmanagerid}",
            Doc::answers::<TaskManagerDetails>("A TaskManager with its slots and gauges"),
            details,
        )
        .get("/taskmanagers/{taskmanagerid}/logs", Doc::answers::<LogList>("The logs of a TaskManager"), log_list)
        .get("/taskmanagers/{taskmanagerid}/logs/{filename}", log("A log of a TaskManager"), log_file)
        .get("/taskmanagers/{taskmanagerid}/log", log("The TaskManager's own log"), main_log)
        .get("/taskmanagers/{taskmanagerid}/stdout", log("What the TaskManager has printed"), main_output)
}

async fn list(State(context): Rest) -> Result<Json<TaskManagers>, RestError> {
    let workers = context.dispatcher.workers().await?;
    let views = context.dispatcher.running().await?;
    let assigned = render::assigned_tasks(&views);
    Ok(Json(TaskManagers { taskmanagers: workers.iter().map(|view| render::task_manager(view, &assigned)).collect() }))
}

async fn details(State(context): Rest, parameters: Parameters) -> Result<Json<TaskManagerDetails>, RestError> {
    let worker = worker_of(&context, &parameters).await?;
    let views = context.dispatcher.running().await?;
    Ok(Json(render::task_manager_details(&worker, &render::assigned_tasks(&views))))
}

async fn worker_of(context: &Context, parameters: &Parameters) -> Result<WorkerView, RestError> {
    let id = WorkerId(parameters.path("taskmanagerid")?);
    let workers = context.dispatcher.workers().await?;
    let found = workers.into_iter().find(|view| view.worker == id);
    found.ok_or_else(|| ResourceError::UnknownWorker(id).into())
}

/// The log files of a TaskManager.
pub(super) async fn files(context: &Context, worker: WorkerId) -> Result<Vec<LogFile>, RestError> {
    let read = LogRead { worker, file: None, offset: 0, length_max: 0 };
    match context.dispatcher.read_log(read).await? {
        LogAnswer::Files(files) => Ok(files),
        LogAnswer::Piece { .. } => Err(RestError::internal("a TaskManager answered with a log instead of a list")),
    }
}

async fn log_list(State(context): Rest, parameters: Parameters) -> Result<Json<LogList>, RestError> {
    let files = files(&context, WorkerId(parameters.path("taskmanagerid")?)).await?;
    let entry = |file: LogFile| LogEntry { name: file.name, size: file.size, mtime: file.modified_at };
    Ok(Json(LogList { logs: files.into_iter().map(entry).collect() }))
}

async fn log_file(State(context): Rest, parameters: Parameters) -> Result<Response, RestError> {
    let worker = WorkerId(parameters.path("taskmanagerid")?);
    let file: String = parameters.path("filename")?;
    logs::of_worker(&context, worker, file, logs::Range::of(&parameters)?).await
}

async fn main_log(context: Rest, parameters: Parameters) -> Result<Response, RestError> {
    own_file(context, parameters, ".log").await
}

async fn main_output(context: Rest, parameters: Parameters) -> Result<Response, RestError> {
    own_file(context, parameters, ".out").await
}

/// The TaskManager's own file is the one that does not bear a job's id.
async fn own_file(State(context): Rest, parameters: Parameters, extension: &str) -> Result<Response, RestError> {
    let worker = WorkerId(parameters.path("taskmanagerid")?);
    let names = files(&context, worker.clone()).await?.into_iter().map(|file| file.name);
    let own =
        |name: &String| name.strip_suffix(extension).is_some_and(|stem| stem.parse::<flott_core::id::JobId>().is_err());
    let Some(file) = names.filter(own).min() else {
        return Err(RestError::not_found("The file LOG does not exist on the TaskExecutor."));
    };
    logs::of_worker(&context, worker, file, logs::Range::of(&parameters)?).await
}
