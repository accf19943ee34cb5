use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
};
use flott_core::{
    config::keys::{checkpointing, pipeline},
    id::JobId,
    job_graph::{JobGraph, plan::rest_plan},
    message::PlanRequest,
};
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError, multipart,
    parameters::{Parameters, json_body},
    shapes::{Empty, JarEntry, JarFile, JarList, JarRequest, JarRun, JarUploaded, PlanInfo},
    table::{Doc, Table},
};
use crate::{
    jars::{Jar, JarError},
    planner::{PlanJob, split_arguments},
    submission,
};

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/jars", Doc::answers::<JarList>("Uploaded programs"), list)
        .route(
            HttpMethod::Post,
            "/jars/upload",
            Doc::answers::<JarUploaded>("Uploads a program").takes_content("multipart/form-data"),
            upload,
        )
        .route(HttpMethod::Delete, "/jars/{jarid}", Doc::answers::<Empty>("Deletes an uploaded program"), delete)
        .get("/jars/{jarid}/plan", queries(Doc::answers::<PlanInfo>("Plans an uploaded program")), plan)
        .route(
            HttpMethod::Post,
            "/jars/{jarid}/plan",
            queries(Doc::answers::<PlanInfo>("Plans an uploaded program")).takes::<JarRequest>(),
            plan,
        )
        .route(
            HttpMethod::Post,
            "/jars/{jarid}/run",
            queries(Doc::answers::<JarRun>("Plans an uploaded program and submits the job")).takes::<JarRequest>(),
            run,
        )
}

fn queries(doc: Doc) -> Doc {
    doc.query("programArg", "Arguments, separated by commas")
        .query("program-args", "Arguments in one text, separated by blanks")
        .query("entry-class", "The entry, for programs that hold several")
        .query("parallelism", "parallelism.default of the job")
        .query("savepointPath", "Savepoint or checkpoint that the job starts from")
        .query("allowNonRestoredState", "Whether state that the job has no operator for is left behind")
}

impl From<JarError> for RestError {
    fn from(error: JarError) -> Self {
        match error {
            JarError::Missing { .. } | JarError::Full | JarError::Name { .. } => Self::bad_request(error),
            JarError::Io { .. } | JarError::Shared { .. } => Self::internal(error),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JarError> + Send + 'static,
) -> Result<T, RestError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(RestError::internal)??)
}

async fn list(State(context): Rest) -> Result<Json<JarList>, RestError> {
    let jars = context.jars.clone();
    let jars = blocking(move || jars.list()).await?;
    let file = |jar: Jar| {
        let entry = JarEntry { name: entry_name(&jar), description: None };
        JarFile { id: jar.id, name: jar.name, uploaded: jar.uploaded_at, entry: vec![entry] }
    };
    Ok(Json(JarList { address: context.web_address.clone(), files: jars.into_iter().map(file).collect() }))
}

fn entry_name(jar: &Jar) -> String {
    Path::new(&jar.name).file_stem().map_or_else(|| jar.name.clone(), |stem| stem.to_string_lossy().into_owned())
}

async fn upload(State(context): Rest, request: Request) -> Result<Json<JarUploaded>, RestError> {
    let mut form = multipart::read(&context, request).await?;
    let file = match (form.files.pop(), form.files.len()) {
        (Some(file), 0) if !file.name.is_empty() => file,
        (None, _) => return Err(RestError::bad_request("Exactly 1 file must be sent, received 0.")),
        (Some(_), 0) => return Err(RestError::bad_request("the uploaded file has no name")),
        (Some(_), more) => {
            return Err(RestError::bad_request(format_args!("Exactly 1 file must be sent, received {}.", more + 1)));
        }
    };
    let jars = context.jars.clone();
    let jar = blocking(move || jars.add(&file.blob.path(), &file.name)).await?;
    Ok(Json(JarUploaded { filename: jar.path.to_string_lossy().into_owned(), status: "success".to_owned() }))
}

async fn delete(State(context): Rest, parameters: Parameters) -> Result<Json<Empty>, RestError> {
    let id: String = parameters.path("jarid")?;
    let jars = context.jars.clone();
    blocking(move || jars.delete(&id)).await?;
    Ok(Json(Empty {}))
}

