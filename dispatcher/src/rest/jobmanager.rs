use std::{path::PathBuf, sync::Arc};

use axum::{Json, extract::State, response::Response};

use super::{
    Context, Rest, RestError, logs,
    parameters::Parameters,
    shapes::{ConfigEntry, EnvironmentInfo, LogEntry, LogList, RuntimeInfo},
    table::{Doc, Table},
};

const TEXT: &str = "text/plain";
const NO_FILE: &str = "This file does not exist in JobManager log dir.";

pub fn routes() -> Table<Arc<Context>> {
    let log = |summary| logs::documented(Doc::answers_content(TEXT, summary));
    Table::new()
        .get("/jobmanager/config", Doc::answers_list::<ConfigEntry>("The cluster's settings"), config)
        .get("/jobmanager/environment", Doc::answers::<EnvironmentInfo>("What the JobManager runs in"), environment)
        .get("/jobmanager/logs", Doc::answers::<LogList>("The logs of the JobManager"), log_list)
        .get("/jobmanager/logs/{filename}", log("A log of the JobManager"), log_file)
        .get("/jobmanager/log", log("The JobManager's own log"), main_log)
        .get("/jobmanager/stdout", log("What the JobManager has printed"), main_output)
}

async fn config(State(context): Rest) -> Json<Vec<ConfigEntry>> {
    let entry = |(key, value): (&str, &str)| ConfigEntry { key: key.to_owned(), value: value.to_owned() };
    Json(context.configuration.shown().map(entry).collect())
}

async fn environment() -> Json<EnvironmentInfo> {
    let jvm = RuntimeInfo {
        version: concat!("Flott ", env!("CARGO_PKG_VERSION")).to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        // A token may stand on the command line (-D security.token=…), so only the words before the first setting are
        // shown.
        options: std::env::args().skip(1).take_while(|argument| !argument.starts_with("-D")).collect(),
    };
    Json(EnvironmentInfo { jvm, classpath: Vec::new() })
}

async fn log_list(State(context): Rest) -> Result<Json<LogList>, RestError> {
    let Some(directory) = context.log_directory.clone() else { return Ok(Json(LogList { logs: Vec::new() })) };
    let files = tokio::task::spawn_blocking(move || logs::list(&directory)).await.map_err(RestError::internal)?;
    let entry =
        |file: flott_core::message::LogFile| LogEntry { name: file.name, size: file.size, mtime: file.modified_at };
    Ok(Json(LogList { logs: files.map_err(RestError::internal)?.into_iter().map(entry).collect() }))
}

async fn log_file(State(context): Rest, parameters: Parameters) -> Result<Response, RestError> {
    let name: String = parameters.path("filename")?;
    let path = path_of(&context, &name).ok_or_else(|| RestError::not_found(NO_FILE))?;
    logs::of_host(path, logs::Range::of(&parameters)?, NO_FILE).await
}

/// The path of a file in the log directory; `None` for what is not a plain file name.
fn path_of(context: &Context, name: &str) -> Option<PathBuf> {
    let mut components = std::path::Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(std::path::Component::Normal(only)), None) if only == name => {
            let path = context.log_directory.as_ref()?.join(name);
            path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|_| path)
        }
        _ => None,
    }
}

async fn main_log(context: Rest, parameters: Parameters) -> Result<Response, RestError> {
    own_file(context, parameters, "jobmanager.log").await
}

async fn main_output(context: Rest, parameters: Parameters) -> Result<Response, RestError> {
    own_file(context, parameters, "jobmanager.out").await
}

async fn own_file(State(context): Rest, parameters: Parameters, name: &str) -> Result<Response, RestError> {
    let path = path_of(&context, name).ok_or_else(|| RestError::not_found(NO_FILE))?;
    logs::of_host(path, logs::Range::of(&parameters)?, NO_FILE).await
}