async fn plan(State(context): Rest, parameters: Parameters, body: Bytes) -> Result<Json<PlanInfo>, RestError> {
    let (_, graph, _) = planned(&context, &parameters, &body).await?;
    let (_, default_parallelism) =
        submission::effective(&graph, &context.configuration).map_err(RestError::bad_request)?;
    Ok(Json(PlanInfo { plan: rest_plan(&graph, default_parallelism) }))
}

async fn run(State(context): Rest, parameters: Parameters, body: Bytes) -> Result<Json<JarRun>, RestError> {
    let (jar, _, document) = planned(&context, &parameters, &body).await?;
    let (blobs, limit) = (context.dispatcher.blobs().clone(), context.upload_max);
    let stored = tokio::task::spawn_blocking(move || blobs.put_file(&jar.path, limit)).await;
    let program = stored.map_err(RestError::internal)??;
    let job = context.dispatcher.submit(document.into(), Some(program)).await?;
    Ok(Json(JarRun { jobid: job.to_string(), application_id: job.to_string() }))
}

async fn planned(
    context: &Context,
    parameters: &Parameters,
    body: &[u8],
) -> Result<(Jar, JobGraph, Vec<u8>), RestError> {
    let asked = Asked::of(parameters, body)?;
    let (id, jars) = (parameters.path::<String>("jarid")?, context.jars.clone());
    let jar = blocking(move || jars.find(&id)).await?;
    let mut configuration: BTreeMap<String, String> = asked.configuration;
    if let Some(parallelism) = asked.parallelism {
        configuration.insert(pipeline::DEFAULT_PARALLELISM.key().to_owned(), parallelism.to_string());
    }
    let request = PlanRequest { job: asked.job, name: None, entry: asked.entry, configuration };
    let job = PlanJob { program: jar.path.clone(), name: jar.name.clone(), arguments: asked.arguments, request };
    let (graph, document) = context.planner.plan(job).await?;
    Ok((jar, graph, document))
}

/// What is asked for, whether it stands in the body or in the query. The body wins.
struct Asked {
    arguments: Vec<String>,
    entry: Option<String>,
    parallelism: Option<u32>,
    job: Option<JobId>,
    configuration: BTreeMap<String, String>,
}

impl Asked {
    fn of(parameters: &Parameters, body: &[u8]) -> Result<Self, RestError> {
        let body: JarRequest = json_body(body)?;
        let mut configuration = body.flink_configuration;
        let savepoint = body.savepoint_path.or(parameters.query("savepointPath")?);
        if let Some(path) = savepoint.filter(|path| !path.is_empty()) {
            configuration.insert(checkpointing::RECOVERY_PATH.key().to_owned(), path);
        }
        if let Some(ignore) = body.allow_non_restored_state.or(parameters.query("allowNonRestoredState")?) {
            configuration.insert(checkpointing::IGNORE_UNCLAIMED.key().to_owned(), ignore.to_string());
        }
        if let Some(mode) = body.claim_mode.or(body.restore_mode).filter(|mode| !mode.is_empty()) {
            configuration.insert(checkpointing::CLAIM_MODE.key().to_owned(), mode);
        }
        let separated = |text: String| text.split(',').map(str::to_owned).collect();
        let arguments = match (body.program_args_list, body.program_args) {
            (Some(list), _) => list,
            (None, Some(text)) => split_arguments(&text),
            (None, None) => match parameters.query::<String>("programArg")? {
                Some(list) => separated(list),
                None => split_arguments(&parameters.query::<String>("program-args")?.unwrap_or_default()),
            },
        };
        let parallelism = body.parallelism.or(parameters.query("parallelism")?);
        if parallelism == Some(0) {
            return Err(RestError::bad_request("parallelism is 0; it must be 1 or more"));
        }
        let job = body.job_id.map(|id| id.parse()).transpose().map_err(RestError::bad_request)?;
        Ok(Self {
            arguments,
            entry: body.entry_class.or(parameters.query("entry-class")?),
            parallelism,
            job,
            configuration,
        })
    }
}
